"""What changed between two sets of results: a pull request's and its base's.

Measured errors move a little from machine to machine, so only a move of more than a tenth of the tolerance counts, and
only sizes that differ by more than one per cent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from onnx_export_action.report import figures
from onnx_export_action.results import AxisResult, FileResult, TargetResult

_MARGIN_MOVE = 0.1


class Difference(msgspec.Struct, kw_only=True, frozen=True):
    """One property of a file that is not what it was; ``breaking`` when callers of the file must change.

    For outputs and dynamic axes ``before`` names what is gone and ``after`` what is new.
    """

    what: str
    before: str
    after: str
    breaking: bool = False


class FileChange(msgspec.Struct, kw_only=True, frozen=True):
    """One file that is ``new``, ``gone`` or ``changed``; only the last has differences."""

    target: str
    path: str
    kind: str
    differences: list[Difference] = []


def compare(base: Sequence[TargetResult], head: Sequence[TargetResult]) -> list[FileChange]:
    """The files that changed, in the order of ``head``, then those that are gone. Empty without a base."""
    return list(_changes(_files(base), _files(head))) if base else []


def _files(results: Sequence[TargetResult]) -> dict[tuple[str, str], FileResult]:
    return {(result.target, file.path): file for result in results for file in result.files}


def _changes(base: dict[tuple[str, str], FileResult], head: dict[tuple[str, str], FileResult]) -> Iterator[FileChange]:
    for (target, path), file in head.items():
        if (target, path) not in base:
            yield FileChange(target=target, path=path, kind="new")
        elif differences := list(_differences(base[target, path], file)):
            yield FileChange(target=target, path=path, kind="changed", differences=differences)
    for target, path in base:
        if (target, path) not in head:
            yield FileChange(target=target, path=path, kind="gone")


def _differences(base: FileResult, head: FileResult) -> Iterator[Difference]:
    if base.verdict is not head.verdict:
        yield Difference(what="verdict", before=base.verdict.value, after=head.verdict.value)
    if base.engine != head.engine:
        yield Difference(what="engine", before=base.engine, after=head.engine)
    if base.opset != head.opset:
        yield Difference(what="opset", before=figures.integer(base.opset), after=figures.integer(head.opset))
    if abs(head.bytes - base.bytes) * 100 > base.bytes:
        yield Difference(what="size", before=_megabytes(base.bytes), after=_megabytes(head.bytes))
    yield from _margin_difference(base.worst_margin, head.worst_margin)
    yield from _output_difference(base, head)
    yield from _axis_difference(base.axes, head.axes)


def _margin_difference(base: float | None, head: float | None) -> Iterator[Difference]:
    if base is not None and head is not None and abs(head - base) > _MARGIN_MOVE:
        yield Difference(what="tolerance used", before=figures.ratio(base), after=figures.ratio(head))


def _output_difference(base: FileResult, head: FileResult) -> Iterator[Difference]:
    gone, new = _gone_and_new([output.name for output in base.outputs], [output.name for output in head.outputs])
    # A file that did not run has no outputs to compare.
    if base.outputs and head.outputs and (gone or new):
        yield Difference(what="outputs", before=", ".join(gone), after=", ".join(new), breaking=bool(gone))


def _axis_difference(base: list[AxisResult], head: list[AxisResult]) -> Iterator[Difference]:
    gone, new = _gone_and_new([_axis(axis) for axis in base], [_axis(axis) for axis in head])
    if base and head and (gone or new):
        inputs_changed = {axis.input for axis in base} != {axis.input for axis in head}
        breaking = bool(gone) or inputs_changed
        yield Difference(what="dynamic axes", before=", ".join(gone), after=", ".join(new), breaking=breaking)


def _gone_and_new(base: list[str], head: list[str]) -> tuple[list[str], list[str]]:
    gone, new = set(base) - set(head), set(head) - set(base)
    return [name for name in base if name in gone], [name for name in head if name in new]


def _axis(axis: AxisResult) -> str:
    return f"{axis.input}[{figures.integer(axis.axis)}] {axis.name}"


def _megabytes(count: int) -> str:
    return figures.megabytes(count).replace("\u00a0", " ")
