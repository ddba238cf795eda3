"""How each export ended, and the one line that a reader sees first."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence

from onnx_export_action.report.escape import Markdown, code
from onnx_export_action.vocabulary.results import FileResult, OutputResult, Stage, TargetResult, Verdict


class State(enum.IntEnum):
    """How an export or one of its files ended, from good to bad."""

    PROVEN = 0
    UNVALIDATED = 1  # it passed, but nothing was measured
    ERROR = 2
    FAILED = 3

    @property
    def icon(self) -> Markdown:
        """The state as one emoji."""
        return _ICONS[self]


_ICONS = {
    State.PROVEN: Markdown("✅"),
    State.UNVALIDATED: Markdown("⚪"),
    State.ERROR: Markdown("⚠️"),
    State.FAILED: Markdown("❌"),
}
_STATES = {Verdict.PASS: State.PROVEN, Verdict.FAIL: State.FAILED, Verdict.ERROR: State.ERROR}
_STAGE_REASONS = {
    Stage.PLAN: "cannot be exported as it is configured",
    Stage.LOAD: "the model could not be loaded",
    Stage.EXPORT: "the export did not run",
    Stage.VALIDATE: "the validation did not run",
    Stage.WRITE: "the result could not be written",
    Stage.PUBLISH: "it could not be published",
}


def file_state(file: FileResult) -> State:
    """What the file's verdict says; a file that passed without a single case is not proven."""
    state = verdict_state(file.verdict)
    return State.UNVALIDATED if state is State.PROVEN and not file.cases else state


def target_state(result: TargetResult) -> State:
    """The worst of what the target says of itself and of what its files say."""
    own = verdict_state(result.verdict)
    if own is State.PROVEN and not result.files:
        return State.UNVALIDATED
    return max(own, *map(file_state, result.files), State.PROVEN)


def worst_margin(output: OutputResult) -> float:
    """The margin to rank an output by: infinite where NaN or infinities disagree, -1 where nothing was measured.

    ``result.json`` has no word for an infinite margin, so only the count of disagreeing places tells.
    """
    if output.nan_mismatch or (output.margin is not None and math.isnan(output.margin)):
        return math.inf
    return -1.0 if output.margin is None else output.margin


def verdict_state(verdict: Verdict) -> State:
    """The state that a verdict alone stands for."""
    return _STATES[verdict]


def headline(results: Sequence[TargetResult]) -> Markdown:
    """The verdict over all results. The only one that is not proven is named, with its reason."""
    unproven = [result for result in results if target_state(result) is not State.PROVEN]
    if len(unproven) != 1:
        return short_headline(results)
    (result,) = unproven
    proven = f" ({_proven(results)})" if len(results) > 1 else ""
    return Markdown(f"{target_state(result).icon} {code(result.target)}: {reason(result)}{proven}")


def short_headline(results: Sequence[TargetResult]) -> Markdown:
    """The verdict in numbers, without any name."""
    states = [target_state(result) for result in results]
    if not states:
        return Markdown(f"{State.ERROR.icon} Nothing ran: there is no result to report")
    worst = max(states)
    if worst is State.PROVEN:
        return Markdown(f"{worst.icon} {_proven(results)}")
    counts = {
        "failed": states.count(State.FAILED),
        "did not run": states.count(State.ERROR),
        "not validated": states.count(State.UNVALIDATED),
        "proven": states.count(State.PROVEN),
    }
    said = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
    return Markdown(f"{worst.icon} {_exports(len(results))}: {said}")


def _proven(results: Sequence[TargetResult]) -> str:
    proven = sum(target_state(result) is State.PROVEN for result in results)
    return f"{proven} of {_exports(len(results))} proven"


def _exports(count: int) -> str:
    return f"{count} export" if count == 1 else f"{count} exports"


def reason(result: TargetResult) -> str:
    """Why an export is not proven, in a few words."""
    state = target_state(result)
    if state is State.UNVALIDATED:
        return "exported, but not validated"
    if state is State.ERROR:
        failures = [result.failure, *(file.failure for file in result.files)]
        return next((_STAGE_REASONS[failure.stage] for failure in failures if failure is not None), "did not run")
    return _difference([file for file in result.files if file_state(file) is State.FAILED])


def _difference(failed: list[FileResult]) -> str:
    differing = sum(_differs(file) for file in failed)
    if differing:
        return "the ONNX file differs from PyTorch" if differing == 1 else f"{differing} ONNX files differ from PyTorch"
    if any(output.vacuous for file in failed for output in file.outputs):
        return "an output never varies, so agreement proves nothing"
    if any(not axis.proven for file in failed for axis in file.axes):
        return "a dynamic axis is not proven"
    return "the validation failed"


def _differs(file: FileResult) -> bool:
    over = any(worst_margin(output) > 1 for output in file.outputs)
    generation = file.generation is not None and not file.generation.equal
    return over or generation or any(case.verdict is not Verdict.PASS for case in file.cases)
