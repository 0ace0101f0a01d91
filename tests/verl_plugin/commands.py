"""Training commands that the tests of checks start from."""

from mt_grpo_recipe.config import load_config
from mt_grpo_recipe.doctor import compose_config
from mt_grpo_recipe.verl_plugin import checks
from mt_grpo_recipe.verl_plugin.defaults import set_defaults

ENGINE = "actor_rollout_ref.rollout.name=vllm"
GROUP_OF_8 = "actor_rollout_ref.rollout.n=8"
BATCH_OF_32 = "data.train_batch_size=32"
MINI_BATCH_OF_8 = "actor_rollout_ref.actor.ppo_mini_batch_size=8"


def check(*overrides):
    """Compose, complete and check a command; returns its config."""
    config = compose_config([ENGINE, GROUP_OF_8, BATCH_OF_32, MINI_BATCH_OF_8, *overrides])
    set_defaults(config)
    checks.check_training_config(config, load_config(config.mt_grpo))
    return config
