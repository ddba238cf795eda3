"""Whether a file takes and gives what the model does: names, axes that vary, types of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors.numpy import load_file

from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.candidate.conclusions import failure
from onnx_export_action.proving.candidate.graph_facts import GraphFacts
from onnx_export_action.proving.candidate.session import Candidate
from onnx_export_action.proving.records import INPUT_PREFIX, OUTPUT_PREFIX, ComponentRecord
from onnx_export_action.vocabulary.names.components import USE_CACHE_BRANCH
from onnx_export_action.vocabulary.results import Cause, Failure
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT

_MOST_NAMES = 12


def interface_problem(candidate: Candidate, variant: str, facts: GraphFacts, references: Path) -> Failure | None:
    """The first respect in which the file's interface is not the model's; None where there is none."""
    session = candidate.session
    shapes = {value.name: value.shape for value in (*session.get_inputs(), *session.get_overridable_initializers())}
    outputs = {value.name for value in session.get_outputs()}
    return (
        _names_problem(candidate.records, set(shapes), outputs)
        or _axes_problem(candidate.records, shapes)
        or _dtype_problem(candidate.records, variant, facts, references)
    )


def _names_problem(records: Sequence[ComponentRecord], inputs: set[str], outputs: set[str]) -> Failure | None:
    wanted_inputs = {name for record in records for name in record.inputs}
    wanted_inputs |= {USE_CACHE_BRANCH} if len(records) > 1 else set()
    wanted_outputs = {name for record in records for name in record.outputs}
    for what, wanted, found in (("input", wanted_inputs, inputs), ("output", wanted_outputs, outputs)):
        if wanted - found:
            listed = ", ".join(sorted(found)[:_MOST_NAMES])
            missing = ", ".join(sorted(wanted - found))
            return failure(f"the file has no {what} named {missing}", f"its {what}s are: {listed}", Cause.NAMES)
    if inputs - wanted_inputs:
        extra = ", ".join(sorted(inputs - wanted_inputs))
        return failure(f"the file wants inputs that the model does not take: {extra}", cause=Cause.NAMES)
    return None


def _axes_problem(
    records: Sequence[ComponentRecord], shapes: Mapping[str, Sequence[int | str | None]]
) -> Failure | None:
    for record in records:
        for name, axes in record.inputs.items():
            problem = _fixed_axis(name, axes, shapes[name])
            if problem is not None:
                return failure(problem, "the axis must be dynamic: it was baked to one size", Cause.AXIS)
    return None


def _fixed_axis(name: str, axes: Mapping[int, str], shape: Sequence[int | str | None]) -> str | None:
    for axis, axis_name in axes.items():
        if axis >= len(shape):
            return f"input {name} has {len(shape)} axes; axis {axis} ({axis_name}) is declared dynamic"
        if isinstance(shape[axis], int):
            return f"axis {axis} ({axis_name}) of input {name} is fixed at {shape[axis]}"
    return None


def _dtype_problem(
    records: Sequence[ComponentRecord], variant: str, facts: GraphFacts, references: Path
) -> Failure | None:
    """An input or output of another type than PyTorch's; of another precision too, unless the variant is for that."""
    wanted: Arrays = {}
    for record in records:
        wanted |= load_file(references / record.cases[0].file) if record.cases else {}
    for prefix, what, values in ((INPUT_PREFIX, "input", facts.inputs), (OUTPUT_PREFIX, "output", facts.outputs)):
        for value in values:
            array = wanted.get(f"{prefix}{value.name}")
            if array is None or value.element_type == str(array.dtype):
                continue
            if variant == REFERENCE_VARIANT or not ("float" in value.element_type and array.dtype.kind == "f"):
                return failure(
                    f"{what} {value.name} has dtype {value.element_type}; PyTorch's is {array.dtype}",
                    cause=Cause.NAMES,
                )
    return None
