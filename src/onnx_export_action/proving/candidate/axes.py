"""Which of the axes that a file declares dynamic its cases prove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx_export_action.proving.records import CaseOrigin, CaseRecord, ComponentRecord
from onnx_export_action.vocabulary.names.axes import atomic_axes
from onnx_export_action.vocabulary.results import AxisResult


def proven_axes(records: Sequence[ComponentRecord], passed: Sequence[Sequence[bool]]) -> list[AxisResult]:
    """Every dynamic axis of the components' inputs; ``passed`` says of each component's cases whether they passed.

    An axis that several components have is proven where each proves it.
    """
    proven: dict[tuple[str, int], AxisResult] = {}
    for record, verdicts in zip(records, passed, strict=True):
        names = _axes_varied_alone(record.cases, verdicts)
        for place, axis_name in _places(record.inputs):
            holds = all(part in names for part in atomic_axes(axis_name))
            earlier = proven.get(place)
            proven[place] = AxisResult(
                input=place[0],
                axis=place[1],
                name=axis_name if earlier is None else earlier.name,
                proven=holds and (earlier is None or earlier.proven),
            )
    return list(proven.values())


def _places(inputs: Mapping[str, Mapping[int, str]]) -> list[tuple[tuple[str, int], str]]:
    return [((name, axis), axis_name) for name, axes in inputs.items() for axis, axis_name in axes.items()]


def _axes_varied_alone(cases: Sequence[CaseRecord], passed: Sequence[bool]) -> set[str]:
    """Axes that passing cases varied alone, from a base case that passes; a failing one disproves."""
    bases = [case for case, right in zip(cases, passed, strict=True) if case.origin is CaseOrigin.BASE and right]
    if not bases:
        return set()
    usual = bases[0].shape
    tried: dict[str, list[bool]] = {}
    for case, right in zip(cases, passed, strict=True):
        if case.varied is None:
            continue
        for axis, size in case.shape.items():
            if size != usual.get(axis):
                for part in atomic_axes(axis):
                    if case.shape.get(part) != usual.get(part) or part == axis:
                        tried.setdefault(part, []).append(right)
    return {axis for axis, seen in tried.items() if all(seen)}
