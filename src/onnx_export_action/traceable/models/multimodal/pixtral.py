"""Pixtral, which puts images of one size in a list and in a row again (transformers 5.24)."""

from __future__ import annotations

from typing import Any

import torch

from onnx_export_action.traceable.private_names import Patch, by_version


def of_one_size(forward: Any, self: Any, pixel_values: torch.Tensor, image_sizes: Any = None, **kwargs: Any) -> Any:
    """``PixtralVisionModel.forward`` of images (batch, channels, height, width) of one size, without the list.

    Those of several sizes stay as they are.
    """
    if image_sizes is not None:
        return forward(self, pixel_values, image_sizes, **kwargs)
    images = self.patch_conv(pixel_values)
    batch, size, height, width = images.shape
    patches = self.ln_pre(images.flatten(2).transpose(1, 2).reshape(1, -1, size))
    place = torch.arange(height * width).repeat(batch)
    positions = by_version("transformers", _POSITIONS)(self.config, place // width, place % width)
    rotations = self.patch_positional_embedding(patches, positions)
    image = torch.arange(batch).repeat_interleave(height * width)
    mask = torch.where(image == image.unsqueeze(-1), 0.0, torch.finfo(patches.dtype).min)
    kwargs.pop("return_dict", None)
    return self.transformer(patches, attention_mask=mask[None, None], position_embeddings=rotations, **kwargs)


def _numbered(config: Any, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return rows * (config.image_size // config.patch_size) + columns


def _in_pairs(_: Any, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return torch.stack((rows, columns), dim=-1)


# How the rotary embedding takes the places of patches.
_POSITIONS = {"<5.17": _numbered, ">=5.17": _in_pairs}

PATCHES = (
    Patch(
        "transformers.models.pixtral.modeling_pixtral.PixtralVisionModel.forward", replacement=of_one_size, around=True
    ),
)
