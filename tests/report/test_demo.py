"""The demo's summary: numbers of the table, paths, picture, and its error."""

import re
from pathlib import Path

import numpy as np
import pytest
from synthetic import synthetic_lines, write_log, write_run

from mt_grpo_recipe.report.show.one_run import summarize_demo


def rows(text):
    return {parts[0]: parts[1:] for line in text.splitlines() if (parts := re.split(r"\s{2,}", line.strip()))}


def test_the_table_says_what_the_log_says(tmp_path, capsys):
    run = write_run(tmp_path / "run", seed=3, steps=40)
    text = summarize_demo(run, tmp_path / "out")
    assert capsys.readouterr().out.split() == text.split()
    data = [line["data"] for line in synthetic_lines(seed=3, steps=40)]

    def late(name):
        return f"{100 * np.mean([d[f'mt_grpo/{name}/arc'] for d in data[-10:]]):.1f}"

    before, after = (100 * data[i]["val-core/mt_grpo/acc/arc"] for i in (0, -1))
    weight = f"{100 * data[-1]['mt_grpo/weight/arc']:.1f}"
    shown = [f"{before:.1f}", f"{after:.1f}", f"{after - before:+.1f}", weight]
    assert rows(text)["arc"] == [*shown, late("target_share"), late("batch_share"), late("zero_grad_rate")]
    worst = [100 * data[i]["val-core/mt_grpo/worst_task_acc"] for i in (0, -1)]
    assert rows(text)["worst task"][:2] == [f"{w:.1f}" for w in worst]
    assert "means over the last 10 steps" in text


def test_paths_stand_on_lines_of_their_own(tmp_path):
    text = summarize_demo(write_run(tmp_path / ("long" * 30), steps=12), tmp_path / ("out" * 40))
    metrics = re.search(r"^metrics: (\S+\.jsonl)$", text, re.M)
    picture = re.search(r"^picture: (\S+\.png)$", text, re.M)
    assert metrics and picture
    png = Path(picture[1]).read_bytes()
    assert png.startswith(b"\x89PNG") and len(png) > 20_000


def test_a_missing_log_ends_with_a_sentence(tmp_path):
    with pytest.raises(SystemExit, match="mt-grpo: there is no run at"):
        summarize_demo(tmp_path / "nowhere", tmp_path)
    (tmp_path / "bare").mkdir()
    with pytest.raises(SystemExit, match="holds no"):
        summarize_demo(tmp_path / "bare", tmp_path)


@pytest.mark.parametrize("kept", [1, 2, 4])
def test_an_unfinished_run_is_shown_and_said_to_be_so(tmp_path, kept):
    lines = synthetic_lines(steps=20)[:kept]
    text = summarize_demo(write_log(tmp_path / "r" / "a.jsonl", lines, '{"st').parent, tmp_path)
    assert "is cut off" in text
    assert ("no training step" if kept == 1 else "unfinished: it stops at step") in text


def test_no_validation_and_names_with_brackets_pass(tmp_path):
    lines = [{"step": 1, "data": {"mt_grpo/weight/[red]$x": 1.0, "timing_s/step": 1.0}}]
    text = summarize_demo(write_log(tmp_path / "r" / "a.jsonl", lines).parent, tmp_path)
    assert "[red]$x" in text
    assert "no validation is logged" in text
