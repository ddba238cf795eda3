"""The very file that ships, in ONNX Runtime as users run it, against what the reference left.

Imports numpy and onnxruntime, never torch: this process is what a user's own program looks like.
"""

from __future__ import annotations

import hashlib
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from safetensors.numpy import load_file

from onnx_export_action.export.outcome import MERGED_DECODER
from onnx_export_action.onnx_config.axis_names import atomic_axes
from onnx_export_action.results import (
    AxisResult,
    CaseResult,
    Failure,
    FileResult,
    GenerationResult,
    OutputResult,
    SimilarityResult,
    Stage,
    Verdict,
)
from onnx_export_action.validation.cases import Arrays
from onnx_export_action.validation.encoder_decoder_generation import DECODER, ENCODER, check_generation_from_encoder
from onnx_export_action.validation.generation import check_generation
from onnx_export_action.validation.metrics import Comparison, OutputMetrics, valid_positions
from onnx_export_action.validation.ranking import in_expected_order
from onnx_export_action.validation.records import (
    INPUT_PREFIX,
    OUTPUT_PREFIX,
    RANKING,
    CandidateFile,
    CaseRecord,
    CheckedFile,
    ComponentRecord,
    GenerationRecord,
    ReferenceReader,
    joined,
)
from onnx_export_action.validation.similarity import sample_similarities
from onnx_export_action.validation.tolerance import DeclaredTolerances, tolerance_of

USE_CACHE_BRANCH = "use_cache_branch"
_FATAL_ONLY = 4


def check_file(user: DeclaredTolerances, file: CandidateFile, reference_folder: Path) -> CheckedFile:
    """Run every case through the file and judge it, with the tolerances of the ``user`` (a job has them)."""
    started = time.perf_counter()
    waited = 0.0
    result = FileResult(
        path=file.name,
        bytes=_size(file.path),
        sha256=_sha256(file.path),
        external_sha256=_sha256(_external(file.path)) if _external(file.path).is_file() else None,
        variant=file.variant,
        engine=file.engine,
        opset=file.opset or _opset(file.path),
        verdict=Verdict.ERROR,
    )
    if file.sha256 is not None and file.sha256 != result.sha256:
        result.failure = _failure("the file changed after it was written", "something else writes to the output folder")
    else:
        waited = _judge(result, user, file, reference_folder)
    return CheckedFile(
        result=result,
        seconds=time.perf_counter() - started - waited,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _judge(result: FileResult, user: DeclaredTolerances, file: CandidateFile, folder: Path) -> float:
    """Fill in the result; returns the seconds spent waiting for the reference."""
    try:
        session = open_session(file.path)
    except Exception as error:  # onnxruntime raises its own unexported classes for any unusable file
        result.failure = _failure(f"ONNX Runtime does not load the file: {_first_line(error)}")
        return 0.0
    reader = ReferenceReader(folder)
    records = [reader.component(name) for name in file.components]
    interface_problem = _interface_problem(session, records)
    if interface_problem is not None:
        result.verdict = Verdict.FAIL
        result.failure = _failure(*interface_problem)
    else:
        _Check(file.path, session, user, records, reader).run(result)
    return reader.seconds_waited


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """A session with the defaults that users run with: all graph optimisations, CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _interface_problem(
    session: onnxruntime.InferenceSession, records: list[ComponentRecord]
) -> tuple[str, str | None] | None:
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
            return f"the file has no {what} named {', '.join(sorted(wanted - found))}", _found_names(what, found)
        if found - wanted and what == "input":
            return f"the file wants inputs that the model does not take: {', '.join(sorted(found - wanted))}", None
    for name, axes in wanted_inputs.items():
        for axis, axis_name in axes.items():
            if axis >= len(shapes[name]):
                return f"input {name} has {len(shapes[name])} axes; axis {axis} ({axis_name}) is declared dynamic", None
            if isinstance(shapes[name][axis], int):
                return f"axis {axis} ({axis_name}) of input {name} is fixed at {shapes[name][axis]}", None
    return None


def _found_names(what: str, found: set[str]) -> str:
    return f"its {what}s are: {', '.join(sorted(found)[:12])}"


class _Check:
    """All cases of one file."""

    def __init__(
        self,
        path: Path,
        session: onnxruntime.InferenceSession,
        user: DeclaredTolerances,
        records: list[ComponentRecord],
        reader: ReferenceReader,
    ) -> None:
        self._path = path
        self._session = session
        self._records = records
        self._reader = reader
        names = dict.fromkeys(name for component in records for name in component.outputs)
        self._outputs = {
            name: joined([component.outputs[name] for component in records if name in component.outputs])
            for name in names
        }
        self._metrics = {
            name: OutputMetrics(tolerance_of(name, user, record), counts_argmax="logits" in name)
            for name, record in self._outputs.items()
        }
        self._similarities: list[SimilarityResult] = []

    def run(self, result: FileResult) -> None:
        for record in self._records:
            result.cases += [self._case(record, case) for case in record.cases]
        result.outputs = [self._output(name) for name in self._metrics]
        result.axes = _axes(self._records, result.cases)
        result.similarities = self._similarities
        self._generate(result)
        result.failure = _worst(result)
        result.verdict = Verdict.PASS if result.failure is None else Verdict.FAIL

    def _case(self, record: ComponentRecord, case: CaseRecord) -> CaseResult:
        arrays = load_file(self._reader.folder / case.file)
        inputs = {name.removeprefix(INPUT_PREFIX): a for name, a in arrays.items() if name.startswith(INPUT_PREFIX)}
        expected = {name.removeprefix(OUTPUT_PREFIX): a for name, a in arrays.items() if name.startswith(OUTPUT_PREFIX)}
        checked = CaseResult(id=self._case_id(record, case), shape=case.shape, mask=case.mask, verdict=Verdict.FAIL)
        try:
            found = self._run(record, inputs, list(expected))
        except Exception as error:  # onnxruntime raises its own unexported classes
            checked.message = f"ONNX Runtime stopped: {_first_line(error)}"
            return checked
        if RANKING in arrays:
            found = in_expected_order(expected, found, arrays[RANKING])
        comparisons = {name: self._compare(record, name, inputs, expected[name], found[name]) for name in expected}
        self._similarities += sample_similarities(case.texts, inputs, expected, found)
        return _conclude(checked, comparisons)

    def _case_id(self, record: ComponentRecord, case: CaseRecord) -> str:
        return case.id if len(self._records) == 1 else f"{record.name} {case.id}"

    def _compare(
        self,
        record: ComponentRecord,
        name: str,
        inputs: Arrays,
        expected: np.ndarray[Any, Any],
        found: np.ndarray[Any, Any],
    ) -> Comparison:
        valid = valid_positions(inputs, expected, record.outputs[name].axes, record.inputs)
        comparison = self._metrics[name].add(expected, found, valid)
        self._metrics[name].count_argmax(expected, found, valid)
        return comparison

    def _run(self, record: ComponentRecord, inputs: Mapping[str, np.ndarray[Any, Any]], outputs: list[str]) -> Arrays:
        feeds = dict(inputs)
        if len(self._records) > 1:
            feeds |= self._merged_feeds(record, inputs)
        return dict(zip(outputs, self._session.run(outputs, feeds), strict=True))

    def _merged_feeds(self, record: ComponentRecord, inputs: Mapping[str, np.ndarray[Any, Any]]) -> Arrays:
        """A merged decoder takes every input of both branches; those of the other branch are empty."""
        with_past = any(name.startswith("past_key_values.") for name in record.inputs)
        batch = next(iter(inputs.values())).shape[0]
        feeds: Arrays = {USE_CACHE_BRANCH: np.array([with_past])}
        for value in self._session.get_inputs():
            if value.name not in inputs and value.name != USE_CACHE_BRANCH:
                shape = [size if isinstance(size, int) else 0 for size in value.shape]
                feeds[value.name] = np.zeros([batch, *shape[1:]], np.float32)
        return feeds

    def _output(self, name: str) -> OutputResult:
        metrics = self._metrics[name]
        tolerance = metrics.tolerance
        record = self._outputs[name]
        indistinct = tolerance.atol + tolerance.rtol * record.root_mean_square
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
        )

    def _generate(self, result: FileResult) -> None:
        record = self._records[0]
        if not record.generates or any(case.verdict is not Verdict.PASS for case in result.cases):
            return
        generation = self._reader.generation(record.name)
        if generation.file is None:
            return
        if record.name == DECODER:
            result.generation = self._generate_from_encoder(generation, self._reader.folder / generation.file)
            return
        names = list(record.outputs)
        result.generation = check_generation(
            lambda feeds: dict(zip(names, self._session.run(names, dict(feeds)), strict=True)),
            self._empty_past(generation.prompts),
            record.inputs,
            generation,
            self._metrics["logits"].tolerance,
            self._reader.folder / generation.file,
        )

    def _generate_from_encoder(self, generation: GenerationRecord, file: Path) -> GenerationResult | None:
        """With the encoder beside the decoder; a decoder that is also in a merged file is compared there."""
        encoder, merged = (self._path.with_name(f"{name}.onnx") for name in (ENCODER, MERGED_DECODER))
        if not encoder.is_file() or (len(self._records) == 1 and merged.is_file()):
            return None
        session = open_session(encoder)
        taken = {value.name for value in session.get_inputs()}
        return check_generation_from_encoder(
            lambda record, feeds: self._run(record, feeds, list(record.outputs)),
            lambda inputs: session.run(["last_hidden_state"], {name: inputs[name] for name in taken})[0],
            self._records,
            generation,
            self._metrics["logits"].tolerance,
            file,
        )

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


def _conclude(checked: CaseResult, comparisons: Mapping[str, Comparison]) -> CaseResult:
    worst = max(comparisons, key=lambda name: _severity(comparisons[name]))
    comparison = comparisons[worst]
    checked.worst_output = worst
    checked.max_abs, checked.margin = comparison.max_abs, comparison.margin
    checked.verdict = Verdict.PASS if comparison.passed else Verdict.FAIL
    if comparison.problem is not None:
        checked.message = f"{worst}: {comparison.problem}"
    elif comparison.nan_mismatch:
        checked.message = (
            f"{worst}: NaN or Inf where PyTorch has none, or the reverse, in {comparison.nan_mismatch} places"
        )
    elif not comparison.passed:
        checked.message = _difference_words(worst, comparison)
    return checked


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


def _worst(result: FileResult) -> Failure | None:
    failing = [case for case in result.cases if case.verdict is not Verdict.PASS]
    vacuous = [output.name for output in result.outputs if output.vacuous]
    unproven = sorted({axis.name for axis in result.axes if not axis.proven})
    if failing:
        worst = max(failing, key=lambda case: case.margin or 0.0)
        return _failure(
            f"{len(failing)} of {len(result.cases)} cases fail; the worst, {worst.id}: {worst.message}",
            _cause_hint(result, failing),
        )
    if result.generation is not None and not result.generation.equal:
        return _failure(f"greedy generation differs: {result.generation.first_difference}")
    if vacuous:
        return _failure(
            f"the check is vacuous for {', '.join(vacuous)}: PyTorch's own output does not vary with the input",
            "the weights carry no signal; use trained weights, or `weights: random`, which spreads them",
        )
    if unproven:
        return _failure(f"axes declared dynamic but not proven: {', '.join(unproven)}")
    return None


def _cause_hint(result: FileResult, failing: list[CaseResult]) -> str | None:
    if len(failing) == len(result.cases):
        return "every case fails: the values are wrong, whatever the shape"
    shared = set.intersection(*({f"{axis} = {size}" for axis, size in case.shape.items()} for case in failing))
    passing = {f"{a} = {s}" for case in result.cases if case.verdict is Verdict.PASS for a, s in case.shape.items()}
    if shared - passing:
        return f"what fails has {', '.join(sorted(shared - passing))}"
    masked = {case.mask for case in failing}
    if "none" not in masked and all(case.verdict is Verdict.PASS for case in result.cases if case.mask == "none"):
        return f"only padded inputs fail ({', '.join(sorted(masked))} padding): the mask or the positions are wrong"
    return None


def _failure(message: str, hint: str | None = None) -> Failure:
    return Failure(stage=Stage.VALIDATE, message=message, hint=hint)


def _size(path: Path) -> int:
    external = _external(path)
    return path.stat().st_size + (external.stat().st_size if external.is_file() else 0)


def _external(path: Path) -> Path:
    """Where the weights of a file beyond 2 GB lie."""
    return path.with_name(f"{path.name}_data")


def _opset(path: Path) -> int:
    """Opset of a file that we did not write ourselves; 0 where it cannot be read."""
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # protobuf's own error class; loading the session reports what is wrong
        return 0
    return next((opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), 0)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
