"""Reward workers are started so that they come back when they die."""

from types import SimpleNamespace

import pytest
import ray
from omegaconf import OmegaConf
from verl.experimental.reward_loop import reward_loop
from verl.experimental.reward_loop.reward_loop import RewardLoopManager

from mt_grpo_recipe.verl_plugin.reward_workers import RewardWorker, restarting_reward_workers

NODES = [
    {"NodeID": "aa" * 28, "Alive": True, "Resources": {"CPU": 4}},
    {"NodeID": "bb" * 28, "Alive": False, "Resources": {"CPU": 4}},
    {"NodeID": "cc" * 28, "Alive": True, "Resources": {"CPU": 4}},
]


@pytest.fixture
def started(monkeypatch):
    """What Ray is asked to start, instead of starting it: class, options, arguments."""
    calls = []

    def remote(*classes, **defaults):
        def wrap(cls):
            def options(**given):
                return SimpleNamespace(
                    remote=lambda *args: calls.append((cls, {**defaults, **given}, args)) or len(calls)
                )

            return SimpleNamespace(options=options)

        return wrap(*classes) if classes else wrap

    monkeypatch.setattr(ray, "remote", remote)
    monkeypatch.setattr(ray, "put", lambda value: ("reference of", value))
    monkeypatch.setattr(ray, "nodes", lambda: NODES)
    monkeypatch.setattr(reward_loop, "resolve_reward_manager_cls", lambda config: None)
    return calls


@pytest.fixture
def trainer():
    reward = {"num_workers": 3, "reward_model": {"enable": False, "enable_resource_pool": False}}
    return SimpleNamespace(config=OmegaConf.create({"reward": reward}))


def test_verls_manager_has_as_many_workers_as_were_asked_for_and_all_restart(started, trainer):
    with restarting_reward_workers(trainer):
        trainer.reward_loop_manager = RewardLoopManager(trainer.config)
        assert not started
    assert trainer.config.reward.num_workers == 3
    assert [cls for cls, _, _ in started] == [RewardWorker] * 3
    assert [options["name"] for _, options, _ in started] == [f"reward_loop_worker_{i}" for i in range(3)]
    assert all((o["max_restarts"], o["max_task_retries"]) == (-1, 1) for _, o, _ in started)
    assert [o["scheduling_strategy"].node_id[:2] for _, o, _ in started] == ["aa", "cc", "aa"]
    assert trainer.reward_loop_manager.reward_loop_worker_handles == [1, 2, 3]


def test_what_a_worker_is_built_from_is_kept_for_the_next_time(started, trainer):
    """Ray drops a large argument that nothing refers to once the actor has started."""
    with restarting_reward_workers(trainer):
        trainer.reward_loop_manager = RewardLoopManager(trainer.config)
    reference = trainer.reward_loop_manager.config_reference
    assert reference == ("reference of", trainer.config)
    assert all(args == (reference, None) for _, _, args in started)


def test_a_set_up_that_fails_starts_no_workers_and_leaves_the_config_as_it_was(started, trainer):
    with pytest.raises(RuntimeError, match="no memory"), restarting_reward_workers(trainer):
        raise RuntimeError("no memory")
    assert not started and trainer.config.reward.num_workers == 3


def test_ray_takes_the_options():
    worker = ray.remote(max_restarts=-1, max_task_retries=1)(RewardWorker).options(name="reward_loop_worker_0")
    assert worker is not None
