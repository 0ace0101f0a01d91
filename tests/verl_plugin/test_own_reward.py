"""A reward function that the reward workers could not load is refused before models are loaded."""

import logging

import pytest
import ray
from omegaconf import OmegaConf

from mt_grpo_recipe.config import MTGRPOConfig
from mt_grpo_recipe.verl_plugin.checks import RULES, reward

[RULE] = reward.RULES


def refusal(path, name="compute_score"):
    assert RULE in RULES
    config = OmegaConf.create({"reward": {"custom_reward_function": {"path": path, "name": name}}})
    return RULE(config, MTGRPOConfig())


def test_the_plugins_own_verls_own_and_a_file_that_can_be_loaded_are_let_through(tmp_path):
    (tmp_path / "own.py").write_text("def compute_score(**_): return 1.0")
    assert [refusal("pkg://reward_fns"), refusal(None), refusal(str(tmp_path / "own.py"))] == [None] * 3


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (None, "compute_score", "it cannot be loaded: FileNotFoundError: "),
        ("def score(**_): return 1.0", "compute_score", "no function has that name there; it has score."),
        ("compute_score = 1.0", "compute_score", "no function has that name there; it has none."),
        ("import no_such_package", "compute_score", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("def (", "compute_score", "SyntaxError: "),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(tmp_path, text, name, words):
    if text is not None:
        (tmp_path / "own.py").write_text(text)
    said = refusal(str(tmp_path / "own.py"), name)
    assert said.startswith(f"reward.custom_reward_function.path={tmp_path}/own.py, ") and words in said


def test_a_package_that_does_not_exist_is_refused():
    assert "ModuleNotFoundError: No module named 'no_such_package'" in refusal("pkg://no_such_package.rewards")


def test_what_may_be_on_another_machine_is_warned_of_alone(monkeypatch, caplog):
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "nodes", lambda: [{}])
    assert "cannot be loaded" in refusal("/nope.py")
    monkeypatch.setattr(ray, "nodes", lambda: [{}, {}])
    with caplog.at_level(logging.WARNING):
        assert refusal("/nope.py") is None
    assert "/nope.py" in caplog.text and "cannot be known here" in caplog.text
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    assert refusal("/nope.py") is None
