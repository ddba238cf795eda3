"""What changed between two sets of results: a pull request's and its base's.

Measured errors move a little from machine to machine, so only a move of more than a tenth of the tolerance counts, only
sizes that differ by more than one per cent, and only latencies by more than a quarter.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from onnx_export_action.vocabulary.results import (
    AxisResult,
    FileResult,
    InputResult,
    OutputResult,
    TargetResult,
    Verdict,
)

_MARGIN_MOVE = 0.1
_AGREEMENT_MOVE = 0.001
_LATENCY_MOVE = 0.25
_UNKNOWN = "unknown"  # the engine of a file that was checked and not made


class Aspect(enum.StrEnum):
    """A property of a file that may differ from the base's."""

    VERDICT = "verdict"
    TASK = "task"
    INPUTS = "inputs"  # their names
    INPUT = "input"  # what one of them takes
    OUTPUTS = "outputs"
    OUTPUT = "output"
    AXES = "dynamic axes"
    ENGINE = "engine"
    OPSET = "opset"
    BYTES = "size"
    MARGIN = "tolerance used"
    ERROR = "largest error"
    AGREEMENT = "agreement"
    TOKENS = "generation"  # whether they are PyTorch's
    LATENCY = "latency"
    OPERATORS = "operators"


class ChangeKind(enum.StrEnum):
    """What became of a file."""

    NEW = "new"
    GONE = "gone"
    CHANGED = "changed"


Names: TypeAlias = tuple[str, ...]
Axes: TypeAlias = tuple[AxisResult, ...]
Counts: TypeAlias = tuple[tuple[str, int], ...]
Value: TypeAlias = Verdict | str | int | float | bool | Names | Axes | Counts | InputResult | OutputResult | None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One property of a file that is not what it was; ``breaking`` when callers of the file must change.

    Of names and axes ``before`` has what is gone and ``after`` what is new; of operators both have the counts of those
    that changed, most changed first. Bytes, milliseconds and shares are plain numbers.
    """

    aspect: Aspect
    before: Value
    after: Value
    breaking: bool = False


class FileChange(msgspec.Struct, kw_only=True, frozen=True):
    """One file that is new, gone or changed; only the last has differences."""

    target: str
    path: str
    kind: ChangeKind
    differences: list[Difference] = []


def compare(base: Sequence[TargetResult], head: Sequence[TargetResult]) -> list[FileChange]:
    """The files that changed, in the order of ``head``, then those that are gone. Empty without a base.

    Two results may be of one target, for two tasks: a file is compared with the one of its own task, and with one of
    another task only where that is what became of it.
    """
    return list(_changes(_files(base), _files(head))) if base else []


@dataclass(frozen=True)
class _File:
    target: str
    task: str | None
    file: FileResult

    def replaces(self, other: _File) -> bool:
        return (self.target, self.file.path) == (other.target, other.file.path)


def _files(results: Sequence[TargetResult]) -> list[_File]:
    return [_File(result.target, result.model.task, file) for result in results for file in result.files]


def _changes(base: list[_File], head: list[_File]) -> Iterator[FileChange]:
    earlier = _counterparts(base, head)
    for number, ours in enumerate(head):
        before = earlier.get(number)
        if before is None:
            yield FileChange(target=ours.target, path=ours.file.path, kind=ChangeKind.NEW)
        elif differences := list(_differences(before, ours)):
            yield FileChange(target=ours.target, path=ours.file.path, kind=ChangeKind.CHANGED, differences=differences)
    found = {id(before) for before in earlier.values()}
    for before in base:
        if id(before) not in found:
            yield FileChange(target=before.target, path=before.file.path, kind=ChangeKind.GONE)


def _counterparts(base: list[_File], head: list[_File]) -> dict[int, _File]:
    """For each place in ``head`` the base's file that it replaces: of its own task if there is one."""
    free = list(base)
    found: dict[int, _File] = {}
    for any_task in (False, True):
        for number, ours in enumerate(head):
            fitting = (other for other in free if ours.replaces(other) and (any_task or ours.task == other.task))
            match = next(fitting, None)
            if number not in found and match is not None:
                found[number] = match
                free = [other for other in free if other is not match]
    return found


def _differences(base: _File, head: _File) -> Iterator[Difference]:
    before, after = base.file, head.file
    if before.verdict is not after.verdict:
        yield Difference(aspect=Aspect.VERDICT, before=before.verdict, after=after.verdict)
    if base.task is not None and head.task is not None and base.task != head.task:
        yield Difference(aspect=Aspect.TASK, before=base.task, after=head.task, breaking=True)
    yield from _input_differences(before, after)
    yield from _output_differences(before, after)
    if before.engine != after.engine and _UNKNOWN not in (before.engine, after.engine):
        yield Difference(aspect=Aspect.ENGINE, before=before.engine, after=after.engine)
    if before.opset != after.opset:
        yield Difference(aspect=Aspect.OPSET, before=before.opset, after=after.opset)
    if abs(after.bytes - before.bytes) * 100 > before.bytes:
        yield Difference(aspect=Aspect.BYTES, before=before.bytes, after=after.bytes)
    yield from _margin_difference(before, after)
    yield from _agreement_difference(before, after)
    yield from _generation_difference(before, after)
    yield from _latency_difference(before, after)
    yield from _operator_difference(before.operators, after.operators)


def _margin_difference(base: FileResult, head: FileResult) -> Iterator[Difference]:
    """The part of the tolerance that is used, and with it the largest error."""
    before, after = base.worst_margin, head.worst_margin
    if before is not None and after is not None and abs(after - before) > _MARGIN_MOVE:
        yield Difference(aspect=Aspect.MARGIN, before=before, after=after)
        yield Difference(aspect=Aspect.ERROR, before=_largest_error(base.outputs), after=_largest_error(head.outputs))


def _largest_error(outputs: Sequence[OutputResult]) -> float | None:
    return max((output.max_abs for output in outputs if output.max_abs is not None), default=None)


def _agreement_difference(base: FileResult, head: FileResult) -> Iterator[Difference]:
    before, after = _lowest_agreement(base.outputs), _lowest_agreement(head.outputs)
    if before is not None and after is not None and abs(after - before) > _AGREEMENT_MOVE:
        yield Difference(aspect=Aspect.AGREEMENT, before=before, after=after)


def _lowest_agreement(outputs: Sequence[OutputResult]) -> float | None:
    return min((output.argmax_agreement for output in outputs if output.argmax_agreement is not None), default=None)


def _generation_difference(base: FileResult, head: FileResult) -> Iterator[Difference]:
    if base.generation is not None and head.generation is not None and base.generation.equal != head.generation.equal:
        yield Difference(aspect=Aspect.TOKENS, before=base.generation.equal, after=head.generation.equal)


def _latency_difference(base: FileResult, head: FileResult) -> Iterator[Difference]:
    if base.latency is None or head.latency is None:
        return
    before, after = base.latency.onnx_ms, head.latency.onnx_ms
    if abs(after - before) > _LATENCY_MOVE * before:
        yield Difference(aspect=Aspect.LATENCY, before=before, after=after)


def _operator_difference(base: Mapping[str, int], head: Mapping[str, int]) -> Iterator[Difference]:
    """The operators whose number changed most; results of before this was counted have none."""
    if not base or not head:
        return
    changes = {name: head.get(name, 0) - base.get(name, 0) for name in {**base, **head}}
    moved = sorted((name for name in changes if changes[name]), key=lambda name: (-abs(changes[name]), name))
    if moved:
        yield Difference(aspect=Aspect.OPERATORS, before=_counted(base, moved), after=_counted(head, moved))


def _counted(operators: Mapping[str, int], names: Sequence[str]) -> Counts:
    return tuple((name, operators.get(name, 0)) for name in names)


def _input_differences(base: FileResult, head: FileResult) -> Iterator[Difference]:
    """Inputs as the files declare them, or in older results their dynamic axes alone."""
    if not base.inputs or not head.inputs:
        yield from _axis_difference(base.axes, head.axes)
        return
    before, after = ({one.name: one for one in file.inputs} for file in (base, head))
    gone, new = _gone_and_new(list(before), list(after))
    if gone or new:
        yield Difference(aspect=Aspect.INPUTS, before=gone, after=new, breaking=True)
    for name in before:
        if name in after and (before[name].dtype, before[name].shape) != (after[name].dtype, after[name].shape):
            yield Difference(
                aspect=Aspect.INPUT,
                before=before[name],
                after=after[name],
                breaking=not _takes_all_that(after[name], before[name]),
            )


def _takes_all_that(after: InputResult, before: InputResult) -> bool:
    """Whether every array that the input took before is taken still: the names of dynamic axes do not matter."""
    same_kind = after.dtype == before.dtype and len(after.shape) == len(before.shape)
    pairs = zip(before.shape, after.shape, strict=False)
    return same_kind and all(isinstance(new, str) or new == old for old, new in pairs)


def _output_differences(base: FileResult, head: FileResult) -> Iterator[Difference]:
    gone, new = _gone_and_new([output.name for output in base.outputs], [output.name for output in head.outputs])
    # A file that did not run has no outputs to compare.
    if base.outputs and head.outputs and (gone or new):
        yield Difference(aspect=Aspect.OUTPUTS, before=gone, after=new, breaking=bool(gone))
    after = {output.name: output for output in head.outputs}
    for before in base.outputs:
        other = after.get(before.name)
        # Older results do not know the types of outputs.
        if other is None or before.dtype is None or other.dtype is None:
            continue
        if (before.dtype, len(before.shape)) != (other.dtype, len(other.shape)):
            yield Difference(aspect=Aspect.OUTPUT, before=before, after=other, breaking=True)


def _axis_difference(base: list[AxisResult], head: list[AxisResult]) -> Iterator[Difference]:
    before, after = ({(axis.input, axis.axis, axis.name): axis for axis in axes} for axes in (base, head))
    gone = tuple(axis for key, axis in before.items() if key not in after)
    new = tuple(axis for key, axis in after.items() if key not in before)
    if base and head and (gone or new):
        inputs_changed = {axis.input for axis in base} != {axis.input for axis in head}
        yield Difference(aspect=Aspect.AXES, before=gone, after=new, breaking=bool(gone) or inputs_changed)


def _gone_and_new(base: list[str], head: list[str]) -> tuple[Names, Names]:
    gone, new = set(base) - set(head), set(head) - set(base)
    return tuple(name for name in base if name in gone), tuple(name for name in head if name in new)
