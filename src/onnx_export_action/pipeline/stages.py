"""The stages: plan, export and validate. Each returns a value; a failure is a value too.

Of one target, the export and the reference run side by side in processes of their own, and ONNX Runtime loads
meanwhile in a third; each file is checked when both are done. Files reach their destination at the very end.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from onnx_export_action.loading.source import (
    ModelFolder,
    locate_model,
    needs_remote_code,
    read_model_config,
    weight_files,
)
from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.onnx_config.tasks import parse_task, task_name
from onnx_export_action.pipeline.explaining import explain_failures
from onnx_export_action.pipeline.installing import install_artifact, require_writable, staging_folder, write_file
from onnx_export_action.pipeline.workers import Work, Worker, Workers, uninterrupted
from onnx_export_action.project.manifest import Fingerprint, earlier_files, fingerprint, write_manifest
from onnx_export_action.project.other_libraries import (
    DIFFUSERS_TYPES,
    as_sentence_config,
    diffusers_class,
    embeds_sentences,
)
from onnx_export_action.project.sample_files import read_samples
from onnx_export_action.project.settings import Target
from onnx_export_action.proving.records import CandidateFile, CheckedFile, Reference
from onnx_export_action.variants.high_precision import AUTO, Trial, smallest_set, trial_of
from onnx_export_action.vocabulary.components import COMPONENTS_OF_FILE, TORCHSCRIPT_SUFFIX, runtime_of
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.jobs import TORCHSCRIPT, Declaration, Job, LatencyBounds, OutputTolerance
from onnx_export_action.vocabulary.manifest import MANIFEST_NAME, Manifest, ModelRecord, OnnxFileRecord
from onnx_export_action.vocabulary.outcomes import ExportOutcome, installed_packages
from onnx_export_action.vocabulary.results import (
    Cause,
    FailOn,
    Failure,
    FileResult,
    LatencyResult,
    ModelInfo,
    Stage,
    TargetResult,
    Verdict,
    encode,
    overall_verdict,
    read_result,
)
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT, VARIANTS, reference_path, variant_path

if TYPE_CHECKING:
    from onnx_export_action.hub.publish import Destination, Publication

_EXPORT = Work("onnx_export_action.exporting.exporter:export_target", Stage.EXPORT, "exports the model")
_REFERENCE = Work(
    "onnx_export_action.proving.reference.running:make_reference", Stage.VALIDATE, "runs PyTorch on the cases"
)
_CANDIDATE = Work(
    "onnx_export_action.proving.candidate.check:check_file", Stage.VALIDATE, "runs the file in ONNX Runtime"
)
_VARIANTS = Work("onnx_export_action.variants.making:write_variants", Stage.EXPORT, "makes the variants")
_LATENCY = Work("onnx_export_action.proving.candidate.latency:measure_latency", Stage.VALIDATE, "times the calls")
_FLOAT32_NODES = Work(
    "onnx_export_action.variants.float32_nodes:candidates", Stage.EXPORT, "lists what could stay in float32"
)
_TORCH_EXPORT = "torch-export"

# How long a file may keep ONNX Runtime busy: as long as this, and so many times what PyTorch took.
_PATIENCE_SECONDS, _PATIENCE = 300.0, 30.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What a user asks for one model, before anything is looked up."""

    name: str
    model: str
    destination: Path
    revision: str | None = None
    weights: str = "load"
    task: str = "auto"
    opset: int = 18
    engine: str = "auto"
    seed: int = 0
    shapes: dict[str, list[int]] = field(default_factory=dict)
    samples: Path | None = None
    tolerance: dict[str, OutputTolerance] = field(default_factory=dict)
    default_tolerance: OutputTolerance = field(default_factory=OutputTolerance)
    latency: LatencyBounds | None = None
    trust_remote_code: bool = False
    declaration: Declaration = field(default_factory=Declaration)
    flat_layout: bool = False
    fail_on: FailOn = FailOn.VALIDATION
    notes: list[str] = field(default_factory=list)
    variants: tuple[str, ...] = (REFERENCE_VARIANT,)
    variant_tolerance: dict[str, dict[str, OutputTolerance]] = field(default_factory=dict)
    high_precision: dict[str, list[str]] = field(default_factory=dict)


def request_of(target: Target, destination: Path, *, trust_remote_code: bool) -> Request:
    """The request that a target of ``onnx-export.yaml`` makes."""
    return Request(
        name=target.name,
        model=target.model if target.folder is None else os.path.relpath(target.folder),
        destination=destination,
        revision=target.revision,
        weights=target.weights,
        task=target.task,
        opset=target.opset,
        engine=target.engine,
        shapes=target.shapes,
        samples=target.samples,
        tolerance=target.tolerance.get(REFERENCE_VARIANT, {}),
        variants=target.variants,
        variant_tolerance=target.tolerance,
        high_precision=target.high_precision,
        latency=target.latency,
        trust_remote_code=trust_remote_code,
        declaration=target.declaration,
        fail_on=target.fail_on,
        notes=target.notes,
    )


def plan_job(request: Request) -> Job:
    """Find the model, read its configuration and settle its task; loads no weights.

    Raises:
        ExportError: the model is not there, its weights are missing or damaged, or it has no such task.
    """
    _require_export_packages()
    _require_allowed(request)
    folder = locate_model(request.model, request.revision, weights=request.weights)
    config = read_model_config(folder.path)
    if embeds_sentences(folder.path, config, request.task):
        config = as_sentence_config(folder.path, config)
    model_type = _model_type(config, folder, request)
    task = _task(request, model_type, config)
    if request.weights == "load":
        weight_files(folder.path)
    if request.samples is not None:
        read_samples(request.samples)  # their mistakes are known before anything is loaded
    return Job(
        name=request.name,
        source=request.model,
        folder=folder.path,
        revision=folder.revision,
        model_type=model_type,
        task=task,
        destination=request.destination,
        weights=request.weights,
        seed=request.seed,
        opset=request.opset,
        engine=request.engine,
        shapes=request.shapes,
        samples=request.samples,
        tolerance=request.tolerance,
        default_tolerance=request.default_tolerance,
        latency=request.latency,
        trust_remote_code=request.trust_remote_code,
        declaration=request.declaration,
        flat_layout=request.flat_layout,
        variants=request.variants,
        variant_tolerance=request.variant_tolerance,
        high_precision=request.high_precision,
    )


def _require_export_packages() -> None:
    missing = [name for name in ("torch", "transformers", "onnx", "onnxruntime") if not importlib.util.find_spec(name)]
    if missing:
        raise plan_error(
            f"exporting needs {', '.join(missing)}, which this environment does not have",
            "pip install 'onnx-export-action[export]'",
        )


def _model_type(config: dict[str, Any], folder: ModelFolder, request: Request) -> str:
    path = folder.path / "config.json"
    model_type = config.get("model_type")
    if diffusers_class(config):
        raise plan_error(
            f"{path}: {diffusers_class(config)} of diffusers has no configuration class",
            f"of a pipeline these are exported: {', '.join(DIFFUSERS_TYPES)}, and models of transformers",
        )
    if not isinstance(model_type, str) or not model_type:
        raise plan_error(f"{path} has no model_type", 'it names the architecture, for example "model_type": "bert"')
    if needs_remote_code(config) and model_type not in TasksManager.get_supported_model_types():
        if request.trust_remote_code:
            return model_type
        raise plan_error(
            f"{path}: the model type {model_type!r} is defined by Python code inside the model's repository",
            "that code runs only when you allow it: --trust-remote-code",
        )
    return model_type


def _require_allowed(request: Request) -> None:
    code = request.declaration.configuration_class
    if code is not None and not request.trust_remote_code:
        raise plan_error(
            f"{code.place}: the configuration {code.class_name} is Python code of the repository ({code.file.name})",
            "it runs only when you allow it: --trust-remote-code, or `allow-remote-code: true` in a workflow",
        )


def _task(request: Request, model_type: str, config: dict[str, Any]) -> str:
    wanted = request.task
    if TasksManager.is_inferred(model_type, config):
        return TasksManager.infer_task_from_config(config) if wanted == "auto" else task_name(*parse_task(wanted))
    supported = TasksManager.get_supported_tasks_for_model_type(model_type)
    task = TasksManager.infer_task_from_config(config) if wanted == "auto" else TasksManager.map_from_synonym(wanted)
    if wanted == "default" and task not in supported:  # the legacy word for the type's own first task
        return next(iter(supported))
    if task not in supported and request.declaration:  # which says what the register would have said
        return task_name(*parse_task(task))
    if task not in supported:
        raise plan_error(
            f"{model_type} models have no task {task!r}"
            + (" (inferred from the architectures in config.json)" if wanted == "auto" else ""),
            f"its tasks are: {', '.join(supported)}",
        )
    return task


def export_and_check(request: Request, *, progress: Progress, validate: bool = True) -> TargetResult:
    """Export one model, prove its files, and put them at their destination.

    Files whose verdict is fail are put there too, for their owner to look at: the result says what they are. A failed
    export leaves nothing. Without ``validate`` the verdict is error, as nothing was proven.
    """
    result = _unproven(request)
    with _outcome(result):
        job = plan_job(request)
        require_writable(request.destination)
        _describe(result, job)
        with (
            _temporary_folder() as references,
            staging_folder(job.destination) as staging,
            Workers(_preload(job)) as workers,  # last: its processes end before the folders that they write to go
        ):
            _Run(job, workers, staging, references, result, progress).carry_out(validate=validate)
    return result


def destination_of(target: Target, output: Path | None) -> Path:
    """The artifact folder of a target: its own, or the one of its name in ``output``."""
    return target.output if output is None else output / target.name


def result_path_of(destination: Path) -> Path:
    """Where the result of an artifact folder is written: beside it."""
    return destination.with_name(f"{destination.name}.result.json")


def run_target(
    target: Target, output: Path | None, config: Path, *, trust_remote_code: bool, progress: Progress
) -> TargetResult:
    """Export and prove a target of the file ``config``; its result is written beside its artifact folder.

    Raises:
        ExportError: the result cannot be written.
    """
    destination = destination_of(target, output)
    result = export_and_check(request_of(target, destination, trust_remote_code=trust_remote_code), progress=progress)
    result.reproduce = shlex.join(["onnx-export", "run", "--config", str(config), "--target", target.name])
    write_file(result_path_of(destination), encode(result))
    return result


def check_target(target: Target, output: Path | None, *, trust_remote_code: bool, progress: Progress) -> TargetResult:
    """Prove the files that lie in a target's artifact folder; its result is written beside the folder.

    Raises:
        ExportError: the result cannot be written.
    """
    destination = destination_of(target, output)
    result = check_folder(request_of(target, destination, trust_remote_code=trust_remote_code), progress=progress)
    validating = ["onnx-export", "validate", target.model, str(destination), "--task", target.task]
    # What a target declares has no options of `validate`.
    running = ["onnx-export", "run", "--target", target.name]
    result.reproduce = shlex.join(running if target.declaration else validating)
    write_file(result_path_of(destination), encode(result))
    return result


def publish_folder(
    folder: Path, result_path: Path | None, destination: Destination, *, token: str | None = None, dry_run: bool = False
) -> Publication:
    """Publish an artifact folder; its result lies beside it unless ``result_path`` says otherwise.

    Raises:
        ExportError: there is no result, something in the folder is not proven, or the Hub refused or failed.
    """
    from onnx_export_action.hub.proof import publish_error
    from onnx_export_action.hub.publish import publish

    path = result_path_of(folder) if result_path is None else result_path
    try:
        result = read_result(path)
    except FileNotFoundError as error:
        raise publish_error(f"there is no result {path} that proves {folder}", "export and prove it first") from error
    except (OSError, ValueError) as error:
        raise publish_error(str(error)) from error
    return publish(folder, result, destination, token=token, dry_run=dry_run)


def destination_on_hub(target: Target) -> Destination:
    """Where a target's section ``publish`` sends it.

    Raises:
        ExportError: it has none.
    """
    from onnx_export_action.hub.publish import Destination

    if target.publish is None:
        raise plan_error(f"the target {target.name} has no section `publish`", "add `publish: {repo: org/name}`")
    settings = target.publish
    return Destination(settings.repo, settings.revision, settings.create_pr, settings.tag, settings.private)


def _unproven(request: Request) -> TargetResult:
    return TargetResult(
        target=request.name,
        model=ModelInfo(source=request.model, revision=request.revision, weights=request.weights),
        verdict=Verdict.ERROR,
        seed=request.seed,
        notes=list(request.notes),
        fail_on=request.fail_on,
    )


@contextmanager
def _outcome(result: TargetResult) -> Iterator[None]:
    """Turn what stops the work into the result's failure; its verdict is error then, whatever it was before."""
    started = time.perf_counter()
    try:
        yield
    except ExportError as error:
        result.failure = error.as_failure()
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        result.failure = Failure(
            stage=Stage.EXPORT,
            message=f"{place}{error.strerror or error}",
            hint="free some space on that disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None,
        )
    if result.failure is not None:
        result.verdict = Verdict.ERROR
    result.timings["total"] = time.perf_counter() - started


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="onnx-export-reference-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _preload(job: Job) -> list[str]:
    # The model's own module, so that both processes find it imported; one that does not exist is passed over.
    module = job.model_type.replace("-", "_")
    return [f"transformers.models.{module}.modeling_{module}"] if module.isidentifier() else []


def _describe(result: TargetResult, job: Job) -> None:
    result.model = ModelInfo(
        source=job.source, revision=job.revision, model_type=job.model_type, task=job.task, weights=job.weights
    )


class _Run:
    """One target: export, reference and candidate."""

    def __init__(
        self, job: Job, workers: Workers, staging: Path, references: Path, result: TargetResult, progress: Progress
    ) -> None:
        self._job = job
        self._workers = workers
        self._staging = staging
        self._references = references
        self._result = result
        self._progress = progress
        self._candidate_died = False
        self._reference_seconds = 0.0
        self._variants: Worker[list[OnnxFileRecord]] | None = None

    def carry_out(self, *, validate: bool) -> None:
        self._progress(f"loading and exporting {self._job.model_type} for {self._job.task}")
        candidate = self._workers.fresh(_CANDIDATE) if validate else None
        origin = fingerprint(self._job.folder, weights=self._job.weights)
        self._result.model.sha256 = origin.sha256
        exporting = self._workers.warm(_EXPORT)
        exporting.ask(self._job, self._staging, self._job.engine)
        referencing = self._workers.warm(_REFERENCE) if validate else None
        if referencing is not None:
            referencing.ask(self._job, self._references)
        outcome = self._exported(exporting)
        if referencing is not None and candidate is not None:
            outcome = self._proven(candidate, outcome, referencing)
        if not validate or self._result.verdict is Verdict.PASS:
            outcome = self._with_variants(outcome, candidate)
        if validate and self._job.engine != TORCHSCRIPT:
            files = [_candidate_file(file, self._staging, self._job) for file in outcome.files]
            time_calls(self._job, files, self._workers, self._result, self._progress)
            explain_failures(self._job, files, self._references, self._workers, self._result, self._progress)
        write_manifest(_manifest(self._job, outcome, origin), self._staging / MANIFEST_NAME)
        with uninterrupted():
            install_artifact(self._staging, self._job.destination, earlier_files(self._job.destination))

    def _exported(self, exporting: Worker[ExportOutcome]) -> ExportOutcome:
        outcome = exporting.answer()
        exporting.stop()
        self._result.packages = outcome.packages
        self._result.notes += [note for note in outcome.notes if note not in self._result.notes]
        self._add_timings(outcome.timings)
        self._add_peak(outcome.peak_rss_bytes)
        return outcome

    def _reference(self, referencing: Worker[Reference]) -> None:
        self._progress("running PyTorch on the cases")
        reference = referencing.answer()
        referencing.stop()
        self._result.notes += reference.notes
        self._add_timings(reference.timings)
        self._reference_seconds = sum(reference.timings.values())
        self._add_peak(reference.peak_rss_bytes)

    def _proven(
        self, candidate: Worker[CheckedFile], outcome: ExportOutcome, referencing: Worker[Reference]
    ) -> ExportOutcome:
        """Check every file; with engine auto, let torch.export try where the tracer's file is wrong."""
        files = self._checked(candidate, outcome, self._staging, referencing)
        failure = next((file.failure for file in files if file.failure is not None and _engine_may_help(file)), None)
        if self._job.engine == "auto" and failure is not None and not self._candidate_died:
            self._progress("the tracer's file is wrong; trying torch.export")
            outcome, files = self._second_engine(candidate, failure) or (outcome, files)
        self._result.files = files
        self._result.verdict = overall_verdict(file.verdict for file in files)
        return outcome

    def _second_engine(
        self, candidate: Worker[CheckedFile], failure: Failure
    ) -> tuple[ExportOutcome, list[FileResult]] | None:
        """Export again with torch.export; None, and the first files stay, when that is no better."""
        with staging_folder(self._staging) as second:
            exporting = self._workers.warm(_EXPORT)
            exporting.ask(self._job, second, _TORCH_EXPORT)
            try:
                outcome = self._exported(exporting)
            except ExportError as error:
                self._result.notes.append(f"torch.export was tried after the tracer: {error.message}")
                return None
            files = self._checked(candidate, outcome, second)
            if overall_verdict(file.verdict for file in files) is not Verdict.PASS:
                self._result.notes.append("torch.export was tried after the tracer: its files are wrong too")
                return None
            self._result.notes.append(f"exported with torch.export, as the tracer's file was wrong: {failure.message}")
            install_artifact(second, self._staging, [])
        return outcome, files

    def _checked(
        self,
        candidate: Worker[CheckedFile],
        outcome: ExportOutcome,
        folder: Path,
        referencing: Worker[Reference] | None = None,
    ) -> list[FileResult]:
        results = []
        for file in outcome.files:
            asked = _candidate_file(file, folder, self._job)
            candidate.ask(self._job, asked, self._references)
            if referencing is not None:  # ONNX Runtime loads the first file while PyTorch still runs
                self._reference(referencing)
                referencing = None
            self._progress(f"checking {asked.path.name} in {runtime_of(asked.path)}")
            checked = answer_of(candidate, asked, _patience(self._reference_seconds))
            self._candidate_died |= checked.died
            self._add_timings({"runtime": checked.seconds})
            self._add_peak(checked.peak_rss_bytes)
            results.append(checked.result)
        return results

    def _with_variants(self, outcome: ExportOutcome, candidate: Worker[CheckedFile] | None) -> ExportOutcome:
        """Make the other variants from the proven fp32 files, and prove each of them."""
        made = list(outcome.files)
        for variant in self._job.variants:
            if variant == REFERENCE_VARIANT:
                continue
            self._progress(f"making the variant {variant}")
            started = time.perf_counter()
            try:
                files, results = self._variant(variant, outcome, candidate)
            except ExportError as error:
                self._result.files += [_not_made(file, variant, error) for file in outcome.files]
                self._result.verdict = Verdict.ERROR
                continue
            self._add_timings({"variants": time.perf_counter() - started})
            made += files
            self._result.files += results
        if candidate is not None:
            self._result.verdict = overall_verdict(file.verdict for file in self._result.files)
        return msgspec.structs.replace(outcome, files=made)

    def _variant(
        self, variant: str, outcome: ExportOutcome, candidate: Worker[CheckedFile] | None
    ) -> tuple[list[OnnxFileRecord], list[FileResult]]:
        """The files of a variant, and their results where there is a ``candidate`` to check them."""
        kept = self._job.high_precision.get(variant, [])
        if candidate is None:
            return self._made(variant, outcome, [] if kept == [AUTO] else kept), []
        if kept != [AUTO]:
            return self._tried(variant, outcome, candidate, kept)
        tried = self._tried(variant, outcome, candidate, [])
        if overall_verdict(file.verdict for file in tried[1]) is Verdict.PASS:
            self._result.notes.append(f"{variant}: nothing has to stay in float32")
            return tried
        kept = self._found_by_measurement(variant, outcome, candidate)
        return self._tried(variant, outcome, candidate, kept)

    def _found_by_measurement(self, variant: str, outcome: ExportOutcome, candidate: Worker[CheckedFile]) -> list[str]:
        """The nodes that must stay in float32; none where that does not help."""
        listing: Worker[list[str]] = self._workers.warm(_FLOAT32_NODES)
        listing.ask(self._staging, [file.path for file in outcome.files if len(file.components) == 1], variant)
        nodes = listing.answer()
        listing.stop()
        trials = 0

        def measure(kept: list[str]) -> Trial:
            nonlocal trials
            trials += 1
            self._progress(f"{variant}: trial {trials}, {len(kept)} of {len(nodes)} nodes in float32")
            return trial_of(self._tried(variant, outcome, candidate, kept)[1])

        kept = smallest_set(nodes, measure)
        if kept is None:
            self._result.notes.append(f"{variant}: it fails whatever stays in float32 ({trials} trials)")
            return []
        self._result.notes.append(f"{variant}: {', '.join(kept)} stay in float32, found in {trials} trials")
        return kept

    def _tried(
        self, variant: str, outcome: ExportOutcome, candidate: Worker[CheckedFile], kept: list[str]
    ) -> tuple[list[OnnxFileRecord], list[FileResult]]:
        files = self._made(variant, outcome, kept)
        asked = msgspec.structs.replace(outcome, files=files)
        return files, self._checked(candidate, asked, self._staging)

    def _made(self, variant: str, outcome: ExportOutcome, kept: list[str]) -> list[OnnxFileRecord]:
        if self._variants is None:
            self._variants = self._workers.warm(_VARIANTS)
        self._variants.ask(self._staging, outcome.files, variant, kept)
        return self._variants.answer()

    def _add_timings(self, timings: dict[str, float]) -> None:
        for name, seconds in timings.items():
            self._result.timings[name] = self._result.timings.get(name, 0.0) + seconds

    def _add_peak(self, peak: int) -> None:
        self._result.peak_rss_bytes = max(self._result.peak_rss_bytes or 0, peak)


def _manifest(job: Job, outcome: ExportOutcome, origin: Fingerprint) -> Manifest:
    model = ModelRecord(
        source=job.source,
        model_type=job.model_type,
        task=job.task,
        config_sha256=origin.config_sha256,
        weight_hashes=origin.weight_hashes,
        revision=job.revision,
        weights="random" if job.weights == "random" else "load",
    )
    return Manifest(
        target=job.name,
        model=model,
        seed=job.seed,
        engine=job.engine,
        opset=job.opset,
        variants=list(job.variants),
        declaration_sha256=job.declaration.sha256(),
        packages=outcome.packages,
        files=outcome.files,
        other_files=outcome.companions,
    )


def _engine_may_help(file: FileResult) -> bool:
    """Whether a failure lies in the graph; a vacuous model or an undeclared axis is the same for every engine."""
    failing_case = any(case.verdict is not Verdict.PASS for case in file.cases)
    differs = file.generation is not None and not file.generation.equal
    return failing_case or differs or not file.cases


def _not_made(file: OnnxFileRecord, variant: str, error: ExportError) -> FileResult:
    return FileResult(
        path=variant_path(file.path, variant),
        bytes=0,
        sha256="",
        variant=variant,
        engine=file.engine,
        opset=file.opset,
        verdict=Verdict.ERROR,
        failure=error.as_failure(),
    )


def _candidate_file(file: OnnxFileRecord, folder: Path, job: Job) -> CandidateFile:
    return CandidateFile(
        path=folder / file.path,
        name=file.path,
        components=file.components,
        engine=file.engine,
        opset=file.opset,
        sha256=file.sha256,
        variant=file.variant,
        exact=folder / reference_path(file.path, file.variant),
        declared=job.variant_tolerance.get(file.variant, {}),
        timed=len(job.variants) > 1,
    )


def time_calls(
    job: Job, files: list[CandidateFile], workers: Workers, result: TargetResult, progress: Progress
) -> None:
    """Measure the latency of the files that are proven, where the job asks for it; one beyond its bound fails."""
    proven = {file.path: file for file in result.files if file.verdict is Verdict.PASS}
    asked = [file for file in files if file.name in proven]
    if job.latency is None or not asked:
        return
    progress("timing ONNX Runtime and PyTorch")
    worker = workers.warm(_LATENCY)
    worker.ask(job, asked)
    for name, latency in worker.answer().items():
        proven[name].latency = latency
        message = beyond_bounds(latency, job.latency)
        if message is not None:
            proven[name].verdict = Verdict.FAIL
            proven[name].failure = Failure(
                stage=Stage.VALIDATE, message=message, hint="the values are right; raise the bound, or make it faster"
            )
    worker.stop()
    result.verdict = overall_verdict(file.verdict for file in result.files)


def beyond_bounds(latency: LatencyResult, bounds: LatencyBounds) -> str | None:
    """In what the first size that is too slow exceeds its bound; None where none does."""
    for size in latency.sizes:
        shape = ", ".join(f"{axis} {number}" for axis, number in size.shape.items())
        if bounds.max_ms is not None and size.onnx_ms > bounds.max_ms:
            return f"one call takes {size.onnx_ms:.3g} ms ({shape}); latency.max_ms allows {bounds.max_ms:g}"
        if bounds.max_ratio is not None and size.onnx_ms > bounds.max_ratio * size.torch_ms:
            return (
                f"one call takes {size.onnx_ms:.3g} ms, {size.onnx_ms / size.torch_ms:.3g} times PyTorch's "
                f"{size.torch_ms:.3g} ms ({shape}); latency.max_ratio allows {bounds.max_ratio:g}"
            )
    return None


def _patience(reference_seconds: float) -> float:
    return _PATIENCE_SECONDS + _PATIENCE * reference_seconds


def answer_of(candidate: Worker[CheckedFile], asked: CandidateFile, patience: float) -> CheckedFile:
    """What the candidate's process says of one file; one that dies over it gives verdict error, never pass.

    So does one that takes more than ``patience`` seconds.
    """
    try:
        return candidate.answer(patience)
    except ExportError as error:
        hint = "the file ends ONNX Runtime's process, or keeps it busy without end: do not load it elsewhere"
        failure = Failure(stage=Stage.VALIDATE, message=error.message, hint=hint, cause=Cause.FILE)
        result = FileResult(
            path=asked.name,
            bytes=asked.path.stat().st_size,
            sha256=asked.sha256 or "",
            variant=asked.variant,
            engine=asked.engine,
            opset=asked.opset,
            verdict=Verdict.ERROR,
            failure=failure,
        )
        return CheckedFile(result=result, seconds=0.0, peak_rss_bytes=0, died=True)


def check_folder(request: Request, *, progress: Progress) -> TargetResult:
    """Prove the ONNX files that lie in ``request.destination`` (or its ``onnx`` folder) against a model."""
    result = _unproven(request)
    with _outcome(result):
        files = _files_to_check(request.destination)
        request = replace(request, variants=tuple(dict.fromkeys(file.variant for file in files)))
        job = plan_job(request)
        _describe(result, job)
        with _temporary_folder() as references, Workers(_preload(job)) as workers:
            _check_files(job, files, workers, references, result, progress)
    return result


def _files_to_check(folder: Path) -> list[CandidateFile]:
    """The files whose names say what they compute.

    Raises:
        ExportError: the folder holds none.
    """
    for place in (folder / "onnx", folder):
        found = [
            CandidateFile(
                path=place / name,
                name=(place / name).relative_to(folder).as_posix(),
                components=components,
                engine="unknown",
                variant=variant,
            )
            for variant in VARIANTS
            for stem, components in COMPONENTS_OF_FILE.items()
            if (place / (name := variant_path(f"{stem}.onnx", variant))).is_file()
        ]
        if found:
            return found
    if any((folder / TORCHSCRIPT).glob(f"*{TORCHSCRIPT_SUFFIX}")):
        raise plan_error(
            f"{folder} holds TorchScript files, which are programs: they are proven where they are exported",
            "export the model again: `onnx-export export MODEL OUTPUT --format torchscript`",
        )
    names = ", ".join(f"{name}.onnx" for name in COMPONENTS_OF_FILE)
    raise plan_error(f"{folder} holds no ONNX file of a known name", f"names: {names}")


def _proven_original(file: CandidateFile, result: TargetResult) -> Path | None:
    """The fp32 file that a variant was made from, if that is right itself: a damaged one proves nothing of it."""
    name = reference_path(file.name, file.variant)
    proven = any(one.path == name and one.verdict is Verdict.PASS for one in result.files)
    return file.path.with_name(PurePosixPath(name).name) if proven else None


def _check_files(
    job: Job, files: list[CandidateFile], workers: Workers, references: Path, result: TargetResult, progress: Progress
) -> None:
    referencing = workers.warm(_REFERENCE)
    candidate = workers.fresh(_CANDIDATE)
    referencing.ask(job, references)
    progress("running PyTorch on the cases")
    result.model.sha256 = fingerprint(job.folder, weights=job.weights).sha256
    reference: Reference = referencing.answer()
    referencing.stop()
    result.notes += reference.notes
    result.timings |= reference.timings
    for file in files:
        progress(f"checking {file.path.name} in ONNX Runtime")
        candidate.ask(job, msgspec.structs.replace(file, exact=_proven_original(file, result)), references)
        checked = answer_of(candidate, file, _patience(sum(reference.timings.values())))
        result.files.append(checked.result)
        result.timings["runtime"] = result.timings.get("runtime", 0.0) + checked.seconds
    time_calls(job, files, workers, result, progress)
    explain_failures(job, files, references, workers, result, progress)
    result.packages = installed_packages()
    result.verdict = overall_verdict(file.verdict for file in result.files)
