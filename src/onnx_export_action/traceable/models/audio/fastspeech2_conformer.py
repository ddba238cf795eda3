"""FastSpeech2Conformer, which stretches each text of a batch by itself, in a Python loop (transformers 5.24)."""

from __future__ import annotations

import torch

from onnx_export_action.traceable.private_names import Patch


def stretched(states: torch.Tensor, durations: torch.Tensor, speaking_speed: float = 1.0) -> torch.Tensor:
    """``length_regulator``: the states (batch, symbols, size), each as many frames as its duration (batch, symbols)."""
    if speaking_speed != 1.0:
        durations = torch.round(durations.float() * speaking_speed).long()
    silent = durations.sum() == 0
    durations = torch.where(silent, torch.ones_like(durations), durations)
    ends = durations.cumsum(dim=1)
    frames = torch.arange(ends[:, -1].max())
    # Of each frame the symbol that it belongs to: as many symbols end before it or with it.
    symbols = (ends.unsqueeze(1) <= frames[None, :, None]).sum(dim=-1)
    places = symbols.clamp(max=states.shape[1] - 1).unsqueeze(-1).expand(-1, -1, states.shape[2])
    return states.gather(1, places) * (frames < ends[:, -1:]).unsqueeze(-1)


PATCHES = (
    Patch(
        "transformers.models.fastspeech2_conformer.modeling_fastspeech2_conformer.length_regulator",
        replacement=stretched,
    ),
)
