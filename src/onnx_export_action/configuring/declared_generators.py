"""What makes declared inputs: the generators that are known, and new ones for inputs of which nothing is known."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.declared import generator_of, likely_kinds
from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.inferred import GENERATOR_SETS, GENERATORS, Facts, InferredOnnxConfig
from onnx_export_action.onnx_config.tasks import split_past
from onnx_export_action.vocabulary.declarations import Declaration, DeclaredTensor
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.problems import quoted

_MOST_ATTEMPTS = 27

Generators = tuple[type[DummyInputGenerator], ...]


def declared_candidates(model: Any, task: str, declaration: Declaration) -> Iterator[Facts]:
    """The declared inputs, made in every way that is known.

    Raises:
        ExportError: nothing is known of an input, and not all of its axes are declared.
    """
    names: dict[str, dict[int, str]] = {name: {} for name in declaration.inputs}
    for known in GENERATOR_SETS:
        facts = Facts(names, generators=known)
        for more in further_generators(InferredOnnxConfig(model.config, split_past(task)[0], facts), declaration):
            yield Facts(names, generators=(*more, *known))


def further_generators(onnx_config: OnnxConfig, declaration: Declaration) -> Iterator[Generators]:
    """Generators of the inputs that the configuration's own do not make, for each kind of values that they may hold.

    Raises:
        ExportError: nothing is known of an input, and not all of its axes are declared.
    """
    unmade = [
        name for name, tensor in declaration.inputs.items() if not _is_made(onnx_config, name, tensor, declaration)
    ]
    for name in unmade:
        axes = declaration.inputs[name].axes
        if not axes or sorted(axes) != list(range(len(axes))):
            raise plan_error(
                f"{declaration.inputs[name].place}: nothing is known of {quoted(name)} but what is declared",
                "name all its axes, or give their sizes: {0: batch_size, 1: sequence_length, 2: 64}",
            )
    kinds = itertools.product(*(likely_kinds(name) for name in unmade))
    for chosen in itertools.islice(kinds, _MOST_ATTEMPTS):
        yield tuple(
            generator_of(name, {number: axis.name for number, axis in declaration.inputs[name].axes.items()}, kind)
            for name, kind in zip(unmade, chosen, strict=True)
        )


def _is_made(onnx_config: OnnxConfig, name: str, tensor: DeclaredTensor, declaration: Declaration) -> bool:
    """Whether a generator makes the input, with the axes that are declared unless these are all and more."""
    for generator_class in (*onnx_config.DUMMY_INPUT_GENERATOR_CLASSES, *GENERATORS):
        generator = generator_class(
            onnx_config.task, onnx_config.normalized_config, input_names=list(declaration.inputs)
        )
        if generator.supports_input(name):
            try:
                axes = generator.array(name).ndim
            except ExportError:  # the model's configuration does not say what it needs
                continue
            return axes >= len(tensor.axes) or sorted(tensor.axes) != list(range(len(tensor.axes)))
    return False
