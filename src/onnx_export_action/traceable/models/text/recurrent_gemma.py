"""RecurrentGemma, whose loop over the positions a trace keeps as long as it was."""

from __future__ import annotations

from typing import Any

import torch

from onnx_export_action.traceable.private_names import Patch
from onnx_export_action.traceable.scanning import scan


def rnn_scan(
    _: object,
    hidden_states: torch.Tensor,
    recurrent_gate: torch.Tensor,
    reset: torch.Tensor,
    acc_dtype: torch.dtype = torch.float32,
    **__: Any,
) -> tuple[torch.Tensor, None]:
    """``_rnn_scan`` of RecurrentGemma, from an empty state (https://arxiv.org/abs/2402.19427, equation 4).

    All are (batch, length, channels), ``reset`` with one channel, as is the first of the answers; the last state, which
    a file does not keep, is none.
    """
    gates = (recurrent_gate * ~reset).type(acc_dtype).transpose(0, 1)
    updates = hidden_states.type(acc_dtype).transpose(0, 1)

    def step(state: torch.Tensor, gate: torch.Tensor, update: torch.Tensor) -> tuple[torch.Tensor, ...]:
        state = gate * state + update
        return state, state

    states = scan(step, [torch.zeros_like(updates[0])], [gates, updates])
    return states.transpose(0, 1).type(hidden_states.dtype), None


PATCHES = (
    Patch(
        "transformers.models.recurrent_gemma.modeling_recurrent_gemma.RecurrentGemmaRglru._rnn_scan",
        replacement=rnn_scan,
    ),
)
