"""Writes the files of one target into a folder, and the files that belong beside them.

In order: the model is loaded, its configuration found, each component recorded and written, the decoders merged, the
companions copied.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from onnx_export_action.configuring.configuration import configuration_notes, onnx_config_for
from onnx_export_action.exporting.companions.copied import copy_companions
from onnx_export_action.exporting.companions.facts import decoder_facts
from onnx_export_action.exporting.engines import Recorded, Recording, record
from onnx_export_action.exporting.engines.graph import GraphRecording
from onnx_export_action.graphs.merging import merge_decoders
from onnx_export_action.loading.model import LoadedModel, load_model
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.traceable.calling import model_call
from onnx_export_action.vocabulary.errors import ExportError, disk_hint, load_error
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.manifest import OnnxFileRecord
from onnx_export_action.vocabulary.names.components import (
    DECODER,
    DECODER_WITH_PAST,
    MERGED_DECODER,
    components_of_file,
)
from onnx_export_action.vocabulary.outcomes import DecoderFacts, ExportOutcome
from onnx_export_action.vocabulary.results import Stage
from onnx_export_action.vocabulary.supported.engines import Engine
from onnx_export_action.vocabulary.supported.versions import installed_packages

_SHOWN = 4  # names in a message, the others counted


def export_target(job: Job, folder: Path, engine: Engine) -> ExportOutcome:
    """Export every file of ``job`` into ``folder`` (which exists and is empty) with ``engine``.

    Raises:
        ExportError: loading failed, no engine can export a file, or the disk is full.
    """
    started = time.perf_counter()
    loaded = load_model(job)
    load_seconds = time.perf_counter() - started
    onnx_config = onnx_config_for(loaded.model, job)
    with _explained_writing(job.destination.parent):
        files = _exported_files(job, loaded, onnx_config, folder, engine)
        companions = copy_companions(job.folder, folder)
    timings = Counter({"load": load_seconds, "trace": 0.0, "save": 0.0})
    for file in files:
        timings.update(file.seconds)
    return ExportOutcome(
        files=[file.record for file in files],
        companions=companions.records,
        packages=installed_packages(),
        timings={**_import_seconds(), **timings},
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        decoder=_decoder_facts(loaded, onnx_config),
        notes=[
            *loaded.notes,
            *configuration_notes(job, onnx_config),
            *(note for file in files for note in file.notes),
            *companions.notes,
        ],
    )


def _decoder_facts(loaded: LoadedModel, onnx_config: OnnxConfig) -> DecoderFacts | None:
    generates = onnx_config.use_past and onnx_config.task == "text-generation"
    return decoder_facts(loaded.model.config) if generates else None


@dataclass(frozen=True)
class _ExportedFile:
    """One file that was written, what it was written from, and how long that took."""

    record: OnnxFileRecord
    recording: Recording
    seconds: dict[str, float]
    notes: list[str] = field(default_factory=list)


def _exported_files(
    job: Job, loaded: LoadedModel, onnx_config: OnnxConfig, folder: Path, engine: Engine
) -> list[_ExportedFile]:
    place = folder / job.file_folder_name
    place.mkdir(exist_ok=True)
    files = {name: _exported(name, part, job, loaded, place, engine) for name, part in onnx_config.components()}
    merged = _merged_decoder(job, place, [files[name] for name in (DECODER, DECODER_WITH_PAST) if name in files])
    return [*files.values(), *merged]


def _exported(
    name: str, onnx_config: OnnxConfig, job: Job, loaded: LoadedModel, place: Path, engine: Engine
) -> _ExportedFile:
    started = time.perf_counter()
    dummy_inputs = onnx_config.generate_dummy_inputs("pt", seed=job.options.seed)
    call = model_call(loaded.model, onnx_config, dummy_inputs)
    recorded = record(call, job.options.opset, engine)
    _require_trained(job, loaded.missing, recorded.recording.weights)
    trace_seconds = time.perf_counter() - started
    notes = _notes(name, recorded, call.defaults)
    return _written(name, recorded.recording, [name], job, place, trace_seconds, notes)


def _notes(name: str, recorded: Recorded, defaults: Collection[str]) -> list[str]:
    notes = [f"{name}: {error.message}; exported with torch.export instead" for error in recorded.failures.values()]
    if defaults:
        inputs = ", ".join(defaults)
        notes.append(f"{name}: {inputs} may be left out; it is proven where they leave nothing to chance")
    return notes


def _written(
    name: str,
    recording: Recording,
    components: list[str],
    job: Job,
    place: Path,
    trace_seconds: float = 0.0,
    notes: Sequence[str] = (),
) -> _ExportedFile:
    started = time.perf_counter()
    path = place / f"{name}{recording.suffix}"
    written = recording.write(
        path, components, task=job.task, model_type=job.model_type, shard_bytes=job.options.shard_bytes
    )
    seconds = {"trace": trace_seconds, "save": time.perf_counter() - started}
    return _ExportedFile(_inside(written, job.file_folder_name), recording, seconds, list(notes))


def _merged_decoder(job: Job, place: Path, decoders: Sequence[_ExportedFile]) -> list[_ExportedFile]:
    """One file of the decoder's first step and its later steps, where both are graphs."""
    recordings = [file.recording for file in decoders if isinstance(file.recording, GraphRecording)]
    if len(recordings) < 2:  # noqa: PLR2004 - both, or nothing to merge
        return []
    first, second = recordings
    merged = GraphRecording(
        merge_decoders(first.graph, second.graph), "+".join(dict.fromkeys((first.engine, second.engine)))
    )
    return [_written(MERGED_DECODER, merged, components_of_file(MERGED_DECODER), job, place)]


def _inside(record: OnnxFileRecord, folder: str) -> OnnxFileRecord:
    """The record with paths from the artifact's folder."""
    external = [
        msgspec.structs.replace(file, path=(Path(folder) / file.path).as_posix()) for file in record.external_data
    ]
    return msgspec.structs.replace(record, path=(Path(folder) / record.path).as_posix(), external_data=external)


def _require_trained(job: Job, missing: Collection[str], used: Collection[str]) -> None:
    """A head that the checkpoint does not hold would be exported with random weights."""
    untrained = sorted(name for name in missing if name in used)
    if untrained:
        more = f" and {len(untrained) - _SHOWN} more" if len(untrained) > _SHOWN else ""
        raise load_error(
            f"{job.folder} has no weights for {', '.join(untrained[:_SHOWN])}{more}",
            f"the checkpoint was not trained for {job.task}; choose the task it was trained for",
        )


@contextmanager
def _explained_writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportError(
            f"cannot write to {folder}: {error.strerror or error}",
            stage=Stage.EXPORT,
            hint=disk_hint(error),
        ) from error


def _import_seconds() -> dict[str, float]:
    warm = sys.modules.get("onnx_export_action.exporting.warm_imports")
    return {} if warm is None else {"imports": warm.SECONDS}
