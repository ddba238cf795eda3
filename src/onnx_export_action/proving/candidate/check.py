"""The very file that ships, in ONNX Runtime as users run it, against what the reference left.

Imports numpy and onnxruntime, never torch: this process is what a user's own program looks like.
"""

from __future__ import annotations

import hashlib
import resource
import statistics
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from safetensors.numpy import load_file

from onnx_export_action.graphs.reader import Value
from onnx_export_action.onnx_config.axis_names import atomic_axes
from onnx_export_action.proving.candidate.graph_facts import GraphFacts, graph_facts
from onnx_export_action.proving.cases.grid import Arrays
from onnx_export_action.proving.explaining.diagnosis import STOPPED, File, Tried, diagnose
from onnx_export_action.proving.generation.decoder_only import Generated, check_generation
from onnx_export_action.proving.generation.encoder_decoder import DECODER, ENCODER, check_generation_from_encoder
from onnx_export_action.proving.measures.metrics import Comparison, Element, OutputMetrics, valid_positions
from onnx_export_action.proving.measures.quality import demands, element_tolerance, shortfall, token_tolerance
from onnx_export_action.proving.measures.ranking import in_expected_order
from onnx_export_action.proving.measures.similarity import sample_similarities
from onnx_export_action.proving.measures.task_metrics import SPEECH, Answer, WordErrors, task_metrics_of
from onnx_export_action.proving.measures.tolerance import Tolerance, tolerance_of
from onnx_export_action.proving.precision.stored_weights import misstored_weights
from onnx_export_action.proving.records import (
    INPUT_PREFIX,
    OUTPUT_PREFIX,
    RANKING,
    CandidateFile,
    CaseRecord,
    CheckedFile,
    ComponentRecord,
    GenerationRecord,
    OutputRecord,
    ReferenceReader,
    joined,
)
from onnx_export_action.vocabulary.components import MERGED_DECODER, TORCHSCRIPT_SUFFIX, runtime_of
from onnx_export_action.vocabulary.options import OutputTolerance, Tolerances
from onnx_export_action.vocabulary.results import (
    AxisResult,
    CaseOutputResult,
    CaseResult,
    Cause,
    ElementResult,
    Failure,
    FileResult,
    InputResult,
    OutputResult,
    SimilarityResult,
    Stage,
    TaskMetricResult,
    Verdict,
)
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT, variant_path

_LOSS_HINT = (
    "keep some of its nodes in float32 (`high_precision`; `auto` finds them), leave the variant out, or declare what "
    "is enough (`tolerance`)"
)
USE_CACHE_BRANCH = "use_cache_branch"
_FATAL_ONLY = 4
_FEWEST_CALLS, _MOST_CALLS, _TIMED_SECONDS = 3, 50, 0.3
_MOST_NAMES = 4


def check_file(declared: Tolerances, file: CandidateFile, reference_folder: Path) -> CheckedFile:
    """Run every case through the file and judge it, with the tolerances that are ``declared`` for it."""
    started = time.perf_counter()
    waited = 0.0
    facts = graph_facts(file.path)
    result = FileResult(
        path=file.name,
        bytes=_size(file.path),
        sha256=_sha256(file.path),
        external_sha256=_sha256(_external(file.path)) if _external(file.path).is_file() else None,
        variant=file.variant,
        engine=file.engine,
        opset=file.opset or facts.opset,
        inputs=[InputResult(name=value.name, dtype=value.element_type, shape=_shape(value)) for value in facts.inputs],
        operators=facts.operators,
        verdict=Verdict.ERROR,
    )
    if file.sha256 is not None and file.sha256 != result.sha256:
        result.failure = _failure(
            "the file changed after it was written", "something else writes to the output folder", Cause.FILE
        )
    else:
        waited = _judge(result, declared, file, facts, reference_folder)
    return CheckedFile(
        result=result,
        seconds=time.perf_counter() - started - waited,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _judge(result: FileResult, declared: Tolerances, file: CandidateFile, facts: GraphFacts, folder: Path) -> float:
    """Fill in the result; returns the seconds spent waiting for the reference."""
    try:
        session = open_session(file.path)
    except Exception as error:  # onnxruntime raises its own unexported classes for any unusable file
        result.failure = _failure(
            f"{runtime_of(file.path)} does not load the file: {_first_line(error)}", cause=Cause.FILE
        )
        return 0.0
    reader = ReferenceReader(folder)
    records = [reader.component(name) for name in file.components]
    interface_problem = _interface_problem(session, records) or _dtype_problem(file, facts, records, folder)
    if interface_problem is not None:
        result.verdict = Verdict.FAIL
        result.failure = _failure(*interface_problem)
    else:
        _Check(file, session, declared, records, reader, facts).run(result)
    return reader.seconds_waited


def open_session(path: Path) -> Any:
    """A session with the defaults that users run with: all graph optimisations, CPU; or a TorchScript file like one."""
    if path.suffix == TORCHSCRIPT_SUFFIX:
        # Imported here: torch takes seconds, and what checks an ONNX file is to be as light as a user's program.
        from onnx_export_action.proving.candidate.torchscript_session import TorchScriptSession

        return TorchScriptSession(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def feeds_of(
    session: onnxruntime.InferenceSession,
    records: list[ComponentRecord],
    record: ComponentRecord,
    inputs: Mapping[str, np.ndarray[Any, Any]],
) -> Arrays:
    """What to feed a file that holds the components ``records``, to run one of them.

    A merged decoder takes every input of both branches; those of the other branch are empty.
    """
    feeds = dict(inputs)
    if len(records) == 1:
        return feeds
    with_past = any(name.startswith("past_key_values.") for name in record.inputs)
    batch = next(iter(inputs.values())).shape[0]
    feeds[USE_CACHE_BRANCH] = np.array([with_past])
    for value in session.get_inputs():
        if value.name not in feeds:
            shape = [size if isinstance(size, int) else 0 for size in value.shape]
            feeds[value.name] = np.zeros([batch, *shape[1:]], np.float32)
    return feeds


def _interface_problem(
    session: onnxruntime.InferenceSession, records: list[ComponentRecord]
) -> tuple[str, str | None, Cause] | None:
    taken = [*session.get_inputs(), *session.get_overridable_initializers()]
    shapes = {value.name: value.shape for value in taken}
    wanted_inputs = {name: axes for record in records for name, axes in record.inputs.items()}
    wanted_outputs = {name for record in records for name in record.outputs}
    found_outputs = {value.name for value in session.get_outputs()}
    merged = {USE_CACHE_BRANCH} if len(records) > 1 else set()
    for what, wanted, found in (
        ("input", set(wanted_inputs) | merged, set(shapes)),
        ("output", wanted_outputs, found_outputs),
    ):
        if wanted - found:
            missing = ", ".join(sorted(wanted - found))
            return f"the file has no {what} named {missing}", _found_names(what, found), Cause.NAMES
        if found - wanted and what == "input":
            extra = ", ".join(sorted(found - wanted))
            return f"the file wants inputs that the model does not take: {extra}", None, Cause.NAMES
    for name, axes in wanted_inputs.items():
        problem = _fixed_axis(name, axes, shapes[name])
        if problem is not None:
            return problem, "the axis must be dynamic: it was baked to one size", Cause.AXIS
    return None


def _fixed_axis(name: str, axes: Mapping[int, str], shape: list[int | str | None]) -> str | None:
    for axis, axis_name in axes.items():
        if axis >= len(shape):
            return f"input {name} has {len(shape)} axes; axis {axis} ({axis_name}) is declared dynamic"
        if isinstance(shape[axis], int):
            return f"axis {axis} ({axis_name}) of input {name} is fixed at {shape[axis]}"
    return None


def _dtype_problem(
    file: CandidateFile, facts: GraphFacts, records: list[ComponentRecord], folder: Path
) -> tuple[str, str | None, Cause] | None:
    """An input or output of another type than PyTorch's; of another precision too, unless the variant is for that."""
    wanted: Arrays = {}
    for record in records:
        wanted |= load_file(folder / record.cases[0].file) if record.cases else {}
    for prefix, what, values in ((INPUT_PREFIX, "input", facts.inputs), (OUTPUT_PREFIX, "output", facts.outputs)):
        for value in values:
            array = wanted.get(f"{prefix}{value.name}")
            if array is None or value.element_type == str(array.dtype):
                continue
            if file.variant == REFERENCE_VARIANT or not ("float" in value.element_type and array.dtype.kind == "f"):
                return (
                    f"{what} {value.name} has dtype {value.element_type}; PyTorch's is {array.dtype}",
                    None,
                    Cause.NAMES,
                )
    return None


def _found_names(what: str, found: set[str]) -> str:
    return f"its {what}s are: {', '.join(sorted(found)[:12])}"


class _Check:
    """All cases of one file."""

    def __init__(
        self,
        file: CandidateFile,
        session: onnxruntime.InferenceSession,
        declared: Tolerances,
        records: list[ComponentRecord],
        reader: ReferenceReader,
        facts: GraphFacts,
    ) -> None:
        self._asked = file
        self._path = file.path
        self._facts = facts
        self._session = session
        self._records = records
        self._reader = reader
        names = dict.fromkeys(name for component in records for name in component.outputs)
        self._outputs = {
            name: joined([component.outputs[name] for component in records if name in component.outputs])
            for name in names
        }
        self._exact = {
            name: tolerance_of(declared.of(REFERENCE_VARIANT, name), record) for name, record in self._outputs.items()
        }
        self._demands = {
            name: demands(file.variant, declared.of(file.variant, name), self._exact[name], record)
            for name, record in self._outputs.items()
        }
        self._metrics = {
            name: OutputMetrics(
                self._tolerance(declared.of(file.variant, name), name, record), counts_argmax="logits" in name
            )
            for name, record in self._outputs.items()
        }
        self._task_metrics = {record.name: task_metrics_of(record) for record in records}
        self._similarities: list[SimilarityResult] = []

    def _misstored(self) -> Failure | None:
        """Whether a variant's weights are not those of the fp32 file beside it."""
        exact = self._asked.exact
        if self._asked.variant == REFERENCE_VARIANT or exact is None:
            return None
        problem = misstored_weights(self._path, exact)
        hint = "the file is damaged, or of another model: make it again"
        return None if problem is None else _failure(problem, hint, Cause.VALUES)

    def _tolerance(self, declared: OutputTolerance, output: str, record: OutputRecord) -> Tolerance:
        exact = self._exact[output]
        if self._asked.variant == REFERENCE_VARIANT:
            return exact
        return element_tolerance(self._asked.variant, declared, exact, record)

    def run(self, result: FileResult) -> None:
        for record in self._records:
            result.cases += [self._case(record, case) for case in record.cases]
        result.outputs = [self._output(name) for name in self._metrics]
        result.axes = _axes(self._records, result.cases)
        result.similarities = self._similarities
        result.task_metrics = [one for metrics in self._task_metrics.values() for m in metrics for one in m.results()]
        self._generate(result)
        result.call_ms = self._milliseconds(result) if self._asked.timed else None
        misstored = self._misstored()
        result.failure = misstored or _worst(result, self._facts.active_dropouts)
        failing = any(case.verdict is not Verdict.PASS for case in result.cases)
        if failing and result.failure is not None and misstored is None:
            diagnosis = diagnose(self._tried(result.cases), self._file())
            result.failure.cause, result.failure.hint = diagnosis.cause, diagnosis.hint
        result.verdict = Verdict.PASS if result.failure is None else Verdict.FAIL

    def _milliseconds(self, result: FileResult) -> float | None:
        """The median of one call of the first case."""
        record, case = self._records[-1], self._records[-1].cases[0]
        if any(one.message and one.message.startswith(STOPPED) for one in result.cases):
            return None
        inputs, outputs = self._inputs(case), list(record.outputs)
        seconds: list[float] = []
        while len(seconds) < _FEWEST_CALLS or (len(seconds) < _MOST_CALLS and sum(seconds) < _TIMED_SECONDS):
            started = time.perf_counter()
            self._run(record, inputs, outputs)
            seconds.append(time.perf_counter() - started)
        return 1000 * statistics.median(seconds)

    def _tried(self, checked: list[CaseResult]) -> list[Tried]:
        cases = [(record, case) for record in self._records for case in record.cases]
        return [
            Tried(record, case, result, self._inputs(case), partial(self._expected, case))
            for (record, case), result in zip(cases, checked, strict=True)
        ]

    def _file(self) -> File:
        return File(
            run=lambda record, inputs: self._run(record, inputs, list(record.outputs)),
            tolerances={name: metrics.tolerance for name, metrics in self._metrics.items()},
            random_operators=[*self._facts.random_operators, *self._facts.active_dropouts],
        )

    def _inputs(self, case: CaseRecord) -> Arrays:
        return self._arrays(case, INPUT_PREFIX)

    def _expected(self, case: CaseRecord) -> Arrays:
        return self._arrays(case, OUTPUT_PREFIX)

    def _arrays(self, case: CaseRecord, prefix: str) -> Arrays:
        arrays = load_file(self._reader.folder / case.file)
        return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

    def _case(self, record: ComponentRecord, case: CaseRecord) -> CaseResult:
        arrays = load_file(self._reader.folder / case.file)
        inputs = {name.removeprefix(INPUT_PREFIX): a for name, a in arrays.items() if name.startswith(INPUT_PREFIX)}
        expected = {name.removeprefix(OUTPUT_PREFIX): a for name, a in arrays.items() if name.startswith(OUTPUT_PREFIX)}
        checked = CaseResult(id=self._case_id(record, case), shape=case.shape, mask=case.mask, verdict=Verdict.FAIL)
        try:
            found = self._run(record, inputs, list(expected))
        except Exception as error:  # onnxruntime raises its own unexported classes
            checked.message = f"{runtime_of(self._path)}{STOPPED}{_stopping_words(error)}"
            return checked
        if RANKING in arrays:
            found = in_expected_order(expected, found, arrays[RANKING])
        untrue = self._untrue_declaration(found)
        if untrue is not None:
            checked.message = untrue
            return checked
        comparisons = {
            name: self._compare(record, name, inputs, expected[name], found[name], checked.id) for name in expected
        }
        self._similarities += sample_similarities(case.texts, inputs, expected, found)
        if all(one.problem is None and not one.nan_mismatch for one in comparisons.values()):
            for metric in self._task_metrics[record.name]:
                metric.add(Answer(record, inputs, expected, found))
        return _conclude(checked, comparisons)

    def _untrue_declaration(self, found: Arrays) -> str | None:
        """An output whose axis the file declares fixed at a size that it has not: who allocates by that is wrong."""
        for value in self._facts.outputs:
            declared = value.shape or ()
            if value.name not in found or len(declared) != found[value.name].ndim:
                continue
            for axis, (size, real) in enumerate(zip(declared, found[value.name].shape, strict=True)):
                if isinstance(size, int) and size != real:
                    return f"axis {axis} of output {value.name} is declared fixed at {size}, and its size is {real}"
        return None

    def _case_id(self, record: ComponentRecord, case: CaseRecord) -> str:
        return case.id if len(self._records) == 1 else f"{record.name} {case.id}"

    def _compare(
        self,
        record: ComponentRecord,
        name: str,
        inputs: Arrays,
        expected: np.ndarray[Any, Any],
        found: np.ndarray[Any, Any],
        case: str,
    ) -> Comparison:
        valid = valid_positions(inputs, expected, record.outputs[name].axes, record.inputs)
        return self._metrics[name].add(expected, found, valid, case)

    def _run(self, record: ComponentRecord, inputs: Mapping[str, np.ndarray[Any, Any]], outputs: list[str]) -> Arrays:
        feeds = feeds_of(self._session, self._records, record, inputs)
        return dict(zip(outputs, self._session.run(outputs, feeds), strict=True))

    def _output(self, name: str) -> OutputResult:
        metrics = self._metrics[name]
        tolerance, exact = metrics.tolerance, self._exact[name]
        record = self._outputs[name]
        declared = next((value for value in self._facts.outputs if value.name == name), None)
        indistinct = exact.atol + exact.rtol * record.root_mean_square
        return OutputResult(
            name=name,
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
            vacuous=record.spread <= indistinct,
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
            quality=self._demands[name],
            error_decades=metrics.error_decades,
            dtype=declared.element_type if declared is not None else None,
            shape=_shape(declared) if declared is not None else [],
        )

    def _generate(self, result: FileResult) -> None:
        record = self._records[0]
        if not record.generates or any(case.verdict is not Verdict.PASS for case in result.cases):
            return
        generation = self._reader.generation(record.name)
        if generation.file is None:
            return
        if record.name == DECODER:
            generated = self._generate_from_encoder(generation, self._reader.folder / generation.file)
        else:
            generated = self._generate_alone(record, generation, self._reader.folder / generation.file)
        if generated is not None:
            result.generation = generated.result
            result.task_metrics += _word_errors(record, generated)

    def _generate_alone(self, record: ComponentRecord, generation: GenerationRecord, file: Path) -> Generated:
        names = list(record.outputs)
        return check_generation(
            lambda feeds: dict(zip(names, self._session.run(names, dict(feeds)), strict=True)),
            self._empty_past(generation.prompts),
            record.inputs,
            generation,
            self._token_tolerance(),
            file,
        )

    def _generate_from_encoder(self, generation: GenerationRecord, file: Path) -> Generated | None:
        """With the encoder beside the decoder; a decoder that is also in a merged file is compared there."""
        names = (f"{name}{self._path.suffix}" for name in (ENCODER, MERGED_DECODER))
        encoder, merged = (self._path.with_name(variant_path(name, self._asked.variant)) for name in names)
        if not encoder.is_file() or (len(self._records) == 1 and merged.is_file()):
            return None
        session = open_session(encoder)
        taken = {value.name for value in session.get_inputs()}
        return check_generation_from_encoder(
            lambda record, feeds: self._run(record, feeds, list(record.outputs)),
            lambda inputs: session.run(["last_hidden_state"], {name: inputs[name] for name in taken})[0],
            self._records,
            generation,
            self._token_tolerance(),
            file,
        )

    def _token_tolerance(self) -> Tolerance:
        tolerance = self._metrics["logits"].tolerance
        return token_tolerance(self._asked.variant, tolerance)

    def _empty_past(self, batch: int) -> Arrays:
        record = self._records[0]
        past: Arrays = {}
        for value in self._session.get_inputs():
            if value.name.startswith("past_key_values."):
                named = record.inputs[value.name]
                sizes = [
                    batch if named.get(a) == named.get(0) else 0 if a in named else s for a, s in enumerate(value.shape)
                ]
                past[value.name] = np.zeros(sizes, np.float32)
        return past


def _word_errors(record: ComponentRecord, generated: Generated) -> Iterator[TaskMetricResult]:
    """Of speech: the words that the file's own choices spell, against PyTorch's."""
    if record.task != SPEECH:
        return
    errors = WordErrors(record.pieces, record.blank)
    for said, heard in zip(generated.expected.tolist(), generated.chosen.tolist(), strict=True):
        errors.add_tokens(said, heard)
    yield from errors.results()


def _conclude(checked: CaseResult, comparisons: Mapping[str, Comparison]) -> CaseResult:
    worst = max(comparisons, key=lambda name: _severity(comparisons[name]))
    comparison = comparisons[worst]
    checked.worst_output = worst
    checked.max_abs, checked.margin = comparison.max_abs, comparison.margin
    checked.verdict = Verdict.PASS if comparison.passed else Verdict.FAIL
    checked.outputs = [_case_output(name, one) for name, one in comparisons.items()]
    if comparison.problem is not None:
        checked.message = f"{worst}: {comparison.problem}"
    elif comparison.nan_mismatch:
        checked.message = (
            f"{worst}: NaN or Inf where PyTorch has none, or the reverse, in {comparison.nan_mismatch} places"
        )
    elif not comparison.passed:
        checked.message = _difference_words(worst, comparison)
    return checked


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


def _difference_words(output: str, comparison: Comparison) -> str:
    if comparison.element_margin <= 1.0:
        return (
            f"{output}: no single value differs by more than its tolerance (at most {comparison.max_abs:.2e}), but the "
            f"root mean square of the differences, {comparison.rms_abs:.2e}, is {comparison.margin:.3g} times what is "
            "allowed: all values are a little wrong"
        )
    return f"{output} differs by up to {comparison.max_abs:.2e}, {comparison.margin:.3g} times its tolerance"


def _severity(comparison: Comparison) -> tuple[bool, int, float]:
    return comparison.problem is not None, comparison.nan_mismatch, comparison.margin


def _axes(records: list[ComponentRecord], cases: list[CaseResult]) -> list[AxisResult]:
    verdicts = {case.id: case.verdict for case in cases}
    axes = []
    for record in records:
        prefix = "" if len(records) == 1 else f"{record.name} "
        proven = _proven_axes(record, {case.id: verdicts[f"{prefix}{case.id}"] for case in record.cases})
        for name, named in record.inputs.items():
            for axis, axis_name in named.items():
                is_proven = all(part in proven for part in atomic_axes(axis_name))
                axes.append(AxisResult(input=name, axis=axis, name=axis_name, proven=is_proven))
    distinct: dict[tuple[str, int], AxisResult] = {}
    for found in axes:
        earlier = distinct.setdefault((found.input, found.axis), found)
        earlier.proven = earlier.proven and found.proven
    return list(distinct.values())


def _proven_axes(record: ComponentRecord, verdicts: Mapping[str, Verdict]) -> set[str]:
    """Axes that passing cases varied alone, from a base case that passes; a failing one disproves."""
    base = next((case for case in record.cases if case.id == "base"), None)
    if base is None or verdicts[base.id] is not Verdict.PASS:
        return set()
    tried: dict[str, list[Verdict]] = {}
    for case in record.cases:
        if case.varied is not None:
            for axis, size in case.shape.items():
                if size != base.shape.get(axis):
                    for part in atomic_axes(axis):
                        if case.shape.get(part) != base.shape.get(part) or part == axis:
                            tried.setdefault(part, []).append(verdicts[case.id])
    return {axis for axis, seen in tried.items() if all(verdict is Verdict.PASS for verdict in seen)}


def _worst(result: FileResult, dropouts: list[str]) -> Failure | None:
    failing = [case for case in result.cases if case.verdict is not Verdict.PASS]
    vacuous = [output.name for output in result.outputs if output.vacuous]
    unproven = sorted({axis.name for axis in result.axes if not axis.proven})
    if failing:
        worst = max(failing, key=lambda case: case.margin or 0.0)
        return _failure(f"{len(failing)} of {len(result.cases)} cases fail; the worst, {worst.id}: {worst.message}")
    poor = [reason for output in result.outputs if (reason := shortfall(output)) is not None]
    if poor:
        return _failure(f"the variant {result.variant} loses too much: {'; '.join(poor[:3])}", _LOSS_HINT)
    if result.generation is not None and not result.generation.equal:
        return _failure(
            f"greedy generation differs: {result.generation.first_difference}",
            "single calls are right, a chain of calls through the file's own cache is not",
            Cause.PAST,
        )
    if vacuous:
        return _failure(
            f"the check is vacuous for {', '.join(vacuous)}: PyTorch's own output does not vary with the input",
            "the weights carry no signal; use trained weights, or `weights: random`, which spreads them",
            Cause.VALUES,
        )
    if unproven:
        return _failure(f"axes declared dynamic but not proven: {', '.join(unproven)}", cause=Cause.AXIS)
    if dropouts:
        return _failure(
            f"dropout is left on in {', '.join(dropouts[:_MOST_NAMES])}",
            "ONNX Runtime passes over it, other runtimes would not: export the model in evaluation mode",
            Cause.VALUES,
        )
    return None


def _failure(message: str, hint: str | None = None, cause: Cause | None = None) -> Failure:
    return Failure(stage=Stage.VALIDATE, message=message, hint=hint, cause=cause)


def _shape(value: Value) -> list[int | str]:
    """Sizes and names of axes; an axis without either has no name."""
    return ["" if size is None else size for size in value.shape or ()]


def _size(path: Path) -> int:
    external = _external(path)
    return path.stat().st_size + (external.stat().st_size if external.is_file() else 0)


def _external(path: Path) -> Path:
    """Where the weights of a file beyond 2 GB lie."""
    return path.with_name(f"{path.name}_data")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stopping_words(error: BaseException) -> str:
    """The first line; of TorchScript the last, after its traceback."""
    lines = str(error).strip().splitlines()
    return lines[-1][:300] if "TorchScript interpreter" in str(error) else _first_line(error)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
