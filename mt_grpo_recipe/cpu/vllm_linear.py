"""Keep vLLM's CPU linear layers open to weight sync.

vLLM's CPU path packs each linear weight for a faster kernel after loading and replaces the parameter by an empty one.
That suits a server whose weights never change. A trainer that sends new weights every step finds no parameter to write
to at the second sync ("no attribute weight_loader"). Plain `torch.nn.functional.linear` on the live parameter has
nothing to go stale.
"""

from typing import Any

import torch.nn.functional as F

from mt_grpo_recipe.cpu import requested


def register() -> None:
    """Entry point `cpu_live_weights` of group `vllm.general_plugins`; vLLM calls it in each of its processes.

    Does nothing unless `VERL_PLATFORM=cpu`, so vLLM served by itself keeps its packed kernels, and nothing where vLLM
    runs on another device.
    """
    if not requested():
        return
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        use_live_weights()


def use_live_weights() -> None:
    """Replace vLLM's choice of CPU kernel for two-dimensional weights. Calling this again changes nothing."""
    from vllm.model_executor.layers import utils

    choose_packed_kernel = utils.dispatch_cpu_unquantized_gemm
    if hasattr(choose_packed_kernel, "_uses_live_weights"):
        return

    def dispatch_cpu_unquantized_gemm(layer: Any, remove_weight: bool) -> None:
        if layer.weight.ndim == 2:
            layer.cpu_linear = F.linear
        else:
            choose_packed_kernel(layer, remove_weight)

    dispatch_cpu_unquantized_gemm._uses_live_weights = True  # pyright: ignore[reportFunctionMemberAccess]
    utils.dispatch_cpu_unquantized_gemm = dispatch_cpu_unquantized_gemm
