"""Picks the engine, writes the ONNX files of one target into a folder, and the files that belong beside them."""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch

from onnx_export_action.configuring.configuration import configuration_notes, onnx_config_for
from onnx_export_action.exporting.engines import torchscript, tracer
from onnx_export_action.graphs.merging import merge_decoders
from onnx_export_action.graphs.weightless import (
    WeightlessGraph,
    give_defaults,
    set_metadata,
    tensor_records,
    write_graph,
)
from onnx_export_action.loading.model import LoadedModel, load_model
from onnx_export_action.loading.offline import offline
from onnx_export_action.loading.source import PREPROCESSOR_CONFIG, companion_files, preprocessor_config
from onnx_export_action.onnx_config.base import OnnxConfig, PatchingSpec
from onnx_export_action.project.manifest import sha256_of
from onnx_export_action.traceable.calling import ModelCall, model_call
from onnx_export_action.traceable.patches import patches_for
from onnx_export_action.vocabulary.components import (
    DECODER,
    DECODER_WITH_PAST,
    MERGED_DECODER,
    TORCHSCRIPT_SUFFIX,
    components_of_file,
)
from onnx_export_action.vocabulary.errors import ExportError, disk_hint, load_error
from onnx_export_action.vocabulary.jobs import TORCHSCRIPT, Job
from onnx_export_action.vocabulary.manifest import FileRecord, OnnxFileRecord
from onnx_export_action.vocabulary.outcomes import ExportOutcome, installed_packages
from onnx_export_action.vocabulary.results import Stage
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT
from onnx_export_action.vocabulary.version import VERSION

TRACER, TORCH_EXPORT = "tracer", "torch-export"


def export_target(job: Job, folder: Path, engine: str) -> ExportOutcome:
    """Export every file of ``job`` into ``folder`` (which exists and is empty).

    ``engine`` is tracer, torch-export, or auto: torch-export for each file that the tracer cannot make; or torchscript,
    whose files are of that format.

    Raises:
        ExportError: loading failed, no engine can export a file, or the disk is full.
    """
    started = time.perf_counter()
    loaded = load_model(job)
    after_load = time.perf_counter()
    onnx_config = onnx_config_for(loaded.model, job)
    exporter = _Exporter(job, loaded, folder, engine)
    exporter.notes += configuration_notes(job, onnx_config)
    try:
        exporter.prepare()
        for name, component in onnx_config.components():
            exporter.export(name, component)
        exporter.merge()
        companions = _copy_companions(job, folder)
    except OSError as error:
        raise ExportError(
            f"cannot write to {job.destination.parent}: {error.strerror or error}",
            stage=Stage.EXPORT,
            hint=disk_hint(error),
        ) from error
    return ExportOutcome(
        files=exporter.files,
        companions=companions,
        packages=installed_packages(),
        timings={**_import_seconds(), "load": after_load - started, **exporter.timings},
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        notes=exporter.notes,
    )


def _import_seconds() -> dict[str, float]:
    warm = sys.modules.get("onnx_export_action.exporting.warm_imports")
    return {} if warm is None else {"imports": warm.SECONDS}


class _Exporter:
    """The files of one target, in order; remembers the decoders' graphs to merge them."""

    def __init__(self, job: Job, loaded: LoadedModel, folder: Path, engine: str) -> None:
        self._job = job
        self._loaded = loaded
        self._folder = folder
        self._file_folder = folder / job.file_folder_name
        self._engine = engine
        self._decoders: dict[str, tuple[WeightlessGraph, str]] = {}
        self.files: list[OnnxFileRecord] = []
        self.timings = {"trace": 0.0, "save": 0.0}
        self.notes: list[str] = []

    def prepare(self) -> None:
        self._file_folder.mkdir(exist_ok=True)

    def export(self, name: str, onnx_config: OnnxConfig) -> None:
        dummy_inputs = onnx_config.generate_dummy_inputs("pt", seed=self._job.options.seed)
        call = model_call(self._loaded.model, onnx_config, dummy_inputs)
        if self._engine == TORCHSCRIPT:
            with patched(onnx_config.patching_specs, self._loaded.model):
                self._write_program(name, call)
            return
        with patched(onnx_config.patching_specs, self._loaded.model):
            graph, engine = self._graph(name, call)
        self._write(name, graph, [name], engine)
        if call.defaults:
            inputs = ", ".join(call.defaults)
            self.notes.append(f"{name}: {inputs} may be left out; it is proven where they leave nothing to chance")
        if name in (DECODER, DECODER_WITH_PAST):
            self._decoders[name] = graph, engine

    def merge(self) -> None:
        if len(self._decoders) < 2:  # noqa: PLR2004 - both, or nothing to merge
            return
        (first, first_engine), (second, second_engine) = self._decoders[DECODER], self._decoders[DECODER_WITH_PAST]
        engine = first_engine if first_engine == second_engine else f"{first_engine}+{second_engine}"
        self._write(MERGED_DECODER, merge_decoders(first, second), components_of_file(MERGED_DECODER), engine)

    def _graph(self, name: str, call: ModelCall) -> tuple[WeightlessGraph, str]:
        started = time.perf_counter()
        try:
            captured = capture(call, opset=self._job.options.opset, engine=self._engine)
        finally:
            self.timings["trace"] += time.perf_counter() - started
        if captured.tracer_failure is not None:
            self.notes.append(f"{name}: {captured.tracer_failure}; exported with torch.export instead")
        self._require_trained(captured.graph.weights)
        return captured.graph, captured.engine

    def _write_program(self, name: str, call: ModelCall) -> None:
        started = time.perf_counter()
        program, signature = torchscript.trace(call)
        self._require_trained(torchscript.used_weights(program))
        traced = time.perf_counter()
        path = self._file_folder / f"{name}{TORCHSCRIPT_SUFFIX}"
        torchscript.save(program, signature, path)
        self.files.append(
            OnnxFileRecord(
                path=self._relative(path.name),
                bytes=path.stat().st_size,
                sha256=sha256_of(path),
                components=[name],
                variant=REFERENCE_VARIANT,
                engine=TORCHSCRIPT,
                opset=0,
                inputs=signature.inputs,
                outputs=signature.outputs,
            )
        )
        self.timings["trace"] += traced - started
        self.timings["save"] += time.perf_counter() - traced

    def _require_trained(self, used: Collection[str]) -> None:
        """A head that the checkpoint does not hold would be exported with random weights."""
        untrained = sorted(name for name in self._loaded.missing if name in used or f"{name}_transposed" in used)
        if untrained:
            raise load_error(
                f"{self._job.folder} has no weights for {', '.join(untrained[:4])}"
                + (f" and {len(untrained) - 4} more" if len(untrained) > 4 else ""),  # noqa: PLR2004 - as listed
                f"the checkpoint was not trained for {self._job.task}; choose the task it was trained for",
            )

    def _relative(self, name: str) -> str:
        return (self._file_folder / name).relative_to(self._folder).as_posix()

    def _write(self, name: str, graph: WeightlessGraph, components: list[str], engine: str) -> None:
        started = time.perf_counter()
        sign(graph, task=self._job.task, model_type=self._job.model_type, engine=engine)
        main, *external = write_graph(
            graph, self._file_folder / f"{name}.onnx", shard_bytes=self._job.options.shard_bytes
        )
        self.files.append(
            OnnxFileRecord(
                path=self._relative(main.path),
                bytes=main.bytes,
                sha256=main.sha256,
                components=components,
                variant=REFERENCE_VARIANT,
                engine=engine,
                opset=next(o.version for o in graph.model.opset_import if o.domain in ("", "ai.onnx")),
                inputs=tensor_records(graph.model.graph.input),
                outputs=tensor_records(graph.model.graph.output),
                external_data=[msgspec.structs.replace(file, path=self._relative(file.path)) for file in external],
            )
        )
        self.timings["save"] += time.perf_counter() - started


@dataclass(frozen=True)
class CapturedGraph:
    """A graph, the engine that made it and, where that is not the tracer as was tried first, why the tracer did not."""

    graph: WeightlessGraph
    engine: str
    tracer_failure: str | None = None


def capture(call: ModelCall, *, opset: int, engine: str) -> CapturedGraph:
    """Export one component with ``engine``: tracer, torch-export, or auto: torch-export where the tracer cannot.

    Raises:
        ExportError: no engine that may be used can export it.
    """
    captured = _captured(call, opset, engine)
    give_defaults(captured.graph.model, call.defaults)
    return captured


def _captured(call: ModelCall, opset: int, engine: str) -> CapturedGraph:
    if engine == TORCH_EXPORT:
        return CapturedGraph(_torch_export(call, opset), TORCH_EXPORT)
    try:
        _require_tracer_opset(opset)
        return CapturedGraph(tracer.trace(call, opset=opset), TRACER)
    except ExportError as error:
        if engine == TRACER:
            raise
        return CapturedGraph(_torch_export_after(error, call, opset), TORCH_EXPORT, tracer_failure=error.message)


def _torch_export_after(tracer_error: ExportError, call: ModelCall, opset: int) -> WeightlessGraph:
    try:
        return _torch_export(call, opset)
    except ExportError as error:
        raise ExportError(f"{tracer_error.message}; {error.message}", stage=error.stage, hint=error.hint) from error


def _require_tracer_opset(opset: int) -> None:
    if opset > tracer.MAX_OPSET:
        raise ExportError(
            f"the tracer writes opset {tracer.MAX_OPSET} at most, {opset} was asked for",
            stage=Stage.EXPORT,
            hint="use `engine: torch-export` or a lower opset",
        )


def _torch_export(call: ModelCall, opset: int) -> WeightlessGraph:
    # Imported here: most exports never need it, and it takes seconds.
    from onnx_export_action.exporting.engines import torch_export

    return torch_export.capture(call, opset=opset)


def sign(graph: WeightlessGraph, *, task: str, model_type: str, engine: str) -> None:
    """Say in the file what it computes and what made it."""
    set_metadata(graph.model, {"task": task, "model_type": model_type, "engine": engine})
    graph.model.producer_name = "onnx-export-action"
    graph.model.producer_version = VERSION


@contextmanager
def patched(specs: list[PatchingSpec], model: torch.nn.Module) -> Iterator[None]:
    """Apply a configuration's patches, and those of the model's type, while its file is made and only then."""
    with ExitStack() as stack:
        for spec in [*patches_for(model), *specs]:
            stack.enter_context(_patch(spec))
        yield


@contextmanager
def _patch(spec: PatchingSpec) -> Iterator[None]:
    original = getattr(spec.o, spec.name) if spec.orig_op is None else spec.orig_op
    setattr(spec.o, spec.name, spec.custom_op if spec.op_wrapper is None else spec.op_wrapper(spec.custom_op))
    try:
        yield
    finally:
        setattr(spec.o, spec.name, original if spec.op_wrapper is None else spec.op_wrapper(original))


def _copy_companions(job: Job, folder: Path) -> list[FileRecord]:
    files = companion_files(job.folder)
    for name, path in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, folder / name)
    if "tokenizer_config.json" in files and not (folder / "tokenizer.json").exists():
        _convert_tokenizer(job, folder)
    preprocessor = preprocessor_config(files["processor_config.json"]) if "processor_config.json" in files else None
    if preprocessor is not None and PREPROCESSOR_CONFIG not in files:
        (folder / PREPROCESSOR_CONFIG).write_text(preprocessor, encoding="utf-8")
    names = sorted(name for name in {*files, "tokenizer.json", PREPROCESSOR_CONFIG} if (folder / name).is_file())
    return [
        FileRecord(path=name, bytes=(folder / name).stat().st_size, sha256=sha256_of(folder / name)) for name in names
    ]


def _convert_tokenizer(job: Job, folder: Path) -> None:
    """Write ``tokenizer.json``, which JavaScript clients need, for a model saved before it was the rule."""
    from transformers import AutoTokenizer

    try:
        with offline():
            tokenizer = AutoTokenizer.from_pretrained(job.folder, local_files_only=True, trust_remote_code=False)
        backend = tokenizer.backend_tokenizer
    except Exception:  # no fast form of this tokenizer exists: its own files are there and remain
        return
    backend.save(str(folder / "tokenizer.json"))
