"""Which verl this plugin is made for, and every private name of it that the plugin relies on."""

from __future__ import annotations

import importlib
import inspect
from importlib import metadata
from typing import Any

VERL_VERSION = "0.9.1"

REQUIRED_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "verl.trainer.ppo.core_algos": {
        "register_adv_est": (),
        "register_policy_loss": (),
        "agg_loss": ("loss_mat", "loss_mask", "loss_agg_mode"),
    },
    "verl.trainer.ppo.v1.trainer_base": {
        "register_trainer": ("name",),
        "PPOTrainer._build_replay_buffer": (),
        "PPOTrainer._init_dataloader": (),
        "PPOTrainer._load_checkpoint": (),
        "PPOTrainer._save_checkpoint": (),
        "PPOTrainer._add_prompts_to_generate": ("num_prompts",),
        "PPOTrainer._submit_batch_to_rollout": ("batch",),
        "PPOTrainer.prepare_step": (),
        "PPOTrainer._step_once": ("metrics", "timing_raw", "sample_batch_size"),
        "PPOTrainer._compute_advantage": ("batch", "metrics"),
        "PPOTrainer._update_actor": ("batch", "metrics"),
        "PPOTrainer._compute_metrics": ("batch", "metrics", "timing_raw", "global_steps", "epoch"),
        "PPOTrainer._log_rollout_data": ("batch", "timing_raw", "rollout_data_dir"),
        "PPOTrainer._val_metrics_update": ("sample_uids", "reward_extra_infos_dict"),
    },
    "verl.trainer.ppo.v1.trainer_sync": {"PPOTrainerSync.on_sample_end": ()},
    "verl.trainer.ppo.v1.trainer_separate_async": {
        "PPOTrainerSeparateAsync._setup": (),
        "PPOTrainerSeparateAsync.on_train_begin": (),
        "PPOTrainerSeparateAsync.step": ("metrics", "timing_raw"),
        "logger": (),
    },
    "verl.trainer.ppo.v1.replay_buffer": {
        "ReplayBuffer.sample": ("global_steps", "partition_id", "batch_size"),
        "ReplayBuffer._sync_metadata_from_transfer_queue": (),
        "ReplayBuffer._clear_groups": ("partition_id", "uids"),
        "ReplayBuffer._materialize_batch": ("partition_id", "selected_prompt_uids", "partition_snapshot"),
    },
    "verl.trainer.ppo.v1.agent_loop_tq": {
        "AgentLoopManagerTQ": (),
        "AgentLoopWorkerTQ.__ray_actor_class__._run_prompt": ("prompt", "sampling_params", "trajectory", "trace"),
        "apply_greedy_sampling_params": ("params",),
    },
    "verl.experimental.agent_loop.agent_loop": {
        "AgentLoopBase.ct_build_initial_tokens": ("messages",),
        "AgentLoopOutput": ("prompt_ids", "response_ids", "response_mask", "response_logprobs", "extra_fields"),
        "_agent_loop_registry": (),
    },
    "verl.workers.rollout.llm_server": {
        "LLMServerClient._acquire_server": ("request_id",),
        "LLMServerClient._release_server": ("server_id",),
    },
    "verl.experimental.reward_loop.reward_loop": {"RewardLoopWorker.compute_score_batch": ("data",)},
    "verl.utils.dataset.rl_dataset": {
        "collate_fn": (),
        "RLHFDataset._read_files_and_tokenize": (),
        "RLHFDataset.maybe_filter_out_long_prompts": ("dataframe",),
    },
    "verl.workers.utils.padding": {"response_from_nested": ("tensor", "response_mask")},
    "transfer_queue": {
        "KVBatchMeta": ("keys", "tags", "partition_id", "extra_info"),
        "kv_put": ("key", "partition_id", "tag"),
        "kv_batch_get": ("keys", "partition_id", "select_fields"),
        "kv_batch_put": ("keys", "partition_id", "fields"),
    },
}
"""Module -> dotted name -> parameters the plugin passes or overrides."""


def installed_verl_version() -> str | None:
    """Version of the installed distribution `verl`, or None."""
    try:
        return metadata.version("verl")
    except metadata.PackageNotFoundError:
        return None


def contract_breaches() -> list[str]:
    """One sentence for every name of verl that is missing or has lost a parameter; empty when all is well."""
    breaches = []
    for module_name, names in REQUIRED_NAMES.items():
        module = importlib.import_module(module_name)
        for dotted, parameters in names.items():
            target: Any = module
            for part in dotted.split("."):
                target = getattr(target, part, None)
            if target is None:
                breaches.append(f"{module_name}.{dotted} does not exist in verl {installed_verl_version()}.")
                continue
            missing = [name for name in parameters if name not in inspect.signature(target).parameters]
            if missing:
                breaches.append(f"{module_name}.{dotted} no longer takes {', '.join(missing)}.")
    return breaches
