"""After the verdict: files that are wrong are looked into, and a folder beside the artifact folder shows each again.

Whatever fails here is a note and leaves the verdict as it is.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec

from onnx_export_action.pipeline.installing import install_artifact, staging_folder
from onnx_export_action.pipeline.states import Account, Site, TargetState
from onnx_export_action.processes.workers import Work
from onnx_export_action.proving.records import PADDING_COUNTS, CandidateFile, Explanation, WeightFindings
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.names.file_names import REPRODUCING_SCRIPT
from onnx_export_action.vocabulary.results import Cause, FileResult, Stage, Verdict

_EXPLAIN = Work(
    "onnx_export_action.proving.explaining.divergence:explain",
    Explanation,
    Stage.VALIDATE,
    "looks for where the file breaks",
)
_PATIENCE_SECONDS = 180.0
_MOST_FILES = 3
_MOST_NAMES = 3


def repro_folder_of(destination: Path) -> Path:
    """Beside the artifact folder: a folder for each wrong file."""
    return destination.with_name(f"{destination.name}.repro")


def explained(site: Site, state: TargetState) -> TargetState:
    """The stage that looks into the wrong files of ``state``; the folders that an earlier run left are removed."""
    folder = repro_folder_of(site.job.destination)
    _remove_earlier(folder)
    judged = {file.path: file for file in state.files}
    # A TorchScript file has no graph of this kind to look into.
    known = [asked for asked in state.candidates if asked.name in judged and asked.path.suffix == ".onnx"]
    wrong = [asked for asked in known if can_be_explained(judged[asked.name])]
    notes: list[str] = []
    for asked in wrong[:_MOST_FILES]:
        site.progress(f"looking for where {asked.path.name} breaks")
        try:
            judged[asked.name] = _explained(site, asked, judged[asked.name], folder)
        except ExportError as error:
            notes.append(f"where {asked.name} breaks was not found: {error.message}")
        except OSError as error:
            notes.append(f"{folder} could not be written: {error.strerror}")
    files = tuple(judged[file.path] for file in state.files)
    return replace(state, files=files).told(Account(notes=tuple(notes)))


def can_be_explained(file: FileResult) -> bool:
    """Whether the file ran and was wrong, so that there is a case to look into."""
    return file.failure is not None and any(case.verdict is not Verdict.PASS for case in file.cases)


def _explained(site: Site, asked: CandidateFile, file: FileResult, folder: Path) -> FileResult:
    stem = Path(asked.name).stem
    target = f"../../{site.job.destination.name}/{asked.name}"
    with staging_folder(folder) as staging:
        worker = site.workers.warm(_EXPLAIN)
        worker.ask(site.job, asked, file, site.references, staging / stem, target)
        try:
            found: Explanation = worker.answer(_PATIENCE_SECONDS)
        finally:
            worker.stop()
            if (staging / stem / REPRODUCING_SCRIPT).is_file():  # written last
                install_artifact(staging, folder, [])
    return with_explanation(file, found, folder / stem)


def with_explanation(file: FileResult, found: Explanation, repro: Path) -> FileResult:
    """The result of a file that failed, with what was found of it."""
    failure = file.failure
    if failure is None:
        return file
    cause, hint = failure.cause, failure.hint
    words = _weight_words(found.weights)
    if words is not None:
        hint = words if hint is None else f"{hint}; {words}"
    if found.weights.foreign:
        cause = Cause.FILE
    elif found.padding_counts and cause is Cause.VALUES:
        cause, hint = Cause.MASK, PADDING_COUNTS
    told = msgspec.structs.replace(
        failure,
        cause=cause,
        hint=hint,
        trigger=found.trigger,
        layers=found.layers,
        first_divergent_layer=found.first_divergent_layer,
        repro=Path(os.path.relpath(repro)).as_posix(),  # a report travels, and this folder with it
    )
    return msgspec.structs.replace(file, failure=told)


def _weight_words(weights: WeightFindings) -> str | None:
    """A sentence for the reader, None where nothing is wrong."""
    if weights.foreign:
        return "the weights in the file are not those of the checkpoint: they belong to another model"
    if not weights.changed:
        return None
    names, left = weights.changed[:_MOST_NAMES], len(weights.changed) - _MOST_NAMES
    return f"differs from the checkpoint: {', '.join(names)}{f' and {left} more' if left > 0 else ''}"


def _remove_earlier(folder: Path) -> None:
    """Only what this project made: a folder of folders with the script in each."""
    inside = list(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
    if inside and all((path / REPRODUCING_SCRIPT).is_file() for path in inside):
        shutil.rmtree(folder, ignore_errors=True)
