"""The platform in processes of their own, since verl chooses its platform once and for all."""

import os
import subprocess
import sys

import torch

from mt_grpo_recipe.cpu import device

ON_THE_CPU = """
import sys
import mt_grpo_recipe.cpu.vllm_linear  # the order in a vLLM engine process: vLLM's plugin first, verl later
assert "verl" not in sys.modules, "vLLM's entry point starts verl"

import verl, torch
from verl.plugin.platform import get_platform
from verl.trainer.ppo.v1 import get_trainer_cls
from verl.utils.distributed import initialize_global_process_group_ray

platform = get_platform()
assert (platform.device_name, platform.ray_resource_name(), platform.is_ipc_supported()) == ("cpu", "GPU", False)
assert torch.ones(2).to(platform.current_device()).device.type == "cpu"
get_trainer_cls("mt_grpo")

initialize_global_process_group_ray()  # builds the backend string "cpu:gloo,cpu:gloo"
total = torch.ones(3)
torch.distributed.all_reduce(total)
assert total.tolist() == [1, 1, 1]

from torch.distributed.device_mesh import init_device_mesh
from verl.workers.engine.fsdp.transformer_impl import CPUOffloadPolicy  # as for a reference policy
frozen = torch.nn.Linear(3, 1)
policy = CPUOffloadPolicy(pin_memory=True)
torch.distributed.fsdp.fully_shard(frozen, mesh=init_device_mesh("cpu", (1,)), offload_policy=policy)
assert frozen(torch.ones(2, 3)).shape == (2, 1)
"""

ELSEWHERE = """
import sys
import torch.distributed
plain = torch.distributed.init_process_group
import verl
from verl.plugin.platform import PlatformRegistry
assert "cpu" not in PlatformRegistry.registered_names()
assert torch.distributed.init_process_group is plain

from mt_grpo_recipe.cpu.vllm_linear import register
register()
assert "vllm.model_executor.layers.utils" not in sys.modules
assert not {f"mt_grpo_recipe.cpu.{name}" for name in ("platform", "process_group", "offload")} & set(sys.modules)
"""


def run(script, **variables):
    env = {name: value for name, value in os.environ.items() if name != "VERL_PLATFORM"} | variables
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "NOT active" not in done.stderr


def test_it_is_there_when_asked_for_and_torch_takes_its_backend(tmp_path):
    run(ON_THE_CPU, VERL_PLATFORM=" CPU ", DIST_INIT_METHOD=f"file://{tmp_path}/rendezvous")


def test_nothing_happens_when_it_is_not_asked_for():
    run(ELSEWHERE)


def test_the_device_module_answers_what_verl_asks_of_torch_cuda():
    assert set(device.__all__) <= set(vars(device))
    assert device.memory_allocated() > 0
    assert device.max_memory_allocated() > 0
    free, total = device.mem_get_info()
    assert 0 < free < total
    state = device.get_rng_state()
    drawn = torch.rand(3)
    device.set_rng_state(state)
    assert torch.equal(torch.rand(3), drawn)
    device.empty_cache()
    device.synchronize()
    device.set_device(0)
