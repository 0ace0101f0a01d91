"""What is refused before anything expensive starts, and with which message."""

import importlib
import inspect
import pkgutil

import pytest
from commands import BATCH_OF_32, ENGINE, GROUP_OF_8, MINI_BATCH_OF_8, check

import reward_fns
from mt_grpo_recipe.config import ConfigError, load_config
from mt_grpo_recipe.doctor import compose_config
from mt_grpo_recipe.verl_plugin import checks

PER_MINI_BATCH = "mt_grpo.improvement.granularity=mini_batch"


UNFILTERED = ("mt_grpo.sampler.drop_uninformative=false", "mt_grpo.sampler.ratio=false")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["mt_grpo.weights.trade_off=-0.1"], r"mt_grpo\.weights\.trade_off=-0\.1 cannot be used: it must be 0 or more"),
        (["+mt_grpo.lamda=1"], "lamda"),
        (
            ["actor_rollout_ref.rollout.name=null"],
            r"no default for actor_rollout_ref\.rollout\.name: add actor_rollout_ref\.rollout\.name=vllm\.",
        ),
        (
            ["reward.reward_model.enable=True", "reward.reward_model.enable_resource_pool=True"],
            r"no default for reward\.reward_model\.rollout\.name: add reward\.reward_model\.rollout\.name=vllm\.",
        ),
        (["actor_rollout_ref.rollout.n=1"], r"rollout\.n=1: a group of one rollout has no advantage"),
        (["critic.enable=True"], r"critic\.enable=True: trainer mode mt_grpo has no critic"),
        (["algorithm.adv_estimator=gae"], r"adv_estimator=gae.* has no critic"),
        (
            ["mt_grpo.loss_weighting=residual", "actor_rollout_ref.actor.policy_loss.loss_mode=vanilla"],
            "loss_mode=mt_grpo",
        ),
        (
            ["mt_grpo.improvement.granularity=mini_batch", "actor_rollout_ref.actor.ppo_epochs=2"],
            r"granularity=mini_batch needs actor_rollout_ref\.actor\.ppo_epochs=1",
        ),
        (
            ["actor_rollout_ref.actor.policy_loss.loss_mode=gspo"],
            r"loss_mode=gspo trains a loss other than .*=improvement_aware reads\. Use mt_grpo or vanilla, or a rule",
        ),
        (
            ["algorithm.adv_estimator=reinforce_plus_plus"],
            r"adv_estimator=reinforce_plus_plus with .*drop_uninformative=true: .* Use one of mt_grpo, grpo,",
        ),
        (
            ["algorithm.rollout_correction.bypass_mode=True"],
            r"bypass_mode=True uses the engine's .*=improvement_aware would mistake the mismatch between engine and",
        ),
        (
            ["algorithm.use_kl_in_reward=True", "mt_grpo.weights.rule=sec", *UNFILTERED],
            r"use_kl_in_reward=True with mt_grpo\.weights\.rule=sec: groups whose rewards are equal .*use_kl_loss=True",
        ),
        (["algorithm.filter_groups.enable=True"], r"filter_groups\.enable=True: .*drop_uninformative=true"),
        (["custom_reward_function.path=a.py"], r"custom_reward_function\.path=a\.py: .*Use that"),
        (
            ["trainer.n_gpus_per_node=1"],
            r"engine needs 2 GPUs \(actor_rollout_ref\.rollout: tensor_model_parallel_size=2\), but the run has 1 "
            r"\(trainer\.n_gpus_per_node=1 times trainer\.nnodes=1\), .* Use engines of a size that divides 1, such as",
        ),
        (["algorithm.use_pf_ppo=True"], r"use_pf_ppo=True: .*no critic"),
        (["+data.sampler.class_path=a.py"], r"data\.sampler=.*task by task"),
        (["+data.train_weights=[1,2]"], r"data\.train_weights=.*mt_grpo\.weights\.rule=fixed"),
        (["trainer.critic_warmup=5"], r"critic_warmup=5: .*Use 0"),
        (["trainer.v1.sampler.custom_sampler.path=a.py"], r"custom_sampler\.path=a\.py: .*Leave it out"),
        (["trainer.v1.trainer_mode=sync"], r"trainer_mode=sync: only the plugin's trainers .*Use trainer\.use_v1=True"),
        (["trainer.use_v1=False"], r"use_v1=False.*: only the plugin's trainers"),
        (["reward.reward_model.enable=True"], "the sampler needs each reward when a group ends"),
        (
            [
                "mt_grpo.sampler.schedule=streaming",
                "mt_grpo.sampler.surplus=abort",
                "++actor_rollout_ref.rollout.agent.agent_loop_manager_class=null",
            ],
            r"surplus=abort needs rollouts that can be stopped: add \+actor_rollout",
        ),
        (["trainer.max_actor_ckpt_to_keep=1"], r"a kill in between would leave none\. Use .*max_actor_ckpt_to_keep=2"),
        (["+trainer.remove_previous_ckpt_in_save=True"], r"trainer\.remove_previous_ckpt_in_save=True: verl removes"),
        (
            [
                "mt_grpo.weights.rule=targets",
                "mt_grpo.weights.targets={a: 0.5}",
                "mt_grpo.weights.stop_when_met=true",
                "trainer.save_freq=-1",
            ],
            r"trainer\.save_freq=-1 saves no checkpoint, and mt_grpo\.weights\.stop_when_met=true ends the run",
        ),
        (["skip.rollout_tq.enable=True"], r"skip\.rollout_tq\.enable"),
        (
            ["actor_rollout_ref.actor.ppo_mini_batch_size=256"],
            r"ppo_mini_batch_size=256 is larger than data\.train_batch_size=32: .* padded with 224 .*Use 32 or less",
        ),
        (["trainer.n_gpus_per_node=3"], r"mini-batch of 64 rollouts .* cannot be split evenly among 3 data-parallel"),
    ],
)
def test_contradictions_are_refused_in_plain_words(overrides, words):
    with pytest.raises(ConfigError, match=words):
        check(*overrides)


DISTILL = "distillation.enabled=True"
TEACHER_ALONE = "distillation.distillation_loss.use_task_rewards=False"
GRADIENT = "distillation.distillation_loss.use_policy_gradient=True"
GRPO = "+mt_grpo=grpo"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            [TEACHER_ALONE],
            r"rule=improvement_aware reads the improvement .*, and .*drop_uninformative=true drops groups",
        ),
        ([TEACHER_ALONE, GRPO, "mt_grpo.weights.rule=sec"], r"but mt_grpo\.weights\.rule=sec reads the advantages"),
        ([TEACHER_ALONE, "mt_grpo.weights.rule=regularized"], r"but mt_grpo\.sampler\.drop_uninformative=true drops"),
        ([TEACHER_ALONE, GRPO, "mt_grpo.loss_weighting=task"], r"but mt_grpo\.loss_weighting=task .*Use use_task_r"),
        (
            [GRADIENT, "+mt_grpo=mt_grpo_stream"],
            r"=True with mt_grpo\.loss_weighting=residual: .* or mt_grpo\.loss_w\S+=none",
        ),
        (
            [GRADIENT, "algorithm.rollout_correction.rollout_is=token"],
            r"=True with algorithm\.\S+\.rollout_is=token: .* or algorithm\.rollout_correction\.rollout_is=null\.",
        ),
    ],
)
def test_distillation_that_leaves_out_or_breaks_the_policy_loss_is_refused(overrides, words):
    with pytest.raises(ConfigError, match=words):
        check(DISTILL, *overrides)
    check(*overrides)


@pytest.mark.parametrize("overrides", [[], [TEACHER_ALONE, GRPO], [GRADIENT], [GRADIENT, TEACHER_ALONE, GRPO]])
def test_distillation_beside_a_policy_loss_or_where_none_is_needed_is_let_through(overrides):
    check(DISTILL, *overrides)


QUEUE = "transfer_queue.backend.SimpleStorage.total_storage_size"


@pytest.mark.parametrize(
    ("overrides", "groups"),
    [
        ([], 3 * 32 * 11),
        (["mt_grpo.sampler.oversample=1.5", "mt_grpo.sampler.max_resample_rounds=2"], 48 * 3),
        (["mt_grpo.sampler.schedule=streaming"], 3 * 32 * 11),
        (["mt_grpo.sampler.schedule=budget"], 32),
        (UNFILTERED, 32),
        (["+mt_grpo=mt_grpo_async"], 3 * 8 * 11),
    ],
)
def test_a_queue_that_the_largest_step_does_not_fit_into_is_refused(overrides, groups):
    rows = groups * 8
    with pytest.raises(ConfigError, match=rf"total_storage_size={rows - 1} rows: .*{rows} rollouts .*{groups} groups"):
        check(*overrides, f"{QUEUE}={rows - 1}")
    check(*overrides, f"{QUEUE}={rows}")
    check(*overrides, f"{QUEUE}={rows - 1}", "transfer_queue.backend.storage_backend=MooncakeStore")


FIXED = "actor_rollout_ref.actor.use_dynamic_bsz=False"
MICRO_BATCH = "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu"
EIGHT = "trainer.n_gpus_per_node=8"


@pytest.mark.parametrize(
    ("overrides", "rows"),
    [
        ([FIXED, f"{MICRO_BATCH}=48", "trainer.n_gpus_per_node=1"], 64),
        ([FIXED, f"{MICRO_BATCH}=64", EIGHT], 8),
        ([FIXED, f"{MICRO_BATCH}=64", EIGHT, "trainer.nnodes=2"], 4),
        ([FIXED, f"{MICRO_BATCH}=64", EIGHT, "actor_rollout_ref.actor.ulysses_sequence_parallel_size=2"], 16),
        (
            [
                EIGHT,
                "actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=False",
                "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=48",
            ],
            8,
        ),
        (
            [
                EIGHT,
                "actor_rollout_ref.actor.use_kl_loss=True",
                "actor_rollout_ref.ref.log_prob_use_dynamic_bsz=False",
                "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=16",
            ],
            8,
        ),
    ],
)
def test_micro_batches_must_divide_what_a_rank_has_of_a_mini_batch(overrides, rows):
    words = rf"micro_batch_size_per_gpu=\d+ does not divide the {rows} rollouts of a mini-batch that each"
    with pytest.raises(ConfigError, match=words):
        check(*overrides)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["mt_grpo.sampler.schedule=rounds"], r"schedule=rounds: a step begins with nothing in flight.*Use streaming"),
        (["mt_grpo.sampler.surplus=abort"], r"surplus=abort: .*Leave mt_grpo\.sampler\.surplus=drain"),
        (["mt_grpo.improvement.granularity=mini_batch"], r"granularity=mini_batch: .*Use step"),
        (["trainer.v1.separate_async.parameter_sync_step=3"], r"train_batch_size=32 .*parameter_sync_step \(3\)"),
        (["actor_rollout_ref.actor.ppo_mini_batch_size=12"], r"parameter_sync_step \(2\) mini-batches .*\(12\)"),
        (["actor_rollout_ref.rollout.nnodes=0"], r"nnodes=0.* needs devices reserved for rollouts"),
        (["actor_rollout_ref.rollout.checkpoint_engine.backend=naive"], r"backend=naive .*Use nccl"),
        (["trainer.v1.separate_async.hybrid_rollout.enable_switch=True"], r"enable_switch=True .*set it to False"),
        (["trainer.v1.sampler.max_off_policy_strategy=wait"], r"max_off_policy_strategy=wait: .*Use drop"),
    ],
)
def test_what_contradicts_rollouts_beside_the_training_is_refused_in_plain_words(overrides, words):
    with pytest.raises(ConfigError, match=words):
        check("+mt_grpo=mt_grpo_async", *overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["actor_rollout_ref.actor.policy_loss.loss_mode=vanilla"],
        ["actor_rollout_ref.actor.policy_loss.loss_mode=gspo", "mt_grpo.weights.rule=regularized"],
        ["algorithm.adv_estimator=rloo"],
        [PER_MINI_BATCH],
        [FIXED, f"{MICRO_BATCH}=8"],
        [FIXED, f"{MICRO_BATCH}=16", "actor_rollout_ref.actor.ulysses_sequence_parallel_size=2"],
        [
            "algorithm.adv_estimator=reinforce_plus_plus",
            "mt_grpo.sampler.drop_uninformative=false",
            "mt_grpo.sampler.ratio=false",
        ],
    ],
)
def test_what_does_not_contradict_the_method_is_let_through(overrides):
    check(*overrides)


def test_all_refusals_are_told_at_once_and_numbered():
    with pytest.raises(ConfigError) as error:
        check(
            "+mt_grpo=mt_grpo_async",
            "critic.enable=True",
            "skip.rollout_tq.enable=True",
            "trainer.v1.sampler.max_off_policy_strategy=wait",
        )
    first, *rest = str(error.value).splitlines()
    assert first == "3 things are wrong:"
    assert [line[:5] for line in rest] == ["  1. ", "  2. ", "  3. "]
    assert "critic" in rest[0] and "skip.rollout_tq" in rest[1] and "max_off_policy_strategy=wait" in rest[2]


def test_every_rule_is_one_that_is_applied():
    rules = {
        function
        for file in pkgutil.iter_modules(checks.__path__, f"{checks.__name__}.")
        for _, function in inspect.getmembers(importlib.import_module(file.name), inspect.isfunction)
        if list(inspect.signature(function).parameters) == ["config", "mt_grpo"]
        and inspect.signature(function).return_annotation == "str | None"
    }
    assert rules == set(checks.RULES + checks.ASYNC_RULES)
    assert len(rules) == len(checks.RULES + checks.ASYNC_RULES)


def test_checking_changes_nothing():
    config = compose_config(
        ["+mt_grpo=mt_grpo_async", ENGINE, GROUP_OF_8, BATCH_OF_32, MINI_BATCH_OF_8, "data.dataloader_num_workers=4"]
    )
    before = config.copy()
    checks.check_training_config(config, load_config(config.mt_grpo))
    assert config == before


def test_a_mini_batch_larger_than_the_batch_is_refused():
    with pytest.raises(ConfigError, match=r"train_batch_size=32 .*parameter_sync_step \(1\) mini-batches .*\(64\)"):
        check("+mt_grpo=mt_grpo_async", "actor_rollout_ref.actor.ppo_mini_batch_size=64")


def test_no_section_is_refused_with_the_flag_that_adds_it():
    with pytest.raises(ConfigError, match=r"\+mt_grpo=mt_grpo"):
        load_config(None)


def test_a_batch_larger_than_the_data_is_refused():
    config = check()
    with pytest.raises(ConfigError, match=r"train_batch_size=32 is larger than the training data \(31 rows\)"):
        checks.check_data(config, 31, [])
    checks.check_data(config, 32, [])


def test_a_data_source_without_a_reward_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"sudoku-easy-train.*countdown"):
        checks.check_data(check(), 100, ["countdown-mini-train", "sudoku-easy-train"])
    with pytest.raises(ConfigError, match=r"(?s)3 things are wrong:.*1\. .*\(31 rows\).*2\. .*chess.*3\. .*sudoku"):
        checks.check_data(check(), 31, ["countdown-mini-train", "sudoku-easy-train", "chess"])
    for own in ("my_rewards.py", "my_reward_fns.py"):
        (tmp_path / own).write_text("def compute_score(**_): return 1.0")
    for own in (tmp_path / "my_rewards.py", tmp_path / "my_reward_fns.py", "null"):
        checks.check_data(check(f"reward.custom_reward_function.path={own}"), 100, ["sudoku-easy-train"])
    with pytest.raises(ConfigError, match="sudoku"):
        checks.check_data(
            check(f"reward.custom_reward_function.path={reward_fns.__file__}"), 100, ["sudoku-easy-train"]
        )


LONG = "data.max_response_length=20000"
TOKENS = "actor_rollout_ref.actor.ppo_max_token_len_per_gpu"


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (
            [],
            r"actor\.ppo_max_token_len_per_gpu=16384, .*\.rollout\.log_prob_max_token_len_per_gpu=16384\.",
        ),
        ([f"{TOKENS}=20511"], r"actor\.ppo_max_token_len_per_gpu=20511, "),
        (
            ["actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu=30000"],
            r"actor\.ppo_max_token_len_per_gpu=16384\.",
        ),
        (
            [
                f"{TOKENS}=30000",
                "actor_rollout_ref.actor.use_kl_loss=True",
                "actor_rollout_ref.ref.log_prob_max_token_len_per_gpu=8000",
            ],
            r"run: actor_rollout_ref\.ref\.log_prob_max_token_len_per_gpu=8000\.",
        ),
        (
            [f"{TOKENS}=10000", "actor_rollout_ref.actor.ulysses_sequence_parallel_size=2"],
            r"actor\.ppo_max_token_len_per_gpu=10000 times 2 ranks, ",
        ),
        (["model_engine=megatron"], r"actor\.ppo_max_token_len_per_gpu=16384, "),
        (["model_engine=veomni"], r"actor\.ppo_max_token_len_per_gpu=16384, "),
    ],
)
def test_a_row_that_no_micro_batch_can_hold_is_refused_at_start(overrides, named):
    with pytest.raises(ConfigError, match=rf"may have 20512 tokens \(data\.max_prompt_length 512 \+ .*{named}"):
        check(LONG, *overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        [f"{TOKENS}=20512"],
        [f"{TOKENS}=10256", "actor_rollout_ref.actor.ulysses_sequence_parallel_size=2"],
        ["model_engine=megatron", "actor_rollout_ref.actor.megatron.context_parallel_size=2"],
        [
            FIXED,
            f"{MICRO_BATCH}=8",
            "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8",
        ],
    ],
)
def test_a_long_row_that_a_micro_batch_can_hold_is_accepted(overrides):
    check(LONG, *overrides)
