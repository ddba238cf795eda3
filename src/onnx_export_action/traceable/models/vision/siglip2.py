"""SigLIP 2, which resizes its positions for each image by itself, in a Python loop (transformers 5.24)."""

from __future__ import annotations

import torch

from onnx_export_action.traceable.private_names import Patch


def resized_for_each(table: torch.Tensor, shapes: torch.Tensor, max_length: int) -> torch.Tensor:
    """A table of positions (height, width, size), resized with antialiasing to the shape of each image.

    ``shapes`` (batch, 2) are heights and widths in patches. The answer (batch, ``max_length``, size) has the patches
    row by row, and what belongs to the first one in all places after them, as ``Siglip2VisionEmbeddings`` of
    transformers 5.23 does it. The weights are those of ``interpolate(mode="bilinear", antialias=True)``
    (``compute_index_ranges_weights`` of PyTorch 2.13's ``UpSampleKernel.cpp``), for all pixels of the table.
    """
    heights, widths = shapes[:, :1], shapes[:, 1:]
    places = torch.arange(max_length).unsqueeze(0)
    places = torch.where(places < heights * widths, places, 0)
    rows = _weights(places // widths, heights, int(table.shape[0]))
    columns = _weights(places % widths, widths, int(table.shape[1]))
    beside = (rows @ table.flatten(1)).unflatten(-1, table.shape[1:])
    return (columns.unsqueeze(-2) @ beside).squeeze(-2)


def _weights(places: torch.Tensor, after: torch.Tensor, before: int) -> torch.Tensor:
    """What each of ``before`` pixels gives to places (batch, length) of ``after`` (batch, 1), as a new last axis."""
    scale = before / after.float()
    middles = (places.float() + 0.5) * scale
    distances = (torch.arange(before).float() + 0.5 - middles.unsqueeze(-1)).abs() / scale.clamp(min=1).unsqueeze(-1)
    weights = (1 - distances).clamp(min=0)
    return weights / weights.sum(dim=-1, keepdim=True)


PATCHES = (
    Patch(
        "transformers.models.siglip2.modeling_siglip2.Siglip2VisionEmbeddings.resize_positional_embeddings",
        replacement=resized_for_each,
    ),
)
