"""The names of verl that the plugin relies on, and the four registrations."""

import logging
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import uses_of_verl
import verl
from verl.trainer.ppo.core_algos import get_adv_estimator_fn, get_policy_loss_fn
from verl.trainer.ppo.v1.trainer_base import get_trainer_cls

import mt_grpo_recipe
from mt_grpo_recipe import verl_plugin
from mt_grpo_recipe.verl_plugin import contract

PACKAGE = Path(mt_grpo_recipe.__file__).parent
SEARCHED = [*(PACKAGE / "verl_plugin").rglob("*.py"), *(PACKAGE / "cpu").glob("*.py"), PACKAGE / "doctor.py"]
BASE = "verl.trainer.ppo.v1.trainer_base"
REPLAY_BUFFER = "verl.trainer.ppo.v1.replay_buffer"


def listed():
    return uses_of_verl.listed(contract.REQUIRED_NAMES, contract.REQUIRED_ATTRIBUTES)


@pytest.fixture(scope="module")
def ours():
    # The source reader uses nothing of verl's, and the nodes that it reads have many attributes.
    sources = {path.name: path.read_text() for path in sorted(SEARCHED) if path.name != "source_tree.py"}
    defined = uses_of_verl.defined_in(path.read_text() for path in PACKAGE.rglob("*.py"))
    return uses_of_verl.Uses(sources, contract.installed_source(), defined)


# ---------------------------------------------------------------------- what we use is listed


def test_every_name_of_verl_that_we_use_is_listed(ours):
    assert ours.unlisted(listed()) == []


TAKEN = [
    (BASE, "PPOTrainer.parameter_sync_step"),
    (BASE, "PPOTrainer.local_trigger_step"),
    (BASE, "PPOTrainer.steps_per_epoch"),
    (BASE, "PPOTrainer.trainer_mode"),
    (BASE, "PPOTrainer._val_metrics_update"),
    (REPLAY_BUFFER, "ReplayBuffer.finished_keys"),
    (REPLAY_BUFFER, "ReplayBuffer.failure_keys"),
    (REPLAY_BUFFER, "ReplayBuffer.prompt_global_steps"),
    ("verl.experimental.agent_loop.agent_loop", "AgentLoopWorker.reward_loop_worker_handles"),
    ("verl.experimental.agent_loop.agent_loop", "AgentLoopWorker.distillation_enabled"),
    ("verl.experimental.separation.engine_workers", "DetachActorWorker.save_model_to_cpu"),
    ("verl.single_controller.base.worker_group", "WorkerGroup._dispatch_info"),
    ("verl.trainer.ppo.v1.agent_loop_tq", "AgentLoopManagerTQ.agent_loop_workers_class"),
    ("verl.workers.rollout.llm_server", "FullyAsyncLLMServerClient"),
    ("verl.checkpoint_engine.base", "CheckpointEngine.send_weights"),
    ("transfer_queue", "kv_put"),
]
"""Names of each kind of use: attributes read and set, methods called and overridden, classes, functions."""


def test_names_taken_from_the_contract_are_missed(ours):
    names = {name.split(".")[-1] for _, name in TAKEN}
    kept = {use: arguments for use, arguments in listed().items() if use not in TAKEN}
    found = ours.unlisted(kept)
    assert {name for name in names if any(name in sentence for sentence in found)} == names
    assert all(any(name in sentence for name in names) for sentence in found)


UNLISTED = """
import transfer_queue as tq
from verl.trainer.ppo.core_algos import agg_loss, get_kl_controller
from verl.trainer.ppo.v1.trainer_base import PPOTrainer


class Ours(PPOTrainer):
    def prepare_step(self):
        loss = agg_loss(loss_mat=0, loss_mask=0, loss_agg_mode="", batch_num_tokens=1)
        return self.kl_ctrl_in_reward, self.config.trainer.anything, self.global_steps, tq.kv_clear("train")

    def fit(self):
        self._start_profiling()
        self.actor_rollout_wg.load_checkpoint("path")
        self.llm_client._vllm_request_id("id")
        self.no_such_name
"""


def test_names_that_are_not_listed_are_found():
    uses = uses_of_verl.Uses({"ours.py": UNLISTED}, contract.installed_source(), {"llm_client"})
    assert uses.unlisted(listed()) == [
        "ours.py: ._vllm_request_id",
        "ours.py: .load_checkpoint",
        "ours.py: _start_profiling of PPOTrainer",
        "ours.py: agg_loss(batch_num_tokens=...)",
        "ours.py: fit of PPOTrainer",
        "ours.py: kl_ctrl_in_reward of PPOTrainer",
        "ours.py: no_such_name, which neither we nor verl define, of PPOTrainer",
        "ours.py: transfer_queue.kv_clear",
        "ours.py: verl.trainer.ppo.core_algos.get_kl_controller",
    ]


# ---------------------------------------------------------------------- what is listed is there


def test_verl_as_installed_keeps_the_contract():
    assert contract.contract_breaches(contract.installed_source()) == []


@pytest.fixture
def checkout(tmp_path):
    """A checkout of verl: links to the installed files, which `edit` replaces."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(verl.__file__).parent, tmp_path / "verl", ignore=ignored, copy_function=os.symlink)
    return tmp_path


def edit(checkout, module, old, new):
    path = checkout.joinpath(*module.split(".")).with_suffix(".py")
    text = path.read_text()
    assert old in text
    path.unlink()
    path.write_text(text.replace(old, new))


def test_another_checkout_is_read_and_not_imported(checkout):
    edit(checkout, "verl.trainer.ppo.v1.trainer_sync", "@register_trainer", "raise SystemExit\n\n\n@register_trainer")
    before = set(sys.modules)
    source = contract.checkout_source(checkout)
    assert contract.contract_breaches(source) == []
    assert not source.covers("transfer_queue")
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("module", "old", "new", "sentence"),
    [
        (BASE, "def _step_once(", "def _one_step(", f"{BASE}.PPOTrainer._step_once does not exist"),
        (
            REPLAY_BUFFER,
            "partition_snapshot: ",
            "snapshot: ",
            f"{REPLAY_BUFFER}.ReplayBuffer._materialize_batch does not take partition_snapshot",
        ),
        (
            REPLAY_BUFFER,
            "self.finished_keys",
            "self.done_keys",
            f"{REPLAY_BUFFER}.ReplayBuffer has no attribute finished_keys",
        ),
        # A base class, a re-export by a star, a field of a model, and Ray's wrapper.
        (
            "verl.experimental.agent_loop.agent_loop",
            "self.distillation_enabled",
            "self.distilled",
            "verl.experimental.agent_loop.agent_loop.AgentLoopWorker has no attribute distillation_enabled",
        ),
        (
            "verl.utils.profiler.nvtx_profile",
            "color: ",
            "colour: ",
            "verl.utils.debug.marked_timer does not take color",
        ),
        (
            "verl.workers.rollout.replica",
            "    token_ids:",
            "    ids:",
            "verl.workers.rollout.replica.TokenOutput has no attribute token_ids",
        ),
        (
            "verl.trainer.ppo.v1.agent_loop_tq",
            "@ray.remote\nclass",
            "class",
            "verl.trainer.ppo.v1.agent_loop_tq.AgentLoopWorkerTQ.__ray_actor_class__ does not exist",
        ),
    ],
)
def test_what_a_checkout_changed_is_told_in_one_sentence(checkout, module, old, new, sentence):
    edit(checkout, module, old, new)
    assert contract.contract_breaches(contract.checkout_source(checkout)) == [f"{sentence} in {checkout}."]


def test_a_module_that_moved_is_told_name_by_name(checkout):
    (checkout / "verl" / "workers" / "utils" / "padding.py").unlink()
    assert contract.contract_breaches(contract.checkout_source(checkout)) == [
        f"verl.workers.utils.padding.response_from_nested does not exist in {checkout}."
    ]


def test_a_folder_without_verl_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no package verl: name the folder that has verl/__init__\.py"):
        contract.checkout_source(tmp_path)


# ---------------------------------------------------------------------- registration


def test_importing_verl_is_enough_to_register_the_plugin():
    assert get_trainer_cls("mt_grpo").__module__ == "mt_grpo_recipe.verl_plugin.trainer"
    assert get_adv_estimator_fn("mt_grpo").__module__ == "mt_grpo_recipe.verl_plugin.advantage"
    assert get_policy_loss_fn("mt_grpo").__module__ == "mt_grpo_recipe.verl_plugin.policy_loss"


@pytest.mark.parametrize(
    ("imported", "ours", "not_ours"),
    [
        ("verl", {"search_path"}, {"advantage", "policy_loss", "trainer", "async_trainer"}),
        ("verl.experimental.reward_loop.reward_loop", {"search_path"}, {"advantage", "trainer", "async_trainer"}),
        ("verl.trainer.ppo.core_algos", {"advantage", "policy_loss"}, {"trainer", "async_trainer"}),
        ("verl.trainer.ppo.v1.trainer_base", {"advantage", "policy_loss", "trainer", "async_trainer"}, set()),
    ],
)
def test_a_process_imports_what_it_registers_something_with_and_no_more(imported, ours, not_ours):
    code = f"import sys, {imported}; print(*(name for name in sys.modules if name.startswith('mt_grpo_recipe.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.removeprefix("mt_grpo_recipe.verl_plugin.") for name in done.stdout.split()}
    assert ours <= loaded and not not_ours & loaded


@pytest.mark.parametrize("ours", ["trainer", "async_trainer", "advantage", "policy_loss"])
def test_our_modules_can_be_imported_before_verls(ours):
    code = f"import mt_grpo_recipe.verl_plugin.{ours}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "NOT active" not in done.stderr, done.stderr


def test_what_fails_at_registration_is_reported_loudly_and_leaves_verl_usable(monkeypatch, caplog):
    module = types.ModuleType("verl.trainer.ppo.core_algos")
    monkeypatch.setattr(verl_plugin, "REGISTERED_WITH", {module.__name__: ("missing",)})
    with caplog.at_level(logging.ERROR):
        verl_plugin._register_with(module)
    assert "The verl plugin 'mt_grpo' could not be loaded and is NOT active" in caplog.text


def test_another_verl_is_reported_loudly_and_nothing_is_registered(monkeypatch, caplog):
    monkeypatch.setattr(verl_plugin, "installed_verl_version", lambda: "0.8.0")
    with caplog.at_level(logging.ERROR):
        verl_plugin.register()
    assert "works with verl 0.9.1, but verl 0.8.0 is installed" in caplog.text
    assert "pip install verl==0.9.1" in caplog.text


def test_the_trainer_refuses_another_verl(monkeypatch):
    from mt_grpo_recipe.config import ConfigError
    from mt_grpo_recipe.verl_plugin import checks

    monkeypatch.setattr(checks, "installed_verl_version", lambda: "0.10.0")
    with pytest.raises(ConfigError, match=r"verl 0\.10\.0 is installed; mt-grpo-recipe needs 0\.9\.1"):
        checks.check_version()
