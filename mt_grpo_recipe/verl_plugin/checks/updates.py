"""How a batch is cut for the updates: mini-batches and micro-batches."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from mt_grpo_recipe.config import MTGRPOConfig
from mt_grpo_recipe.verl_plugin.defaults import ASYNC_MODE


def _one_epoch_per_mini_batch(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    epochs = config.actor_rollout_ref.actor.ppo_epochs
    if mt_grpo.improvement.granularity != "mini_batch" or epochs == 1:
        return None
    return (
        "mt_grpo.improvement.granularity=mini_batch needs actor_rollout_ref.actor.ppo_epochs=1, not "
        f"{epochs}. Set it to 1, or use mt_grpo.improvement.granularity=step."
    )


def _a_mini_batch_fits_the_batch(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    batch, mini_batch = config.data.train_batch_size, config.actor_rollout_ref.actor.ppo_mini_batch_size
    # Where rollouts go on during training, another check asks for more: whole mini-batches.
    if mini_batch <= batch or config.trainer.v1.trainer_mode == ASYNC_MODE:
        return None
    return (
        f"actor_rollout_ref.actor.ppo_mini_batch_size={mini_batch} is larger than data.train_batch_size={batch}: every "
        f"update would be padded with {mini_batch - batch} prompts without data. Use {batch} or less, preferably a "
        "divisor."
    )


def sequence_ranks(config: DictConfig, model: str) -> int | None:
    """Devices that share the tokens of a row; None for the backends whose number is not known before they start.

    Args:
        config: verl's whole training config.
        model: `actor` or `ref`.
    """
    section = config.actor_rollout_ref[model]
    if section.strategy in ("fsdp", "fsdp2"):
        return max(section.ulysses_sequence_parallel_size, section.fsdp_config.ulysses_sequence_parallel_size)
    if section.strategy == "veomni":
        return section.veomni.ulysses_parallel_size
    return section.megatron.context_parallel_size if section.strategy == "megatron" else None


def data_parallel_ranks(config: DictConfig) -> int:
    """Ranks that each train on rows of their own: the training devices over those that share a row.

    One for the backends whose number is not known before they start (torchtitan, automodel). Every check that divides
    by it stays right: what does not divide a whole mini-batch does not divide a part of it.
    """
    actor, trainer = config.actor_rollout_ref.actor, config.trainer
    devices = trainer.n_gpus_per_node * trainer.nnodes
    if actor.strategy in ("fsdp", "fsdp2", "veomni"):
        return max(1, devices // sequence_ranks(config, "actor"))
    if actor.strategy == "megatron" and not actor.megatron.get("dynamic_context_parallel", False):
        parts = actor.megatron
        model = parts.tensor_model_parallel_size * parts.pipeline_model_parallel_size * parts.context_parallel_size
        return max(1, devices // model)
    return 1


def _ranks_share_a_mini_batch(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    mini_batch, n = config.actor_rollout_ref.actor.ppo_mini_batch_size, config.actor_rollout_ref.rollout.n
    ranks = data_parallel_ranks(config)
    if mini_batch * n % ranks == 0:
        return None
    return (
        f"A mini-batch of {mini_batch * n} rollouts (actor_rollout_ref.actor.ppo_mini_batch_size {mini_batch} x "
        f"rollout.n {n}) cannot be split evenly among {ranks} data-parallel ranks (trainer.n_gpus_per_node x "
        "trainer.nnodes, over the sequence and model parallel sizes). Make it a multiple of the number of ranks."
    )


def _micro_batches_divide(name: str, dynamic: bool, micro_batch: int | None, config: DictConfig) -> str | None:
    """A short batch is padded to whole mini-batches; fixed micro-batches must divide a rank's part of one."""
    mini_batch, n = config.actor_rollout_ref.actor.ppo_mini_batch_size, config.actor_rollout_ref.rollout.n
    ranks = data_parallel_ranks(config)
    # Where ranks cannot share a mini-batch at all, that alone is refused.
    if dynamic or not micro_batch or mini_batch * n % ranks or mini_batch * n // ranks % micro_batch == 0:
        return None
    return (
        f"actor_rollout_ref.{name}={micro_batch} does not divide the {mini_batch * n // ranks} rollouts of a "
        f"mini-batch that each data-parallel rank has (ppo_mini_batch_size {mini_batch} x rollout.n {n} / {ranks} "
        "ranks), so a batch that fell short could not be trained on. Use "
        "actor_rollout_ref.actor.use_dynamic_bsz=True, or a divisor."
    )


def _actor_micro_batches(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    actor = config.actor_rollout_ref.actor
    name, micro_batch = "actor.ppo_micro_batch_size_per_gpu", actor.ppo_micro_batch_size_per_gpu
    return _micro_batches_divide(name, actor.use_dynamic_bsz, micro_batch, config)


def _log_prob_micro_batches(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    rollout = config.actor_rollout_ref.rollout
    name, micro_batch = "rollout.log_prob_micro_batch_size_per_gpu", rollout.log_prob_micro_batch_size_per_gpu
    return _micro_batches_divide(name, rollout.log_prob_use_dynamic_bsz, micro_batch, config)


def _reference_micro_batches(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    if not has_reference(config):
        return None
    ref = config.actor_rollout_ref.ref
    name, micro_batch = "ref.log_prob_micro_batch_size_per_gpu", ref.log_prob_micro_batch_size_per_gpu
    return _micro_batches_divide(name, ref.log_prob_use_dynamic_bsz, micro_batch, config)


def _micro_batches_hold_the_longest_row(config: DictConfig, mt_grpo: MTGRPOConfig) -> str | None:
    """verl cuts micro-batches by tokens and stops at a row that is longer than one, hours into a run perhaps."""
    parts = config.actor_rollout_ref
    limits = [
        ("actor.ppo_max_token_len_per_gpu", parts.actor.use_dynamic_bsz, "actor"),
        ("rollout.log_prob_max_token_len_per_gpu", parts.rollout.log_prob_use_dynamic_bsz, "actor"),
    ]
    if has_reference(config):
        limits.append(("ref.log_prob_max_token_len_per_gpu", parts.ref.log_prob_use_dynamic_bsz, "ref"))
    longest = parts.rollout.prompt_length + parts.rollout.response_length
    refusals = []
    for name, dynamic, model in limits:
        limit, ranks = OmegaConf.select(parts, name), sequence_ranks(config, model)
        if dynamic and limit and ranks and limit * ranks < longest:
            refusals.append(f"actor_rollout_ref.{name}={limit}" + (f" times {ranks} ranks" if ranks > 1 else ""))
    if not refusals:
        return None
    return (
        f"A prompt and its response may have {longest} tokens (data.max_prompt_length {parts.rollout.prompt_length} + "
        f"data.max_response_length {parts.rollout.response_length}), and the first that has more than a micro-batch "
        f"may hold ends the run: {', '.join(refusals)}. Raise these limits "
        "(actor_rollout_ref.actor.ppo_max_token_len_per_gpu sets all that are not given), or lower these lengths."
    )


def has_reference(config: DictConfig) -> bool:
    """Whether a reference model of its own is run; with LoRA it is the actor without its adapter."""
    model = config.actor_rollout_ref.model
    lora = max(model.lora_rank, model.get("lora", {}).get("rank", 0)) > 0 or model.lora_adapter_path is not None
    return (config.algorithm.use_kl_in_reward or config.actor_rollout_ref.actor.use_kl_loss) and not lora


def virtual_pipeline_group(config: DictConfig) -> int:
    """Micro-batches that Megatron's interleaved pipeline takes at a time, each of a row or more; one without it."""
    actor = config.actor_rollout_ref.actor
    if actor.strategy != "megatron" or not actor.megatron.virtual_pipeline_model_parallel_size:
        return 1
    given = actor.megatron.get("override_transformer_config") or {}
    return given.get("microbatch_group_size_per_vp_stage") or actor.megatron.pipeline_model_parallel_size


def cuts_fixed_micro_batches(config: DictConfig) -> bool:
    """Whether a rank's rows have to be a multiple of some micro-batch, which whole mini-batches are known to be."""
    parts = config.actor_rollout_ref
    if virtual_pipeline_group(config) > 1:
        return True
    dynamic = [parts.actor.use_dynamic_bsz, parts.rollout.log_prob_use_dynamic_bsz]
    if has_reference(config):
        dynamic.append(parts.ref.log_prob_use_dynamic_bsz)
    return not all(dynamic)


def fixed_micro_batch(config: DictConfig) -> int:
    """Rows that a rank takes at a time to compute log-probabilities; one where that is up to their length alone."""
    rollout = config.actor_rollout_ref.rollout
    rows = 1 if rollout.log_prob_use_dynamic_bsz else rollout.log_prob_micro_batch_size_per_gpu or 1
    return rows * virtual_pipeline_group(config)


RULES = (
    _one_epoch_per_mini_batch,
    _a_mini_batch_fits_the_batch,
    _ranks_share_a_mini_batch,
    _actor_micro_batches,
    _log_prob_micro_batches,
    _reference_micro_batches,
    _micro_batches_hold_the_longest_row,
)
