"""The synchronous buffer over an imitated queue."""

import fake_queue
import verl.trainer.ppo.v1.replay_buffer as verl_buffer
from omegaconf import OmegaConf

from mt_grpo_recipe.algorithm.controller import TaskController
from mt_grpo_recipe.config import load_config
from mt_grpo_recipe.verl_plugin import failures, rollout_rewards
from mt_grpo_recipe.verl_plugin.replay_buffer import TaskReplayBuffer

MISSING = fake_queue.MISSING
RIGHT, WRONG, MALFORMED = (1.0, 1.0), (0.1, 0.0), (0.0, 0.0)
MIXED = [RIGHT, WRONG, WRONG, RIGHT]


def make_buffer(monkeypatch, outcome, tasks=("a", "b"), batch_size=8, rewards=None, **settings):
    sampler = {"poll_interval_s": 1e-4, "quota": "stratified", **settings}
    config = load_config(OmegaConf.create({"sampler": sampler, "rewards": rewards}))
    rollout = fake_queue.FakeRollout(outcome)
    for module in (rollout_rewards, failures, verl_buffer):
        monkeypatch.setattr(module, "tq", rollout)
    buffer = TaskReplayBuffer(
        launch=rollout.launch,
        abort=rollout.abort,
        config=config,
        trainer_mode="sync",
        trainer_config=OmegaConf.create({}),
        max_off_policy_threshold=8,
        max_off_policy_strategy="drop",
        sampler_kwargs=OmegaConf.create({}),
        refill_fn=None,
    )
    buffer.controller = TaskController(list(tasks), batch_size, config)
    return buffer, rollout


def sample(buffer):
    return buffer.sample(global_steps=1, partition_id="train", batch_size=buffer.controller.batch_size)[0]
