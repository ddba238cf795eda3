"""What a result proves by its numbers, whatever it claims: it may come from a job that ran a stranger's code.

A pass is believed when all that it rests on is there and agrees: every case passes by the errors it states, the errors
of the outputs are those of the cases, the tolerances follow from the noise they name, every axis was varied, and what
the variant must keep is kept. It is a check of a claim against itself: a result that was invented as a whole, with
care, passes. Who made a result is another question.
"""

from __future__ import annotations

import enum
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from onnx_export_action.vocabulary.demands import (
    DEFAULT_RTOL,
    FEW_ELEMENTS,
    NOISE_MULTIPLE,
    RMS_NOISE_MULTIPLE,
    ROUNDING_RTOL,
    shortfall,
)
from onnx_export_action.vocabulary.names.axes import atomic_axes
from onnx_export_action.vocabulary.problems import quoted
from onnx_export_action.vocabulary.results import (
    CaseOutputResult,
    CaseResult,
    ElementResult,
    Failure,
    FileResult,
    OutputResult,
    QualityResult,
    Stage,
    TargetResult,
    ToleranceSource,
    Verdict,
    overall_verdict,
)
from onnx_export_action.vocabulary.variants import VARIANTS

_SHA256 = re.compile(r"[0-9a-f]{64}")
# Errors are of float32 and were rounded on the way to their sums and quotients.
_ROUNDING = 1e-3
_HINT = "do not trust the job that made it: export and prove the model again"


class Doubt(enum.StrEnum):
    """Why a claimed pass is not believed."""

    FAILURE = "it names a failure"
    IDENTITY = "it does not say which file it is of, or which variant"
    NO_CASES = "no case was tried"
    NO_OUTPUTS = "no output was compared"
    NO_INPUTS = "the file has no input"
    TWICE = "something is listed twice"
    CASE_VERDICT = "a case does not pass"
    CASE_NUMBERS = "the numbers of a case contradict each other"
    CASE_OUTPUTS = "a case lacks an output, or has one that the file has not"
    MARGIN = "an error is larger than its tolerance, or is not known"
    NOT_FINITE = "NaN or Inf stands where PyTorch has none, or the reverse"
    OUTPUT_NUMBERS = "the numbers of an output are not those of its cases"
    TOLERANCE = "a tolerance does not follow from where it claims to come from"
    VACUOUS = "an output does not vary with the input"
    AXIS = "an axis that varies is not proven"
    TOKENS = "generation differs"
    QUALITY = "a variant's demands are missing or not met"


@dataclass(frozen=True)
class Objection:
    """A doubt and the name of the case, output, axis or field that raises it."""

    doubt: Doubt
    place: str = ""

    def __str__(self) -> str:
        return f"{self.doubt} ({quoted(self.place)})" if self.place else str(self.doubt)


def proven_verdict(result: TargetResult) -> Verdict:
    """The worst of what a result says of itself and of what its files prove.

    Error where it has no files, names a file twice, passes in spite of a failure, or has a pass that is not believed.
    """
    if result.verdict is Verdict.PASS and result.failure is not None:
        return Verdict.ERROR
    if len({file.path for file in result.files}) < len(result.files):
        return Verdict.ERROR
    proven = [file.verdict if objection_to(file) is None else Verdict.ERROR for file in result.files]
    return overall_verdict([result.verdict, overall_verdict(proven)])


def objection_to(file: FileResult) -> Objection | None:
    """The first reason not to believe a file's pass; None where it holds, and of a file that claims none."""
    return next(objections(file), None) if file.verdict is Verdict.PASS else None


def believed(result: TargetResult) -> TargetResult:
    """The result with the verdicts that its evidence carries; what is not believed becomes an error with the reason."""
    files = [_believed_file(file) for file in result.files]
    verdict = proven_verdict(result)
    return result if verdict is result.verdict else msgspec.structs.replace(result, files=files, verdict=verdict)


def _believed_file(file: FileResult) -> FileResult:
    objection = objection_to(file)
    if objection is None:
        return file
    message = f"the result claims a pass that it does not prove: {objection}"
    failure = file.failure or Failure(stage=Stage.VALIDATE, message=message, hint=_HINT)
    return msgspec.structs.replace(file, verdict=Verdict.ERROR, failure=failure)


def objections(file: FileResult) -> Iterator[Objection]:
    """All reasons not to believe that the file is proven."""
    if file.failure is not None:
        yield Objection(Doubt.FAILURE)
    yield from _of_identity(file)
    yield from _of_presence(file)
    outputs = {output.name: output for output in file.outputs}
    found: dict[str, list[CaseOutputResult]] = {}
    for case in file.cases:
        yield from _of_case(case, outputs)
        for one in case.outputs:
            found.setdefault(one.name, []).append(one)
    for output in file.outputs:
        yield from _of_output(output, found.get(output.name, []))
        yield from _of_tolerance(output, file.variant)
        yield from _of_quality(output, file.variant)
    yield from _of_axes(file)
    yield from _of_generation(file)


def _of_identity(file: FileResult) -> Iterator[Objection]:
    hashes = [file.sha256, *file.external_sha256]
    is_named = file.path and file.bytes > 0 and file.variant in VARIANTS
    if not is_named or not all(_SHA256.fullmatch(one) for one in hashes):
        yield Objection(Doubt.IDENTITY, file.path)


def _of_presence(file: FileResult) -> Iterator[Objection]:
    for things, doubt in (
        (file.cases, Doubt.NO_CASES),
        (file.outputs, Doubt.NO_OUTPUTS),
        (file.inputs, Doubt.NO_INPUTS),
    ):
        if not things:
            yield Objection(doubt)
    for names in (
        [case.id for case in file.cases],
        [output.name for output in file.outputs],
        [value.name for value in file.inputs],
        [f"{axis.input}[{axis.axis}]" for axis in file.axes],
    ):
        name, times = next(iter(Counter(names).most_common(1)), ("", 1))
        if times > 1:
            yield Objection(Doubt.TWICE, name)


# --- cases ------------------------------------------------------------------------------------------------------------


def _of_case(case: CaseResult, outputs: dict[str, OutputResult]) -> Iterator[Objection]:
    if case.verdict is not Verdict.PASS or case.message is not None:
        yield Objection(Doubt.CASE_VERDICT, case.id)
    compared = [one.name for one in case.outputs]
    if not compared or len(compared) != len(set(compared)) or not set(compared) <= outputs.keys():
        yield Objection(Doubt.CASE_OUTPUTS, case.id)
        return
    for one in case.outputs:
        yield from _of_numbers(one.margin, one.nan_mismatch, case.id)
        if one.nan_places:
            yield Objection(Doubt.NOT_FINITE, case.id)
        if not _holds_together(one, outputs[one.name]):
            yield Objection(Doubt.CASE_NUMBERS, case.id)
    worst = {one.name: one for one in case.outputs}.get(case.worst_output or "")
    if (
        worst is None
        or not _same(case.margin, worst.margin)
        or not _same(case.max_abs, worst.max_abs)
        or not _same(case.margin, _largest(one.margin for one in case.outputs))
    ):
        yield Objection(Doubt.CASE_NUMBERS, case.id)


def _of_numbers(margin: float | None, nan_mismatch: int, place: str) -> Iterator[Objection]:
    if margin is None or not 0.0 <= margin <= 1.0:
        yield Objection(Doubt.MARGIN, place)
    if nan_mismatch != 0:
        yield Objection(Doubt.NOT_FINITE, place)


def _holds_together(one: CaseOutputResult, output: OutputResult) -> bool:
    """Whether a case's error, its worst element and its margin say the same; nothing compared has a margin of 0."""
    if one.worst is None:
        return not one.margin and not one.max_abs
    by_size = _element_margin(one.worst, output)
    by_mean = _share(one.rms_abs, output.rms_tolerance)
    error = _error(one.worst)
    sizes = (one.mean_abs, one.rms_abs, one.p99_abs)
    return (
        _same(one.margin, max(by_size, by_mean))
        and one.max_abs is not None
        and error <= one.max_abs * (1 + _ROUNDING)
        and all(size is not None and 0 <= size <= one.max_abs * (1 + _ROUNDING) for size in sizes)
    )


# --- outputs ----------------------------------------------------------------------------------------------------------


def _of_output(output: OutputResult, found: list[CaseOutputResult]) -> Iterator[Objection]:
    yield from _of_numbers(output.margin, output.nan_mismatch, output.name)
    if output.vacuous:
        yield Objection(Doubt.VACUOUS, output.name)
    worst = math.inf if output.worst is None else _element_margin(output.worst, output)
    says_its_worst = _same(output.margin, max(worst, _share(output.max_rms, output.rms_tolerance)))
    if not says_its_worst or not _follows_from_cases(output, found):
        yield Objection(Doubt.OUTPUT_NUMBERS, output.name)


def _follows_from_cases(output: OutputResult, found: list[CaseOutputResult]) -> bool:
    measured = [one for one in found if one.worst is not None]
    largest = (
        (output.margin, _largest(one.margin for one in found)),
        (output.max_abs, _largest(one.max_abs for one in measured)),
        (output.max_rms, _largest(one.rms_abs for one in measured)),
        (output.p99_abs, _largest(one.p99_abs for one in measured)),
    )
    # Means over all cases, and a sum of signals over a sum of noises, lie between those of the cases.
    between = (
        (output.mean_abs, [one.mean_abs for one in measured]),
        (output.sqnr_db, [math.inf if one.sqnr_db is None else one.sqnr_db for one in measured]),
        (output.argmax_agreement, [one.argmax_agreement for one in found if one.argmax_agreement is not None]),
    )
    return all(_same(said, known) for said, known in largest) and all(
        _lies_between(said, known) for said, known in between
    )


def _of_tolerance(output: OutputResult, variant: str) -> Iterator[Objection]:
    numbers = (output.atol, output.rtol, output.rms_tolerance or 0.0)
    if not all(math.isfinite(one) and one >= 0 for one in numbers):
        yield Objection(Doubt.TOLERANCE, output.name)
        return
    noise = (output.noise, output.noise_multiple, output.noise_floor)
    rms_noise = (output.rms_noise, output.rms_noise_multiple, output.rms_noise_floor)
    exact = variant in VARIANTS and VARIANTS[variant].exact
    if output.tolerance_source is ToleranceSource.CALIBRATED and exact:
        by_size, by_mean = _calibrated(*noise, NOISE_MULTIPLE), _calibrated(*rms_noise, RMS_NOISE_MULTIPLE)
        follows = _same(output.atol, by_size) and _same(output.rms_tolerance, by_mean) and output.rtol == ROUNDING_RTOL
    else:  # a declared one, the default one, and that of a coarser variant name no noise
        follows = all(one is None for one in (*noise, *rms_noise, output.rms_tolerance))
        follows &= output.rtol == DEFAULT_RTOL or output.tolerance_source is ToleranceSource.DECLARED or not exact
    if not follows:
        yield Objection(Doubt.TOLERANCE, output.name)


def _calibrated(noise: float | None, multiple: float | None, floor: float | None, least: float) -> float | None:
    if noise is None or multiple is None or floor is None or noise < 0 or floor < 0:
        return None
    most = least * (1 + FEW_ELEMENTS)  # of an output of one number
    return max(multiple * noise, floor) if least <= multiple <= most else None


def _of_quality(output: OutputResult, variant: str) -> Iterator[Objection]:
    row = VARIANTS.get(variant)
    wanted = output.quality
    least = None if row is None else row.least_db
    if shortfall(output) is not None or (least is not None and not _asks_enough(wanted, least)):
        yield Objection(Doubt.QUALITY, output.name)


def _asks_enough(wanted: QualityResult | None, least: float) -> bool:
    """Whether a variant asks for what every file of its kind must keep; who declares less has to say so."""
    if wanted is None or wanted.min_sqnr_db is None:
        return False
    return wanted.source is ToleranceSource.DECLARED or wanted.min_sqnr_db >= least - _ROUNDING


# --- axes and tokens --------------------------------------------------------------------------------------------------


def _of_axes(file: FileResult) -> Iterator[Objection]:
    declared = {
        (value.name, axis): size
        for value in file.inputs
        for axis, size in enumerate(value.shape)
        if isinstance(size, str)
    }
    listed = {(axis.input, axis.axis): axis for axis in file.axes}
    for name, number in declared.keys() - listed.keys():
        yield Objection(Doubt.AXIS, f"{name}[{number}]")
    sizes = _sizes(file.cases)
    for axis in file.axes:
        is_varied = all(len(sizes.get(part, ())) > 1 for part in atomic_axes(axis.name))
        if not axis.proven or not is_varied or (axis.input, axis.axis) not in declared:
            yield Objection(Doubt.AXIS, axis.name)


def _sizes(cases: Iterable[CaseResult]) -> dict[str, set[int]]:
    sizes: dict[str, set[int]] = {}
    for case in cases:
        for name, size in case.shape.items():
            sizes.setdefault(name, set()).add(size)
    return sizes


def _of_generation(file: FileResult) -> Iterator[Objection]:
    found = file.generation
    if found is None:
        return
    tokens = found.prompts * found.tokens
    agreement = found.token_agreement
    # Tokens that differ are ties, or the texts are not equal.
    is_counted = tokens > 0 and _same(agreement, 1 - found.ties / tokens)
    if not found.equal or not is_counted or tokens <= 0 or not 0 <= found.ties <= tokens:
        yield Objection(Doubt.TOKENS, found.first_difference or "")


# --- numbers ----------------------------------------------------------------------------------------------------------


def _error(element: ElementResult) -> float:
    return math.inf if element.torch is None or element.onnx is None else abs(element.onnx - element.torch)


def _element_margin(element: ElementResult, output: OutputResult) -> float:
    error = _error(element)
    allowed = output.atol + output.rtol * abs(element.torch or 0.0)
    return error / allowed if allowed > 0 else 0.0 if error == 0 else math.inf


def _share(size: float | None, allowed: float | None) -> float:
    return (size or 0.0) / allowed if allowed else 0.0


def _largest(numbers: Iterable[float | None]) -> float | None:
    """The largest; None where there is none, infinite where one is not known."""
    known = [math.inf if number is None else number for number in numbers]
    return max(known, default=None)


def _lies_between(said: float | None, known: Sequence[float | None]) -> bool:
    """Where nothing is said, nothing is to be known either: an infinite ratio is not written."""
    numbers = [number for number in known if number is not None]
    if said is None:
        return not any(math.isfinite(number) for number in numbers)
    slack = _ROUNDING * abs(said)
    return bool(numbers) and min(numbers) - slack <= said <= max(numbers) + slack


def _same(said: float | None, known: float | None) -> bool:
    if said is None or known is None:
        return said is None and known is None
    return math.isclose(said, known, rel_tol=_ROUNDING, abs_tol=1e-30)
