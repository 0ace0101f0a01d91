"""Reading logs: whole, broken, resumed, missing."""

import gzip
import json

import numpy as np
import pytest
from synthetic import TASKS, synthetic_lines, write_log, write_run

from mt_grpo_recipe.report.measure.accuracy import final_accuracies, mean_accuracy, task_accuracy, worst_accuracy
from mt_grpo_recipe.report.read.log import RunLogError, read_run


def train(step, weight=0.5, **more):
    return {"step": step, "data": {"mt_grpo/weight/a": weight, "timing_s/step": 1.0, **more}}


def validation(step, **accuracy):
    return {"step": step, "data": {f"val-core/mt_grpo/acc/{task}": a for task, a in accuracy.items()}}


def test_a_whole_run_is_read_without_complaint(tmp_path):
    run = read_run(write_run(tmp_path / "anything", method="dapo", seed=7, steps=30))
    assert (run.method, run.seed, run.label, run.name) == ("dapo", 7, None, "dapo, seed 7")
    assert run.tasks == TASKS
    assert run.problems == ()
    assert run.train_steps.tolist() == list(range(1, 31))
    assert worst_accuracy(run).steps.tolist() == [0, 10, 20, 30]
    lines = synthetic_lines(seed=7, steps=30)
    expected = [line["data"]["mt_grpo/weight/arc"] for line in lines[1:]]
    assert run.series("mt_grpo/weight/arc").values.tolist() == expected
    assert run.late_mean("mt_grpo/weight/arc", 4) == pytest.approx(np.mean(expected[-4:]))


def test_a_packed_log_says_the_same_and_a_broken_pack_is_named(tmp_path):
    (log,) = write_run(tmp_path / "plain", seed=1, steps=12).glob("*.jsonl")
    (tmp_path / "packed").mkdir()
    packed = tmp_path / "packed" / "a-1.jsonl.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    assert read_run(tmp_path / "packed").records == read_run(log).records
    (tmp_path / "packed" / "a-2.jsonl.gz").write_bytes(packed.read_bytes()[:-40])
    problems = read_run(tmp_path / "packed").problems
    assert any(problem.startswith("a-2.jsonl.gz cannot be unpacked and is left out") for problem in problems)


def test_nulls_and_words_are_not_numbers(tmp_path):
    data = {
        "mt_grpo/weight/a": None,
        "timing_s/step": "fast",
        "actor/x": True,
        "actor/grad_norm": 2,
        "mt_grpo/rounds": 1,
    }
    path = write_log(
        tmp_path / "m.jsonl", [{"step": 1, "data": data}], '{"step": 2, "data": {"actor/grad_norm": NaN}}\n'
    )
    run = read_run(path)
    assert run.records == {1: {"actor/grad_norm": 2.0, "mt_grpo/rounds": 1.0}, 2: {}}


@pytest.mark.parametrize("tail", ['{"step": 3, "da', '{"step": 3}\n', "\x00\x00\n", '{"step": "3", "data": {}}'])
def test_a_broken_last_line_is_skipped_and_named(tmp_path, tail):
    run = read_run(write_log(tmp_path / "log.jsonl", [validation(0, a=0.1), train(1), train(2)], tail))
    assert run.train_steps.tolist() == [1, 2]
    assert any("last line (4) is cut off" in problem for problem in run.problems)
    assert "unfinished: it stops at step 2, last validated at step 0" in run.problems


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([validation(0, a=0.1), train(1), {**validation(1, a=0.2)}], None),  # an older log says nothing of its end
        ([train(1, **{"mt_grpo/steps_left": 0}), validation(1, a=0.2)], None),
        (
            [train(1, **{"mt_grpo/steps_left": 60}), validation(1, a=0.2)],
            "stops at step 1 of 61, last validated at step 1",
        ),
        ([train(1, **{"mt_grpo/steps_left": 3})], "unfinished: it stops at step 1 of 4"),
        # trainer.test_freq=-1: validated before training alone.
        ([validation(0, a=0.1), train(1, **{"mt_grpo/steps_left": 0})], None),
        ([validation(0, a=0.1), train(1)], "unfinished: it stops at step 1, last validated at step 0"),
    ],
)
def test_a_run_that_was_killed_just_after_a_validation_is_unfinished(tmp_path, lines, said):
    problems = "; ".join(read_run(write_log(tmp_path / "log.jsonl", lines)).problems)
    assert (said in problems) if said else ("unfinished" not in problems)


def test_the_history_of_decisions_beside_a_log_is_no_log(tmp_path):
    run = write_run(tmp_path / "run", steps=5)
    for name in ("decisions.jsonl", "outcomes.jsonl"):
        (run / name).write_text('{"step": 1}\n', encoding="utf-8")
    assert read_run(run).problems == ()
    (tmp_path / "bare").mkdir()
    (run / "decisions.jsonl").rename(tmp_path / "bare" / "decisions.jsonl")
    with pytest.raises(RunLogError, match=r"trainer\.logger"):
        read_run(tmp_path / "bare")


def test_a_broken_line_within_is_skipped_and_the_gap_named(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([json.dumps(train(1)), "oops", json.dumps(train(3))]), encoding="utf-8")
    problems = read_run(path).problems
    assert "log.jsonl: line 2 is not readable; skipped" in problems
    assert "steps not logged: 2" in problems


@pytest.mark.parametrize("mark", "\u2028\u2029\x85")
def test_only_a_newline_ends_a_line(tmp_path, mark):
    line = train(1, **{f"mt_grpo/weight/{mark}b": 0.25})
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(line, ensure_ascii=False) + "\r\n" + json.dumps(train(2)), "utf-8")
    run = read_run(path)
    assert list(run.records) == [1, 2] and not any("not readable" in problem for problem in run.problems)


def test_what_is_no_regular_file_is_no_log(tmp_path):
    log = write_log(tmp_path / "elsewhere.log", [train(1)])
    run = tmp_path / "run"
    run.mkdir()
    (run / "gone.jsonl").symlink_to(tmp_path / "nowhere.jsonl")
    (run / "folder.jsonl").mkdir()
    (run / "folder.jsonl.gz").mkdir()
    with pytest.raises(RunLogError, match=r"run holds no \*\.jsonl log"):
        read_run(run)
    (run / "linked.jsonl").symlink_to(log)
    assert [file.name for file in read_run(run).files] == ["linked.jsonl"]


def test_empty_files_are_named_and_left_out(tmp_path):
    write_log(tmp_path / "r" / "attempt-1.jsonl", [])
    write_log(tmp_path / "r" / "attempt-2.jsonl", [train(1)])
    run = read_run(tmp_path / "r")
    assert [file.name for file in run.files] == ["attempt-2.jsonl"]
    assert "attempt-1.jsonl is empty" in run.problems


def test_nothing_to_read_is_an_error_that_names_the_path(tmp_path):
    with pytest.raises(RunLogError, match=r"no run at .*nowhere"):
        read_run(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(RunLogError, match=r"bare holds no \*\.jsonl log"):
        read_run(tmp_path / "bare")
    write_log(tmp_path / "hollow" / "a.jsonl", [])
    with pytest.raises(RunLogError, match=r"hollow holds no step .*a\.jsonl is empty"):
        read_run(tmp_path / "hollow")


def test_a_resumed_attempt_replaces_the_steps_it_repeats(tmp_path):
    first = [validation(0, a=0.1), *[train(s, 0.1) for s in (1, 2)], train(3, 0.1), train(4, 0.1)]
    first[2]["data"] |= validation(2, a=0.2)["data"]
    # The checkpoint is from step 2: the resumed run validates there again, then trains 3 and 4 again, and 5.
    second = [validation(2, a=0.25), *[train(s, 0.9) for s in (3, 4, 5)]]
    second[-1]["data"] |= validation(5, a=0.3)["data"]
    write_log(tmp_path / "r" / "attempt-1.jsonl", first)
    write_log(tmp_path / "r" / "attempt-2.jsonl", second)
    run = read_run(tmp_path / "r")
    assert run.series("mt_grpo/weight/a").values.tolist() == [0.1, 0.1, 0.9, 0.9, 0.9]
    assert task_accuracy(run, "a").values.tolist() == [0.1, 0.25, 0.3]
    assert run.problems == ()


def test_steps_that_a_resumed_attempt_never_reached_again_are_dropped_and_named(tmp_path):
    write_log(tmp_path / "r" / "attempt-1.jsonl", [train(s, 0.1) for s in range(1, 9)])
    write_log(tmp_path / "r" / "attempt-2.jsonl", [train(s, 0.9) for s in (5, 6)])
    run = read_run(tmp_path / "r")
    assert run.train_steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert "steps left out, as attempt-2.jsonl went back to step 5: 7-8" in run.problems


def test_attempts_are_joined_in_the_order_a_person_counts(tmp_path):
    for number in (1, 2, 10):
        write_log(tmp_path / "r" / f"attempt-{number}.jsonl", [train(1, number / 100)])
    assert read_run(tmp_path / "r").series("mt_grpo/weight/a").values.tolist() == [0.10]
    # A digit that is no decimal one belongs to the name.
    write_log(tmp_path / "s" / "attempt-10².jsonl", [train(1, 0.3)])
    assert read_run(tmp_path / "s").series("mt_grpo/weight/a").values.tolist() == [0.3]
    write_log(tmp_path / "q" / "log.jsonl", [train(1, 0.1)])
    write_log(tmp_path / "q" / "log-2.jsonl", [train(1, 0.2)])
    assert read_run(tmp_path / "q").series("mt_grpo/weight/a").values.tolist() == [0.2]


@pytest.mark.parametrize(
    ("name", "method", "seed"),
    [
        ("mt_grpo", "mt_grpo", None),
        ("mt_grpo-seed3", "mt_grpo", 3),
        ("mt_grpo_seed_3", "mt_grpo", 3),
        ("dapo-s12", "dapo", 12),
        ("dapo/seed4", "dapo", 4),
        ("grpo_rps", "grpo_rps", None),
        ("methods2", "methods2", None),
    ],
)
def test_method_and_seed_from_the_name(tmp_path, name, method, seed):
    write_log(tmp_path / name / "attempt-1.jsonl", [train(1)])
    for path in (tmp_path / name, tmp_path / name / "attempt-1.jsonl"):
        run = read_run(path)
        assert (run.method, run.seed) == (method, seed)
    run = read_run(write_log(tmp_path / "logs" / f"{name}.jsonl", [train(1)]))
    assert (run.method, run.seed) == (method, seed)


def test_run_json_stands_above_the_name_and_a_broken_one_is_named(tmp_path):
    write_run(tmp_path / "dapo-seed1", method="mt_grpo", seed=5, label="MT-GRPO", steps=5)
    run = read_run(tmp_path / "dapo-seed1")
    assert (run.method, run.seed, run.label, run.group) == ("mt_grpo", 5, "MT-GRPO", "MT-GRPO")
    (tmp_path / "dapo-seed1" / "run.json").write_text("{", encoding="utf-8")
    run = read_run(tmp_path / "dapo-seed1")
    assert (run.method, run.seed) == ("dapo", 1)
    assert any("run.json" in problem for problem in run.problems)


def test_summaries_are_made_where_the_log_lacks_them(tmp_path):
    lines = [
        validation(0, a=0.2, b=0.4),
        train(1, **{"mt_grpo/weight/b": 0.5}),
        validation(2, a=0.6, b=0.5),
        validation(3, a=0.9),
        train(3),
    ]
    run = read_run(write_log(tmp_path / "log.jsonl", lines))
    # Step 3 validated one task of two, which does not tell the worst task.
    assert worst_accuracy(run).steps.tolist() == [0, 2]
    assert worst_accuracy(run).values.tolist() == [0.2, 0.5]
    assert mean_accuracy(run).values == pytest.approx([0.3, 0.55])
    assert final_accuracies(run) == {"a": 0.9, "b": 0.5}
    assert "the validation of step 3 lacks b, whose last accuracy is that of step 2" in run.problems
