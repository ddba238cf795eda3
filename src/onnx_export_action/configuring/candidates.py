"""Which inputs to try a model with: what is usual before what is special, unless it cannot do without that."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from onnx_export_action.onnx_config.dummy_inputs.audio import DummyFramesFirstGenerator
from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.text import DummyImagePromptGenerator
from onnx_export_action.onnx_config.dummy_inputs.unregistered import call_forms
from onnx_export_action.onnx_config.inferred import (
    COMPANIONS,
    GENERATOR_SETS,
    GENERATORS,
    SUBJECTS,
    Facts,
    InferredOnnxConfig,
    NormalizedAnyConfig,
)


def candidates(model: Any) -> Iterator[Facts]:
    """Sets of inputs, each with what makes them, the likeliest first."""
    parameters = inspect.signature(model.forward).parameters
    needed = {
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    groups = [_usual_candidates(model, parameters), _special_candidates(model, parameters, needed)]
    if not needed <= {*SUBJECTS, *COMPANIONS}:
        groups.reverse()
    return itertools.chain(*groups, _larger_images(model, parameters))


def _larger_images(model: Any, parameters: Mapping[str, Any]) -> Iterator[Facts]:
    """Images of four times the side that a part of the model is made for: some cut theirs into pieces."""
    for facts in _usual_candidates(model, parameters):
        if "pixel_values" in facts.inputs:
            shapes = InferredOnnxConfig(model.config, "feature-extraction", facts).dummy_shapes()
            yield replace(facts, sizes={"image_height": 4 * shapes.image_height, "image_width": 4 * shapes.image_width})


def _special_candidates(model: Any, parameters: Mapping[str, Any], needed: set[str]) -> Iterator[Facts]:
    """The forms of calls that ``forward`` has all names of, and that give it all that it needs."""
    for form in call_forms(NormalizedAnyConfig(model.config)):
        names = {*form.inputs, *form.constants}
        if names <= set(parameters) and needed <= names:
            yield Facts({name: {} for name in form.inputs}, generators=form.generators, constants=form.constants)


def _usual_candidates(model: Any, parameters: Mapping[str, Any]) -> Iterator[Facts]:
    """Everything that ``forward`` takes first, then the main one alone, then each."""
    known = [name for name in SUBJECTS if name in parameters]
    main = [name for name in (getattr(model, "main_input_name", None),) if name in known]
    companions = [name for name in COMPANIONS if name in parameters]
    subjects = [known, main, *([name] for name in known)]
    fewer = [companions, [name for name in companions if name == "decoder_input_ids"], companions[:1], []]
    seen = set()
    for names, more in itertools.product(subjects, fewer):
        inputs = (*names, *more)
        if not names or inputs in seen:
            continue
        seen.add(inputs)
        for generators in GENERATOR_SETS:
            if generators is GENERATORS or any(_is_special(generators[0], name, inputs) for name in inputs):
                yield Facts({name: {} for name in inputs}, generators=generators)


def _is_special(generator: type[DummyInputGenerator], name: str, inputs: tuple[str, ...]) -> bool:
    """Whether a generator that stands before the others would make an input in another way than they do."""
    if generator is DummyImagePromptGenerator:
        return name == "input_ids" and "pixel_values" in inputs
    if generator is DummyFramesFirstGenerator:
        return name == "input_features"
    return name in generator.SUPPORTED_INPUT_NAMES
