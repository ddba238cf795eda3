"""What a file computes that no ``forward`` of the model computes alone: most often a part of it.

A configuration class names the function in ``CALLS``, and in ``TRACEABLE`` its file of ``traceable.models``. It takes
the model and the file's inputs by name, and returns the file's outputs by name. What it does is cut out of the whole
model's own code; a test puts the parts together again and compares them with the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from transformers import EncoderDecoderCache

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.traceable.models import file_of

Part = Callable[..., Mapping[str, Any]]


def part_of(onnx_config: OnnxConfig) -> Part | None:
    """The function that the file computes, None where that is the model's own call."""
    name = onnx_config.part_function
    return getattr(file_of(onnx_config.TRACEABLE), name) if name else None


@contextmanager
def replaced(target: Any, **attributes: Any) -> Iterator[None]:
    """Give an object other attributes for a while."""
    before = {name: getattr(target, name) for name in attributes}
    try:
        for name, value in attributes.items():
            setattr(target, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(target, name, value)


def unused_states(model: Any, cache: EncoderDecoderCache | None) -> torch.Tensor:
    """States of the encoder for a decoder that has a filled cache of cross-attention: zeros.

    With it the layers read only the cache, but skip cross-attention altogether when no encoder states are given.

    Raises:
        ValueError: there is no cache either.
    """
    if cache is None:
        message = "a decoder needs the encoder's states or a cache"
        raise ValueError(message)
    keys = cache.cross_attention_cache.layers[0].keys
    config = model.get_encoder().config
    hidden_size = getattr(config, "output_hidden_size", None) or config.hidden_size
    return keys.new_zeros((keys.shape[0], keys.shape[2], hidden_size))
