"""MATH and SciKnowEval from small local files in their public schemas, up to the files of experiment 3."""

import argparse
import json

import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

import mt_grpo_recipe.config
from data_prep import cli
from data_prep.public import math_puzzle, read_math, read_science, science_puzzle
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


def test_the_same_seed_splits_alike_and_another_differently(sources):
    _, science = sources
    first, again, other = (read_science(science, ["physics"], 5, 3, seed) for seed in (0, 0, 1))
    assert first == again != other


def test_the_answer_of_a_problem_is_the_last_box_of_its_solution():
    assert math_puzzle(math_row(3)).solution == "\\frac{8}{2}"
    assert math_puzzle({"problem": "?", "answer": " 7 ", "solution": ""}).solution == "7"
    assert math_puzzle({"problem": "?", "solution": "Obvious."}) is None


def test_the_kind_of_a_question_decides_what_is_asked_for():
    choice = science_puzzle(science_row(1, "Physics"))
    assert "A) one\nB) two" in choice.question and choice.solution == "B"
    judgement = science_row(0, "Physics", type="true_or_false", answerKey="", answer="True", choices=None)
    assert "True or False" in science_puzzle(judgement).question
    assert science_puzzle(science_row(0, "Physics", type="open-ended-qa", answerKey="", answer="x")) is None
    assert science_puzzle(science_row(0, "Physics", answerKey="E")) is None


def test_prompts_end_in_the_assistants_turn_or_are_the_question_alone(tmp_path, sources):
    math, science = sources
    for prompts in ("base", "chat"):
        out = tmp_path / prompts
        options = ("--train", 2, "--test", 1, "--prompts", prompts, "-o", out)
        prepare("exp3b", "--math", math, "--sciknoweval", science, *options)
        texts = [row["prompt"][0]["content"] for row in pq.read_table(out / "train.parquet").to_pylist()]
        assert all(text.count("Assistant:") == (prompts == "base") for text in texts)


def test_a_missing_column_a_missing_domain_and_too_few_rows_are_said(tmp_path, sources):
    _, science = sources
    with pytest.raises(ValueError, match=r"science\.jsonl.*needed are \['problem'\]"):
        read_math(science, 5, 2, 0)
    with pytest.raises(ValueError, match="no question of the domain 'geology'"):
        read_science(science, ["geology"], 5, 2, 0)
    with pytest.raises(ValueError, match=r"only 12 test and 0 training rows.*--test 50"):
        read_science(science, ["physics"], 5, 50, 0)
    (tmp_path / "rows.csv").write_text("a,b\n")
    with pytest.raises(ValueError, match=r"rows\.csv cannot be read"):
        read_math(str(tmp_path / "rows.csv"), 5, 2, 0)
