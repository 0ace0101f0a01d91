"""Rows whose prompt or truth verl cannot use are refused at start, with the file and the first such row."""

import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from mt_grpo_recipe.config import ConfigError, MTGRPOConfig
from mt_grpo_recipe.verl_plugin.checks import RULES, rows
from mt_grpo_recipe.verl_plugin.checks.datasets import makes_prompts
from mt_grpo_recipe.verl_plugin.checks.rows import RowForm
from mt_grpo_recipe.verl_plugin.dataset import TaskDataset, file_faults, read_file

PROMPT = [{"role": "system", "content": "be short"}, {"role": "user", "content": "2 + 2"}]
TRUTH = {"style": "rule", "ground_truth": {"target": "4"}}
GOOD = {"data_source": "arc", "prompt": PROMPT, "reward_model": TRUTH, "extra_info": {"task": "arc"}}
CONFIG = OmegaConf.create({"data": {}})


def faults_of(tmp_path, given, suffix, form=None):
    """What is wrong with a file of two good rows, then this one; all rows are like it in Parquet."""
    name = str(tmp_path / f"rows{suffix}")
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([GOOD | given] * 2), name)
    else:
        (tmp_path / f"rows{suffix}").write_text("\n".join(map(json.dumps, [GOOD, GOOD, GOOD | given])))
    return file_faults({name: read_file(name)}, form or RowForm())


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"prompt": "2 + 2"}, "the prompt is text, '2 + 2'. It must be a list of messages"),
        ({"prompt": None}, "the prompt is missing or null"),
        ({"prompt": []}, "the prompt is a list, []"),
        ({"prompt": ["2 + 2"]}, "the prompt holds text, '2 + 2', which is no message with a role"),
        ({"prompt": [{"role": "human", "content": "2 + 2"}]}, "the role 'human', which chat templates leave out"),
        ({"prompt": [{"role": "user", "content": None}]}, "the content of a message is missing or null"),
        ({"prompt": [{"role": "user", "content": 4}]}, "the content of a message is of type int, 4"),
        ({"prompt": [{"role": "user"}]}, "the content of a message is missing or null"),
        ({"reward_model": "4"}, "it is text, '4'. It must be a dict"),
        ({"reward_model": None}, "it is missing or null"),
        ({"reward_model": {"style": "rule"}}, "it has no field 'ground_truth'"),
    ],
)
def test_what_verl_cannot_use_is_named_with_its_row(tmp_path, given, words, suffix):
    [fault] = faults_of(tmp_path, given, suffix)
    counted = "2 of 2 rows" if suffix == ".parquet" else "1 of 3 rows"
    first = "row 0" if suffix == ".parquet" else "row 2"
    assert f"rows{suffix}: {counted} have '{next(iter(given))}' in a form" in fault
    assert f"the first is {first}, counted from 0: " in fault and words in fault


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"prompt": [{"role": "user", "content": [{"type": "text", "text": "2 + 2"}]}]},
        {"prompt": [*PROMPT, {"role": "assistant", "content": None}, {"role": "tool", "content": "4"}]},
        {"prompt": [{"role": "developer", "content": "x"}, {"role": "ipython", "content": "y"}]},
        {"reward_model": {"ground_truth": None}},
        {"reward_model": {"ground_truth": "4"}},
    ],
)
def test_what_verl_allows_is_let_through(tmp_path, given, suffix):
    assert faults_of(tmp_path, given, suffix) == []


def test_a_good_parquet_column_is_not_read_row_by_row(tmp_path, monkeypatch):
    monkeypatch.setattr(RowForm, "row_faults", lambda *_: pytest.fail("rows were read"))
    assert faults_of(tmp_path, {}, ".parquet") == []


def form_of(dotlist, makes=False):
    return RowForm.of(OmegaConf.merge(CONFIG, OmegaConf.from_dotlist(dotlist)), makes)


def test_a_chat_template_a_reward_and_a_dataset_of_ones_own_need_less(tmp_path):
    template = form_of(["actor_rollout_ref.model.custom_chat_template=x"])
    assert faults_of(tmp_path, {"prompt": [{"role": "human", "content": "x"}]}, ".parquet", template) == []
    for option in ("reward.reward_manager.source=importlib", "reward.reward_model.enable=True"):
        assert faults_of(tmp_path, {"reward_model": {"style": "model"}}, ".jsonl", form_of([option])) == []
    assert faults_of(tmp_path, {"prompt": "text"}, ".parquet", form_of([], makes=True)) == []

    class OwnPrompts(TaskDataset):
        def _build_messages(self, example, key):
            return [{"role": "user", "content": example[key]}]

    assert (makes_prompts(OwnPrompts), makes_prompts(TaskDataset)) == (True, False)


def test_a_column_that_every_file_lacks_is_named_with_those_there_are():
    columns = {"a.parquet": ["data_source", "prompt"], "b.parquet": ["data_source", "prompt"]}
    question, truth = form_of(["data.prompt_key=question"]).column_faults(columns)
    assert question.startswith("a.parquet, b.parquet has no column 'question', which verl reads of every row; there")
    assert "are data_source, prompt. Add it, or name another in data.prompt_key, which is question now." in question
    assert "no column 'reward_model'" in truth and "{'ground_truth': ...}" in truth


def test_the_dataset_of_a_run_refuses_them(tmp_path):
    tables = {}
    for name, row in (("good", GOOD), ("bad", GOOD | {"prompt": "2 + 2"}), ("none", {"data_source": "arc"})):
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / f"{name}.parquet")
        tables[name] = read_file(str(tmp_path / f"{name}.parquet"))
    dataset = object.__new__(TaskDataset)
    dataset.config = CONFIG.data
    for names, words in (
        (["good", "bad"], "bad: 1 of 1 rows have 'prompt'"),
        (["none"], "none has no column 'prompt'"),
    ):
        dataset.original_data_files = names
        with pytest.raises(ConfigError, match=words):
            dataset._refuse_faulty_rows([tables[name] for name in names])


@pytest.mark.parametrize("files", [None, []])
def test_a_run_without_files_is_refused(files):
    [rule] = rows.RULES
    assert rule in RULES
    custom = {"path": None, "name": None}
    config = SimpleNamespace(data=OmegaConf.create({"train_files": "a", "val_files": files, "custom_cls": custom}))
    assert rule(config, MTGRPOConfig()).startswith(f"data.val_files={files}: verl reads training and validation data")
    config.data.val_files = "b"
    assert rule(config, MTGRPOConfig()) is None
