"""Where the stages of a target work, what each gives to the next, and the result that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from onnx_export_action.processes.workers import Workers
from onnx_export_action.project.manifest import Fingerprint
from onnx_export_action.proving.records import CandidateFile
from onnx_export_action.vocabulary.errors import ExportError, disk_hint
from onnx_export_action.vocabulary.jobs import Job, Request
from onnx_export_action.vocabulary.outcomes import ExportOutcome
from onnx_export_action.vocabulary.results import (
    Failure,
    FileResult,
    ModelInfo,
    Stage,
    TargetResult,
    Verdict,
    overall_verdict,
)

Progress: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Site:
    """The job, the processes that carry it out, the folder of PyTorch's answers, and who is told what runs."""

    job: Job
    workers: Workers
    references: Path
    progress: Progress


@dataclass(frozen=True, kw_only=True)
class Account:
    """``notes`` are what a report should say, ``timings`` seconds by stage, ``peak_rss_bytes`` the largest process."""

    notes: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    peak_rss_bytes: int = 0

    def __add__(self, other: Account) -> Account:
        """Both: a note is said once, seconds of one stage add up."""
        stages = dict.fromkeys((*self.timings, *other.timings))
        return Account(
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
            timings={stage: self.timings.get(stage, 0.0) + other.timings.get(stage, 0.0) for stage in stages},
            peak_rss_bytes=max(self.peak_rss_bytes, other.peak_rss_bytes),
        )


@dataclass(frozen=True, kw_only=True)
class TargetState:
    """Every stage takes one and gives the next.

    ``candidates`` are the files to check and ``files`` what was found of each; ``outcome`` is what an export made.
    ``candidate_died`` says that a file ended the process it ran in.
    """

    job: Job | None = None
    origin: Fingerprint | None = None
    outcome: ExportOutcome | None = None
    candidates: tuple[CandidateFile, ...] = ()
    files: tuple[FileResult, ...] = ()
    candidate_died: bool = False
    packages: dict[str, str] | None = None
    account: Account = Account()
    failure: Failure | None = None

    def told(self, account: Account) -> TargetState:
        """The same, and what a stage told."""
        return replace(self, account=self.account + account)

    def stopped(self, error: ExportError | OSError) -> TargetState:
        """The same, and why it does not go on."""
        return replace(self, failure=failure_of(error))

    @property
    def verdict(self) -> Verdict:
        """Error where the work stopped or nothing was checked."""
        return Verdict.ERROR if self.failure is not None else overall_verdict(file.verdict for file in self.files)


def failure_of(error: ExportError | OSError) -> Failure:
    """What stopped the work, as a value."""
    if isinstance(error, ExportError):
        return error.as_failure()
    place = f"{error.filename}: " if error.filename else ""
    return Failure(
        stage=Stage.EXPORT,
        message=f"{place}{error.strerror or error}",
        hint=disk_hint(error),
    )


def result_of(request: Request, state: TargetState, seconds: float) -> TargetResult:
    """The result of a target that took so many seconds."""
    job, account = state.job, state.account
    return TargetResult(
        target=request.name,
        model=ModelInfo(
            source=request.model,
            revision=request.revision if job is None else job.revision,
            sha256=None if state.origin is None else state.origin.sha256,
            model_type=None if job is None else job.model_type,
            task=None if job is None else job.task,
            weights=request.options.weights,
        ),
        verdict=state.verdict,
        packages=state.packages or {},
        seed=request.options.seed,
        timings={**account.timings, "total": seconds},
        peak_rss_bytes=account.peak_rss_bytes or None,
        files=list(state.files),
        failure=state.failure,
        notes=[*request.notes, *(note for note in account.notes if note not in request.notes)],
        fail_on=request.fail_on,
    )
