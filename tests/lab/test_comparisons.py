"""The runs of a comparison are composed as it says."""

from pathlib import Path

import pytest
from comparisons import METHODS, SETTINGS
from composing import compose_settings


def composed(setting, method):
    run = SETTINGS[setting].training(method, batch=6, seed=3, rate=1e-3)
    return compose_settings(run.config, run.seed, 10, run.overrides)


@pytest.mark.parametrize("setting", SETTINGS)
def test_it_names_methods_that_there_are_and_a_model(setting):
    described = SETTINGS[setting]
    assert set(described.batches) | set(described.grid) <= set(METHODS)
    assert len(described.mix) == len(described.rows)
    assert Path(described.model, "model.safetensors").exists()


def test_a_static_mix_is_fixed_at_its_shares():
    config, mt_grpo = composed("nine", "static_mix")
    assert (mt_grpo.weights.rule, list(mt_grpo.weights.initial)) == ("fixed", list(SETTINGS["nine"].mix))
    assert config.actor_rollout_ref.model.path.endswith("warm_model_nine")
    assert config.actor_rollout_ref.rollout.val_kwargs.n == 1
    assert (config.data.train_batch_size, config.actor_rollout_ref.actor.optim.lr) == (6, 1e-3)


def test_targets_are_the_same_for_all_tasks():
    _, mt_grpo = composed("equal", "mt_grpo_targets")
    assert dict(mt_grpo.weights.targets) == dict.fromkeys(SETTINGS["equal"].rows, 0.5)


def test_streaming_in_proportion():
    _, mt_grpo = composed("unequal", "dapo_stream_proportional")
    assert (mt_grpo.sampler.schedule, mt_grpo.weights.rule) == ("streaming", "proportional")
