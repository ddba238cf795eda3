"""From a request to its result: ``run`` exports and checks, ``validate`` checks files that are there.

Of one target, the export and the reference run side by side in processes of their own, and the runtime loads meanwhile
in a third. From the checking on both commands take the same way. Files reach their destination at the very end. What
stops the work is a failure in the result.
"""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import msgspec

from onnx_export_action.pipeline.artifact_files import files_to_check
from onnx_export_action.pipeline.checking import Checking
from onnx_export_action.pipeline.companions import with_companions
from onnx_export_action.pipeline.explaining import explained
from onnx_export_action.pipeline.exporting import exported, fingerprinted, installed, with_second_engine
from onnx_export_action.pipeline.installing import require_writable, staging_folder, write_result
from onnx_export_action.pipeline.planning import destination_of, plan_job, request_of, result_path_of
from onnx_export_action.pipeline.states import Progress, Site, TargetState, result_of
from onnx_export_action.pipeline.timing import timed
from onnx_export_action.pipeline.variants import with_variants
from onnx_export_action.processes.workers import Workers
from onnx_export_action.project.settings import Target
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.jobs import Job, Request
from onnx_export_action.vocabulary.results import TargetResult
from onnx_export_action.vocabulary.supported.engines import Engine
from onnx_export_action.vocabulary.supported.versions import installed_packages

_IMPORTED_ONCE = ("onnx_export_action.exporting.warm_imports", "onnx_export_action.proving.reference.recording")

_Stages: TypeAlias = Sequence[Callable[[TargetState], TargetState]]


def export_and_check(request: Request, *, progress: Progress, validate: bool = True) -> TargetResult:
    """Export one model, prove its files, and put them at their destination.

    Files whose verdict is fail are put there too, for their owner to look at: the result says what they are. A failed
    export leaves nothing. Without ``validate`` the verdict is error, as nothing was proven.
    """
    started = time.perf_counter()
    state = _exported_and_checked(request, progress, validate=validate)
    return result_of(request, state, time.perf_counter() - started)


def check_folder(request: Request, *, progress: Progress) -> TargetResult:
    """Prove the ONNX files that lie in ``request.destination`` (or its ``onnx`` folder) against a model."""
    started = time.perf_counter()
    state = _checked_in_place(request, progress)
    return result_of(request, state, time.perf_counter() - started)


def run_target(
    target: Target, output: Path | None, config: Path, *, trust_remote_code: bool, progress: Progress
) -> TargetResult:
    """Export and prove a target of the file ``config``; its result is written beside its artifact folder."""
    destination = destination_of(target, output)
    result = export_and_check(request_of(target, destination, trust_remote_code=trust_remote_code), progress=progress)
    reproduce = ["onnx-export", "run", "--config", str(config), "--target", target.name]
    return _written(result, reproduce, destination)


def check_target(target: Target, output: Path | None, *, trust_remote_code: bool, progress: Progress) -> TargetResult:
    """Prove the files that lie in a target's artifact folder; its result is written beside the folder."""
    destination = destination_of(target, output)
    result = check_folder(request_of(target, destination, trust_remote_code=trust_remote_code), progress=progress)
    validating = ["onnx-export", "validate", target.model, str(destination), "--task", target.task]
    # What a target declares has no options of `validate`.
    running = ["onnx-export", "run", "--target", target.name]
    return _written(result, running if target.options.declaration else validating, destination)


def _written(result: TargetResult, reproduce: Sequence[str], destination: Path) -> TargetResult:
    told = msgspec.structs.replace(result, reproduce=shlex.join(reproduce))
    return write_result(told, result_path_of(destination))


def _exported_and_checked(request: Request, progress: Progress, *, validate: bool) -> TargetState:
    state = TargetState()
    try:
        job = plan_job(request)
        require_writable(job.destination)
        state = TargetState(job=job)
        with (
            _temporary_folder() as references,
            staging_folder(job.destination) as staging,
            Workers(_preload(job)) as workers,  # last: its processes end before the folders that they write to go
        ):
            site = Site(job, workers, references, progress)
            return _through(_stages_of_run(site, staging, validate=validate), state)
    except (ExportError, OSError) as error:
        return state.stopped(error)


def _stages_of_run(site: Site, staging: Path, *, validate: bool) -> _Stages:
    checking = Checking(site) if validate else None
    making = (
        partial(fingerprinted, site),
        partial(exported, site, staging, checking),
    )
    if checking is None:
        return (
            *making,
            partial(with_variants, site, staging, None),
            partial(with_companions, site, staging),
            partial(installed, site, staging),
        )
    return (
        *making,
        checking.checked,
        partial(with_second_engine, site, staging, checking),
        partial(with_variants, site, staging, checking),
        *_closing_stages(site),
        partial(with_companions, site, staging),
        partial(installed, site, staging),
    )


def _checked_in_place(request: Request, progress: Progress) -> TargetState:
    state = TargetState()
    try:
        job = plan_job(request)
        files = files_to_check(request.destination, job)
        variants = tuple(dict.fromkeys(file.variant for file in files))
        job = msgspec.structs.replace(job, options=msgspec.structs.replace(job.options, variants=variants))
        timed_files = (msgspec.structs.replace(file, timed=len(variants) > 1) for file in files)
        state = TargetState(job=job, candidates=tuple(timed_files), packages=installed_packages())
        with _temporary_folder() as references, Workers(_preload(job)) as workers:
            site = Site(job, workers, references, progress)
            checking = Checking(site)
            stages: _Stages = (checking.begun, partial(fingerprinted, site), checking.checked, *_closing_stages(site))
            return _through(stages, state)
    except (ExportError, OSError) as error:
        return state.stopped(error)


def _closing_stages(site: Site) -> _Stages:
    """What comes after the checks. A TorchScript file has no graph of the kind that these look into."""
    return () if site.job.options.engine == Engine.TORCHSCRIPT else (partial(timed, site), partial(explained, site))


def _through(stages: _Stages, state: TargetState) -> TargetState:
    """The state after all stages, or after the last one before the work stopped."""
    for stage in stages:
        try:
            state = stage(state)
        except (ExportError, OSError) as error:
            return state.stopped(error)
    return state


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="onnx-export-reference-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _preload(job: Job) -> list[str]:
    # The model's own module, so that both processes find it imported; one that does not exist is passed over.
    module = job.model_type.replace("-", "_")
    own = [f"transformers.models.{module}.modeling_{module}"] if module.isidentifier() else []
    return [*_IMPORTED_ONCE, *own]
