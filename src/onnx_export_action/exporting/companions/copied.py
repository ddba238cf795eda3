"""The files that belong beside a model's: its configuration, its tokenizer, what prepares its inputs."""

from __future__ import annotations

import shutil
from pathlib import Path

from onnx_export_action.loading.offline import offline
from onnx_export_action.loading.source import PREPROCESSOR_CONFIG, companion_files, preprocessor_config
from onnx_export_action.project.manifest import sha256_of
from onnx_export_action.vocabulary.manifest import FileRecord


def copy_companions(source: Path, folder: Path) -> list[FileRecord]:
    """Copy them from the model's folder; a tokenizer and a preprocessor also in the form that all clients read.

    Raises:
        OSError: the folder cannot be written.
    """
    files = companion_files(source)
    for name, path in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(path, folder / name)
    if "tokenizer_config.json" in files and not (folder / "tokenizer.json").exists():
        _convert_tokenizer(source, folder)
    preprocessor = preprocessor_config(files["processor_config.json"]) if "processor_config.json" in files else None
    if preprocessor is not None and PREPROCESSOR_CONFIG not in files:
        (folder / PREPROCESSOR_CONFIG).write_text(preprocessor, encoding="utf-8")
    names = sorted(name for name in {*files, "tokenizer.json", PREPROCESSOR_CONFIG} if (folder / name).is_file())
    return [
        FileRecord(path=name, bytes=(folder / name).stat().st_size, sha256=sha256_of(folder / name)) for name in names
    ]


def _convert_tokenizer(source: Path, folder: Path) -> None:
    """Write ``tokenizer.json``, which JavaScript clients need, for a model saved before it was the rule."""
    from transformers import AutoTokenizer

    try:
        with offline():
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True, trust_remote_code=False)
        backend = tokenizer.backend_tokenizer
    except Exception:  # no fast form of this tokenizer exists: its own files are there and remain
        return
    backend.save(str(folder / "tokenizer.json"))
