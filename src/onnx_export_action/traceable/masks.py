"""Attention masks as the tracer can follow them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

import torch
from transformers import masking_utils

Mask = Callable[..., torch.Tensor]


@contextmanager
def traceable_masks() -> Iterator[None]:
    """Compute every mask for all places at once, by broadcasting.

    transformers 5.23 does so for the usual masks. Where a model combines one with a function of its own
    (``or_mask_function``, as T5Gemma 2 does), it maps over the places with ``torch.vmap``, inside of which a trace ends
    with ``unordered_map::at`` (torch 2.13). Such a function reads tensors by index as well, which broadcasts.
    """
    with (
        patch.object(masking_utils, "_vmap_expansion_sdpa", _broadcast),
        patch.object(masking_utils, "TransformGetItemToIndex", nullcontext),
    ):
        yield


def _broadcast(mask: Mask) -> Mask:
    def compute(*places: torch.Tensor) -> torch.Tensor:
        found = mask(*masking_utils._non_vmap_expansion_sdpa(*places))
        return found.expand(*(place.shape[0] for place in places))

    return compute
