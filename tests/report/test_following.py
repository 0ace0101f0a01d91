"""`mt-grpo watch` while logs come and go: which run it follows, when it ends, what it says of steps trained again."""

import os
import subprocess
import sys

import pytest
from synthetic import synthetic_lines, write_log, write_run

from mt_grpo_recipe.cli import main
from mt_grpo_recipe.report import watch_cli

RUN = synthetic_lines(tasks=("arc", "zebra"), steps=6, test_freq=3)


@pytest.fixture
def watch(capsys, monkeypatch):
    """Run the command while things happen: one each time it waits, and after the last it is interrupted."""

    def run(*arguments, happens=()):
        rest = iter(happens)

        def wait(_):
            thing = next(rest, None)
            if thing is None:
                raise KeyboardInterrupt
            thing()

        monkeypatch.setattr(watch_cli.time, "sleep", wait)
        with pytest.raises(SystemExit) as ended:
            main(["watch", *map(str, arguments)])
        return ended.value.code, capsys.readouterr().out

    return run


def writes(path, lines):
    return lambda: write_log(path, lines)


def steps(text):
    return [line.split(",")[0].split(" |")[0].split(" of")[0] for line in text.splitlines()]


# ---------------------------------------------------------------------- which run


def test_a_log_that_appears_later_is_found_beside_data_and_rollouts(tmp_path, watch):
    for name in ("data/train.jsonl", "rollouts/1.jsonl"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text('{"data_source": "x"}\n', encoding="utf-8")
    status, text = watch(tmp_path, happens=[writes(tmp_path / "metrics-1.jsonl", RUN)])
    assert (status, steps(text)[-1]) == (0, "step 6")


def test_an_empty_log_below_does_not_hold_it(tmp_path, watch):
    write_log(tmp_path / "old" / "a.jsonl", [])
    status, text = watch(tmp_path, happens=[writes(tmp_path / "metrics-1.jsonl", RUN)])
    assert (status, steps(text)[-1]) == (0, "step 6")


def test_with_a_process_only_the_given_directory_counts(tmp_path, watch):
    write_run(tmp_path / "old", steps=9)
    status, text = watch(tmp_path, "--pid", os.getpid(), happens=[writes(tmp_path / "metrics-1.jsonl", RUN[:3])])
    assert (status, steps(text)[1:]) == (130, ["step 0", "step 1", "step 2"])


def test_several_runs_are_refused_whenever_they_come(tmp_path, watch):
    both = [writes(tmp_path / f"{name}.jsonl", RUN[:2]) for name in ("dapo", "grpo")]
    assert "holds 2 runs: name one of them" in watch(tmp_path, happens=both)[0]


# ---------------------------------------------------------------------- when it ends


@pytest.mark.parametrize("begun", [[], RUN[-1:]])
def test_a_finished_run_that_goes_on_is_followed(tmp_path, watch, begun):
    more = synthetic_lines(tasks=("arc", "zebra"), steps=9, test_freq=3)
    only_validated = [
        {**line, "data": {k: v for k, v in line["data"].items() if k.startswith("val")}} for line in begun
    ]
    write_log(tmp_path / "metrics-1.jsonl", RUN)
    write_log(tmp_path / "metrics-2.jsonl", only_validated)
    status, text = watch(tmp_path, happens=[writes(tmp_path / "metrics-2.jsonl", only_validated + more[7:])])
    assert (status, steps(text)) == (0, [f"step {n}" for n in range(10)])


def test_an_attempt_that_died_before_its_first_step_holds_nothing_up(tmp_path, watch):
    write_log(tmp_path / "metrics-1.jsonl", RUN)
    os.utime(write_log(tmp_path / "metrics-2.jsonl", []), (0, 0))
    assert watch(tmp_path)[0] == 0
    os.utime(write_log(tmp_path / "metrics-0.jsonl", []))
    assert watch(tmp_path)[0] == 0, "an earlier attempt"


def test_with_a_process_only_its_end_ends_the_view(tmp_path, watch, monkeypatch):
    run = write_run(tmp_path / "run", steps=3)
    assert watch(run, "--pid", os.getpid())[0] == 130
    alive = iter([True, False])
    monkeypatch.setattr(watch_cli, "_is_alive", lambda pid: next(alive))
    status, text = watch(run, "--pid", "7", happens=[writes(run / "attempt-2.jsonl", synthetic_lines(steps=5)[4:])])
    assert (status, steps(text)[-1]) == (0, "step 5")


@pytest.mark.parametrize("pid", ["0", "-1", "2147483648", "99999999999999999999", "x", "1.5", "²"])
def test_what_is_no_process_is_refused(tmp_path, capsys, pid):
    with pytest.raises(SystemExit) as ended:
        main(["watch", str(tmp_path), "--pid", pid])
    assert ended.value.code == 2
    assert f"{pid!r} is no process: give its number, from 1 to 2147483647" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="no /proc: a zombie cannot be told")
def test_a_process_that_ended_and_was_not_waited_for_has_ended(tmp_path, watch):
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert watch(tmp_path, "--pid", child.pid)[0] == 0
    finally:
        child.wait()
    assert watch_cli._is_alive(os.getpid())


# ---------------------------------------------------------------------- one line per step


def again(first, last, **changed):
    """Steps trained once more, with other numbers."""
    return [
        {**line, "data": line["data"] | {"timing_s/step": 99.0} | changed}
        for line in synthetic_lines(tasks=("arc", "zebra"), steps=6, test_freq=3, seed=1)[first : last + 1]
    ]


VALIDATED = [{"step": 3, "data": {"val-core/mt_grpo/acc/arc": 0.5}}]


def test_steps_trained_again_get_their_lines(tmp_path, watch):
    second = tmp_path / "metrics-2.jsonl"
    write_log(tmp_path / "metrics-1.jsonl", RUN[:6])
    happens = [writes(second, []), writes(second, VALIDATED), writes(second, VALIDATED + again(4, 4))]
    status, text = watch(tmp_path, happens=[*happens, writes(second, VALIDATED + again(4, 6))])
    shown = text.splitlines()
    assert status == 0 and shown[6] == "The run went back to step 3; the steps after it are trained again."
    assert steps(text)[:6] == [f"step {n}" for n in range(6)] and steps(text)[7:] == ["step 4", "step 5", "step 6"]
    assert all("99.0 s per step" in line for line in shown[7:])


@pytest.mark.parametrize(("lines", "back"), [(VALIDATED + again(4, 6), 3), (again(2, 6), 1), (again(0, 6), 0)])
def test_an_attempt_that_has_overtaken_the_first_is_noticed(tmp_path, watch, lines, back):
    write_log(tmp_path / "metrics-1.jsonl", RUN[:6])
    text = watch(tmp_path, happens=[writes(tmp_path / "metrics-2.jsonl", lines)])[1]
    assert text.splitlines()[6].startswith(f"The run went back to step {back};")
    assert steps(text)[7:] == [f"step {n}" for n in range(back + 1, 7)]


def test_a_log_that_verl_overwrites_is_followed(tmp_path, watch):
    log = write_log(tmp_path / "exp.jsonl", RUN[:6])
    happens = [writes(log, []), writes(log, VALIDATED), writes(log, VALIDATED + again(4, 6))]
    text = watch(log, happens=happens)[1]
    assert steps(text)[7:] == ["step 4", "step 5", "step 6"]
    assert text.splitlines()[6].startswith("The run went back to step 3;")


def test_a_later_validation_is_no_step_back(tmp_path, watch):
    write_log(tmp_path / "metrics-1.jsonl", RUN[:4])
    text = watch(tmp_path, happens=[writes(tmp_path / "metrics-2.jsonl", VALIDATED + RUN[4:])])[1]
    assert steps(text) == [f"step {n}" for n in range(7)]


def test_a_terminal_that_cannot_redraw_gets_lines(tmp_path, watch, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # What is printed to counts as a terminal.
    monkeypatch.setenv("TERM", "dumb")
    assert [line.split(",")[0] for line in watch(write_run(tmp_path / "run", steps=3))[1].splitlines()][1:] == [
        f"step {n} of 3" for n in (1, 2, 3)
    ]


def test_the_live_view_is_not_said_to_be_silent_while_a_new_attempt_starts(tmp_path):
    for log, lines in (("metrics-1.jsonl", RUN), ("train.jsonl", [{"data_source": "x"}])):
        os.utime(write_log(tmp_path / log, lines), (0, 0))
    write_log(tmp_path / "metrics-2.jsonl", [])
    assert next(watch_cli._follow(tmp_path, None)).silent < 60
    (tmp_path / "metrics-2.jsonl").unlink()
    assert next(watch_cli._follow(tmp_path, None)).silent > 60
