"""How flat ONNX inputs become one call of a Transformers model, and its outputs flat ONNX outputs.

An ONNX file takes ``past_key_values.0.key`` where the model takes a cache object, and an encoder-decoder's parts
are called through the whole model. The export traces :class:`FlatModel`; the reference runs the same class around
a model of its own, so both speak of the same tensors. Nothing here patches the model.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from onnx_export_action.onnx_config.base import OnnxConfig, PatchingSpec
from onnx_export_action.traceable.parts import part_of, unused_states
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.names.components import ComponentKind
from onnx_export_action.vocabulary.results import Stage

_PAST_NAME = re.compile(r"past_key_values\.(?P<layer>\d+)\.(?:(?P<side>decoder|encoder)\.)?(?P<part>key|value)")
_PRESENT_NAME = re.compile(r"present\.(?P<layer>\d+)\.(?:(?P<side>decoder|encoder)\.)?(?P<part>key|value)")

# A decoder's file names its inputs as a decoder-only model would; the whole model calls them otherwise.
_DECODER_ARGUMENTS = {
    "input_ids": "decoder_input_ids",
    "attention_mask": "decoder_attention_mask",
    "position_ids": "decoder_position_ids",
    "inputs_embeds": "decoder_inputs_embeds",
    "encoder_attention_mask": "attention_mask",
}


@dataclass(frozen=True)
class ModelCall:
    """All that an engine needs to write one file.

    ``module`` takes the inputs positionally in the order of ``input_names`` and returns a tuple in the order of
    ``output_names``; ``dummy_inputs`` is a padded batch of two; ``dynamic_axes`` holds inputs and outputs. ``defaults``
    are the values of inputs that a caller of the file may leave out, ``patches`` functions to replace while it is made.
    """

    module: torch.nn.Module
    input_names: list[str]
    output_names: list[str]
    dummy_inputs: dict[str, torch.Tensor]
    dynamic_axes: dict[str, dict[int, str]]
    defaults: dict[str, float] = field(default_factory=dict)
    patches: tuple[PatchingSpec, ...] = ()


class FlatModel(torch.nn.Module):
    """A model behind the flat signature of one ONNX file; the model is not given the input ``left_out``."""

    def __init__(self, model: torch.nn.Module, onnx_config: OnnxConfig, left_out: str | None = None) -> None:
        super().__init__()
        self.model = model
        # The tracer restores each module's mode from this one: a fresh wrapper would switch dropout on.
        self.training = model.training
        self._onnx_config = onnx_config
        self._left_out = left_out
        self._input_names = list(onnx_config.inputs)
        self._output_names = list(onnx_config.outputs)
        self._with_cache_output = any(_PRESENT_NAME.fullmatch(name) for name in self._output_names)

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Call the model: one tensor per ONNX input in order, one per ONNX output in order."""
        inputs = dict(zip(self._input_names, tensors, strict=True))
        inputs.pop(self._left_out or "", None)
        return self._flat_outputs(self._call(inputs))

    def _call(self, inputs: dict[str, torch.Tensor]) -> Any:
        part = part_of(self._onnx_config)
        if part is not None:
            return part(self.model, **_with_cache(inputs))
        kind = self._onnx_config.kind
        target = self.model.get_encoder() if kind is ComponentKind.ENCODER else self.model
        arguments = self._arguments(inputs, kind)
        arguments.update(self._onnx_config.extra_forward_arguments)
        accepted = inspect.signature(target.forward).parameters
        if "use_cache" in accepted:
            arguments.setdefault("use_cache", self._with_cache_output)
        if "return_dict" in accepted:
            arguments.setdefault("return_dict", True)
        return target(**arguments)

    def _arguments(self, inputs: dict[str, torch.Tensor], kind: ComponentKind) -> dict[str, Any]:
        arguments = _with_cache(inputs)
        if kind in (ComponentKind.DECODER, ComponentKind.DECODER_WITH_PAST):
            arguments = {_DECODER_ARGUMENTS.get(name, name): tensor for name, tensor in arguments.items()}
            states = arguments.pop("encoder_hidden_states", None)
            if states is None:
                states = unused_states(self.model, arguments.get("past_key_values"))
            arguments["encoder_outputs"] = BaseModelOutput(last_hidden_state=states)
        return arguments

    def _flat_outputs(self, outputs: Any) -> tuple[torch.Tensor, ...]:
        if isinstance(outputs, torch.Tensor):
            outputs = {self._output_names[0]: outputs}
        attribute_of = {name: attribute for attribute, name in self._onnx_config.torch_to_onnx_output_map.items()}
        return tuple(_output(outputs, name, attribute_of.get(name, name)) for name in self._output_names)


class FirstOutput(torch.nn.Module):
    """Any model, of no known kind, that takes the named tensors in order and gives its first output alone."""

    def __init__(self, model: torch.nn.Module, input_names: list[str]) -> None:
        super().__init__()
        self.model = model
        self.training = model.training
        self._input_names = input_names
        # By name where the names are the model's own: tokenizers do not order them as every model does.
        self._takes_names = set(input_names) <= set(inspect.signature(model.forward).parameters)

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor]:
        """Call the model and pick from a tensor, a sequence or a mapping of outputs."""
        if self._takes_names:
            outputs = self.model(**dict(zip(self._input_names, tensors, strict=True)))
        else:
            outputs = self.model(*tensors)
        if isinstance(outputs, Mapping):
            outputs = tuple(outputs.values())
        return (outputs if isinstance(outputs, torch.Tensor) else outputs[0],)


def build_cache(past: Mapping[str, torch.Tensor]) -> DynamicCache | EncoderDecoderCache:
    """Build the cache that ``past_key_values.*`` tensors describe, each of shape (batch, heads, length, size)."""
    layers: dict[tuple[str | None, int], dict[str, torch.Tensor]] = {}
    for name, tensor in past.items():
        match = _PAST_NAME.fullmatch(name)
        if match is None:
            message = f"{name!r} is not the name of a cached key or value"
            raise ValueError(message)
        layers.setdefault((match["side"], int(match["layer"])), {})[match["part"]] = tensor
    if any(side == "encoder" for side, _ in layers):
        return EncoderDecoderCache(_dynamic_cache(layers, "decoder"), _dynamic_cache(layers, "encoder"))
    return _dynamic_cache(layers, next(iter(layers))[0])


def _with_cache(inputs: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Inputs by name, those of the cache put together under ``past_key_values``."""
    past = {name: tensor for name, tensor in inputs.items() if _PAST_NAME.fullmatch(name)}
    rest: dict[str, Any] = {name: tensor for name, tensor in inputs.items() if name not in past}
    return rest | ({"past_key_values": build_cache(past)} if past else {})


def _dynamic_cache(layers: Mapping[tuple[str | None, int], dict[str, torch.Tensor]], side: str | None) -> DynamicCache:
    chosen = sorted((layer, tensors) for (layer_side, layer), tensors in layers.items() if layer_side == side)
    return DynamicCache([(tensors["key"], tensors["value"]) for _, tensors in chosen])


class MissingOutputError(ExportError):
    """The model gives no output of this name."""

    def __init__(self, message: str, output: str, hint: str) -> None:
        super().__init__(message, stage=Stage.EXPORT, hint=hint)
        self.output = output


def _output(outputs: Any, name: str, attribute: str) -> torch.Tensor:
    match = _PRESENT_NAME.fullmatch(name)
    tensor = _cached(outputs, match) if match else _attribute(outputs, attribute)
    if isinstance(tensor, torch.Tensor):
        return tensor
    available = ", ".join(str(key) for key in outputs) if isinstance(outputs, Mapping) else type(outputs).__name__
    raise MissingOutputError(
        f"the model gives no output named {attribute!r} (it gives: {available})",
        name,
        hint="the configuration class names an output that this model and task do not have",
    )


def _attribute(outputs: Any, path: str) -> Any:
    """An attribute of the model's output; ``logits.0`` is the first of several, ``hidden_states.-1`` the last."""
    value = outputs
    for step in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, (tuple, list)) and step.removeprefix("-").isdecimal():
            value = value[int(step)] if -len(value) <= int(step) < len(value) else None
        else:
            value = getattr(value, step, None)
    return value


def _cached(outputs: Any, match: re.Match[str]) -> torch.Tensor | None:
    cache = _attribute(outputs, "past_key_values")
    if cache is None:
        return None
    if match["side"] == "encoder":
        cache = cache.cross_attention_cache
    elif isinstance(cache, EncoderDecoderCache):
        cache = cache.self_attention_cache
    layer = cache.layers[int(match["layer"])]
    return layer.keys if match["part"] == "key" else layer.values


def model_call(model: PreTrainedModel, onnx_config: OnnxConfig, dummy_inputs: Mapping[str, torch.Tensor]) -> ModelCall:
    """Describe the file of one component; ``dummy_inputs`` as ``OnnxConfig.generate_dummy_inputs`` makes them."""
    declared: dict[str, dict[int, str]] = {
        name: dict(axes) for name, axes in (*onnx_config.inputs.items(), *onnx_config.outputs.items())
    }
    return ModelCall(
        module=FlatModel(model, onnx_config),
        input_names=list(onnx_config.inputs),
        output_names=list(onnx_config.outputs),
        dummy_inputs={name: dummy_inputs[name] for name in onnx_config.inputs},
        dynamic_axes={name: axes for name, axes in declared.items() if axes},
        defaults=onnx_config.optional_inputs,
        patches=tuple(onnx_config.patching_specs),
    )


def run_flat(module: torch.nn.Module, tensors: Iterable[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Run a :class:`FlatModel` without gradients."""
    with torch.inference_mode():
        return module(*tensors)
