"""Runs every case of a file and compares what it gives with what PyTorch gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from safetensors.numpy import load_file

from onnx_export_action.graphs.reader import Value
from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.candidate.conclusions import case_message, stop_message
from onnx_export_action.proving.candidate.session import Candidate
from onnx_export_action.proving.candidate.standards import OutputStandard
from onnx_export_action.proving.candidate.stopping import RuntimeStoppedError
from onnx_export_action.proving.measures.metrics import Comparison, Element, OutputMetrics
from onnx_export_action.proving.measures.positions import valid_positions
from onnx_export_action.proving.measures.ranking import in_expected_order
from onnx_export_action.proving.measures.similarity import sample_similarities
from onnx_export_action.proving.measures.task_metrics import Answer, TaskMetric, task_metrics_of
from onnx_export_action.proving.records import INPUT_PREFIX, OUTPUT_PREFIX, RANKING, CaseRecord, ComponentRecord
from onnx_export_action.vocabulary.results import (
    CaseOutputResult,
    CaseProblem,
    CaseResult,
    ElementResult,
    OutputResult,
    SimilarityResult,
    TaskMetricResult,
    Verdict,
)


@dataclass(frozen=True)
class CheckedCases:
    """What came of all cases of a file, in the order of its components, and the figures over them."""

    cases: list[CaseResult]
    outputs: list[OutputResult]
    similarities: list[SimilarityResult]
    task_metrics: list[TaskMetricResult]


@dataclass(frozen=True)
class ReferenceCase:
    """A case as its file holds it: what goes in, and what PyTorch gives."""

    inputs: Arrays
    expected: Arrays
    ranking: Arrays

    @classmethod
    def read(cls, case: CaseRecord, folder: Path) -> ReferenceCase:
        """Read a case from the reference's folder."""
        arrays = load_file(folder / case.file)
        return cls(
            inputs={name.removeprefix(INPUT_PREFIX): a for name, a in arrays.items() if name.startswith(INPUT_PREFIX)},
            expected={
                name.removeprefix(OUTPUT_PREFIX): a for name, a in arrays.items() if name.startswith(OUTPUT_PREFIX)
            },
            ranking={RANKING: arrays[RANKING]} if RANKING in arrays else {},
        )


def check_cases(
    candidate: Candidate, standards: Mapping[str, OutputStandard], declared: Sequence[Value], folder: Path
) -> CheckedCases:
    """Run every case of every component; ``declared`` are the outputs as the file declares them."""
    meters = _Meters(candidate.records, standards)
    cases = [
        _checked(candidate, record, case, ReferenceCase.read(case, folder), declared, meters)
        for record in candidate.records
        for case in record.cases
    ]
    return CheckedCases(cases, meters.outputs(declared), meters.similarities, meters.task_metrics())


def _checked(
    candidate: Candidate,
    record: ComponentRecord,
    case: CaseRecord,
    reference: ReferenceCase,
    declared: Sequence[Value],
    meters: _Meters,
) -> CaseResult:
    named = case.id if len(candidate.records) == 1 else f"{record.name} {case.id}"
    failed = CaseResult(id=named, shape=case.shape, mask=case.mask, verdict=Verdict.FAIL)
    try:
        found = candidate.run(record, reference.inputs, list(reference.expected))
    except RuntimeStoppedError as stop:
        problem = CaseProblem.STOPPED_OVER_SIZES if stop.over_sizes else CaseProblem.STOPPED
        message = stop_message(candidate.path, stop)
        return msgspec.structs.replace(failed, problem=problem, message=message)
    if reference.ranking:
        found = in_expected_order(reference.expected, found, reference.ranking[RANKING])
    untrue = _untrue_declaration(declared, found)
    if untrue is not None:
        return msgspec.structs.replace(failed, problem=CaseProblem.DECLARATION, message=untrue)
    comparisons = meters.add(record, case, named, reference, found)
    worst = max(comparisons, key=lambda name: _severity(comparisons[name]))
    comparison = comparisons[worst]
    return msgspec.structs.replace(
        failed,
        verdict=Verdict.PASS if comparison.passed else Verdict.FAIL,
        problem=comparison.problem,
        worst_output=worst,
        max_abs=comparison.max_abs,
        margin=comparison.margin,
        message=case_message(worst, comparison),
        outputs=[_case_output(name, one) for name, one in comparisons.items()],
    )


def _untrue_declaration(declared: Sequence[Value], found: Arrays) -> str | None:
    """An output whose axis the file declares fixed at a size that it has not: who allocates by that is wrong."""
    for value in declared:
        sizes = value.shape or ()
        if value.name not in found or len(sizes) != found[value.name].ndim:
            continue
        for axis, (size, real) in enumerate(zip(sizes, found[value.name].shape, strict=True)):
            if isinstance(size, int) and size != real:
                return f"axis {axis} of output {value.name} is declared fixed at {size}, and its size is {real}"
    return None


def _severity(comparison: Comparison) -> tuple[bool, int, float]:
    return comparison.other_kind is not None, comparison.nan_mismatch, comparison.margin


class _Meters:
    """Collects the figures over all cases: of each output, of the task, of the sample texts."""

    def __init__(self, records: Sequence[ComponentRecord], standards: Mapping[str, OutputStandard]) -> None:
        self.similarities: list[SimilarityResult] = []
        self._standards = standards
        self._outputs = {
            name: OutputMetrics(standard.tolerance, counts_argmax="logits" in name)
            for name, standard in standards.items()
        }
        self._tasks: dict[str, list[TaskMetric]] = {record.name: task_metrics_of(record) for record in records}

    def add(
        self, record: ComponentRecord, case: CaseRecord, named: str, reference: ReferenceCase, found: Arrays
    ) -> dict[str, Comparison]:
        """Count one case; returns how each output compares."""
        inputs, expected = reference.inputs, reference.expected
        comparisons = {}
        for name, array in expected.items():
            valid = valid_positions(inputs, array, record.outputs[name].axes, record.inputs)
            comparisons[name] = self._outputs[name].add(array, found[name], valid, named)
        self.similarities += sample_similarities(case.texts, inputs, expected, found)
        if all(one.other_kind is None and not one.nan_mismatch for one in comparisons.values()):
            for metric in self._tasks[record.name]:
                metric.add(Answer(record, inputs, expected, found))
        return comparisons

    def task_metrics(self) -> list[TaskMetricResult]:
        """The figures of the task, over all components."""
        return [one for metrics in self._tasks.values() for metric in metrics for one in metric.results()]

    def outputs(self, declared: Sequence[Value]) -> list[OutputResult]:
        """Every output, with what the file declares of it."""
        values = {value.name: value for value in declared}
        return [_output(standard, self._outputs[name], values.get(name)) for name, standard in self._standards.items()]


def _output(standard: OutputStandard, metrics: OutputMetrics, declared: Value | None) -> OutputResult:
    tolerance = standard.tolerance
    return OutputResult(
        name=standard.name,
        atol=tolerance.atol,
        rtol=tolerance.rtol,
        max_abs=metrics.max_abs,
        mean_abs=metrics.mean_abs,
        p99_abs=metrics.p99_abs,
        max_rel=metrics.max_rel,
        cosine=metrics.cosine,
        sqnr_db=metrics.sqnr_db,
        argmax_agreement=metrics.argmax_agreement,
        top5_agreement=metrics.top5_agreement,
        worst=_element(metrics.worst),
        nan_mismatch=metrics.nan_mismatch,
        margin=metrics.margin,
        vacuous=standard.is_vacuous,
        padded_max_abs=metrics.padded_max_abs,
        tolerance_source=tolerance.source,
        max_rms=metrics.max_rms,
        rms_tolerance=tolerance.rms,
        noise=tolerance.noise,
        rms_noise=tolerance.rms_noise,
        noise_multiple=tolerance.multiple,
        rms_noise_multiple=tolerance.rms_multiple,
        noise_floor=tolerance.floor,
        rms_noise_floor=tolerance.rms_floor,
        quality=standard.quality,
        error_decades=metrics.error_decades,
        dtype=declared.element_type if declared is not None else None,
        shape=declared_shape(declared) if declared is not None else [],
    )


def declared_shape(value: Value) -> list[int | str]:
    """Sizes and names of axes; an axis without either has no name."""
    return ["" if size is None else size for size in value.shape or ()]


def _case_output(name: str, comparison: Comparison) -> CaseOutputResult:
    agreement = comparison.agreement
    return CaseOutputResult(
        name=name,
        margin=comparison.margin,
        max_abs=comparison.max_abs,
        mean_abs=comparison.mean_abs,
        rms_abs=comparison.rms_abs,
        p99_abs=comparison.p99_abs,
        max_rel=comparison.max_rel,
        cosine=comparison.cosine,
        sqnr_db=comparison.sqnr_db,
        argmax_agreement=None if agreement is None else agreement.argmax,
        top5_agreement=None if agreement is None else agreement.same_five,
        nan_mismatch=comparison.nan_mismatch,
        nan_places=[list(place) for place in comparison.nan_places],
        padded_max_abs=comparison.padded_max_abs,
        worst=_element(comparison.worst, with_case=False),
    )


def _element(element: Element | None, *, with_case: bool = True) -> ElementResult | None:
    if element is None:
        return None
    return ElementResult(
        index=list(element.index),
        torch=element.reference,
        onnx=element.candidate,
        case=element.case if with_case else None,
    )
