"""``onnx-export init``: the files a repository starts with, made from the models that are found in it.

First the models, then the text of each file, as it would be after; nothing is written here. What is quoted from the
repository (folder names, a model's type) is data: it becomes a quoted YAML scalar, never YAML.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from onnx_export_action.isolation.git import Git
from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.project.document.insertion import with_items
from onnx_export_action.project.other_libraries import (
    as_model_config,
    as_sentence_config,
    diffusers_class,
    embeds_sentences,
)
from onnx_export_action.project.places import repository_of
from onnx_export_action.project.sentence_modules import config_folder, module_folders
from onnx_export_action.project.settings import Target, load_settings
from onnx_export_action.project.weight_names import chosen_name
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME, MAX_CONFIG_BYTES, SETTINGS_NAME
from onnx_export_action.vocabulary.supported.version import VERSION
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT, VARIANTS, variant_of

HOOKS_FILE = ".pre-commit-config.yaml"
WORKFLOW_FILE = ".github/workflows/onnx-export.yml"
REPOSITORY = "https://github.com/org/onnx-export-action"
SCHEMA_URL = "https://raw.githubusercontent.com/org/onnx-export-action/v1/docs/onnx-export.schema.json"
LIGHT_HOOKS = (
    "check-onnx-export-config",
    "check-model-config",
    "check-safetensors",
    "check-onnx-files",
    "check-export-is-current",
)

_MAX_GLUE_BYTES = 2**20
_MAX_MODELS = 500
_MAX_NAME = 60
# Folders that tools fill, for a repository that Git does not keep.
_TOOLS_FOLDERS = frozenset({"node_modules", "venv", "site-packages", "__pycache__", "artifacts"})
_LIST_FILES = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--")
# Where a repository that exports by hand says so, and what it then calls.
_GLUE_FILES = (".github/workflows/*.yml", ".github/workflows/*.yaml", "README*", "Makefile", "*.sh", "*.py", "*/*.py")
_TRAINING_CHECKPOINT = re.compile(r"checkpoint-\d+")
_PLAIN_SCALAR = re.compile(r"(?:[A-Za-z]|\./)[A-Za-z0-9_./-]*")


@dataclass(frozen=True)
class FoundModel:
    """A model and how it would be exported. ``task`` is None where the register or config.json does not tell."""

    name: str
    model: str
    task: str | None
    weights: Weights = Weights.LOAD
    variants: tuple[str, ...] = ()
    remark: str | None = None


@dataclass(frozen=True)
class Proposal:
    """A file as it is (None: there is none) and as it would be; ``by_hand`` says what could not be put into it."""

    path: Path
    before: str | None
    after: str
    by_hand: str | None = None

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return self.before != self.after

    def difference(self) -> str:
        """The change as a unified difference."""
        before = (self.before or "").splitlines()
        name = self.path.as_posix()
        origin = "/dev/null" if self.before is None else name
        return "\n".join(difflib.unified_diff(before, self.after.splitlines(), origin, name, lineterm=""))


def proposals(root: Path, hub_ids: Sequence[str] = ()) -> list[Proposal]:
    """What ``init`` would write below ``root``: settings, hook entry, workflow; unchanged files included.

    Raises:
        ExportError: there is no model, a file cannot be read, or an existing onnx-export.yaml has mistakes.
    """
    models = _with_hub_ids(find_models(root), hub_ids)
    if not (root / SETTINGS_NAME).exists():
        _require_one(root, models)
    return [_settings(root, models), _hooks(root), _workflow(root)]


def find_models(root: Path) -> list[FoundModel]:
    """Every folder below ``root`` with the ``config.json`` of a model, whichever library saved it.

    Training checkpoints and exports are none, and of a folder of sentence-transformers its modules are not.
    """
    found: list[FoundModel] = []
    for path in _config_files(root):
        folder = _model_folder(path.parent)
        if folder is None:
            continue
        config = _read_config(path)
        if config is not None and not _is_by_product(folder.relative_to(root), folder):
            found.append(_found(root, folder, config, {model.name.casefold() for model in found}))
        if len(found) == _MAX_MODELS:
            break
    called = _variants_called_for(root) if found else ()
    return [model if model.variants else replace(model, variants=called) for model in found]


def _model_folder(folder: Path) -> Path | None:
    """The folder of the model that a config.json lies in; None where it is that of a module after the model."""
    outer = folder.parent
    if folder.name not in module_folders(outer):
        return folder
    return outer if config_folder(outer) == folder.resolve() else None


def _config_files(root: Path) -> Iterator[Path]:
    """Every config.json, by path: those that Git keeps or would keep, or all where there is no Git."""
    listed = _in_git(root, CONFIG_NAME, "*/config.json")
    yield from _config_files_on_disk(root) if listed is None else listed


def _in_git(root: Path, *patterns: str) -> list[Path] | None:
    """The files that Git keeps or would keep, by path; None where there is no Git."""
    repository = repository_of(root / SETTINGS_NAME)
    if not (repository / ".git").exists():
        return None
    try:
        listed = Git(repository, root).names(*_LIST_FILES, *patterns)
    except ExportError:
        return None
    return [root / name for name in sorted(listed)]


def _config_files_on_disk(root: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _TOOLS_FOLDERS and not name.startswith("."))
        if CONFIG_NAME in names:
            yield Path(parent) / CONFIG_NAME


def _is_by_product(place: Path, folder: Path) -> bool:
    return any(_TRAINING_CHECKPOINT.fullmatch(part) for part in place.parts) or (folder / "manifest.json").exists()


def _read_config(path: Path) -> dict[str, Any] | None:
    try:
        if path.is_symlink() or path.stat().st_size > MAX_CONFIG_BYTES:
            return None
        config = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(config, dict):
        return None
    config = as_model_config(config)
    is_model = isinstance(config.get("model_type"), str) or bool(diffusers_class(config))
    return config if is_model else None


def _found(root: Path, folder: Path, config: dict[str, Any], taken: set[str]) -> FoundModel:
    place = folder.relative_to(root)
    name = _unused_name(place if place.parts else Path(root.resolve().name), taken)
    has_weights = chosen_name(path.name for path in config_folder(folder).iterdir()) is not None
    task, remark = _task_of(folder, config)
    model = "." if not place.parts else f"./{place.as_posix()}"
    return FoundModel(name, model, task, Weights.LOAD if has_weights else Weights.RANDOM, _variants_in(folder), remark)


def _variants_in(folder: Path) -> tuple[str, ...]:
    """The variants of the ONNX files that lie in the model's folder already, from another tool."""
    files = [path for place in (folder, folder / "onnx") for path in place.glob("*.onnx")]
    made = {variant_of(path.name) for path in files}
    return tuple(variant for variant in VARIANTS if variant in made | {REFERENCE_VARIANT}) if made else ()


def _variants_called_for(root: Path) -> tuple[str, ...]:
    """The variants that a workflow, a script or the README makes with optimum or ONNX Runtime's quantisation."""
    listed = _in_git(root, *_GLUE_FILES)
    files = [path for pattern in _GLUE_FILES for path in root.glob(pattern)] if listed is None else listed
    texts = [
        path.read_bytes()
        for path in files[:_MAX_MODELS]
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _MAX_GLUE_BYTES
    ]
    called = [
        name
        for name, variant in VARIANTS.items()
        if variant.made_elsewhere and any(re.search(variant.made_elsewhere.encode(), text) for text in texts)
    ]
    return (REFERENCE_VARIANT, *called) if called else ()


def _task_of(folder: Path, config: dict[str, Any]) -> tuple[str | None, str | None]:
    if "model_type" not in config:
        return None, f"{diffusers_class(config)} of diffusers has no configuration class"
    try:
        if embeds_sentences(folder, config, "auto"):
            config = as_sentence_config(folder, config)
        return TasksManager.infer_task_from_config(config), None
    except ExportError as error:
        return None, ": ".join(part for part in (error.message, error.hint) if part)


def _unused_name(place: Path, taken: set[str]) -> str:
    """The folder's own name; with the folders above it, or a number, where that is taken."""
    parts = [re.sub(r"[^A-Za-z0-9_-]+", "-", part).strip("-_") or "model" for part in place.parts]
    names = ["-".join(parts[start:])[:_MAX_NAME].strip("-_") for start in range(len(parts) - 1, -1, -1)]
    numbered = (f"{names[-1]}-{number}" for number in range(2, _MAX_MODELS + 2))
    return next(name for name in (*names, *numbered) if name.casefold() not in taken)


def _with_hub_ids(found: list[FoundModel], hub_ids: Iterable[str]) -> list[FoundModel]:
    models = list(found)
    for hub_id in hub_ids:
        taken = {model.name.casefold() for model in models}
        models.append(FoundModel(_unused_name(Path(hub_id.rpartition("/")[2]), taken), hub_id, "auto"))
    return models


def _require_one(root: Path, models: list[FoundModel]) -> None:
    if not models:
        raise plan_error(
            f"no model was found in {root}",
            "a model is a folder with a config.json that names its model_type; "
            "for a model on the Hub give its id: `onnx-export init --model org/name`",
        )
    if not any(model.task for model in models):
        said = "\n".join(f"  {model.model}: {model.remark}" for model in models)
        raise plan_error(f"no model in {root} can be exported as it is:\n{said}")


def _settings(root: Path, models: list[FoundModel]) -> Proposal:
    path = Path(SETTINGS_NAME)
    before = _read(root / path)
    if before is None:
        header = f"# yaml-language-server: $schema={SCHEMA_URL}\nversion: 1\ntargets:\n"
        targets = "\n".join(_target_lines(models))
        return Proposal(path, None, f"{header}{targets}\n")
    known = load_settings(root / path).targets
    taken = {target.name.casefold() for target in known}
    added = []
    for model in models:
        if model.task and not any(_is_of(target, root, model) for target in known):
            added.append(replace(model, name=_unused_name(Path(model.model), taken)))
            taken.add(added[-1].name.casefold())
    return _extended(path, before, "targets", [list(_target(model)) for model in added])


def _is_of(target: Target, root: Path, model: FoundModel) -> bool:
    return target.model == model.model if target.folder is None else target.folder == (root / model.model).resolve()


def _target_lines(models: list[FoundModel]) -> Iterator[str]:
    for model in models:
        lines = list(_target(model))
        if model.task is not None:
            yield from (f"  {line}" for line in lines)
        else:
            yield f"  # {_one_line(model.remark or '')}"
            yield from (f"  # {line}" for line in lines)


def _target(model: FoundModel) -> Iterator[str]:
    yield f"- name: {_scalar(model.name)}"
    yield f"  model: {_scalar(model.model)}"
    yield f"  task: {model.task or 'auto'}"
    if model.variants:
        yield f"  variants: [{', '.join(model.variants)}]    # the ones that the repository makes today"
    elif model.weights is Weights.LOAD:
        yield "  # variants: [fp32, q8]    # q8: a quarter of the size, proven too"
    if model.weights is Weights.RANDOM:
        yield "  weights: random    # no weights beside config.json: the architecture is checked with seeded ones"


def _scalar(text: str) -> str:
    """A YAML scalar: as it is where nothing in it means anything to YAML, else in double quotes (JSON is YAML)."""
    return text if _PLAIN_SCALAR.fullmatch(text) and yaml.safe_load(text) == text else json.dumps(text)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:300]


def _hooks(root: Path) -> Proposal:
    entry = [
        f"- repo: {REPOSITORY}",
        f"  rev: v{VERSION}",
        "  hooks:",
        *(f"  - id: {name}" for name in LIGHT_HOOKS),
    ]
    path = Path(HOOKS_FILE)
    before = _read(root / path)
    if before is None:
        return Proposal(path, None, "\n".join(["repos:", *entry]) + "\n")
    if "onnx-export-action" in before:
        return Proposal(path, before, before)
    return _extended(path, before, "repos", [entry])


def _workflow(root: Path) -> Proposal:
    folder = root / WORKFLOW_FILE
    present = sorted(path for path in folder.parent.glob("*.y*ml") if path.is_file() and not path.is_symlink())
    for path in present:
        text = _read(path) or ""
        if "onnx-export-action@" in text:
            return Proposal(path.relative_to(root), text, text)
    template = (resources.files(__package__) / "templates" / "workflow.yml").read_text(encoding="utf-8")
    return Proposal(Path(WORKFLOW_FILE), _read(folder), template)


def _read(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise plan_error(f"{path} is not UTF-8 text: {error.reason}") from error
    except OSError as error:
        raise plan_error(f"{path} cannot be read: {error.strerror}") from error


def _extended(path: Path, text: str, key: str, items: list[list[str]]) -> Proposal:
    """``text`` with items added to the block sequence ``key``, every other character kept; by hand where that fails."""
    if not items:
        return Proposal(path, text, text)
    after = with_items(text, key, items)
    if after is not None:
        return Proposal(path, text, after)
    lines = "\n".join(line for item in items for line in item)
    return Proposal(path, text, text, f"{path} is laid out in another way; add to its `{key}`:\n{lines}")
