"""Swin V2, which pads patches, pairs and windows only if it must, as Python decides (``maybe_pad``, 5.24)."""

from __future__ import annotations

from typing import Any

import torch

from onnx_export_action.traceable.private_names import Patch


def pad_patches(self: Any, pixels: torch.Tensor, height: Any, width: Any) -> torch.Tensor:
    """Pad (batch, channels, height, width) to whole patches, by nothing where there are such."""
    missing = (-width % self.patch_size[1], -height % self.patch_size[0])
    return torch.nn.functional.pad(pixels, (0, missing[0], 0, missing[1]))


def pad_pairs(_: Any, features: torch.Tensor, height: Any, width: Any) -> torch.Tensor:
    """Pad (batch, height, width, size) to even sides, by nothing where they are."""
    return torch.nn.functional.pad(features, (0, 0, 0, width % 2, 0, height % 2))


def pad_windows(self: Any, features: torch.Tensor, height: Any, width: Any) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Pad (batch, height, width, size) to whole windows; what it says lets the layer always cut the padding off."""
    padding = (0, 0, 0, -width % self.window_size, 0, -height % self.window_size)
    return torch.nn.functional.pad(features, padding), (0, 0, 0, 1, 0, 1)


_FILE = "transformers.models.swinv2.modeling_swinv2"

PATCHES = (
    Patch(f"{_FILE}.Swinv2PatchEmbeddings.maybe_pad", replacement=pad_patches),
    Patch(f"{_FILE}.Swinv2PatchMerging.maybe_pad", replacement=pad_pairs),
    Patch(f"{_FILE}.Swinv2Layer.maybe_pad", replacement=pad_windows),
)
