"""Which files of an artifact folder may be published: those that a result proves, by hash, and nothing else.

Folder, manifest and result may come from a job that ran a stranger's files: paths, links and kinds of file are checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from onnx_export_action.project.manifest import Fingerprint, read_manifest, sha256_of
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.manifest import MANIFEST_NAME, FileRecord, Manifest, OnnxFileRecord
from onnx_export_action.vocabulary.problems import quoted
from onnx_export_action.vocabulary.results import FileResult, Stage, TargetResult, Verdict
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT

# Data that tokenizers, processors and configurations are made of; never code, never what steers a repository.
_COMPANION_SUFFIXES = frozenset({".json", ".txt", ".model", ".jinja", ".codes", ".spm"})


@dataclass(frozen=True)
class ProvenFile:
    """A file to publish: ``path`` in the repository, and where its content lies."""

    path: str
    local: Path
    sha256: str
    size: int


def publish_error(message: str, hint: str | None = None) -> ExportError:
    """Publishing was refused or failed; nothing was changed on the Hub unless the message says so."""
    return ExportError(message, stage=Stage.PUBLISH, hint=hint)


def proven_files(folder: Path, result: TargetResult) -> tuple[list[ProvenFile], list[str]]:
    """The files of ``folder`` to publish, the manifest among them, and notes on variants that are left out.

    Raises:
        ExportError: a file is not proven, was changed since, is missing, or is of no kind that belongs there.
    """
    manifest = _manifest(folder)
    _require_same_export(manifest, result)
    proven, notes = _proven_onnx_files(manifest, result)
    records: list[FileRecord] = [*proven, *(data for file in proven for data in file.external_data)]
    records += _companions(manifest)
    files = [_checked(folder, record) for record in records]
    local = folder / MANIFEST_NAME
    return [*files, ProvenFile(MANIFEST_NAME, local, sha256_of(local), local.stat().st_size)], notes


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST_NAME
    if folder.is_symlink() or path.is_symlink():
        raise publish_error(f"{folder} or its manifest is a link", "give the folder that the export wrote")
    try:
        return read_manifest(path)
    except FileNotFoundError as error:
        raise publish_error(f"{folder} has no {MANIFEST_NAME}", "give the folder that the export wrote") from error
    except (OSError, ValueError) as error:
        raise publish_error(str(error)) from error


def _require_same_export(manifest: Manifest, result: TargetResult) -> None:
    if manifest.target != result.target:
        raise publish_error(f"the result is of {quoted(result.target)}, the files are of {quoted(manifest.target)}")
    model = manifest.model
    origin = Fingerprint(config_sha256=model.config_sha256, weight_hashes=model.weight_hashes)
    if result.model.sha256 != origin.sha256:
        raise publish_error(
            f"{result.target}: the result is for other weights than the files were made from", "export and prove again"
        )
    if model.weights is not Weights.LOAD:
        raise publish_error(f"{result.target}: the files hold random weights", "export it with `weights: load`")


def _proven_onnx_files(manifest: Manifest, result: TargetResult) -> tuple[list[OnnxFileRecord], list[str]]:
    results = {file.path: file for file in result.files}
    proven, notes = [], []
    for record in manifest.files:
        reason = _doubt(record, results.get(record.path))
        if reason is None:
            proven.append(record)
        elif record.variant == REFERENCE_VARIANT:
            raise publish_error(f"{result.target}: {record.path} is not proven: {reason}", "export and prove again")
        else:
            notes.append(f"{record.path} is left out: {reason}")
    if not proven or result.failure is not None:
        raise publish_error(f"{result.target}: nothing is proven", "see its report")
    return proven, notes


def _doubt(record: OnnxFileRecord, proof: FileResult | None) -> str | None:
    """Why a file is not proven; None where it is."""
    if proof is None:
        return "the result does not know it"
    if proof.verdict is not Verdict.PASS or proof.failure is not None:
        reason = "" if proof.failure is None else f": {proof.failure.message}"
        return f"its verdict is {proof.verdict}{reason}"
    if not proof.cases or any(case.verdict is not Verdict.PASS for case in proof.cases):
        return "not all of its cases pass"
    if proof.sha256 != record.sha256:
        return "another file was proven under its name"
    if [piece.sha256 for piece in record.external_data] != proof.external_sha256:
        return "its weights were proven from another file"
    return None


def _companions(manifest: Manifest) -> Iterator[FileRecord]:
    for record in manifest.other_files:
        path = PurePosixPath(record.path)
        if path.suffix not in _COMPANION_SUFFIXES or any(part.startswith(".") for part in path.parts):
            raise publish_error(
                f"{quoted(record.path)} is no configuration, tokenizer or processor file", "it is not published"
            )
        yield record


def _checked(folder: Path, record: FileRecord) -> ProvenFile:
    local = folder / record.path
    if local.resolve() != folder.resolve() / record.path or not local.is_file():
        raise publish_error(f"{quoted(record.path)} is missing from {folder}, or is a link")
    size = local.stat().st_size
    if size != record.bytes or sha256_of(local) != record.sha256:
        raise publish_error(f"{quoted(record.path)} was changed after the export", "export and prove again")
    return ProvenFile(record.path, local, record.sha256, size)


def git_blob_sha1(content: bytes) -> str:
    """The hash under which git, and so the Hub, knows a small file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
