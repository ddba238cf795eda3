"""The very file that ships, in ONNX Runtime as users run it, against what the reference left: one file, one result.

In order: what the file says of itself, its session, its interface, every case, its axes, greedy generation, the weights
of a variant; then the verdict. Imports numpy and onnxruntime, never torch.
"""

from __future__ import annotations

import hashlib
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.candidate.axes import proven_axes
from onnx_export_action.proving.candidate.cases import CheckedCases, ReferenceCase, check_cases, declared_shape
from onnx_export_action.proving.candidate.conclusions import Evidence, failure, stop_message, why_not_proven
from onnx_export_action.proving.candidate.generation import generate, word_errors
from onnx_export_action.proving.candidate.graph_facts import GraphFacts, graph_facts
from onnx_export_action.proving.candidate.interface import interface_problem
from onnx_export_action.proving.candidate.session import Candidate, open_session
from onnx_export_action.proving.candidate.standards import OutputStandard, standards_of
from onnx_export_action.proving.candidate.stopping import RuntimeStoppedError
from onnx_export_action.proving.explaining.diagnosis import File, Tried, diagnose
from onnx_export_action.proving.precision.stored_weights import misstored_weights
from onnx_export_action.proving.records import CandidateFile, CaseRecord, CheckedFile, ReferenceReader
from onnx_export_action.vocabulary.names.components import runtime_of
from onnx_export_action.vocabulary.options import Tolerances
from onnx_export_action.vocabulary.results import (
    STOPS,
    AxisResult,
    CaseResult,
    Cause,
    Failure,
    FileResult,
    GenerationResult,
    InputResult,
    TaskMetricResult,
    Verdict,
)
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT

_FEWEST_CALLS, _MOST_CALLS, _TIMED_SECONDS = 3, 50, 0.3
_NOTHING = CheckedCases([], [], [], [])


def check_file(declared: Tolerances, file: CandidateFile, reference_folder: Path) -> CheckedFile:
    """Run every case through the file and judge it, with the tolerances that are ``declared`` for it."""
    started = time.perf_counter()
    facts, sha256 = graph_facts(file.path), _sha256(file.path)
    reader = ReferenceReader(reference_folder)
    findings = _changed(file, sha256) or _findings(declared, file, facts, reader)
    external = _external(file.path, facts)
    result = FileResult(
        path=file.name,
        bytes=sum(path.stat().st_size for path in (file.path, *external)),
        sha256=sha256,
        external_sha256=[_sha256(path) for path in external],
        variant=file.variant,
        engine=file.engine,
        opset=file.opset or facts.opset,
        inputs=[
            InputResult(name=value.name, dtype=value.element_type, shape=declared_shape(value))
            for value in facts.inputs
        ],
        operators=facts.operators,
        verdict=findings.verdict,
        failure=findings.failure,
        cases=findings.checked.cases,
        outputs=findings.checked.outputs,
        similarities=findings.checked.similarities,
        task_metrics=[*findings.checked.task_metrics, *findings.word_errors],
        axes=findings.axes,
        generation=findings.generation,
        call_ms=findings.call_ms,
    )
    return CheckedFile(
        result=result,
        seconds=time.perf_counter() - started - reader.seconds_waited,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


@dataclass(frozen=True)
class _Findings:
    """What running a file showed, and the verdict on it."""

    verdict: Verdict
    failure: Failure | None
    checked: CheckedCases = _NOTHING
    axes: list[AxisResult] = field(default_factory=list)
    generation: GenerationResult | None = None
    word_errors: list[TaskMetricResult] = field(default_factory=list)
    call_ms: float | None = None


def _changed(file: CandidateFile, sha256: str) -> _Findings | None:
    if file.sha256 in (None, sha256):
        return None
    reason = failure("the file changed after it was written", "something else writes to the output folder", Cause.FILE)
    return _Findings(Verdict.ERROR, reason)


def _findings(declared: Tolerances, file: CandidateFile, facts: GraphFacts, reader: ReferenceReader) -> _Findings:
    try:
        session = open_session(file.path)  # while the reference still runs
    except RuntimeStoppedError as stop:
        reason = failure(f"{runtime_of(file.path)} does not load the file: {stop.words}", cause=Cause.FILE)
        return _Findings(Verdict.ERROR, reason)
    candidate = Candidate(file.path, session, [reader.component(name) for name in file.components])
    problem = interface_problem(candidate, file.variant, facts, reader.folder)
    if problem is not None:
        return _Findings(Verdict.FAIL, problem)
    return _judged(file, facts, candidate, standards_of(declared, file, candidate.records), reader)


def _judged(
    file: CandidateFile,
    facts: GraphFacts,
    candidate: Candidate,
    standards: dict[str, OutputStandard],
    reader: ReferenceReader,
) -> _Findings:
    checked = check_cases(candidate, standards, facts.outputs, reader.folder)
    axes = proven_axes(candidate.records, _passed(candidate, checked.cases))
    generated, stop = None, None
    if all(case.verdict is Verdict.PASS for case in checked.cases):
        try:
            generated = generate(file, candidate, standards, reader)
        except RuntimeStoppedError as error:
            stop = stop_message(file.path, error)
    evidence = Evidence(
        variant=file.variant,
        cases=checked.cases,
        outputs=checked.outputs,
        axes=axes,
        generation=None if generated is None else generated.result,
        stopped_generating=stop,
        active_dropouts=facts.active_dropouts,
        misstored=_misstored(file),
    )
    reason = why_not_proven(evidence)
    if reason is not None and not evidence.misstored:
        reason = _with_diagnosis(reason, candidate, checked.cases, standards, facts, reader.folder)
    return _Findings(
        verdict=Verdict.PASS if reason is None else Verdict.FAIL,
        failure=reason,
        checked=checked,
        axes=axes,
        generation=evidence.generation,
        word_errors=[] if generated is None else list(word_errors(candidate.records[0], generated)),
        call_ms=_milliseconds(candidate, checked.cases, reader.folder) if file.timed else None,
    )


def _passed(candidate: Candidate, cases: Sequence[CaseResult]) -> list[list[bool]]:
    """Of each component's cases in order whether they passed."""
    verdicts = iter(cases)
    return [[next(verdicts).verdict is Verdict.PASS for _ in record.cases] for record in candidate.records]


def _misstored(file: CandidateFile) -> list[str]:
    """Weights of a variant that are not those of the fp32 file beside it."""
    if file.variant == REFERENCE_VARIANT or file.exact is None:
        return []
    return misstored_weights(file.path, file.exact)


def _with_diagnosis(
    reason: Failure,
    candidate: Candidate,
    cases: Sequence[CaseResult],
    standards: dict[str, OutputStandard],
    facts: GraphFacts,
    references: Path,
) -> Failure:
    """The reason with the kind of cause that the failing cases show, where there are any."""
    if all(case.verdict is Verdict.PASS for case in cases):
        return reason
    recorded = [(record, case) for record in candidate.records for case in record.cases]
    tried = [
        Tried(record, case, result, ReferenceCase.read(case, references).inputs, partial(_expected, case, references))
        for (record, case), result in zip(recorded, cases, strict=True)
    ]
    file = File(
        run=candidate.run,
        tolerances={name: standard.tolerance for name, standard in standards.items()},
        random_operators=[*facts.random_operators, *facts.active_dropouts],
    )
    diagnosis = diagnose(tried, file)
    return msgspec.structs.replace(reason, cause=diagnosis.cause, hint=diagnosis.hint)


def _expected(case: CaseRecord, references: Path) -> Arrays:
    return ReferenceCase.read(case, references).expected


def _milliseconds(candidate: Candidate, cases: Sequence[CaseResult], references: Path) -> float | None:
    """The median of one call of the first case; None of a file that stopped in some case."""
    if any(case.problem in STOPS for case in cases):
        return None
    record = candidate.records[-1]
    inputs = ReferenceCase.read(record.cases[0], references).inputs
    seconds: list[float] = []
    while len(seconds) < _FEWEST_CALLS or (len(seconds) < _MOST_CALLS and sum(seconds) < _TIMED_SECONDS):
        started = time.perf_counter()
        candidate.run(record, inputs)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


def _external(path: Path, facts: GraphFacts) -> list[Path]:
    """The files beside ``path`` that it reads weights from, as far as they are there."""
    found = (path.parent / location for location in facts.external_data if location == Path(location).name)
    return [file for file in found if file.is_file()]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
