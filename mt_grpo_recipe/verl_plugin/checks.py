"""What is refused, or put right with a word about it, before anything expensive starts."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import ray
from omegaconf import DictConfig, open_dict
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mt_grpo_recipe.config import ConfigError, MTGRPOConfig
from mt_grpo_recipe.verl_plugin.contract import VERL_VERSION, installed_verl_version

logger = logging.getLogger(__name__)
REWARD_MODULE = "reward_fns"
ASYNC_MODE = "mt_grpo_async"
GROUP_ROLLOUT_MANAGER = "mt_grpo_recipe.verl_plugin.group_rollout.GroupRolloutManager"


def check_version() -> None:
    """Refuse another verl than the one whose private names this plugin uses."""
    version = installed_verl_version()
    if version != VERL_VERSION:
        raise ConfigError(
            f"verl {version} is installed; mt-grpo-recipe needs {VERL_VERSION}: pip install verl=={VERL_VERSION}"
        )


def check_training_config(config: DictConfig, mt_grpo: MTGRPOConfig) -> None:
    """Refuse settings of verl that contradict the method; set `dataloader_num_workers` to 0, and what is left open.

    Args:
        config: verl's whole training config; changed in place.
        mt_grpo: the checked section `mt_grpo`.
    """
    rollout_n = config.actor_rollout_ref.rollout.n
    if rollout_n < 2:
        raise ConfigError(
            f"actor_rollout_ref.rollout.n={rollout_n}: a group of one rollout has no advantage. Use 2 or more "
            "(8 or 72 in the paper)."
        )
    if config.algorithm.adv_estimator == "gae" or config.get("critic", {}).get("enable"):
        raise ConfigError(
            "trainer mode mt_grpo has no critic: use algorithm.adv_estimator=mt_grpo and critic.enable=False."
        )
    if mt_grpo.loss_weighting != "none" and config.actor_rollout_ref.actor.policy_loss.loss_mode != "mt_grpo":
        raise ConfigError(
            f"mt_grpo.loss_weighting={mt_grpo.loss_weighting} needs "
            "actor_rollout_ref.actor.policy_loss.loss_mode=mt_grpo, the loss that applies the weights."
        )
    if mt_grpo.improvement.granularity == "mini_batch" and config.actor_rollout_ref.actor.ppo_epochs != 1:
        raise ConfigError("mt_grpo.improvement.granularity=mini_batch needs actor_rollout_ref.actor.ppo_epochs=1.")
    _check_micro_batches(config)
    if config.trainer.v1.trainer_mode == ASYNC_MODE:
        _check_async(config, mt_grpo)
    if config.reward.reward_model.enable and not config.reward.reward_model.enable_resource_pool:
        raise ConfigError(
            "The sampler needs each reward when a group ends: use a rule-based reward, or give the reward model "
            "machines of its own with reward.reward_model.enable_resource_pool=True."
        )
    manager = config.actor_rollout_ref.rollout.get("agent", {}).get("agent_loop_manager_class")
    if mt_grpo.sampler.aborts_surplus and manager != GROUP_ROLLOUT_MANAGER:
        raise ConfigError(
            "mt_grpo.sampler.surplus=abort needs rollouts that can be stopped: add "
            f"+actor_rollout_ref.rollout.agent.agent_loop_manager_class={GROUP_ROLLOUT_MANAGER}, or use drain."
        )
    if config.trainer.get("max_actor_ckpt_to_keep") == 1:
        raise ConfigError(
            "trainer.max_actor_ckpt_to_keep=1: verl removes the old checkpoint before the new one is complete, so a "
            "kill in between would leave none. Use 2 or more."
        )
    if config.skip.rollout_tq.enable:
        raise ConfigError(
            "skip.rollout_tq.enable=True replays stored rollouts, which no task can be asked for: set it to False."
        )
    workers = config.data.dataloader_num_workers
    with open_dict(config):
        if workers:
            logger.warning(
                "data.dataloader_num_workers=%d is set to 0: workers prefetch prompts before the task weights that "
                "should choose them exist.",
                workers,
            )
            config.data.dataloader_num_workers = 0
        config.data.gen_batch_size = 1


def _check_async(config: DictConfig, mt_grpo: MTGRPOConfig) -> None:
    """Refuse what contradicts rollouts that go on while the policy is trained; set `parameter_sync_step` if null."""
    if mt_grpo.sampler.schedule != "streaming":
        raise ConfigError(
            f"mt_grpo.sampler.schedule={mt_grpo.sampler.schedule}: a round begins with nothing and waits for all of "
            f"its groups, while trainer mode {ASYNC_MODE} keeps prompts in flight. Use streaming, or +mt_grpo=mt_grpo."
        )
    if mt_grpo.sampler.aborts_surplus:
        raise ConfigError(
            f"mt_grpo.sampler.surplus=abort: in trainer mode {ASYNC_MODE} a group still in flight goes to the next "
            "mini-batch, so there is none to abort. Leave mt_grpo.sampler.surplus=drain."
        )
    if mt_grpo.improvement.granularity == "mini_batch":
        raise ConfigError(
            f"mt_grpo.improvement.granularity=mini_batch: in trainer mode {ASYNC_MODE} every mini-batch is a step of "
            "its own already. Use step."
        )
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    options = config.trainer.v1.separate_async
    if options.parameter_sync_step is None:
        with open_dict(config):
            options.parameter_sync_step = max(1, config.data.train_batch_size // actor.ppo_mini_batch_size)
    if config.data.train_batch_size != options.parameter_sync_step * actor.ppo_mini_batch_size:
        raise ConfigError(
            f"data.train_batch_size={config.data.train_batch_size} is what is trained on between two weight syncs, so "
            f"it must be trainer.v1.separate_async.parameter_sync_step ({options.parameter_sync_step}) mini-batches of "
            f"actor_rollout_ref.actor.ppo_mini_batch_size ({actor.ppo_mini_batch_size}). Change one of the three."
        )
    if rollout.nnodes < 1 or rollout.n_gpus_per_node < 1:
        raise ConfigError(
            f"actor_rollout_ref.rollout.nnodes={rollout.nnodes}, n_gpus_per_node={rollout.n_gpus_per_node}: trainer "
            f"mode {ASYNC_MODE} needs devices for rollouts alone. Use 1 or more of both, beside those of trainer.*."
        )
    if rollout.checkpoint_engine.backend == "naive":
        raise ConfigError(
            "actor_rollout_ref.rollout.checkpoint_engine.backend=naive hands weights over within one device. Use nccl, "
            "or another engine of verl's that crosses devices (tcp on the CPU platform)."
        )
    if options.hybrid_rollout.enable_switch:
        raise ConfigError(
            "trainer.v1.separate_async.hybrid_rollout.enable_switch=True waits for a number of groups of any task, "
            "while the sampler needs those of its quotas: set it to False."
        )
    strategy = config.trainer.v1.sampler.max_off_policy_strategy
    if strategy != "drop":
        raise ConfigError(
            f"trainer.v1.sampler.max_off_policy_strategy={strategy}: waiting for groups before they are too old could "
            "take for ever. Use drop; dropped groups are replaced, task by task."
        )


def _check_micro_batches(config: DictConfig) -> None:
    """Refuse fixed micro-batches that whole mini-batches, which a short batch is padded to, cannot be cut into."""
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    rows = actor.ppo_mini_batch_size * rollout.n
    for name, dynamic, micro_batch in (
        ("actor.ppo_micro_batch_size_per_gpu", actor.use_dynamic_bsz, actor.ppo_micro_batch_size_per_gpu),
        (
            "rollout.log_prob_micro_batch_size_per_gpu",
            rollout.log_prob_use_dynamic_bsz,
            rollout.log_prob_micro_batch_size_per_gpu,
        ),
    ):
        if not dynamic and micro_batch and rows % micro_batch:
            raise ConfigError(
                f"actor_rollout_ref.{name}={micro_batch} does not divide a mini-batch of {rows} rollouts "
                f"(ppo_mini_batch_size {actor.ppo_mini_batch_size} x rollout.n {rollout.n}), so a batch that fell "
                "short could not be trained on. Use actor_rollout_ref.actor.use_dynamic_bsz=True, or a divisor."
            )


def check_data(config: DictConfig, num_rows: int, data_sources: Iterable[str]) -> None:
    """Refuse a batch larger than the data, and rows that no reward function knows.

    Args:
        config: verl's whole training config.
        num_rows: rows of the tasks to train.
        data_sources: every distinct `data_source` of training and validation data.
    """
    batch_size = config.data.train_batch_size
    if batch_size > num_rows:
        raise ConfigError(
            f"data.train_batch_size={batch_size} is larger than the training data ({num_rows} rows): a batch would "
            f"hold a prompt twice. Use a batch of at most {num_rows}, or more data."
        )
    if REWARD_MODULE not in str(config.reward.custom_reward_function.path):
        return
    from reward_fns.registry import task_for

    for data_source in sorted(set(data_sources)):
        task_for(data_source)


@ray.remote(num_cpus=0)
def _plugin_problem() -> str | None:
    """Run on a Ray node: say why the plugin does not work there, or None."""
    try:
        from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY
    except ImportError as error:
        return f"verl cannot be imported: {error}"
    if installed_verl_version() != VERL_VERSION:
        return f"verl {installed_verl_version()} is installed instead of {VERL_VERSION}"
    return (
        None if "mt_grpo" in TRAINER_REGISTRY else "the plugin is installed but could not register (see the log there)"
    )


def check_nodes() -> None:
    """Refuse to start while a node of the Ray cluster lacks the plugin.

    Raises:
        ConfigError: names each node and what is wrong with it.
    """
    problems = []
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) < 2:
        return  # This process runs on the only node, with the plugin.
    checks = {
        node["NodeManagerAddress"]: _plugin_problem.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
        ).remote()
        for node in nodes
    }
    for address, check in checks.items():
        try:
            problem = ray.get(check)
        except RayError as error:
            # A missing package shows as a failure to load the task itself.
            problem = f"mt-grpo-recipe cannot be imported ({type(error).__name__})"
        if problem:
            problems.append(f"{address}: {problem}")
    if problems:
        raise ConfigError(
            "mt-grpo-recipe does not work on every machine of the Ray cluster. "
            + "; ".join(problems)
            + ". Install it in the environment that Ray uses there: pip install mt-grpo-recipe."
        )
