"""What a folder of sentence-transformers says in ``modules.json``: a model, then what makes one embedding of a text.

The file and the modules' own ``config.json`` are untrusted: kinds of modules are from a list and never imported by
name, their folders lie inside the model's. https://sbert.net/docs/sentence_transformer/usage/custom_models.html
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from onnx_export_action.project.places import stays_inside
from onnx_export_action.vocabulary.errors import ExportError, load_error, plan_error
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME
from onnx_export_action.vocabulary.problems import quoted

MODULES_NAME = "modules.json"
TRANSFORMER_SETTINGS_NAME = "sentence_bert_config.json"

_MAX_BYTES = 1024 * 1024
_MAX_SIZE = 2**20
_TYPE = re.compile(r"sentence_transformers\.(?:[A-Za-z_]+\.)*([A-Za-z]+)")
_OWN_FOLDER = re.compile(r"\d{1,2}_\w{1,64}")

MODELS = ("Transformer", "CLIPModel")
PoolingMode: TypeAlias = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
Activation: TypeAlias = Literal[
    "ELU", "GELU", "Hardtanh", "Identity", "LeakyReLU", "Mish", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus",
    "Softsign", "Tanh",
]  # fmt: skip
Size: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=_MAX_SIZE)]
Feature: TypeAlias = Annotated[str, msgspec.Meta(max_length=100)]

# The flags of earlier versions, in the order in which the vectors stand side by side.
_POOLING_FLAGS: dict[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


class Pooling(msgspec.Struct, frozen=True):
    """One vector of all tokens' vectors; those of several modes side by side.

    Without ``include_prompt`` the first tokens, as many as the caller says, count for nothing.
    """

    pooling_mode: PoolingMode | list[PoolingMode] = "mean"
    include_prompt: bool = True

    @property
    def modes(self) -> list[PoolingMode]:
        """The modes in order."""
        return self.pooling_mode if isinstance(self.pooling_mode, list) else [self.pooling_mode]


class Dense(msgspec.Struct, frozen=True):
    """A linear layer and an activation."""

    in_features: Size
    out_features: Size
    bias: bool = True
    activation_function: str = "torch.nn.modules.activation.Tanh"
    module_input_name: Feature = "sentence_embedding"
    module_output_name: Feature | None = None
    use_residual: bool = False

    @property
    def activation(self) -> str:
        """Name of the class in ``torch.nn``."""
        return self.activation_function.rpartition(".")[2]


class Normalize(msgspec.Struct, frozen=True):
    """Length one."""

    module_input_name: Feature = "sentence_embedding"
    module_output_name: Feature | None = None


class LayerNorm(msgspec.Struct, frozen=True):
    """A layer norm of the embedding."""

    dimension: Size


class Dropout(msgspec.Struct, frozen=True):
    """Nothing, but in training."""


Step: TypeAlias = Pooling | Dense | Normalize | LayerNorm | Dropout
_STEPS: dict[str, type[Step]] = {
    kind.__name__: kind for kind in (Pooling, Dense, Normalize, LayerNorm, Dropout)
}  # fmt: skip


class SentenceModules(msgspec.Struct, frozen=True):
    """The model, its folder, and the steps after it, each with the folder of its weights.

    ``model`` is the file's word for the kind of model. ``call`` is what of the model is called for texts and which
    output is taken; None where the files do not say.
    """

    model: str
    folder: Path
    steps: list[tuple[Step, Path]]
    call: tuple[str, str] | None = None

    def words(self) -> list[str]:
        """What follows the model, for a report: ``Pooling (mean)``, ``Normalize``."""
        return [
            f"Pooling ({', '.join(step.modes)})" if isinstance(step, Pooling) else type(step).__name__
            for step, _ in self.steps
        ]


class _Call(msgspec.Struct):
    method: Annotated[str, msgspec.Meta(max_length=200)]
    method_output_name: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class _TransformerSettings(msgspec.Struct):
    transformer_task: Annotated[str, msgspec.Meta(max_length=200)] = "feature-extraction"
    modality_config: dict[str, _Call] = {}


class _Entry(msgspec.Struct):
    type: Annotated[str, msgspec.Meta(max_length=200)]
    path: Annotated[str, msgspec.Meta(max_length=200)] = ""


def has_sentence_modules(folder: Path) -> bool:
    """Whether a model's folder was saved by sentence-transformers."""
    return (folder / MODULES_NAME).is_file()


def read_sentence_modules(folder: Path) -> SentenceModules:
    """Read and check ``modules.json`` and the settings of each module.

    Raises:
        ExportError: a file cannot be read, a kind of module is not known, or a folder lies elsewhere.
    """
    path = folder / MODULES_NAME
    entries = _decoded(path, list[_Entry], folder)
    if not entries:
        raise plan_error(f"{path} names no module")
    kinds = [_kind(entry, path) for entry in entries]
    if kinds[0] not in MODELS:
        raise plan_error(f"{path}: the first module is {kinds[0]}", f"it must be one of {', '.join(MODELS)}")
    folders = [_folder(entry, folder, path) for entry in entries]
    steps = [(_step(kind, place, folder), place) for kind, place in zip(kinds[1:], folders[1:], strict=True)]
    return SentenceModules(kinds[0], folders[0], steps, _call(folders[0], folder))


def config_folder(folder: Path) -> Path:
    """The folder of the model's config.json: the model's own, or that of the first module in older layouts."""
    if (folder / CONFIG_NAME).is_file() or not has_sentence_modules(folder):
        return folder
    try:
        return read_sentence_modules(folder).folder
    except ExportError:
        return folder


def module_files(folder: Path) -> list[str]:
    """``modules.json`` and the settings of the modules, relative to the model's folder; nothing without them."""
    if not has_sentence_modules(folder):
        return []
    settings = [f"{name}/{CONFIG_NAME}" for name in module_folders(folder)]
    return [MODULES_NAME, *(name for name in settings if (folder / name).is_file())]


def module_folders(folder: Path) -> list[str]:
    """The folders of the modules, relative to the model's folder; none where ``modules.json`` cannot be read."""
    if not has_sentence_modules(folder):
        return []
    try:
        entries = _decoded(folder / MODULES_NAME, list[_Entry], folder)
        places = [_folder(entry, folder, folder / MODULES_NAME) for entry in entries]
    except ExportError:
        return []
    inside = {place.relative_to(folder.resolve()).as_posix() for place in places}
    return sorted(name for name in inside if name != "." and (folder / name).is_dir())


def is_module_folder(name: str) -> bool:
    """Whether a folder is called as sentence-transformers calls those of modules: ``2_Dense``."""
    return _OWN_FOLDER.fullmatch(name) is not None


def _call(place: Path, folder: Path) -> tuple[str, str] | None:
    """What the settings of the first module, which versions from 5.4 on write, say of texts."""
    path = place / TRANSFORMER_SETTINGS_NAME
    settings = _decoded(path, _TransformerSettings, folder) if path.is_file() else _TransformerSettings()
    if settings.transformer_task != "feature-extraction":
        raise plan_error(
            f"{path}: models for {quoted(settings.transformer_task)} embed no sentences",
            "name the model's own task to export the model alone",
        )
    text = settings.modality_config.get("text")
    return None if text is None else (text.method, text.method_output_name or "")


def _kind(entry: _Entry, path: Path) -> str:
    found = _TYPE.fullmatch(entry.type)
    known = (*MODELS, *_STEPS)
    if found is None or found[1] not in known:
        raise plan_error(
            f"{path}: modules of type {quoted(entry.type)} are not exported",
            f"known: {', '.join(known)}; a task of the model's own, such as fill-mask, exports the model alone",
        )
    return found[1]


def _folder(entry: _Entry, folder: Path, path: Path) -> Path:
    place = (folder / entry.path).resolve()
    if Path(entry.path).is_absolute() or "\\" in entry.path or not place.is_relative_to(folder.resolve()):
        raise plan_error(f"{path}: the module's folder {quoted(entry.path)} lies outside the model's")
    return place


def _step(kind: str, place: Path, folder: Path) -> Step:
    path = place / CONFIG_NAME
    settings: dict[str, Any] = _decoded(path, dict[str, Any], folder) if path.is_file() else {}
    if kind == "Pooling" and not settings.get("pooling_mode"):
        active = [mode for flag, mode in _POOLING_FLAGS.items() if settings.get(flag) is True]
        settings["pooling_mode"] = active or "mean"
    try:
        step = msgspec.convert(settings, _STEPS[kind])
    except msgspec.ValidationError as error:
        raise plan_error(f"{path}: no settings of a module {kind}: {error}") from error
    if isinstance(step, Dense):
        _check_dense(step, path)
    return step


def _check_dense(step: Dense, path: Path) -> None:
    known = Activation.__args__  # type: ignore[attr-defined] # of a Literal
    if not step.activation_function.startswith("torch.nn.modules.") or step.activation not in known:
        message = f"{path}: the activation {quoted(step.activation_function)} is not exported"
        raise plan_error(message, f"known, of torch.nn: {', '.join(known)}")


def _decoded(path: Path, kind: Any, folder: Path) -> Any:
    try:
        if path.is_symlink() and not stays_inside(path, folder):
            raise plan_error(f"{path} is a link out of the model's folder", "replace the link by the file")
        with path.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise plan_error(f"{path} is larger than {_MAX_BYTES >> 20} MiB")
        return msgspec.convert(json.loads(raw), kind)
    except OSError as error:
        raise load_error(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # both of json and of msgspec
        raise plan_error(f"{path}: not as sentence-transformers writes it: {error}") from error
