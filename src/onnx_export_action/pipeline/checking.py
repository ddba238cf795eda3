"""The one loop that checks files, wherever they come from: PyTorch answers once, each file is run and judged.

PyTorch and the runtime work in processes of their own. The runtime loads the first file while PyTorch still runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import msgspec

from onnx_export_action.pipeline.artifact_files import require_components
from onnx_export_action.pipeline.states import Account, Site, TargetState
from onnx_export_action.processes.workers import Work, Worker
from onnx_export_action.proving.records import CandidateFile, CheckedFile, Reference
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.manifest import OnnxFileRecord
from onnx_export_action.vocabulary.names.components import runtime_of
from onnx_export_action.vocabulary.results import Cause, Failure, FileResult, Stage, Verdict
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT, reference_path

_REFERENCE = Work(
    "onnx_export_action.proving.reference.recording:make_reference",
    Reference,
    Stage.VALIDATE,
    "runs PyTorch on the cases",
)
_CANDIDATE = Work(
    "onnx_export_action.proving.candidate.check:check_file",
    CheckedFile,
    Stage.VALIDATE,
    "runs the file in ONNX Runtime",
)

# How long a file may keep ONNX Runtime busy: as long as this, and so many times what PyTorch took.
_PATIENCE_SECONDS, _PATIENCE = 300.0, 30.0


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found of each file, in the order in which they were asked for."""

    files: tuple[FileResult, ...]
    account: Account
    candidate_died: bool = False


class Checking:
    """PyTorch's process and the runtime's for one target. The runtime's starts at once and answers many checks.

    PyTorch's begins with the first check, or before with :meth:`begun`.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._candidate: Worker[CheckedFile] = site.workers.fresh(_CANDIDATE)
        self._referencing: Worker[Reference] | None = None
        self._reference: Reference | None = None

    def begun(self, state: TargetState) -> TargetState:
        """The stage that lets PyTorch begin with the cases, beside whatever comes next."""
        if self._referencing is None:
            self._referencing = self._site.workers.warm(_REFERENCE)
            self._referencing.ask(self._site.job, self._site.references)
        return state

    def checked(self, state: TargetState) -> TargetState:
        """The stage that checks every candidate of ``state``.

        Raises:
            ExportError: PyTorch does not run the model.
        """
        found = self.check(self.begun(state).candidates)
        return replace(state, files=found.files, candidate_died=found.candidate_died).told(found.account)

    def check(self, files: Sequence[CandidateFile], proven: Sequence[FileResult] = ()) -> Checked:
        """Check every file. ``proven`` are results of before: a variant is held against its fp32 file if that passed.

        Raises:
            ExportError: PyTorch does not run the model, or the model has no part of a file's name.
        """
        results: list[FileResult] = []
        account, died = Account(), False
        for file in files:
            asked = msgspec.structs.replace(file, exact=_proven_original(file, [*proven, *results]))
            self._candidate.ask(self._site.job.options.tolerance, asked, self._site.references)
            reference, told = self._answered()
            account += told
            require_components(asked, self._site.references)
            self._site.progress(f"checking {asked.path.name} in {runtime_of(asked.path)}")
            checked = answer_of(self._candidate, asked, _patience(reference))
            results.append(checked.result)
            account += Account(timings={"runtime": checked.seconds}, peak_rss_bytes=checked.peak_rss_bytes)
            died |= checked.died
        return Checked(files=tuple(results), account=account, candidate_died=died)

    def _answered(self) -> tuple[Reference, Account]:
        """PyTorch's answer, and what its process told, once."""
        if self._reference is not None:
            return self._reference, Account()
        assert self._referencing is not None
        self._site.progress("running PyTorch on the cases")
        self._reference = reference = self._referencing.answer()
        self._referencing.stop()
        notes = tuple(reference.notes)
        return reference, Account(notes=notes, timings=reference.timings, peak_rss_bytes=reference.peak_rss_bytes)


def _patience(reference: Reference) -> float:
    return _PATIENCE_SECONDS + _PATIENCE * sum(reference.timings.values())


def candidate_file(file: OnnxFileRecord, folder: Path, job: Job) -> CandidateFile:
    """What is asked about a file that an export wrote below ``folder``."""
    return CandidateFile(
        path=folder / file.path,
        name=file.path,
        components=file.components,
        engine=file.engine,
        opset=file.opset,
        sha256=file.sha256,
        variant=file.variant,
        timed=len(job.options.variants) > 1,
    )


def _proven_original(file: CandidateFile, results: Sequence[FileResult]) -> Path | None:
    """The fp32 file that a variant was made from, if that is right itself: a damaged one proves nothing of it."""
    if file.variant == REFERENCE_VARIANT:
        return None
    name = reference_path(file.name, file.variant)
    proven = any(one.path == name and one.verdict is Verdict.PASS for one in results)
    return file.path.with_name(PurePosixPath(name).name) if proven else None


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
