"""Both data sets are read once at start; a dataset of the user's own may be given in data.custom_cls."""

import logging
import random

import pytest
from torch.utils.data import Dataset

from mt_grpo_recipe.config import ConfigError, MTGRPOConfig
from mt_grpo_recipe.doctor import compose_config
from mt_grpo_recipe.verl_plugin import checks
from mt_grpo_recipe.verl_plugin.checks.datasets import RULES
from mt_grpo_recipe.verl_plugin.task_data import read_task_data, warn_of_other_validation_data


class OwnDataset(Dataset):
    """Makes its rows, and the task of each, when they are asked for."""

    def __init__(self, tasks, change=None):
        self._tasks = tasks
        self._change = change or {}

    def __len__(self):
        return len(self._tasks)

    def __getitem__(self, item):
        prompt = [{"role": "user", "content": f"question {item}"}]
        row = {"raw_prompt": prompt, "index": item, "reward_model": {}, "data_source": "countdown"}
        return row | {"extra_info": {"task": self._tasks[item]}} | self._change.get(item, {})


def config_of(*overrides):
    return compose_config(["data.train_batch_size=2", *overrides])


def test_a_dataset_of_ones_own_is_asked_for_its_rows(caplog):
    data = read_task_data(config_of(), MTGRPOConfig(), OwnDataset(["b", "a", "b"]), OwnDataset(["b", "c"]))
    assert {task: rows.tolist() for task, rows in data.rows_of.items()} == {"b": [0, 2], "a": [1]}
    assert data.train_digest_of.keys() == {"a", "b"} and data.validation_digest_of.keys() == {"b", "c"}
    assert [record.message for record in caplog.records] == [
        "data.val_files has no row of a: worst_task_acc and avg_acc are over the other tasks."
    ]


class Shuffled(OwnDataset):
    """Gives the rows of task b with two choices in random order, which extra_info names, too."""

    def __init__(self, tasks, seed, change=None):
        super().__init__(tasks, change)
        self._random = random.Random(seed)

    def __getitem__(self, item):
        row = super().__getitem__(item)
        if self._tasks[item] == "b":
            order = self._random.sample("xy", 2)
            row |= {"raw_prompt": f"{item}: {order}", "extra_info": row["extra_info"] | {"order": order}}
        return row


def test_columns_that_change_from_read_to_read_are_not_compared_when_a_run_resumes(caplog):
    """Row 0 does not change; of 12 others that do, each has a chance of a half in each read."""

    def digests(seed, change=None):
        data = Shuffled(["a"] + ["b"] * 12, seed, change)
        return read_task_data(config_of(), MTGRPOConfig(), data, OwnDataset(["a", "b"])).train_digest_of

    with caplog.at_level(logging.INFO):
        first = digests(0)
    assert "data.train_files: ['extra_info', 'raw_prompt'] change from read to read" in caplog.text
    assert all(digests(seed) == first for seed in range(1, 10))
    changed = digests(0, {1: {"index": 99}})
    assert changed["a"] == first["a"] and changed["b"] != first["b"]


def test_only_the_tasks_that_are_trained_have_a_digest_to_resume_with():
    data = read_task_data(config_of(), MTGRPOConfig(tasks=["b"]), OwnDataset(["b", "a", "b"]), OwnDataset(["b"]))
    assert data.rows_of.keys() == data.train_digest_of.keys() == {"b"}


def test_rows_of_tasks_that_are_not_trained_need_no_reward():
    train = OwnDataset(["b", "a", "b", "a"], {1: {"data_source": "chess"}, 3: {"data_source": None}})
    assert read_task_data(config_of(), MTGRPOConfig(tasks=["b"]), train, OwnDataset(["b"])).rows_of.keys() == {"b"}
    for row, words in ((1, "chess"), (3, "1 of 4 rows have no data_source")):
        other = OwnDataset(["b", "a", "b", "a"], {row: train._change[row]})
        with pytest.raises(ConfigError, match=words):
            read_task_data(config_of(), MTGRPOConfig(), other, OwnDataset(["b"]))


@pytest.mark.parametrize(
    ("train", "validation", "words"),
    [
        (OwnDataset(["a", None, "a"]), OwnDataset(["a"]), r"data\.train_files: 1 of 3 rows name no task.*row 1"),
        (OwnDataset(["a", "a"]), OwnDataset(["a", None]), r"data\.val_files: 1 of 2 rows name no task.*row 1"),
        (
            OwnDataset(["a", "a"], {1: {"note": ""}}),
            OwnDataset(["a"]),
            r"row 1 .*Dataset has \['note'\], which row 0",
        ),
        (OwnDataset(["a"]), OwnDataset(["a"]), r"data\.train_batch_size=2 is larger than the training data"),
        (OwnDataset(["a", "a"]), OwnDataset(["a"], {0: {"data_source": "chess"}}), "chess"),
        (OwnDataset(["a", "a"]), OwnDataset(["a"], {0: {"data_source": ""}}), "no reward function for data_source ''"),
        (OwnDataset(["a", "a"], {1: {"data_source": ["x"]}}), OwnDataset(["a"]), r"data\.train_files: 1 of .*not text"),
        (OwnDataset(["a", "a"]), OwnDataset(["a"], {0: {"data_source": 7}}), r"data\.val_files: .*not text.*: 7"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_at_start(train, validation, words):
    with pytest.raises(ConfigError, match=words):
        read_task_data(config_of(), MTGRPOConfig(), train, validation)


def test_a_row_of_ones_own_dataset_without_what_verl_reads_is_refused():
    class Bare(OwnDataset):
        def __getitem__(self, item):
            return {name: value for name, value in super().__getitem__(item).items() if name != "raw_prompt"}

    with pytest.raises(ConfigError, match=r"row 0 \(counted from 0\) of Bare lacks \['raw_prompt'\]\. Every row"):
        read_task_data(config_of(), MTGRPOConfig(), Bare(["a", "a"]), OwnDataset(["a"]))


def test_other_validation_rows_than_before_are_said(caplog):
    with caplog.at_level(logging.WARNING):
        warn_of_other_validation_data({"a": "1", "b": "2"}, {"a": "1", "b": "2"})
        assert not caplog.records
        warn_of_other_validation_data({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"})
    assert "The validation rows of b, c have changed since the checkpoint" in caplog.text


# ---------------------------------------------------------------------- data.custom_cls

OWN = """
from torch.utils.data import Dataset, IterableDataset
from verl.utils.dataset.rl_dataset import RLHFDataset
from mt_grpo_recipe.verl_plugin.dataset import TaskDataset

class Derived(TaskDataset): pass
class Verls(RLHFDataset): pass
class Stream(IterableDataset): pass
class Unnumbered(Dataset):
    def __getitem__(self, item): return {}
class Plain: pass
"""
LIMITED = "data.train_max_samples=10"


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("Derived", [LIMITED], None),
        ("Verls", [], None),
        ("Verls", [LIMITED, "data.seed=1"], None),
        ("Verls", [LIMITED, "data.shuffle=False"], None),
        ("Verls", ["data.val_max_samples=5"], "data.val_max_samples=5 with data.seed=null and Verls for a dataset"),
        ("Stream", [], "needs __len__ and __getitem__ and no IterableDataset"),
        ("Unnumbered", [], "needs __len__ and __getitem__"),
        ("Plain", [], "no subclass of torch.utils.data.Dataset has that name"),
        ("Absent", [], "no subclass of torch.utils.data.Dataset has that name"),
    ],
)
def test_a_dataset_class_of_ones_own_works_or_is_refused_in_words(tmp_path, name, overrides, words):
    (tmp_path / "own.py").write_text(OWN)
    config = config_of(f"data.custom_cls.path={tmp_path}/own.py", f"data.custom_cls.name={name}", *overrides)
    refusals = [refusal for rule in RULES if (refusal := rule(config, MTGRPOConfig()))]
    assert len(refusals) == (words is not None) and (words is None or words in refusals[0])


def test_verls_own_dataset_may_be_asked_for():
    assert [rule(config_of("data.custom_cls.path=null"), MTGRPOConfig()) for rule in RULES] == [None]


def test_a_module_that_cannot_be_loaded_is_refused_with_its_error(tmp_path):
    (tmp_path / "broken.py").write_text("import no_such_package")
    for file, words in (("broken.py", "No module named 'no_such_package'"), ("none.py", "not found")):
        config = config_of(f"data.custom_cls.path={tmp_path}/{file}")
        assert set(RULES) <= set(checks.RULES)
        [refusal] = [rule(config, MTGRPOConfig()) for rule in RULES]
        assert refusal.startswith(f"data.custom_cls.path={tmp_path}/{file}") and words in refusal
