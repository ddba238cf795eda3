"""What is wrong with an export, or doubtful about it, in sentences."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from itertools import islice

from onnx_export_action.report import figures
from onnx_export_action.report.actions import action_for_file, action_for_target
from onnx_export_action.report.escape import NAME_LIMIT, PROSE_LIMIT, Markdown, block, code, command, visible
from onnx_export_action.report.verdicts import State, file_state, target_state, worst_margin
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.results import (
    AxisResult,
    CaseResult,
    Failure,
    FileResult,
    OutputResult,
    TargetResult,
    Verdict,
)

NEAR_MISS = 0.5

# Beyond these a list says how many more there are: result.json has them all.
_MOST_FILES = 4
_MOST_NAMES = 5
_MOST_AXES = 8
_MOST_NOTES = 10
_SHAPE_LIMIT = 160


@dataclasses.dataclass(frozen=True)
class FileFailure:
    """One file that is not proven, or the target as a whole: bullets, and the error's own words as a fenced block."""

    title: Markdown
    points: list[Markdown]
    message: Markdown | None


@dataclasses.dataclass(frozen=True)
class TargetFailure:
    """One target that is not proven, and the command (a fenced block) that shows it again."""

    title: Markdown
    files: list[FileFailure]
    more_files: int
    command: Markdown | None


def target_failure(result: TargetResult) -> TargetFailure:
    """Everything that the report says of a target that failed or did not run."""
    wrong = [file for file in result.files if file_state(file) in (State.FAILED, State.ERROR)]
    told = {file.failure.message for file in wrong[:_MOST_FILES] if file.failure is not None}
    whole = result.failure if result.failure is not None and result.failure.message not in told else None
    return TargetFailure(
        title=Markdown(f"{target_state(result).icon} {code(result.target)}"),
        files=[*_whole_failure(result, whole), *(_file_failure(result, file) for file in wrong[:_MOST_FILES])],
        more_files=max(len(wrong) - _MOST_FILES, 0),
        command=command(result.reproduce) if result.reproduce is not None else None,
    )


def warnings(result: TargetResult) -> Iterator[Markdown]:
    """What a reader should know of a target beside its verdict, each with the target's name."""
    name = code(result.target)
    for file in result.files:
        for doubt in _doubts(file) if file_state(file) <= State.UNVALIDATED else ():
            yield Markdown(f"{name} {code(file.path)}: {doubt}")
    if result.model.weights is Weights.RANDOM:
        seed = figures.integer(result.seed)
        yield Markdown(f"{name}: random weights (seed {seed}): the architecture is checked, not a trained model")
    for note in result.notes[:_MOST_NOTES]:
        yield Markdown(f"{name}: {code(note, PROSE_LIMIT)}")
    if len(result.notes) > _MOST_NOTES:
        yield Markdown(f"{name}: and {len(result.notes) - _MOST_NOTES} more notes")


def shape_words(case: CaseResult) -> Markdown:
    """A case's shape as ``batch_size 2, sequence_length 17``."""
    axes = [
        f"{visible(name, _SHAPE_LIMIT)} {figures.integer(size)}"
        for name, size in islice(case.shape.items(), _MOST_AXES)
    ]
    return code(", ".join(axes), _SHAPE_LIMIT) if axes else figures.NOTHING


def _whole_failure(result: TargetResult, failure: Failure | None) -> Iterator[FileFailure]:
    if failure is not None:
        title = Markdown(f"Stopped at the stage *{failure.stage.value}*")
        points = [*_evidence(failure), _what_to_do(action_for_target(result, failure))]
        yield FileFailure(title=title, points=points, message=block(failure.message))


def _file_failure(result: TargetResult, file: FileResult) -> FileFailure:
    points = [*_value_points(file.outputs), *_case_points(file.cases), *_generation_points(file)]
    if file_state(file) is State.FAILED:
        points += _doubts(file)
    if file.failure is not None:
        points += _evidence(file.failure)
    points.append(_what_to_do(action_for_file(result, file)))
    return FileFailure(
        title=Markdown(f"{file_state(file).icon} {code(file.path)}"),
        points=points,
        message=block(file.failure.message) if file.failure is not None else None,
    )


def _value_points(outputs: Sequence[OutputResult]) -> Iterator[Markdown]:
    wrong = sorted((output for output in outputs if worst_margin(output) > 1), key=worst_margin, reverse=True)
    for output in wrong[:_MOST_NAMES]:
        yield _value_point(output)
    if len(wrong) > _MOST_NAMES:
        yield Markdown(f"and {len(wrong) - _MOST_NAMES} more outputs differ")


def _value_point(output: OutputResult) -> Markdown:
    parts = []
    if output.margin is not None and 1 < output.margin < math.inf:
        allowed, error = figures.tolerance(output.atol, output.rtol), figures.error(output.max_abs)
        parts.append(f"{figures.ratio(output.margin)} times the tolerance ({allowed}), error up to {error}")
    if output.nan_mismatch:
        places = figures.integer(output.nan_mismatch)
        parts.append(f"NaN or infinite in {places} places in one of the two and not in the other")
    if output.argmax_agreement is not None and output.argmax_agreement < 1:
        parts.append(
            f"the largest value is in the same place in {figures.percent(output.argmax_agreement)} of the rows"
        )
    return Markdown(f"{code(output.name)}: {'; '.join(parts)}")


def _case_points(cases: Sequence[CaseResult]) -> Iterator[Markdown]:
    for verdict, words in ((Verdict.FAIL, "differ"), (Verdict.ERROR, "did not run")):
        wrong = [case for case in cases if case.verdict is verdict]
        if wrong:
            first = wrong[0]
            said = f": {code(first.message, PROSE_LIMIT)}" if first.message else ""
            place = f"{code(first.id)} ({shape_words(first)}, mask {code(first.mask)})"
            yield Markdown(f"{len(wrong)} of {len(cases)} cases {words}, first {place}{said}")


def _generation_points(file: FileResult) -> Iterator[Markdown]:
    if file.generation is not None and not file.generation.equal:
        difference = code(file.generation.first_difference or "not recorded", PROSE_LIMIT)
        yield Markdown(f"greedy generation differs from PyTorch's; first difference: {difference}")


def _doubts(file: FileResult) -> list[Markdown]:
    """Reasons to trust a file less than its verdict says; the files that did not run have better ones."""
    return [*_unmeasured(file), *_vacuous(file.outputs), *_unproven(file.axes), *_near_misses(file.outputs)]


def _unmeasured(file: FileResult) -> Iterator[Markdown]:
    if not file.cases:
        yield Markdown("exported, but not validated: no case was run")


def _vacuous(outputs: Sequence[OutputResult]) -> Iterator[Markdown]:
    if names := [output.name for output in outputs if output.vacuous]:
        said = "does not vary" if len(names) == 1 else "do not vary"
        yield Markdown(f"vacuous: {_names(names)} {said} with the input, so that agreement proves nothing")


def _unproven(axes: Sequence[AxisResult]) -> Iterator[Markdown]:
    unproven = [
        f"{visible(axis.input, NAME_LIMIT)}[{figures.integer(axis.axis)}] {axis.name}"
        for axis in axes
        if not axis.proven
    ]
    if unproven:
        yield Markdown(f"not proven to be dynamic: {_names(unproven)}; no passing case varied it alone")


def _near_misses(outputs: Sequence[OutputResult]) -> Iterator[Markdown]:
    close = sorted(
        (output for output in outputs if NEAR_MISS < worst_margin(output) <= 1), key=worst_margin, reverse=True
    )
    for output in close[:_MOST_NAMES]:
        yield Markdown(f"near miss: {code(output.name)} uses {figures.margin(output.margin)} of its tolerance")
    if len(close) > _MOST_NAMES:
        yield Markdown(f"and {len(close) - _MOST_NAMES} more near misses")


def _evidence(failure: Failure) -> Iterator[Markdown]:
    if failure.cause is not None:
        why = f": {code(failure.hint, PROSE_LIMIT)}" if failure.hint else ""
        yield Markdown(f"kind of cause: **{failure.cause.value}**{why}")
    if failure.trigger:
        yield Markdown(f"smallest input that shows it: {code(failure.trigger, PROSE_LIMIT)}")
    if failure.first_divergent_layer:
        yield Markdown(f"first layer that differs: {code(failure.first_divergent_layer, PROSE_LIMIT)}")
    if failure.repro:
        yield Markdown(f"files to reproduce it: {code(failure.repro, PROSE_LIMIT)}")


def _what_to_do(action: Markdown) -> Markdown:
    return Markdown(f"**what to do:** {action}")


def _names(names: Sequence[str]) -> str:
    listed = ", ".join(code(name) for name in names[:_MOST_NAMES])
    return f"{listed} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else listed
