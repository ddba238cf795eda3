"""How a model type without a configuration class is exported: found from its signature and from runs of the model.

In order: the inputs that its ``forward`` takes and runs with; the outputs that it gives and that depend on the input;
which sizes it takes, and which axes of inputs and outputs move with each. Nothing is assumed that a run did not show.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch

from onnx_export_action.configuring.calls import calls_of
from onnx_export_action.configuring.candidates import candidates
from onnx_export_action.configuring.inferred_axes import FRAMES, with_axes
from onnx_export_action.configuring.inferred_outputs import inferred_outputs
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.inferred import (
    SUBJECTS,
    Facts,
    InferredOnnxConfig,
)
from onnx_export_action.onnx_config.modalities import (
    TextDecoderOnnxConfig,
    TextDecoderWithPositionIdsOnnxConfig,
    TextSeq2SeqOnnxConfig,
)
from onnx_export_action.onnx_config.tasks import split_past
from onnx_export_action.traceable.calling import FlatModel
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Stage

# What becomes several files, or one with a cache, follows the classes of its kind where the model runs as they say.
_KINDS: dict[str, tuple[type[OnnxConfig], ...]] = {
    "text-generation": (TextDecoderWithPositionIdsOnnxConfig, TextDecoderOnnxConfig),
    "text2text-generation": (TextSeq2SeqOnnxConfig,),
}

# Five seconds of speech are as good as thirty where a model takes any length, and several times as fast.
_FEW_FRAMES = 600


def infer_onnx_config(model: Any, task: str, declared: Sequence[Facts] | None = None) -> OnnxConfig:
    """A configuration for a model of any type; of one file with one of the ``declared`` sets of inputs, if given.

    Raises:
        ExportError: the model runs with no inputs that could be made for it, or keeps no past that a file could take.
    """
    stem, with_past = split_past(task)
    for kind in _KINDS.get(stem, ()):
        with suppress(Exception):  # the model is not of that kind, whatever it says about that
            onnx_config = kind(model.config, task=task)
            if declared is not None and len(onnx_config.components()) > 1:
                continue
            if _takes(model, onnx_config) and all(_runs(model, part) for _, part in onnx_config.components()):
                return onnx_config
    if with_past:
        raise ExportError(
            f"{type(model).__name__} keeps no past that an ONNX file could take and give",
            stage=Stage.EXPORT,
            hint=f"use the task {stem}; a cache of keys and values, one of each a layer, is needed",
        )
    return InferredOnnxConfig(model.config, stem, _facts(model, stem, declared))


def _takes(model: Any, onnx_config: OnnxConfig) -> bool:
    """Whether ``forward`` knows all inputs that are no cache, and that positions and the mask make a difference.

    Others would go unused into its keyword arguments, and the graph would not have them.
    """
    parameters = inspect.signature(model.forward).parameters
    first = onnx_config.components()[0][1]
    if not all(name in parameters for name in first.inputs if not name.startswith("past_key_values")):
        return False
    inputs = first.generate_dummy_inputs("pt", padding="none")
    with torch.inference_mode():
        given = FlatModel(model, first)(*inputs.values())[0]
        return all(
            not torch.equal(
                given, FlatModel(model, first)(*(inputs | {name: torch.zeros_like(inputs[name])}).values())[0]
            )
            for name in ("position_ids", "attention_mask")
            if name in inputs
        )


def _runs(model: Any, onnx_config: OnnxConfig) -> bool:
    """Whether the model gives the outputs with the axes that are declared."""
    before, after = (
        _output_shapes(model, onnx_config, **shapes)
        for shapes in (dict[str, int](), {"batch_size": 3, "sequence_length": 5, "past_sequence_length": 7})
    )
    return all(
        {axis for axis, size in enumerate(shape) if size != after[name][axis]} <= set(onnx_config.outputs[name])
        for name, shape in before.items()
    )


def _output_shapes(model: Any, onnx_config: OnnxConfig, **shapes: Any) -> dict[str, tuple[int, ...]]:
    inputs = onnx_config.generate_dummy_inputs("pt", **shapes)
    with torch.inference_mode():
        outputs = FlatModel(model, onnx_config)(*inputs.values())
    return {name: tuple(value.shape) for name, value in zip(onnx_config.outputs, outputs, strict=True)}


def _facts(model: Any, task: str, declared: Sequence[Facts] | None) -> Facts:
    reasons: list[str] = []
    impossible: list[str] = []
    for facts in candidates(model) if declared is None else declared:
        try:
            found = _with_few_frames(model, task, facts) or _complete(model, task, facts)
            if found is not None:
                return found
            reasons.append(f"with {', '.join(facts.inputs)} it gives no tensor that depends on them")
        except ExportError as error:
            impossible.append(error.message)
        except Exception as error:  # whatever the model's own code raises on this input
            text = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            reasons.append(f"with {', '.join(facts.inputs)}: {text}")
    said = (*reasons, *impossible, "it takes none of the inputs that are known")[0]
    raise ExportError(
        f"no call of {type(model).__name__} was found that runs ({said})",
        stage=Stage.EXPORT,
        hint="name other inputs; which the model takes, its forward says"
        if declared is not None
        else f"declare its inputs, or write an OnnxConfig for it; tried: {', '.join(SUBJECTS)} and what goes with them",
    )


def _complete(model: Any, task: str, facts: Facts) -> Facts | None:
    """The facts with outputs and axes, None where the model gives nothing that depends on the inputs."""
    calls = calls_of(model, task, facts)
    outputs = inferred_outputs(calls)
    return with_axes(calls, outputs) if outputs else None


def _with_few_frames(model: Any, task: str, facts: Facts) -> Facts | None:
    """The same of short sound, None unless the model takes spectrograms of any length."""
    if not {"input_features", "audio_mel"} & set(facts.inputs):
        return None
    with suppress(Exception):  # whatever the model's own code raises
        found = _complete(model, task, replace(facts, sizes={FRAMES: _FEW_FRAMES}))
        if found is not None and found.limits[FRAMES].maximum is None:
            return found
    return None
