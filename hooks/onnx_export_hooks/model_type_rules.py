"""The model type, the target's task, and what the export would give compared with the committed files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.onnx_config.registry.model_types import require_present
from onnx_export_action.project.manifest import sha256_of
from onnx_export_action.project.other_libraries import as_model_config, diffusers_class
from onnx_export_action.project.settings import Target
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.manifest import Manifest, OnnxFileRecord
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME
from onnx_export_action.vocabulary.problems import did_you_mean, quoted
from onnx_export_hooks.exporting import (
    LABELLED_TASKS,
    Plan,
    Signature,
    export_plan,
    exported_task,
    is_inferred,
    registered_values,
)
from onnx_export_hooks.findings import Finding
from onnx_export_hooks.model_config import ModelConfig
from onnx_export_hooks.model_folder import ModelFolder
from onnx_export_hooks.model_types import model_type_names, transformers_version
from onnx_export_hooks.repository import manifest_in

_MAX_NAMES = 6
_DECODERS_CLASSIFY = frozenset({"text-classification"})


def type_findings(config: ModelConfig) -> Iterator[Finding]:
    """Whether transformers can load the model type."""
    if as_model_config(config.values) is not config.values or diffusers_class(config.values):
        return  # another library wrote it: timm, or diffusers
    if config.model_type is None:
        hint = 'it names the architecture, for example "model_type": "bert"'
        yield config.document.finding("missing-model-type", ("model_type",), "there is no model_type", hint)
    elif config.model_type in TasksManager.get_supported_model_types():
        return
    elif config.model_type not in model_type_names():
        yield _unknown(config, config.model_type)


def _unknown(config: ModelConfig, model_type: str) -> Finding:
    auto_map = config.values.get("auto_map")
    if isinstance(auto_map, dict) and auto_map:
        message = f"the model type {quoted(model_type)} is defined by Python code inside the repository"
        hint = "it runs only with --trust-remote-code; ignore the rule if you allow it"
        return config.finding("remote-code", "auto_map", message, hint)
    try:
        require_present(model_type)
    except ExportError as error:
        return config.finding("unknown-model-type", "model_type", error.message, error.hint)
    message = f"transformers {transformers_version()} has no model type {quoted(model_type)}"
    return config.finding("unknown-model-type", "model_type", message, did_you_mean(model_type, model_type_names()))


def export_findings(folder: ModelFolder, config: ModelConfig, target: Target) -> Iterator[Finding]:
    """What one target asks of the model."""
    if next(type_findings(config), None) is not None or target.options.declaration:
        return
    try:
        values = registered_values(config, folder.path, target.task)
        if is_inferred(values.get("model_type")):
            return
        task = exported_task(target, values)
    except ExportError as error:
        place = "architectures" if target.task == "auto" and config.architectures() else "model_type"
        yield config.finding("task-not-exportable", place, f"target {target.name}: {error.message}", error.hint)
        return
    plan = export_plan(config, task, values["model_type"])
    if plan is not None:
        yield from _missing_ids(folder, config, plan)
        yield from _changes(folder, config, target, plan, values["model_type"])


def _missing_ids(folder: ModelFolder, config: ModelConfig, plan: Plan) -> Iterator[Finding]:
    model = plan.signatures.get("model")
    stem = TasksManager.map_from_synonym(plan.task).removesuffix("-with-past")
    if stem in _DECODERS_CLASSIFY and model is not None and 0 not in model.inputs.get("input_ids", {0: ""}):
        message = "without pad_token_id the exported model takes one row at a time"
        yield config.finding("missing-token-id", "pad_token_id", message, "add the id of the padding token")
    if "encoder_model" not in plan.signatures:
        return
    generation = folder.json("generation_config.json")
    sources = [config.values, config.text().values, {} if generation is None else generation.value]
    names = ("decoder_start_token_id", "bos_token_id")
    if not any(source.get(name) is not None for source in sources for name in names) and not any(
        config.get(name) is not None for name in names
    ):
        message = "without decoder_start_token_id (or bos_token_id) the model cannot start to generate"
        yield config.finding("missing-token-id", "decoder_start_token_id", message)


def _changes(
    folder: ModelFolder, config: ModelConfig, target: Target, plan: Plan, model_type: str
) -> Iterator[Finding]:
    """What differs from the committed files, where they were made from another configuration."""
    manifest, _ = manifest_in(target.output)
    if manifest is None or manifest.target != target.name:
        return
    if manifest.model.config_sha256 == sha256_of(folder.path / CONFIG_NAME):
        return
    for words in dict.fromkeys(_differences(manifest, config, plan, model_type)):
        hint = f"run `onnx-export run --target {target.name}` and commit its files"
        message = f"the export of {target.name} would change: {words}"
        yield config.finding("graph-change", "model_type", message, hint)


def _differences(manifest: Manifest, config: ModelConfig, plan: Plan, model_type: str) -> Iterator[str]:
    if manifest.model.model_type != model_type:
        yield f"model type {quoted(model_type)} instead of {quoted(manifest.model.model_type)}"
    for file in manifest.files:
        signature = plan.signature_of(file)
        if signature is None:
            continue
        name = Path(file.path).name
        yield from (f"{name} {words}" for words in _names(file, signature))
        yield from (f"{name}: {words}" for words in _axes(file, signature))
        yield from (f"{name}: {words}" for words in _sizes(file, config, plan))


def _names(file: OnnxFileRecord, signature: Signature) -> Iterator[str]:
    for what, before, now in (("input", file.inputs, signature.inputs), ("output", file.outputs, signature.outputs)):
        added = [name for name in now if name not in before]
        gone = [name for name in before if name not in now]
        if added:
            yield f"gets the {what}s {_listed(added)}"
        if gone:
            yield f"loses the {what}s {_listed(gone)}"


def _axes(file: OnnxFileRecord, signature: Signature) -> Iterator[str]:
    for name, record in file.inputs.items():
        before = {axis for axis, size in enumerate(record.shape) if isinstance(size, str)}
        now = signature.inputs.get(name)
        if now is not None and before != set(now):
            yield f"the axes of {quoted(name)} that vary become {sorted(now)} instead of {sorted(before)}"


def _sizes(file: OnnxFileRecord, config: ModelConfig, plan: Plan) -> Iterator[str]:
    """The last axis of the logits: classes, or the vocabulary."""
    logits = file.outputs.get("logits")
    if logits is None or not logits.shape or not isinstance(logits.shape[-1], int):
        return
    stem = plan.task.removesuffix("-with-past")
    now = config.num_labels() if stem in LABELLED_TASKS else None
    if stem in {"text-generation", "fill-mask", "text2text-generation"}:
        now = config.text().size("vocab_size")
    if now is not None and now != logits.shape[-1]:
        yield f"logits have {now} values instead of {logits.shape[-1]}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(quoted(name) for name in names[:_MAX_NAMES])
    return shown if len(names) <= _MAX_NAMES else f"{shown} and {len(names) - _MAX_NAMES} more"
