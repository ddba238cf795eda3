"""One call of a model after another, of one set of inputs in different sizes, values and with inputs left empty."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from onnx_export_action.onnx_config.inferred import Facts, InferredOnnxConfig

_NEVER_OUTPUTS = ("loss", "past_key_values", "hidden_states", "attentions", "cache")

_USUAL: Mapping[str, int] = {}

Axis = tuple[str, int]


@dataclass(frozen=True)
class Answer:
    """What one call took, by name, and what it gave, by path: ``logits``, ``hidden.0``."""

    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, torch.Tensor]

    def sizes(self, outputs: list[str]) -> dict[Axis, int]:
        """The size of every axis of the inputs and of these outputs."""
        tensors = self.inputs | {name: tuple(self.outputs[name].shape) for name in outputs}
        return {(name, axis): size for name, shape in tensors.items() for axis, size in enumerate(shape)}


@dataclass(frozen=True)
class Calls:
    """A model and one set of inputs for it, which have ``sizes`` unless a call says otherwise."""

    model: Any
    task: str
    facts: Facts
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def onnx_config(self) -> InferredOnnxConfig:
        """The configuration that makes the inputs."""
        return InferredOnnxConfig(self.model.config, self.task, self.facts)

    def size(self, argument: str) -> int:
        """The usual size of a shape argument."""
        return self.sizes.get(argument, int(getattr(self.onnx_config.dummy_shapes(), argument)))

    def answer(self, sizes: Mapping[str, int] = _USUAL, *, seed: int = 0, emptied: str | None = None) -> Answer:
        """One call in other ``sizes``; ``emptied`` names an input that is all zeros.

        Raises whatever the model's own code raises.
        """
        shapes: dict[str, Any] = {**self.sizes, **sizes}
        onnx_config = self.onnx_config
        inputs = onnx_config.generate_dummy_inputs("pt", seed=seed, **shapes)
        if emptied is not None:
            inputs[emptied] = torch.zeros_like(inputs[emptied])
        accepted = inspect.signature(self.model.forward).parameters
        constant = {"use_cache": False, "return_dict": True}
        arguments = onnx_config.extra_forward_arguments
        arguments |= {name: value for name, value in constant.items() if name in accepted}
        with torch.inference_mode():
            outputs = self.model(**inputs, **arguments)
        return Answer({name: tuple(value.shape) for name, value in inputs.items()}, dict(_tensors(outputs)))


def calls_of(model: Any, task: str, facts: Facts) -> Calls:
    """Calls in a batch of two where the model takes one, else of a single row.

    Raises whatever the model's own code raises where it takes neither.
    """
    defaults = InferredOnnxConfig(model.config, task, facts).dummy_shapes()
    # Said always: it would follow `sequence_length`.
    calls = Calls(model, task, facts, {"decoder_sequence_length": defaults.decoder_sequence_length})
    try:
        calls.answer({"batch_size": 2})
    except Exception:  # whatever the model's own code raises
        calls.answer({"batch_size": 1})
        return replace(calls, sizes={**calls.sizes, "batch_size": 1})
    return replace(calls, sizes={**calls.sizes, "batch_size": 2})


def _tensors(outputs: Any, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of a model's outputs by its path, but for losses, caches and what is inside the layers."""
    items = outputs.items() if isinstance(outputs, Mapping) else enumerate(outputs)
    for key, value in items:
        name = f"{prefix}{key}"
        if any(word in str(key) for word in _NEVER_OUTPUTS):
            continue
        if isinstance(value, torch.Tensor):
            yield name, value
        elif isinstance(value, (tuple, list, Mapping)):
            yield from _tensors(value, f"{name}.")
