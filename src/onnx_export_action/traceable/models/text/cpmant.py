"""CPM-Ant, which counts the places of a text in a Python list, as many as the traced one has (transformers 5.24)."""

from __future__ import annotations

from typing import Any

import torch

from onnx_export_action.traceable.private_names import Patch


def mask(self: Any, ids: torch.Tensor, span: torch.Tensor, context: torch.Tensor, length: Any) -> torch.Tensor:
    """``CpmAntModel._prepare_attention_mask``: what each place may see, (batch, length, length) of truth values."""
    batch, size = ids.shape
    places = torch.arange(size)
    seen = (context[:, None, :] != 0) | ((context[:, :, None] == 0) & (places <= places.unsqueeze(-1)))
    seen = seen & (span[:, None, :] == span[:, :, None])
    from_the_end = torch.arange(size - self.prompt_length).flip(0)
    known = torch.cat((torch.ones(batch, self.prompt_length).bool(), from_the_end < length[:, None]), dim=1)
    return known.unsqueeze(2) & known.unsqueeze(1) & seen


PATCHES = (Patch("transformers.models.cpmant.modeling_cpmant.CpmAntModel._prepare_attention_mask", replacement=mask),)
