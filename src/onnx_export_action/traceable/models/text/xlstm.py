"""xLSTM, whose loop over the positions a trace keeps as long as it was."""

from __future__ import annotations

from typing import Any

import torch

from onnx_export_action.traceable.private_names import Patch, PrivateName
from onnx_export_action.traceable.scanning import scan

_FILE = "transformers.models.xlstm.modeling_xlstm"
_STEP = PrivateName(f"{_FILE}.mlstm_recurrent_step_native")


def mlstm(
    self: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    igate: torch.Tensor,
    fgate: torch.Tensor,
    *_: Any,
    **__: Any,
) -> tuple[torch.Tensor, None]:
    """``xLSTMBackend.forward`` of xLSTM, from an empty state (https://arxiv.org/abs/2405.04517, equations 19 to 27).

    ``query``, ``key`` and ``value`` are (batch, heads, length, size), as is the first of the answers, the gates (batch,
    heads, length).
    """
    step_of_a_position = _STEP.find()

    def step(  # states first, then what the position has
        memory: torch.Tensor, normalizer: torch.Tensor, largest: torch.Tensor, *position: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        answer, states = step_of_a_position(*position, memory, normalizer, largest, eps=self.config.eps)
        return (*states, answer)

    sequences = [values.permute(2, 0, 1, 3) for values in (query, key, value)]
    sequences += [gates.permute(2, 0, 1).unsqueeze(-1) for gates in (igate, fgate)]
    normalizer, largest = torch.zeros_like(sequences[1][0]), torch.zeros_like(sequences[3][0])
    memory = torch.zeros_like(sequences[1][0].unsqueeze(-1) * sequences[2][0].unsqueeze(-2))
    return scan(step, [memory, normalizer, largest], sequences).permute(1, 2, 0, 3), None


PATCHES = (Patch(f"{_FILE}.xLSTMBackend.forward", replacement=mlstm),)
