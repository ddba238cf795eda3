"""Rotary positions of long texts: which frequencies apply is decided by the graph.

Where a model has frequencies for texts beyond its original length (``longrope``, as Phi-3), transformers before 5.21
chooses in Python, and a trace keeps the choice of the traced text. Since then it does what stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from onnx_export_action.onnx_config.base import PatchingSpec
from onnx_export_action.traceable.private_names import PrivateName, patched

_LONG = "longrope"
_CHOICE = PrivateName("transformers.modeling_rope_utils.dynamic_rope_update", versions="<5.21")
_FREQUENCIES = PrivateName("transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS")


@contextmanager
def long_rotary_positions(model: torch.nn.Module) -> Iterator[None]:
    """Let rotary embeddings of this kind choose by a condition of the graph."""
    places = [
        part for part in model.modules() if getattr(part, "rope_type", None) == _LONG and _CHOICE.is_for_installed
    ]
    before = [part.inv_freq for part in places]
    try:
        with patched(PatchingSpec(part, "forward", partial(_forward, part)) for part in places):
            yield
    finally:
        for part, frequencies in zip(places, before, strict=True):
            part.inv_freq = frequencies


def _forward(embedding: Any, states: torch.Tensor, position_ids: torch.Tensor) -> Any:
    """What the embedding's own ``forward`` gives for ``position_ids`` (batch, length)."""
    original = embedding.config.rope_parameters["original_max_position_embeddings"]
    make = _FREQUENCIES.find()[_LONG]
    beyond, _ = make(embedding.config, states.device, seq_len=original + 1)
    embedding.inv_freq = torch.where(position_ids.max() + 1 > original, beyond, embedding.original_inv_freq)
    return _undecorated(type(embedding).forward)(embedding, states, position_ids)


def _undecorated(function: Callable[..., Any]) -> Callable[..., Any]:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function
