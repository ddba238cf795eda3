"""RWKV 4, whose loop over the positions a trace keeps as long as it was."""

from __future__ import annotations

from typing import Any

import torch

from onnx_export_action.traceable.private_names import Patch
from onnx_export_action.traceable.scanning import scan


def rwkv_linear_attention(
    time_decay: torch.Tensor,
    time_first: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *_: Any,
    **__: Any,
) -> tuple[torch.Tensor, None]:
    """``rwkv_linear_attention`` of RWKV 4, from an empty state (https://arxiv.org/abs/2305.13048, appendix D).

    ``key`` and ``value`` are (batch, length, channels), as is the first of the answers, the others (channels,).
    """
    keys, values = key.float().transpose(0, 1), value.transpose(0, 1)
    empty = torch.zeros_like(keys[0])

    def step(
        numerator: torch.Tensor,
        denominator: torch.Tensor,
        largest: torch.Tensor,
        decay: torch.Tensor,
        first: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        top = torch.maximum(largest, key + first)
        old, new = torch.exp(largest - top), torch.exp(key + first - top)
        answer = (old * numerator + new * value) / (old * denominator + new)
        top = torch.maximum(largest + decay, key)
        old, new = torch.exp(largest + decay - top), torch.exp(key - top)
        return old * numerator + new * value, old * denominator + new, top, decay, first, answer

    states = [empty, empty, empty - 1e38, -torch.exp(time_decay), time_first]
    return scan(step, states, [keys, values]).transpose(0, 1).to(key.dtype), None


PATCHES = (Patch("transformers.models.rwkv.modeling_rwkv.rwkv_linear_attention", replacement=rwkv_linear_attention),)
