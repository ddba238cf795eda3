"""The stage that tells clients, in the files that they read first, what lies in the artifact folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from onnx_export_action.exporting.companions.onnxruntime_genai import GENAI_CONFIG, genai_config
from onnx_export_action.exporting.companions.transformers_js import with_transformers_js_config
from onnx_export_action.pipeline.states import Account, Site, TargetState
from onnx_export_action.project.manifest import sha256_of
from onnx_export_action.vocabulary.manifest import FileRecord, OnnxFileRecord
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME, GENERATION_CONFIG_NAME
from onnx_export_action.vocabulary.outcomes import ExportOutcome
from onnx_export_action.vocabulary.results import Verdict
from onnx_export_action.vocabulary.supported.engines import Engine
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT


def with_companions(site: Site, staging: Path, state: TargetState) -> TargetState:
    """The stage: what clients read is written into ``staging``, once it is known which variants are proven.

    Raises:
        OSError: the disk takes no more.
    """
    options = site.job.options
    if state.outcome is None or options.flat_layout or options.engine == Engine.TORCHSCRIPT:  # no client looks there
        return state
    files = _usable(state, state.outcome)
    told = replace(state, outcome=_with_config(staging, state.outcome, files))
    return told if state.outcome.decoder is None else _with_genai_config(staging, told, files)


def _usable(state: TargetState, outcome: ExportOutcome) -> list[OnnxFileRecord]:
    """All but variants that are wrong: ``publish`` leaves these out."""
    wrong = {file.path for file in state.files if file.verdict is not Verdict.PASS}
    return [file for file in outcome.files if file.variant == REFERENCE_VARIANT or file.path not in wrong]


def _with_config(staging: Path, outcome: ExportOutcome, files: list[OnnxFileRecord]) -> ExportOutcome:
    path = staging / CONFIG_NAME
    if not any(record.path == CONFIG_NAME for record in outcome.companions):
        return outcome
    config = json.loads(path.read_bytes())
    told = with_transformers_js_config(config, files)
    return outcome if told == config else _with_file(staging, outcome, CONFIG_NAME, told)


def _with_genai_config(staging: Path, state: TargetState, files: list[OnnxFileRecord]) -> TargetState:
    outcome = state.outcome
    assert outcome is not None
    assert outcome.decoder is not None
    config = genai_config(outcome.decoder, _generation_config(staging, outcome), files)
    if config is None:
        note = f"no {GENAI_CONFIG}: onnxruntime-genai cannot feed this decoder, or no number of positions is known"
        return state.told(Account(notes=(note,)))
    return replace(state, outcome=_with_file(staging, outcome, GENAI_CONFIG, config))


def _generation_config(staging: Path, outcome: ExportOutcome) -> dict[str, Any]:
    if not any(record.path == GENERATION_CONFIG_NAME for record in outcome.companions):
        return {}
    read = json.loads((staging / GENERATION_CONFIG_NAME).read_bytes())
    return read if isinstance(read, dict) else {}


def _with_file(staging: Path, outcome: ExportOutcome, name: str, content: dict[str, Any]) -> ExportOutcome:
    """The outcome with a companion of that name and JSON, instead of an earlier one."""
    path = staging / name
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    record = FileRecord(path=name, bytes=path.stat().st_size, sha256=sha256_of(path))
    others = [one for one in outcome.companions if one.path != name]
    return msgspec.structs.replace(outcome, companions=sorted([*others, record], key=lambda one: one.path))
