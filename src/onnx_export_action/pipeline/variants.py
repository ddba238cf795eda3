"""The other variants of a target: made from its proven fp32 files, and each proven in turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from onnx_export_action.pipeline.checking import Checking
from onnx_export_action.pipeline.exporting import candidates
from onnx_export_action.pipeline.states import Account, Site, TargetState
from onnx_export_action.processes.workers import Work, Worker
from onnx_export_action.variants.high_precision import AUTO, Trial, smallest_set, trial_of
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.manifest import OnnxFileRecord
from onnx_export_action.vocabulary.results import FileResult, Stage, Verdict, overall_verdict
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT, variant_path

_VARIANTS = Work(
    "onnx_export_action.variants.making:write_variants", list[OnnxFileRecord], Stage.EXPORT, "makes the variants"
)
_FLOAT32_NODES = Work(
    "onnx_export_action.variants.float32_nodes:candidates", list[str], Stage.EXPORT, "lists what could stay in float32"
)


@dataclass(frozen=True, kw_only=True)
class Made:
    """The files of one variant, and what was found of them where they were checked."""

    records: tuple[OnnxFileRecord, ...] = ()
    files: tuple[FileResult, ...] = ()
    account: Account = field(default_factory=Account)


@dataclass(frozen=True)
class VariantMaking:
    """Makes variants of the fp32 files ``sources`` in ``staging``; without ``checking`` they are not checked."""

    site: Site
    staging: Path
    checking: Checking | None
    worker: Worker[list[OnnxFileRecord]]
    sources: Sequence[OnnxFileRecord]
    proven: Sequence[FileResult]

    def made(self, variant: str) -> Made:
        """One variant, with the nodes in float32 that the job names or that are found.

        Raises:
            ExportError: it cannot be made.
        """
        self.site.progress(f"making the variant {variant}")
        kept = self.site.job.options.high_precision.get(variant, [])
        if self.checking is None:
            return Made(records=self._written(variant, [] if kept == [AUTO] else kept))
        if kept != [AUTO]:
            return self._tried(self.checking, variant, kept)
        return self._with_smallest_set(self.checking, variant)

    def _with_smallest_set(self, checking: Checking, variant: str) -> Made:
        """The variant with the nodes in float32 that it must have to pass; none where that does not help."""
        tried = self._tried(checking, variant, [])
        if overall_verdict(file.verdict for file in tried.files) is Verdict.PASS:
            return _noted(tried, Account(notes=(f"{variant}: nothing has to stay in float32",)))
        nodes = self._nodes(variant)
        account = tried.account
        trials = 0

        def measure(kept: list[str]) -> Trial:
            nonlocal account, trials
            trials += 1
            self.site.progress(f"{variant}: trial {trials}, {len(kept)} of {len(nodes)} nodes in float32")
            trial = self._tried(checking, variant, kept)
            account += trial.account
            return trial_of(list(trial.files))

        kept = smallest_set(nodes, measure)
        note = (
            f"{variant}: it fails whatever stays in float32 ({trials} trials)"
            if kept is None
            else f"{variant}: {', '.join(kept)} stay in float32, found in {trials} trials"
        )
        return _noted(self._tried(checking, variant, kept or []), account + Account(notes=(note,)))

    def _nodes(self, variant: str) -> list[str]:
        listing: Worker[list[str]] = self.site.workers.warm(_FLOAT32_NODES)
        listing.ask(self.staging, [file.path for file in self.sources if len(file.components) == 1], variant)
        nodes = listing.answer()
        listing.stop()
        return nodes

    def _tried(self, checking: Checking, variant: str, kept: list[str]) -> Made:
        records = self._written(variant, kept)
        found = checking.check(candidates(self.site, self.staging, records), self.proven)
        return Made(records=records, files=found.files, account=found.account)

    def _written(self, variant: str, kept: list[str]) -> tuple[OnnxFileRecord, ...]:
        self.worker.ask(self.staging, list(self.sources), variant, kept, self.site.job.options.shard_bytes)
        return tuple(self.worker.answer())


def with_variants(site: Site, staging: Path, checking: Checking | None, state: TargetState) -> TargetState:
    """The stage: the state with every variant that the job asks for, where its fp32 files are proven or unchecked."""
    asked = [variant for variant in site.job.options.variants if variant != REFERENCE_VARIANT]
    if state.outcome is None or not asked or (checking is not None and state.verdict is not Verdict.PASS):
        return state
    sources = tuple(state.outcome.files)
    making = VariantMaking(site, staging, checking, site.workers.warm(_VARIANTS), sources, state.files)
    for variant in asked:
        started = time.perf_counter()
        try:
            made = making.made(variant)
        except ExportError as error:
            made = Made(files=tuple(_not_made(file, variant, error) for file in sources))
        seconds = Account(timings={"variants": time.perf_counter() - started})
        state = _joined(site, staging, state, made).told(seconds)
    return state


def _joined(site: Site, staging: Path, state: TargetState, made: Made) -> TargetState:
    assert state.outcome is not None
    outcome = msgspec.structs.replace(state.outcome, files=[*state.outcome.files, *made.records])
    return replace(
        state,
        outcome=outcome,
        candidates=(*state.candidates, *candidates(site, staging, made.records)),
        files=(*state.files, *made.files),
    ).told(made.account)


def _noted(made: Made, account: Account) -> Made:
    return replace(made, account=made.account + account)


def _not_made(file: OnnxFileRecord, variant: str, error: ExportError) -> FileResult:
    return FileResult(
        path=variant_path(file.path, variant),
        bytes=0,
        sha256="",
        variant=variant,
        engine=file.engine,
        opset=file.opset,
        verdict=Verdict.ERROR,
        failure=error.as_failure(),
    )
