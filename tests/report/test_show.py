"""`mt-grpo show`: numbers of the table, paths, picture, and what it says where there is nothing to show."""

import re
from pathlib import Path

import numpy as np
import pytest
from synthetic import synthetic_lines, with_costs, write_log, write_run

from mt_grpo_recipe.cli import main
from mt_grpo_recipe.report import show_cli


@pytest.fixture
def show(capsys):
    """Run the command as a user does and return what it printed."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["show", *map(str, arguments)])
        assert ended.value.code == 0
        return capsys.readouterr().out

    return run


def refusal(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["show", *map(str, arguments)])
    return ended.value.code


def rows(text):
    return {parts[0]: parts[1:] for line in text.splitlines() if (parts := re.split(r"\s{2,}", line.strip()))}


def test_the_table_says_what_the_log_says(tmp_path, show):
    text = show(write_run(tmp_path / "run", seed=3, steps=40))
    assert text.startswith("mt_grpo, seed 3: 40 training steps")
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


def test_what_the_run_cost_stands_below_where_the_log_says_it(tmp_path, show):
    lines = with_costs(synthetic_lines(seed=3, steps=40), n=8)
    text = show(write_run(tmp_path / "run", seed=3, steps=40, n=8))

    def total(name):
        return sum(value for line in lines for key, value in line["data"].items() if key.startswith(f"mt_grpo/{name}/"))

    rollouts, trained = total("generated_rollouts"), total("trained_rollouts")
    assert f"cost: {rollouts:,.0f} rollouts with {10 * rollouts:,.0f} response tokens generated in all; " in text
    assert f"; {100 * trained / rollouts:.1f} % of the rollouts trained on." in text
    assert "cost:" not in show(write_run(tmp_path / "no costs", steps=5))


def test_paths_stand_on_lines_of_their_own(tmp_path, show):
    text = show(write_run(tmp_path / ("long" * 30), steps=12), "-o", tmp_path / ("out" * 40) / "demo.png")
    metrics = re.search(r"^metrics: (\S+\.jsonl)$", text, re.M)
    picture = re.search(r"^picture: (\S+\.png)$", text, re.M)
    assert metrics and picture
    assert Path(metrics[1]).is_file()
    png = Path(picture[1]).read_bytes()
    assert png.startswith(b"\x89PNG") and len(png) > 20_000


def test_the_picture_lies_beside_the_log_or_where_asked_for(tmp_path, show):
    run = write_run(tmp_path / "run", steps=12)
    (log,) = run.glob("*.jsonl")
    show(log)
    assert (run / "run.png").read_bytes().startswith(b"\x89PNG")
    show(run, "-o", tmp_path / "a.svg")
    assert "<svg" in (tmp_path / "a.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["picture", "picture.txt", "."])
def test_a_picture_of_no_known_format_is_refused(tmp_path, name, capsys):
    assert refusal(write_run(tmp_path / "run", steps=3), "-o", name) == 2
    assert f"{name!r} is not the name of a .png, .svg or .pdf file" in capsys.readouterr().err


def test_a_missing_log_ends_with_a_sentence(tmp_path):
    assert str(refusal(tmp_path / "nowhere")).startswith(f"mt-grpo show: there is no run at {tmp_path / 'nowhere'}")
    (tmp_path / "bare").mkdir()
    assert "bare holds no *.jsonl log: was the run started with" in str(refusal(tmp_path / "bare"))
    write_log(tmp_path / "hollow" / "a.jsonl", [])
    assert "hollow holds no step that can be read (a.jsonl is empty)" in str(refusal(tmp_path / "hollow"))


def test_a_folder_of_one_run_shows_it_and_of_several_names_one(tmp_path, show):
    write_run(tmp_path / "runs" / "a", seed=1, steps=3)
    assert show(tmp_path / "runs").startswith("mt_grpo, seed 1: 3 training steps")
    write_run(tmp_path / "runs" / "b", seed=2, steps=3)
    first = tmp_path / "runs" / "a"
    assert f"holds 2 runs: name one of them, such as {first}, or compare all" in str(refusal(tmp_path / "runs"))


def test_the_table_is_there_even_where_the_picture_cannot_be(tmp_path, capsys):
    run = write_run(tmp_path / "run", steps=5)
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"mt-grpo show: .*file"):
        main(["show", str(run), "-o", str(tmp_path / "file" / "x.png")])
    assert "worst task" in capsys.readouterr().out


def test_ctrl_c_ends_a_command_without_a_traceback(monkeypatch, tmp_path):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(show_cli, "find_run", interrupted)
    with pytest.raises(SystemExit) as ended:
        main(["show", str(tmp_path)])
    assert ended.value.code == 130


@pytest.mark.parametrize("kept", [1, 2, 4])
def test_an_unfinished_run_is_shown_and_said_to_be_so(tmp_path, kept, show):
    lines = synthetic_lines(steps=20)[:kept]
    text = show(write_log(tmp_path / "r" / "a.jsonl", lines, '{"st').parent)
    assert "is cut off" in text
    assert ("no training step" if kept == 1 else "unfinished: it stops at step") in text


def test_no_validation_and_names_with_brackets_pass(tmp_path, show):
    lines = [{"step": 1, "data": {"mt_grpo/weight/[red]$x": 1.0, "timing_s/step": 1.0}}]
    text = show(write_log(tmp_path / "r" / "a.jsonl", lines).parent)
    assert "[red]$x" in text
    assert "no validation is logged" in text


def test_names_with_colons_are_printed_as_they_are(tmp_path, show):
    lines = [{"step": 1, "data": {"mt_grpo/weight/:x:": 1.0, "timing_s/step": 1.0}}]
    run = write_log(tmp_path / "a:100:b" / ":x:.jsonl", lines).parent
    (run / "run.json").write_text('{"method": "m", "label": "lr:100: a:x:b"}')
    text = show(run)
    assert "lr:100: a:x:b" in text and "\n  :x: " in text
    assert f"metrics: {run}/:x:.jsonl" in text and f"picture: {run}/run.png" in text


def test_a_task_that_a_validation_lacks_has_a_dash(tmp_path, show):
    lines = synthetic_lines(tasks=("arc", "zebra"), steps=6, test_freq=3)
    del lines[0]["data"]["val-core/mt_grpo/acc/zebra"]
    for name in ("acc/arc", "avg_acc"):
        lines[-1]["data"][f"val-core/mt_grpo/{name}"] = None
    text = show(write_log(tmp_path / "r" / "a.jsonl", lines).parent)

    def at(step, name):
        return f"{100 * lines[step]['data'][f'val-core/mt_grpo/{name}']:.1f}"

    assert "validation accuracy (at step 0 and at step 6)" in text
    assert rows(text)["arc"][:3] == [at(0, "acc/arc"), "-", "-"]
    assert rows(text)["zebra"][:3] == ["-", at(6, "acc/zebra"), "-"]
    assert rows(text)["average"] == [at(0, "avg_acc"), "-", "-"]
    assert rows(text)["worst task"][:2] == [at(step, "worst_task_acc") for step in (0, 6)]
