"""Statistics of batch norms for models with random weights, at the scale of what reaches them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.hooks import RemovableHandle


def calibrate_batch_norms(model: torch.nn.Module, call: Callable[[], object]) -> None:
    """Scale the statistics of every batch norm to the features that reach it in ``call``, which runs the model once.

    Otherwise features shrink beside the norms' own constants from layer to layer until all inputs, and all places of
    an image, look alike; a detector then chooses among candidates that rounding alone tells apart. One scale for all
    channels: norms that centre and scale each would make deep networks chaotic, so that rounding grows from layer to
    layer (Yang et al. 2019, https://arxiv.org/abs/1902.08129). Norms are known by their buffers ``running_mean`` and
    ``running_var``, shape (channels,), so frozen ones of a model's own class count.
    """
    hooks: dict[torch.nn.Module, RemovableHandle] = {}

    def scale(norm: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        hooks.pop(norm).remove()  # where a norm is used twice, the first use counts
        level = arguments[0].square().mean()
        norm.get_buffer("running_mean").mul_(level.sqrt())
        norm.get_buffer("running_var").mul_(level)

    for module in filter(_keeps_statistics, model.modules()):
        hooks[module] = module.register_forward_pre_hook(scale)
    try:
        with torch.no_grad():
            call()
    finally:
        for hook in hooks.values():
            hook.remove()


def has_batch_norms(model: torch.nn.Module) -> bool:
    """Whether any module keeps running statistics."""
    return any(_keeps_statistics(module) for module in model.modules())


def _keeps_statistics(module: torch.nn.Module) -> bool:
    return {"running_mean", "running_var"} <= {name for name, _ in module.named_buffers(recurse=False)}
