"""The stages of an export: the model is hashed, exported, exported again where that helps, and installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from onnx_export_action.pipeline.checking import Checking, candidate_file
from onnx_export_action.pipeline.installing import install_artifact, staging_folder
from onnx_export_action.pipeline.states import Account, Site, TargetState
from onnx_export_action.processes.launching import uninterrupted
from onnx_export_action.processes.workers import Work
from onnx_export_action.project.manifest import Fingerprint, earlier_files, fingerprint, write_manifest
from onnx_export_action.proving.records import CandidateFile
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.manifest import MANIFEST_NAME, Manifest, ModelRecord, OnnxFileRecord
from onnx_export_action.vocabulary.outcomes import ExportOutcome
from onnx_export_action.vocabulary.results import FileResult, Stage, Verdict, overall_verdict
from onnx_export_action.vocabulary.supported.engines import AUTO_ORDER, Engine

_EXPORT = Work("onnx_export_action.exporting.exporter:export_target", ExportOutcome, Stage.EXPORT, "exports the model")


def fingerprinted(site: Site, state: TargetState) -> TargetState:
    """The stage that hashes what the export is made from."""
    return replace(state, origin=fingerprint(site.job.folder, weights=site.job.options.weights))


def exported(site: Site, staging: Path, checking: Checking | None, state: TargetState) -> TargetState:
    """The stage that exports into ``staging``; PyTorch runs the cases meanwhile, where there is ``checking``.

    Raises:
        ExportError: the model cannot be exported.
    """
    site.progress(f"loading and exporting {site.job.model_type} for {site.job.task}")
    exporting = site.workers.warm(_EXPORT)
    exporting.ask(site.job, staging, site.job.options.engine)
    if checking is not None:
        state = checking.begun(state)
    outcome: ExportOutcome = exporting.answer()
    exporting.stop()
    return _with_outcome(site, staging, state, outcome)


def with_second_engine(site: Site, staging: Path, checking: Checking, state: TargetState) -> TargetState:
    """The stage that lets torch.export try where the tracer's file is wrong; the better files stay."""
    failure = next((file.failure for file in state.files if file.failure is not None and _engine_may_help(file)), None)
    if site.job.options.engine != Engine.AUTO or failure is None or state.candidate_died:
        return state
    site.progress("the tracer's file is wrong; trying torch.export")
    with staging_folder(staging) as second:
        try:
            outcome = _by_torch_export(site, second)
        except ExportError as error:
            return state.told(Account(notes=(f"torch.export was tried after the tracer: {error.message}",)))
        tried = _with_outcome(site, second, state, outcome)
        found = checking.check(tried.candidates)
        if overall_verdict(file.verdict for file in found.files) is not Verdict.PASS:
            worse = Account(notes=("torch.export was tried after the tracer: its files are wrong too",))
            return state.told(_account(outcome) + found.account + worse)
        install_artifact(second, staging, [])
    better = f"exported with torch.export, as the tracer's file was wrong: {failure.message}"
    tried = replace(tried, candidates=candidates(site, staging, outcome.files), files=found.files)
    return tried.told(found.account + Account(notes=(better,)))


def installed(site: Site, staging: Path, state: TargetState) -> TargetState:
    """The stage that writes the manifest and puts the files at their destination.

    Raises:
        ExportError: the destination does not take them.
        OSError: nor does its disk.
    """
    assert state.outcome is not None
    assert state.origin is not None
    write_manifest(_manifest(site.job, state.outcome, state.origin), staging / MANIFEST_NAME)
    with uninterrupted():
        install_artifact(staging, site.job.destination, earlier_files(site.job.destination))
    return state


def candidates(site: Site, folder: Path, records: Sequence[OnnxFileRecord]) -> tuple[CandidateFile, ...]:
    """What is asked about files that lie below ``folder``."""
    return tuple(candidate_file(record, folder, site.job) for record in records)


def _by_torch_export(site: Site, folder: Path) -> ExportOutcome:
    exporting = site.workers.warm(_EXPORT)
    exporting.ask(site.job, folder, AUTO_ORDER[-1])
    outcome: ExportOutcome = exporting.answer()
    exporting.stop()
    return outcome


def _with_outcome(site: Site, folder: Path, state: TargetState, outcome: ExportOutcome) -> TargetState:
    return replace(
        state, outcome=outcome, candidates=candidates(site, folder, outcome.files), packages=outcome.packages
    ).told(_account(outcome))


def _account(outcome: ExportOutcome) -> Account:
    return Account(notes=tuple(outcome.notes), timings=outcome.timings, peak_rss_bytes=outcome.peak_rss_bytes)


def _engine_may_help(file: FileResult) -> bool:
    """Whether a failure lies in the graph; a vacuous model or an undeclared axis is the same for every engine."""
    failing_case = any(case.verdict is not Verdict.PASS for case in file.cases)
    differs = file.generation is not None and not file.generation.equal
    return failing_case or differs or not file.cases


def _manifest(job: Job, outcome: ExportOutcome, origin: Fingerprint) -> Manifest:
    model = ModelRecord(
        source=job.source,
        model_type=job.model_type,
        task=job.task,
        config_sha256=origin.config_sha256,
        weight_hashes=origin.weight_hashes,
        revision=job.revision,
        weights=job.options.weights,
    )
    return Manifest(
        target=job.name,
        model=model,
        seed=job.options.seed,
        engine=job.options.engine,
        opset=job.options.opset,
        variants=list(job.options.variants),
        declaration_sha256=job.options.declaration.sha256(),
        packages=outcome.packages,
        files=outcome.files,
        other_files=outcome.companions,
    )
