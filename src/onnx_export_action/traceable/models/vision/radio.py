"""RADIO, which chooses in Python the larger side, and which side must be cut (transformers 5.24)."""

from __future__ import annotations

from typing import Any

import torch

from onnx_export_action.traceable.private_names import Patch


def positions(self: Any, sides: tuple[Any, Any], dtype: torch.dtype) -> torch.Tensor:
    """``RadioPatchEmbeddings._interpolate_position_embedding`` for ``sides`` in patches: (1, patches, size)."""
    height, width = (torch.as_tensor(side) for side in sides)
    longer = torch.maximum(height, width)
    grid = self.position_embedding.reshape(1, self.max_rows, self.max_cols, -1).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(grid.float(), size=(longer, longer), mode="bilinear")
    return resized[..., : sides[0], : sides[1]].to(dtype).flatten(2).permute(0, 2, 1)


PATCHES = (
    Patch(
        "transformers.models.radio.modeling_radio.RadioPatchEmbeddings._interpolate_position_embedding",
        versions=">=5.13",
        replacement=positions,
    ),
)
