"""The good exports that faults are made of, each with the reference that it is proven with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx

from onnx_export_action.exporting.exporter import export_target
from onnx_export_action.pipeline.planning import plan_job
from onnx_export_action.proving.candidate.check import check_file
from onnx_export_action.proving.records import CandidateFile
from onnx_export_action.proving.reference.recording import make_reference
from onnx_export_action.variants.making import write_variants
from onnx_export_action.vocabulary.jobs import Job, Request
from onnx_export_action.vocabulary.manifest import OnnxFileRecord
from onnx_export_action.vocabulary.options import ExportOptions
from onnx_export_action.vocabulary.results import FileResult
from tests.models import tiny_checkpoint

# Name -> model type, the head's task, the export's task.
MODELS = {
    "encoder": ("bert", "feature-extraction", "feature-extraction"),
    "reader": ("bert", "question-answering", "question-answering"),
    "decoder": ("gpt2", "text-generation", "text-generation-with-past"),
    "rotary decoder": ("llama", "text-generation", "text-generation-with-past"),
    "encoder-decoder": ("t5", "text2text-generation", "text2text-generation-with-past"),
    "vision": ("vit", "image-classification", "image-classification"),
}
INT8 = "int8 encoder"
INT8_STEM, INT8_VARIANT = "model_quantized", "q8"


@dataclass(frozen=True)
class Proven:
    """An export and the reference that it was proven with."""

    checkpoint: Path
    job: Job
    folder: Path
    references: Path
    files: list[OnnxFileRecord]

    def record(self, stem: str) -> OnnxFileRecord:
        return next(record for record in self.files if Path(record.path).stem == stem)

    def path(self, stem: str = "model") -> Path:
        return self.folder / self.record(stem).path

    def model(self, stem: str = "model") -> onnx.ModelProto:
        return onnx.load(self.path(stem))

    def asked(self, path: Path, stem: str = "model", **changes: object) -> CandidateFile:
        record = self.record(stem)
        return CandidateFile(
            path=path,
            name=f"{stem}.onnx",
            components=record.components,
            engine=record.engine,
            opset=record.opset,
            variant=record.variant,
            **changes,
        )

    def check(self, path: Path, stem: str = "model", **changes: object) -> FileResult:
        return check_file(self.job.options.tolerance, self.asked(path, stem, **changes), self.references).result


def proven(checkpoint: Path, root: Path, task: str, engine: str = "tracer") -> Proven:
    """Export a checkpoint and run its reference."""
    job = plan_job(Request(name="target", model=str(checkpoint), destination=root / "destination", task=task))
    folder, references = root / "files", root / "references"
    folder.mkdir(parents=True)
    references.mkdir()
    outcome = export_target(job, folder, engine)
    make_reference(job, references)
    return Proven(checkpoint, job, folder, references, outcome.files)


def make_export(name: str, root: Path, find: Callable[[str], Proven]) -> Proven:
    """The export of a name; ``find`` gives the one that the int8 variant is made from."""
    if name == INT8:
        return _int8(find("encoder"), root)
    kind, head, task = MODELS[name]
    return proven(tiny_checkpoint(kind, root / "checkpoint", task=head), root, task)


def _int8(encoder: Proven, root: Path) -> Proven:
    task = encoder.job.task
    request = Request(
        name="target",
        model=str(encoder.checkpoint),
        destination=root / "destination",
        task=task,
        options=ExportOptions(variants=("fp32", INT8_VARIANT)),
    )
    job = plan_job(request)
    folder, references = root / "files", root / "references"
    folder.mkdir(parents=True)
    references.mkdir()
    outcome = export_target(job, folder, "tracer")
    made = write_variants(folder, outcome.files, INT8_VARIANT, [])
    make_reference(job, references)
    return Proven(encoder.checkpoint, job, folder, references, made)
