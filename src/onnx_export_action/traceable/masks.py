"""Attention masks as the tracer can follow them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch

from onnx_export_action.traceable.private_names import Patch, PrivateName, patched

Mask = Callable[..., torch.Tensor]


@contextmanager
def traceable_masks(_: torch.nn.Module) -> Iterator[None]:
    """Compute every mask for all places at once, by broadcasting.

    transformers 5.23 does so for the usual masks. Where a model combines one with a function of its own
    (``or_mask_function``, as T5Gemma 2 does), it maps over the places with ``torch.vmap``, inside of which a trace ends
    with ``unordered_map::at`` (torch 2.13). Such a function reads tensors by index as well, which broadcasts.
    """
    with patched(PATCHES):
        yield


def _broadcast(mask: Mask) -> Mask:
    def compute(*places: torch.Tensor) -> torch.Tensor:
        found = mask(*_BESIDE_EACH_OTHER.find()(*places))
        return found.expand(*(place.shape[0] for place in places))

    return compute


_FILE = "transformers.masking_utils"
_BESIDE_EACH_OTHER = PrivateName(f"{_FILE}._non_vmap_expansion_sdpa")

PATCHES = (
    Patch(f"{_FILE}._vmap_expansion_sdpa", replacement=_broadcast),
    Patch(f"{_FILE}.TransformGetItemToIndex", replacement=nullcontext),
)
