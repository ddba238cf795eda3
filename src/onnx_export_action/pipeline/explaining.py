"""After the verdict: files that are wrong are looked into, and a folder beside the artifact folder shows each again.

What is found goes into the files' results. Whatever fails here is a note and leaves the verdict as it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from onnx_export_action.pipeline.installing import install_artifact, staging_folder
from onnx_export_action.pipeline.workers import Work, Workers
from onnx_export_action.proving.records import PADDING_COUNTS, CandidateFile, Explanation
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.results import Cause, FileResult, Stage, TargetResult, Verdict

_EXPLAIN = Work(
    "onnx_export_action.proving.explaining.divergence:explain", Stage.VALIDATE, "looks for where the file breaks"
)
_PATIENCE_SECONDS = 180.0
_MOST_FILES = 3
_SCRIPT = "reproduce.py"


def repro_folder_of(destination: Path) -> Path:
    """Beside the artifact folder: a folder for each wrong file."""
    return destination.with_name(f"{destination.name}.repro")


def explain_failures(
    job: Job,
    files: Sequence[CandidateFile],
    references: Path,
    workers: Workers,
    result: TargetResult,
    progress: Callable[[str], None],
) -> None:
    """Look into the wrong ones of ``files``; the folders that an earlier run left are removed."""
    folder = repro_folder_of(job.destination)
    _remove_earlier(folder)
    judged = {file.path: file for file in result.files}
    # A TorchScript file has no graph of this kind to look into.
    known = [asked for asked in files if asked.name in judged and asked.path.suffix == ".onnx"]
    wrong = [asked for asked in known if can_be_explained(judged[asked.name])]
    for asked in wrong[:_MOST_FILES]:
        progress(f"looking for where {asked.path.name} breaks")
        try:
            _explain(job, asked, judged[asked.name], references, workers, folder)
        except ExportError as error:
            result.notes.append(f"where {asked.name} breaks was not found: {error.message}")
        except OSError as error:
            result.notes.append(f"{folder} could not be written: {error.strerror}")


def can_be_explained(file: FileResult) -> bool:
    """Whether the file ran and was wrong, so that there is a case to look into."""
    return file.failure is not None and any(case.verdict is not Verdict.PASS for case in file.cases)


def _explain(
    job: Job, asked: CandidateFile, file: FileResult, references: Path, workers: Workers, folder: Path
) -> None:
    stem = Path(asked.name).stem
    target = f"../../{job.destination.name}/{asked.name}"
    with staging_folder(folder) as staging:
        worker = workers.warm(_EXPLAIN)
        worker.ask(job, asked, file, references, staging / stem, target)
        try:
            found = worker.answer(_PATIENCE_SECONDS)
        finally:
            worker.stop()
            if (staging / stem / _SCRIPT).is_file():  # written last
                install_artifact(staging, folder, [])
    add_explanation(file, found, folder / stem)


def add_explanation(file: FileResult, found: Explanation, repro: Path) -> None:
    """Put what was found into the result of a file that failed."""
    failure = file.failure
    if failure is None:
        return
    failure.repro, failure.trigger, failure.layers = str(repro), found.trigger, found.layers
    failure.first_divergent_layer = found.first_divergent_layer
    if found.weights is not None:
        failure.hint = found.weights if failure.hint is None else f"{failure.hint}; {found.weights}"
    if found.foreign:
        failure.cause = Cause.FILE
    elif found.padding_counts and failure.cause is Cause.VALUES:
        failure.cause, failure.hint = Cause.MASK, PADDING_COUNTS


def _remove_earlier(folder: Path) -> None:
    """Only what this project made: a folder of folders with the script in each."""
    inside = list(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
    if inside and all((path / _SCRIPT).is_file() for path in inside):
        shutil.rmtree(folder, ignore_errors=True)
