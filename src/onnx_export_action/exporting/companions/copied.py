"""The files that belong beside a model's: its configuration, its tokenizer, what prepares its inputs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from onnx_export_action.exporting.companions.proven import converted_tokenizer, prove_companions
from onnx_export_action.loading.companions import (
    PREPROCESSOR_CONFIG,
    TOKENIZER_NAMES,
    companion_files,
    preprocessor_config,
)
from onnx_export_action.project.manifest import sha256_of
from onnx_export_action.vocabulary.manifest import FileRecord
from onnx_export_action.vocabulary.names.file_names import TOKENIZER_NAME


@dataclass(frozen=True)
class Companions:
    """What was written beside the ONNX files, and what the report should say of it."""

    records: list[FileRecord]
    notes: list[str] = field(default_factory=list)


def copy_companions(source: Path, folder: Path) -> Companions:
    """Copy them from the model's folder; a tokenizer and a preprocessor also in the form that all clients read.

    What was written is loaded again and does the same as what was there.

    Raises:
        ExportError: a file cannot be loaded, or loads differently from where it was written to.
        OSError: the folder cannot be written.
    """
    files = companion_files(source)
    for name, path in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, folder / name)
    if TOKENIZER_NAME not in files and any(name in files for name in TOKENIZER_NAMES):
        text = converted_tokenizer(source)
        if text is not None:
            (folder / TOKENIZER_NAME).write_text(text, encoding="utf-8")
    preprocessor = preprocessor_config(files["processor_config.json"]) if "processor_config.json" in files else None
    if preprocessor is not None and PREPROCESSOR_CONFIG not in files:
        (folder / PREPROCESSOR_CONFIG).write_text(preprocessor, encoding="utf-8")
    names = sorted(name for name in {*files, TOKENIZER_NAME, PREPROCESSOR_CONFIG} if (folder / name).is_file())
    records = [
        FileRecord(path=name, bytes=(folder / name).stat().st_size, sha256=sha256_of(folder / name)) for name in names
    ]
    return Companions(records, prove_companions(source, folder, set(names)))
