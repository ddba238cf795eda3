"""From what was measured to what is said: the words of a case, and why a file does not pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onnx_export_action.proving.candidate.stopping import RuntimeStoppedError
from onnx_export_action.proving.measures.metrics import Comparison
from onnx_export_action.vocabulary.demands import Measure, Shortfall, shortfall
from onnx_export_action.vocabulary.names.components import runtime_of
from onnx_export_action.vocabulary.results import (
    AxisResult,
    CaseProblem,
    CaseResult,
    Cause,
    Failure,
    GenerationResult,
    OutputResult,
    Stage,
    Verdict,
)

_LOSS_HINT = (
    "keep some of its nodes in float32 (`high_precision`; `auto` finds them), leave the variant out, or declare what "
    "is enough (`tolerance`)"
)
_MOST_NAMES = 4
_MOST_SHORTFALLS = 3
_MOST_WEIGHTS = 3


@dataclass(frozen=True)
class Evidence:
    """All that the verdict on a file rests on.

    ``misstored`` are weights that a variant stores otherwise than its fp32 file; ``stopped_generating`` is what the
    runtime said when it stopped while generating.
    """

    variant: str
    cases: Sequence[CaseResult] = ()
    outputs: Sequence[OutputResult] = ()
    axes: Sequence[AxisResult] = ()
    generation: GenerationResult | None = None
    stopped_generating: str | None = None
    active_dropouts: Sequence[str] = field(default=())
    misstored: Sequence[str] = field(default=())


def why_not_proven(evidence: Evidence) -> Failure | None:
    """The gravest reason why a file that ran is not proven; None where there is none."""
    return (
        _misstored(evidence)
        or _failing_cases(evidence.cases)
        or _loss(evidence)
        or _generation(evidence)
        or _vacuous(evidence.outputs)
        or _unproven_axes(evidence.axes)
        or _dropouts(evidence.active_dropouts)
    )


def failure(message: str, hint: str | None = None, cause: Cause | None = None) -> Failure:
    """A failure of the validation."""
    return Failure(stage=Stage.VALIDATE, message=message, hint=hint, cause=cause)


def _misstored(evidence: Evidence) -> Failure | None:
    if not evidence.misstored:
        return None
    names = _named(evidence.misstored, _MOST_WEIGHTS)
    return failure(
        f"it stores {names} otherwise than the fp32 file does",
        "the file is damaged, or of another model: make it again",
        Cause.VALUES,
    )


def _failing_cases(cases: Sequence[CaseResult]) -> Failure | None:
    failing = [case for case in cases if case.verdict is not Verdict.PASS]
    if not failing:
        return None
    worst = max(failing, key=lambda case: case.margin or 0.0)
    return failure(f"{len(failing)} of {len(cases)} cases fail; the worst, {worst.id}: {worst.message}")


def _loss(evidence: Evidence) -> Failure | None:
    losses = [(output.name, loss) for output in evidence.outputs if (loss := shortfall(output)) is not None]
    if not losses:
        return None
    words = "; ".join(_loss_words(name, loss) for name, loss in losses[:_MOST_SHORTFALLS])
    return failure(f"the variant {evidence.variant} loses too much: {words}", _LOSS_HINT)


def _loss_words(output: str, loss: Shortfall) -> str:
    if loss.found is None:
        return f"the {loss.measure.value} of {output} cannot be told, {loss.wanted:g} is needed"
    if loss.measure is Measure.COSINE:
        return f"the cosine of {output} is {loss.found:.6f}, {loss.wanted:g} is needed"
    if loss.measure is Measure.AGREEMENT:
        return f"{output} chooses the same in {loss.found:.2%} of the rows, {loss.wanted:.2%} are needed"
    known = "" if loss.cost_db is None else f"; PyTorch, rounded alike, keeps {loss.cost_db:.1f} dB"
    return (
        f"{output} keeps {loss.found:.1f} dB of signal over noise, {loss.wanted:.1f} dB are needed"
        f" ({loss.source}{known})"
    )


def _generation(evidence: Evidence) -> Failure | None:
    hint = "single calls are right, a chain of calls through the file's own cache is not"
    if evidence.stopped_generating is not None:
        return failure(f"greedy generation does not run to its end: {evidence.stopped_generating}", hint, Cause.PAST)
    if evidence.generation is None or evidence.generation.equal:
        return None
    return failure(f"greedy generation differs: {evidence.generation.first_difference}", hint, Cause.PAST)


def _vacuous(outputs: Sequence[OutputResult]) -> Failure | None:
    names = [output.name for output in outputs if output.vacuous]
    if not names:
        return None
    return failure(
        f"the check is vacuous for {', '.join(names)}: PyTorch's own output does not vary with the input",
        "the weights carry no signal; use trained weights, or `weights: random`, which spreads them",
        Cause.VALUES,
    )


def _unproven_axes(axes: Sequence[AxisResult]) -> Failure | None:
    names = sorted({axis.name for axis in axes if not axis.proven})
    return failure(f"axes declared dynamic but not proven: {', '.join(names)}", cause=Cause.AXIS) if names else None


def _dropouts(names: Sequence[str]) -> Failure | None:
    if not names:
        return None
    return failure(
        f"dropout is left on in {', '.join(names[:_MOST_NAMES])}",
        "ONNX Runtime passes over it, other runtimes would not: export the model in evaluation mode",
        Cause.VALUES,
    )


def _named(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


# --- the words of one case --------------------------------------------------------------------------------------------


def stop_message(path: Path, stop: RuntimeStoppedError) -> str:
    """What is said of a case that the runtime stopped in."""
    return f"{runtime_of(path)} stopped: {stop.words}"


def case_message(output: str, comparison: Comparison) -> str | None:
    """What is said of a case by its worst output; None where that is right."""
    other = comparison.other_kind
    if other is not None:
        what = "shape" if other.problem is CaseProblem.SHAPE else "dtype"
        return f"{output}: {what} {other.found} where PyTorch gives {other.expected}"
    if comparison.nan_mismatch:
        return f"{output}: NaN or Inf where PyTorch has none, or the reverse, in {comparison.nan_mismatch} places"
    if comparison.problem is None:
        return None
    if comparison.element_margin <= 1.0:
        return (
            f"{output}: no single value differs by more than its tolerance (at most {comparison.max_abs:.2e}), but the "
            f"root mean square of the differences, {comparison.rms_abs:.2e}, is {comparison.margin:.3g} times what is "
            "allowed: all values are a little wrong"
        )
    return f"{output} differs by up to {comparison.max_abs:.2e}, {comparison.margin:.3g} times its tolerance"
