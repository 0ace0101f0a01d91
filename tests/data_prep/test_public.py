"""MATH and SciKnowEval from small local files in their public schemas, up to the files of experiment 3."""

import argparse
import json

import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

import mt_grpo_recipe.config
from data_prep import cli
from data_prep.fields import LeftOut
from data_prep.public import math_puzzle, read_math, read_science
from reward_fns import compute_score

CONFIG = f"{mt_grpo_recipe.config.__path__[0]}/experiment"
LABELS = ["A", "B", "C", "D"]


def math_row(number):
    return {
        "problem": f"What is {number} + 1?",
        "level": "Level 1",
        "type": "Algebra",
        "solution": f"Adding gives \\boxed{{{number}}} \\ne$ so it is \\boxed{{\\frac{{{2 * number + 2}}}{{2}}}}.",
    }


def science_row(number, domain, **fields):
    return {
        "question": f"Question {number} of {domain}?",
        "choices": {"text": ["one", "two", "three", "four"], "label": LABELS},
        "answerKey": LABELS[number % 4],
        "type": "mcq-4-choices",
        "domain": domain,
        "details": {"level": "L1", "task": "t", "subtask": "s"},
        "answer": "",
        **fields,
    }


@pytest.fixture
def sources(tmp_path):
    """A folder of MATH with both splits, and a file of SciKnowEval with one."""
    folder = tmp_path / "math"
    folder.mkdir()
    for split, numbers in (("train", range(20)), ("test", range(15, 23))):
        (folder / f"{split}.jsonl").write_text("\n".join(json.dumps(math_row(n)) for n in numbers))
    open_question = {"type": "open-ended-qa", "answerKey": "", "answer": "It depends."}
    rows = [
        science_row(n, domain)
        for domain in ("Biology", "Chemistry", "Physics", "Material")
        for n in [*range(12), 3]  # one question twice
    ]
    rows += [science_row(90 + n, "Physics", **open_question) for n in range(3)]
    (tmp_path / "science.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(folder), str(tmp_path / "science.jsonl")


def prepare(*arguments):
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.mark.parametrize("part", ["exp3a", "exp3b"])
def test_the_files_name_the_tasks_of_the_config_and_their_answers_score_one(tmp_path, sources, part):
    math, science = sources
    prepare("exp3", "--math", math, "--sciknoweval", science, "--train", 8, "--test", 4, "-o", tmp_path / "out")
    folder = tmp_path / "out" / part
    seen = {}
    for split, count in (("train", 8), ("test", 4)):
        rows = pq.read_table(folder / f"{split}.parquet").to_pylist()
        tasks = [row["extra_info"]["type"] for row in rows]
        assert list(dict.fromkeys(tasks)) == list(OmegaConf.load(f"{CONFIG}/{part}.yaml").mt_grpo.tasks)
        assert len(rows) == 4 * count
        seen[split] = {row["prompt"][0]["content"] for row in rows}
        assert len(seen[split]) == len(rows)
        for row in rows:
            truth = row["reward_model"]["ground_truth"]
            assert compute_score(row["data_source"], f"\\boxed{{{truth['target']}}}", truth)["score"] == 1.0
            assert compute_score(row["data_source"], "\\boxed{nothing}", truth)["score"] == 0.1
    assert not seen["train"] & seen["test"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["sources"] == {"math": math, "sciknoweval": science}
    domains = 2 if part == "exp3a" else 4
    assert manifest["rows"]["sciknoweval"] == {
        "usable": {"mcq-4-choices": 12 * domains},
        "left_out": {
            "mcq-4-choices": {"its question is another row's": domains},
            "open-ended-qa": {"no rule can judge its answer": 3},
        },
    }


def test_a_part_may_be_made_again_from_the_same_settings(tmp_path, sources):
    math, science = sources
    command = ["exp3a", "--math", math, "--sciknoweval", science, "--test", 4, "-o", tmp_path / "out", "--train"]
    prepare(*command, 8)
    made = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    prepare(*command, 8)
    with pytest.raises(ValueError, match=r"other settings \(asked\)"):
        prepare(*command, 7)
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == made


def test_what_was_left_out_is_printed_by_type_with_the_count(tmp_path, sources, capsys):
    math, science = sources
    prepare("exp3a", "--math", math, "--sciknoweval", science, "--train", 8, "--test", 4, "-o", tmp_path / "out")
    printed = capsys.readouterr().err
    assert "math, rows by type:" in printed and "28  math: left out: its question is another row's" not in printed
    assert "23  math: usable" in printed and "5  math: left out: its question is another row's" in printed
    assert "3  open-ended-qa: left out: no rule can judge its answer" in printed


def test_a_question_that_only_looks_different_is_another_rows(tmp_path):
    def left_out(read, name, rows, *arguments):
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
        _, tally = read(str(tmp_path / name), *arguments, 4, 1, 0)
        return sum(n for (_, why), n in tally.left_out.items() if why == "its question is another row's")

    blanks = {**math_row(2), "problem": "What  is 2 +  1? "}
    assert left_out(read_math, "math.jsonl", [*map(math_row, range(6)), blanks]) == 1
    rows = [science_row(number, "Physics") for number in range(6)]
    turned = {"text": ["four", "two", "three", "one"], "label": LABELS}
    again = [
        {**rows[0], "domain": "Biology"},
        {**rows[0], "choices": turned, "answerKey": "D"},
        {**rows[1], "choices": {"text": ["one", "two", "three", "five"], "label": LABELS}},
    ]
    assert left_out(read_science, "science.jsonl", [*rows, *again], ["physics"]) == 1
    with pytest.raises(
        ValueError, match=r"no question of 'sciknoweval-biology' .*2  mcq-4-choices: left out: its question is"
    ):
        left_out(read_science, "science.jsonl", [*rows, *again], ["physics", "biology"])


def test_the_same_seed_splits_alike_and_another_differently(sources):
    _, science = sources
    first, again, other = (read_science(science, ["physics"], 5, 3, seed) for seed in (0, 0, 1))
    assert first == again != other


def test_the_answer_of_a_problem_is_the_last_box_of_its_solution():
    assert math_puzzle(math_row(3)).solution == "\\frac{8}{2}"
    assert math_puzzle({"problem": "?", "answer": " 7 ", "solution": ""}).solution == "7"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(7, "7"), (0.5, "0.5"), (True, "True"), (["7"], "7"), (["7", 7, None], "7"), (None, "9"), ("  ", "9"), ([], "9")],
)
def test_an_answer_may_be_a_number_a_list_of_one_or_stand_in_the_solution_alone(answer, expected):
    row = {"problem": "?", "answer": answer, "solution": "So \\boxed{9}."}
    assert math_puzzle(row).ground_truth == {"target": expected}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"solution": "Obvious."}, "no answer"),
        ({"solution": None}, "no answer"),
        ({"solution": "\\boxed{ }"}, "no answer"),
        ({"answer": float("nan")}, "no answer"),
        ({"answer": ["1", "2"]}, "several right answers"),
        ({"problem": None, "answer": "7"}, "no problem"),
        ({"problem": "\n", "answer": "7"}, "no problem"),
    ],
)
def test_a_problem_without_one_answer_is_left_out(fields, reason):
    with pytest.raises(LeftOut, match=reason):
        math_puzzle({"problem": "?", **fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "no field answer or solution; there are 'problem'"),
        ({"answer": {"value": 7}}, "'answer' must be text; it is {'value': 7}"),
        ({"answer": float("inf")}, "'answer' must be text; it is inf"),
        ({"solution": 5}, "'solution' must be text; it is 5"),
        ({"problem": ["?"], "answer": "7"}, r"'problem' must be text; it is \['\?'\]"),
        ({"problem": "\ud800", "answer": "7"}, "unpaired surrogate"),
    ],
)
def test_a_field_of_another_type_is_said_with_its_line(tmp_path, fields, words):
    rows = [{"problem": "?", "answer": "7"}, {"problem": "?", **fields}]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(ValueError, match=rf"rows\.jsonl, line 2: .*{words}"):
        read_math(str(path), 5, 0, 0)


def test_prompts_end_in_the_assistants_turn_or_are_the_question_alone(tmp_path, sources):
    _, science = sources
    for prompts in ("base", "chat"):
        out = tmp_path / prompts
        options = ("--train", 2, "--test", 1, "--prompts", prompts, "-o", out)
        prepare("exp3b", "--sciknoweval", science, *options)
        texts = [row["prompt"][0]["content"] for row in pq.read_table(out / "train.parquet").to_pylist()]
        assert all(text.count("Assistant:") == (prompts == "base") for text in texts)


def test_a_missing_column_a_missing_domain_and_too_few_rows_are_said(sources):
    _, science = sources
    with pytest.raises(ValueError, match=r"science\.jsonl, line 1: no field problem; there are 'question'"):
        read_math(science, 5, 2, 0)
    with pytest.raises(ValueError, match=r"no question of 'sciknoweval-geology' that a rule can judge \(no rows\)"):
        read_science(science, ["geology"], 5, 2, 0)
    with pytest.raises(ValueError, match=r"sciknoweval-physics: only 12 test and 0 training rows.*--test 50"):
        read_science(science, ["physics"], 5, 50, 0)
    with pytest.raises(ValueError, match=r"cannot be negative: --train -1"):
        read_science(science, ["physics"], -1, 5, 0)


def test_a_row_of_an_unknown_domain_is_counted(tmp_path):
    rows = [science_row(1, "Biology"), science_row(2, "Astrology"), science_row(3, None)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    _, tally = read_science(str(tmp_path / "rows.jsonl"), ["biology"], 1, 0, 0)
    assert [count for (_, why), count in tally.left_out.items() if "its domain is none of biology" in why] == [2]
