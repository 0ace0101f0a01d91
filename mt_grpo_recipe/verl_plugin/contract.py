"""Which verl this plugin is made for, and every name in it that the plugin relies on.

verl's own source is read, not imported, so that a checkout of another version can be checked against the contract, too:
`mt-grpo doctor --verl PATH`.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from mt_grpo_recipe.verl_plugin.source_tree import SourceTree

VERL_VERSION = "0.9.1"
PACKAGES = ("verl", "transfer_queue")

REQUIRED_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "verl.trainer.ppo.core_algos": {
        "register_adv_est": ("name_or_enum",),
        "register_policy_loss": ("name",),
        "agg_loss": ("loss_mat", "loss_mask", "loss_agg_mode"),
    },
    "verl.trainer.ppo.v1.trainer_base": {
        "TRAINER_REGISTRY": (),
        "register_trainer": ("name",),
        "PPOTrainer": ("config",),
        "PPOTrainer._setup": (),
        "PPOTrainer._build_replay_buffer": (),
        "PPOTrainer._init_dataloader": (),
        "PPOTrainer._load_checkpoint": (),
        "PPOTrainer._save_checkpoint": (),
        "PPOTrainer._add_prompts_to_generate": ("num_prompts",),
        "PPOTrainer._submit_batch_to_rollout": ("batch",),
        "PPOTrainer._balance_batch": ("batch", "metrics"),
        "PPOTrainer._get_required_batch_multiple": ("dp_size",),
        "PPOTrainer.on_train_begin": (),
        "PPOTrainer.on_sample_end": (),
        "PPOTrainer.prepare_step": (),
        "PPOTrainer.step": ("metrics", "timing_raw"),
        "PPOTrainer._step_once": ("metrics", "timing_raw", "sample_batch_size"),
        "PPOTrainer._compute_advantage": ("batch", "metrics"),
        "PPOTrainer._update_actor": ("batch", "metrics"),
        "PPOTrainer._compute_metrics": ("batch", "metrics", "timing_raw", "global_steps", "epoch"),
        "PPOTrainer._log_rollout_data": ("batch", "timing_raw", "rollout_data_dir"),
        "PPOTrainer._val_metrics_update": ("expected_acc_counts",),
        "PPOTrainer._validate": (),
    },
    "verl.trainer.ppo.v1.trainer_sync": {"PPOTrainerSync": ("config",), "PPOTrainerSync.on_sample_end": ()},
    "verl.trainer.ppo.v1.trainer_separate_async": {
        "PPOTrainerSeparateAsync": ("config",),
        "PPOTrainerSeparateAsync._setup": (),
        "PPOTrainerSeparateAsync.on_train_begin": (),
        "PPOTrainerSeparateAsync.step": ("metrics", "timing_raw"),
        "logger": (),
    },
    "verl.trainer.ppo.v1.replay_buffer": {
        "ReplayBuffer": (
            "trainer_mode",
            "trainer_config",
            "max_off_policy_threshold",
            "max_off_policy_strategy",
            "sampler_kwargs",
            "poll_interval",
            "refill_fn",
        ),
        "ReplayBuffer.sample": ("global_steps", "partition_id", "batch_size"),
        "ReplayBuffer._sync_metadata_from_transfer_queue": (),
        "ReplayBuffer._clear_groups": ("partition_id", "uids"),
        "ReplayBuffer._materialize_batch": ("partition_id", "selected_prompt_uids", "partition_snapshot"),
    },
    "verl.trainer.ppo.v1.agent_loop_tq": {
        "AgentLoopManagerTQ": (),
        "AgentLoopWorkerTQ.__ray_actor_class__": (),
        "AgentLoopWorkerTQ._run_prompt": ("prompt", "sampling_params", "trajectory", "trace"),
        "apply_greedy_sampling_params": ("params",),
    },
    "verl.experimental.agent_loop.agent_loop": {
        "AgentLoopBase": (
            "trainer_config",
            "server_manager",
            "tokenizer",
            "processor",
            "dataset_cls",
            "data_config",
            "hf_model_type",
        ),
        "AgentLoopBase.ct_build_initial_tokens": ("messages",),
        "AgentLoopMetrics": ("generate_sequences", "num_preempted"),
        "AgentLoopOutput": (
            "prompt_ids",
            "response_ids",
            "response_mask",
            "response_logprobs",
            "routed_experts",
            "multi_modal_data",
            "num_turns",
            "metrics",
            "extra_fields",
        ),
        "AgentLoopOutput.as_dict": (),
        "AgentLoopWorker._run_agent_loop": ("sampling_params", "trajectory", "agent_name", "trace"),
        "DictConfigWrap": ("config",),
        "ToolListWrap": ("tools",),
        "_agent_loop_registry": (),
    },
    "verl.experimental.agent_loop.single_turn_agent_loop": {"SingleTurnAgentLoop": ()},
    "verl.experimental.reward_loop.reward_loop": {
        "RewardLoopWorker.compute_score": ("data",),
        "RewardLoopWorker.compute_score_batch": ("data",),
        "RewardLoopWorker.__init__": ("config", "reward_router_address"),
    },
    "verl.experimental.separation.engine_workers": {"DetachActorWorker.save_model_to_cpu": ("n",)},
    "verl.workers.engine_workers": {"ActorRolloutRefWorker.compute_log_prob": ("data",)},
    "verl.workers.rollout.llm_server": {
        "LLMServerClient.generate": ("request_id", "prompt_ids", "sampling_params"),
        "LLMServerClient._acquire_server": ("request_id", "**extra"),
        "LLMServerClient._release_server": ("server_id",),
        "FullyAsyncLLMServerClient": (),
    },
    "verl.workers.rollout.vllm_rollout.vllm_async_server": {
        "vLLMHttpServer.generate": ("prompt_ids", "sampling_params", "request_id"),
    },
    "verl.workers.utils.padding": {"response_from_nested": ("tensor", "response_mask")},
    "verl.protocol": {"DataProto": ("batch", "non_tensor_batch")},
    "verl.utils.tensordict_utils": {"list_of_dict_to_tensordict": ("list_of_dicts",)},
    "verl.utils.import_utils": {"load_module": ("module_path",)},
    "verl.utils.debug": {"marked_timer": ("name", "timing_raw", "color")},
    "verl.utils.dataset.rl_dataset": {
        "collate_fn": (),
        "RLHFDataset": (),
        "RLHFDataset._read_files_and_tokenize": (),
        "RLHFDataset.maybe_filter_out_long_prompts": ("dataframe",),
    },
    "verl.plugin.platform": {"PlatformRegistry.register": ("platform",), "PlatformBase": ()},
    "verl.plugin.platform.platform_base": {
        "PlatformBase.device_name": (),
        "PlatformBase.vendor_name": (),
        "PlatformBase.device_module": (),
        "PlatformBase.is_available": (),
        "PlatformBase.is_platform_available": ("use_smi_check",),
        "PlatformBase.current_device": (),
        "PlatformBase.device_count": (),
        "PlatformBase.set_device": ("device_index",),
        "PlatformBase.synchronize": ("device_index",),
        "PlatformBase.manual_seed": ("seed",),
        "PlatformBase.manual_seed_all": ("seed",),
        "PlatformBase.set_allocator_settings": ("settings",),
        "PlatformBase.empty_cache": (),
        "PlatformBase.get_device_capability": ("device_index",),
        "PlatformBase.communication_backend_name": (),
        "PlatformBase.visible_devices_envvar": (),
        "PlatformBase.nvtx_range": ("msg",),
        "PlatformBase.profiler_start": (),
        "PlatformBase.profiler_stop": (),
        "PlatformBase.ray_resource_name": (),
        "PlatformBase.ray_noset_envvars": (),
        "PlatformBase.is_ipc_supported": (),
        "PlatformBase.cudart": (),
    },
    "verl.checkpoint_engine.base": {
        "CheckpointEngineRegistry.register": ("backend",),
        "CheckpointEngine.prepare": (),
        "CheckpointEngine.build_topology": ("actor_wg_world_size", "rollout_world_size", "metadata"),
        "CheckpointEngine.init_process_group": (),
        "CheckpointEngine.finalize": (),
        "CheckpointEngine.send_weights": ("weights", "global_steps"),
        "CheckpointEngine.receive_weights": ("global_steps",),
    },
    "transfer_queue": {
        "KVBatchMeta": ("keys", "tags", "partition_id", "extra_info"),
        "KVBatchMeta.reorder": ("indexes",),
        "kv_put": ("key", "partition_id", "tag"),
        "kv_list": ("partition_id",),
        "kv_batch_get": ("keys", "partition_id", "select_fields"),
        "kv_batch_put": ("keys", "partition_id", "fields"),
        "async_kv_put": ("key", "partition_id", "tag"),
        "async_kv_batch_put": ("keys", "partition_id", "fields", "tags"),
    },
}
"""Module -> dotted name -> parameters that the plugin passes or that verl passes to what overrides it."""

REQUIRED_ATTRIBUTES: dict[str, dict[str, tuple[str, ...]]] = {
    "verl.trainer.ppo.v1.trainer_base": {
        "PPOTrainer": (
            "config",
            "trainer_mode",
            "parameter_sync_step",
            "local_trigger_step",
            "global_steps",
            "steps_per_epoch",
            "total_training_steps",
            "timing_raw",
            "train_dataset",
            "val_dataset",
            "train_dataloader",
            "val_dataloader",
            "replay_buffer",
            "agent_loop_manager",
            "reward_loop_manager",
            "actor_rollout_wg",
            "use_critic",
        ),
    },
    "verl.trainer.ppo.v1.replay_buffer": {
        "ReplayBuffer": (
            "poll_interval",
            "max_off_policy_threshold",
            "partitions",
            "finished_keys",
            "failure_keys",
            "prompt_global_steps",
        ),
    },
    "verl.trainer.ppo.v1.agent_loop_tq": {"AgentLoopManagerTQ": ("agent_loop_workers", "agent_loop_workers_class")},
    "verl.experimental.agent_loop.agent_loop": {
        "AgentLoopWorker": (
            "config",
            "rollout_config",
            "llm_client",
            "tokenizer",
            "processor",
            "hf_model_type",
            "dataset_cls",
            "tools",
            "distillation_enabled",
            "reward_loop_worker_handles",
        ),
        "AgentLoopMetrics": ("compute_score",),
        "AgentLoopOutput": ("prompt_ids", "response_ids", "num_turns", "reward_score", "metrics", "extra_fields"),
    },
    "verl.experimental.reward_loop.reward_loop": {
        "RewardLoopManager": ("config", "reward_loop_workers", "reward_router_address")
    },
    "verl.workers.rollout.replica": {
        "TokenOutput": ("token_ids", "log_probs", "routed_experts", "num_preempted", "extra_fields"),
    },
    "verl.single_controller.base.worker_group": {"WorkerGroup": ("_dispatch_info",)},
    "verl.utils.dataset.rl_dataset": {
        "RLHFDataset": ("config", "data_files", "original_data_files", "dataframe", "max_samples", "prompt_key"),
    },
    "verl.protocol": {"DataProto": ("non_tensor_batch",)},
    "transfer_queue": {"KVBatchMeta": ("keys", "tags", "partition_id")},
}
"""Module -> class -> attributes of its objects that the plugin reads or sets, which the class assigns to `self` or
declares as fields."""


def installed_verl_version() -> str | None:
    """Version of the installed distribution `verl`, or None."""
    try:
        return metadata.version("verl")
    except metadata.PackageNotFoundError:
        return None


def installed_source() -> SourceTree:
    """The source of verl and of the queue as installed here."""
    return SourceTree.installed(f"verl {installed_verl_version()}", PACKAGES)


def checkout_source(folder: Path) -> SourceTree:
    """The source in a checkout of verl; of the queue only if it is there too.

    Args:
        folder: the folder that holds `verl/`.

    Raises:
        FileNotFoundError: it holds no such package.
    """
    source = SourceTree.checkout(folder, PACKAGES)
    if not source.covers("verl"):
        raise FileNotFoundError(f"{folder} holds no package verl: name the folder that has verl/__init__.py in it.")
    return source


def contract_breaches(source: SourceTree) -> list[str]:
    """One sentence for every name that is missing or has lost a parameter; empty when all is well.

    Names of packages that `source` does not cover are left out.
    """
    breaches = []
    for module, names in REQUIRED_NAMES.items():
        for dotted, parameters in names.items():
            if not source.covers(module):
                continue
            found = source.find(module, dotted)
            if found is None:
                breaches.append(f"{module}.{dotted} does not exist in {source.label}.")
            elif missing := sorted(set(parameters) - source.parameters(found)):
                breaches.append(f"{module}.{dotted} does not take {', '.join(missing)} in {source.label}.")
    for module, classes in REQUIRED_ATTRIBUTES.items():
        for name, attributes in classes.items():
            if not source.covers(module):
                continue
            found = source.find(module, name)
            if found is None:
                breaches.append(f"{module}.{name} does not exist in {source.label}.")
            elif missing := sorted(set(attributes) - source.attributes(found)):
                breaches.append(f"{module}.{name} has no attribute {', '.join(missing)} in {source.label}.")
    return breaches
