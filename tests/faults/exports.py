"""The good exports that faults are made of, each with the reference that it is proven with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import onnx

from onnx_export_action.export.exporter import export_target
from onnx_export_action.project.manifest import OnnxFileRecord
from onnx_export_action.project.plan import Job, OutputTolerance
from onnx_export_action.results import FileResult
from onnx_export_action.stages import Request, plan_job
from onnx_export_action.validation.candidate import check_file
from onnx_export_action.validation.records import CandidateFile
from onnx_export_action.validation.reference import make_reference
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
_INT8_ALLOWED = OutputTolerance(atol=0.35, rtol=0.0)
"""What the good file uses half of."""


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
            **changes,
        )

    def check(self, path: Path, stem: str = "model", **changes: object) -> FileResult:
        return check_file(self.job, self.asked(path, stem, **changes), self.references).result


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
    from onnxruntime.quantization import QuantType, quantize_dynamic

    (root / "files").mkdir(parents=True)
    made = root / "files" / "model.onnx"
    quantize_dynamic(encoder.path(), made, weight_type=QuantType.QInt8)
    tolerance = {"last_hidden_state": _INT8_ALLOWED}
    job = msgspec.structs.replace(encoder.job, tolerance=tolerance)
    record = msgspec.structs.replace(encoder.files[0], path="model.onnx", variant="q8")
    return Proven(encoder.checkpoint, job, root / "files", encoder.references, [record])
