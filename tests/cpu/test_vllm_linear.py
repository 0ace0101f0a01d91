"""vLLM's CPU linear layers with weights that change under them."""

import pytest
import torch
import torch.nn.functional as F

from mt_grpo_recipe.cpu.vllm_linear import use_live_weights

utils = pytest.importorskip("vllm.model_executor.layers.utils")


@pytest.fixture(autouse=True)
def patched(monkeypatch):
    """Apply the patch for one test, and hand out vLLM's own function."""
    own = utils.dispatch_cpu_unquantized_gemm
    monkeypatch.setattr(utils, "dispatch_cpu_unquantized_gemm", own)
    use_live_weights()
    return own


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
def test_the_numbers_are_those_of_the_live_weight_before_and_after_a_sync(dtype, bias):
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(64, 32, bias=bias, dtype=dtype).requires_grad_(False)
    x = torch.randn(5, 64, generator=generator).to(dtype)
    utils.dispatch_cpu_unquantized_gemm(layer, remove_weight=True)
    for _ in range(3):
        layer.weight.copy_(torch.randn(32, 64, generator=generator))
        answer = utils.cpu_unquantized_gemm(layer, x, layer.weight, layer.bias)
        assert torch.equal(answer, F.linear(x, layer.weight, layer.bias))


def test_the_parameter_and_its_loader_stay():
    layer = torch.nn.Linear(64, 32).requires_grad_(False)
    layer.weight.weight_loader = lambda param, loaded: param.copy_(loaded)
    utils.dispatch_cpu_unquantized_gemm(layer, remove_weight=True)
    layer.weight.weight_loader(layer.weight, torch.zeros(32, 64))
    assert layer.weight.shape == (32, 64)
    assert not layer.weight.any()


def test_other_weights_go_the_way_of_vllm(patched, monkeypatch):
    seen = []
    monkeypatch.setattr(utils, "dispatch_cpu_unquantized_gemm", lambda layer, remove: seen.append((layer, remove)))
    use_live_weights()
    convolution = torch.nn.Conv1d(4, 4, 3)
    utils.dispatch_cpu_unquantized_gemm(convolution, remove_weight=True)
    assert seen == [(convolution, True)]


def test_patching_twice_is_patching_once():
    once = utils.dispatch_cpu_unquantized_gemm
    use_live_weights()
    assert utils.dispatch_cpu_unquantized_gemm is once
