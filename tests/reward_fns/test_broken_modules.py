"""Reward modules that cannot be imported: one sentence that says which, where, why, and what to do."""

import re
import sys

import pytest

import reward_fns
from mt_grpo_recipe.cli import main
from reward_fns import known_tasks, registry
from reward_fns.registry import RewardModuleError

HEAD = "from reward_fns import register\n\n"
BROKEN = {
    "no context": (
        f'{HEAD}@register("mine")\ndef check(answer, truth):\n    return True\n',
        "line 3: TypeError: reward_fns.mine.check must end in **context",
    ),
    "no colon": (
        f'{HEAD}@register("mine")\ndef check(answer, truth, **context)\n    return True\n',
        "line 4: SyntaxError: expected ':'; correct it, or move the file out of reward_fns/",
    ),
    "missing package": (
        f"{HEAD}import not_there\n",
        "line 3: ModuleNotFoundError: No module named 'not_there'; install what brings 'not_there', correct the import",
    ),
    "a list as name": (
        f'{HEAD}@register(["mine"])\ndef check(answer, truth, **context):\n    return True\n',
        "line 3: TypeError: register() takes each task name as text of its own, and got ['mine']",
    ),
    "no parentheses": (
        f"{HEAD}@register\ndef check(answer, truth, **context):\n    return True\n",
        "line 3: TypeError: @register above check lacks the name of its task",
    ),
    "exit": (f"{HEAD}import sys\nsys.exit()\n", "line 4: SystemExit; correct it"),
    "deep": (f'{HEAD}import json\njson.loads("[\\n")\n', "line 4: JSONDecodeError: Expecting value: line 2 column 1"),
}


@pytest.fixture
def module(monkeypatch, tmp_path):
    """Writes the module `mine`, as a task file of the package, which the next lookup imports."""
    monkeypatch.setattr(registry, "_tasks", dict(known_tasks()))
    monkeypatch.setattr(registry, "_discovered", False)
    monkeypatch.setattr(reward_fns, "__path__", [*reward_fns.__path__, str(tmp_path)])

    def write(text):
        (tmp_path / "mine.py").write_text(text)
        return tmp_path / "mine.py"

    yield write
    sys.modules.pop("reward_fns.mine", None)


@pytest.mark.parametrize(("text", "why"), BROKEN.values(), ids=BROKEN)
def test_a_broken_task_file_is_named_with_the_line_each_time(module, text, why):
    path = module(text)
    for _ in range(2):
        with pytest.raises(RewardModuleError) as refused:
            known_tasks()
        said = str(refused.value)
        assert said.startswith(f"the reward module reward_fns.mine cannot be imported: {path}, {why}")
        assert "\n" not in said and "; " in said and refused.value.__cause__ is not None


def test_a_mended_task_file_is_found(module):
    module(BROKEN["missing package"][0])
    with pytest.raises(RewardModuleError):
        known_tasks()
    module(f'{HEAD}@register("mine")\ndef check(answer, truth, **context):\n    return True\n')
    assert "mine" in known_tasks()


def test_ctrl_c_during_an_import_gets_through(module):
    module("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        known_tasks()


def test_an_entry_point_without_its_function_is_named(monkeypatch):
    entry_point = registry.metadata.EntryPoint("lost", "json:rewards", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: [entry_point])
    why = "'lost' = 'json:rewards' does not load: AttributeError: module 'json' has no attribute 'rewards'; correct it"
    with pytest.raises(RewardModuleError, match=re.escape(why)):
        registry._load_entry_points()


def test_the_check_of_data_says_so_in_a_sentence(module, tmp_path, capsys):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    row = {
        "data_source": "mine",
        "prompt": [{"role": "user", "content": "1 + 1?"}],
        "reward_model": {"style": "rule", "ground_truth": "2"},
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "mine.parquet")
    path = module(BROKEN["no colon"][0])
    with pytest.raises(SystemExit) as ended:
        main(["prepare", "--check", str(tmp_path / "mine.parquet")])
    printed = capsys.readouterr()
    said = f"{printed.out}{printed.err}{ended.value.code}"
    assert ended.value.code not in (0, None)
    assert f"the reward module reward_fns.mine cannot be imported: {path}, line 4: SyntaxError" in said
    assert "Traceback" not in said
