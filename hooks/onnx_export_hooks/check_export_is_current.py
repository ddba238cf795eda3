"""check-export-is-current: whether the committed files were made from what the repository holds now."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from onnx_export_action.project.lfs import content_sha256
from onnx_export_action.project.sentence_modules import MODULES_NAME, config_folder, module_folders
from onnx_export_action.project.settings import Target
from onnx_export_action.project.weight_names import weight_paths
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.manifest import MANIFEST_NAME, Manifest
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME, SETTINGS_NAME
from onnx_export_action.vocabulary.problems import quoted
from onnx_export_hooks.command import Hook, run_hook
from onnx_export_hooks.exporting import same_task
from onnx_export_hooks.findings import Finding, finding
from onnx_export_hooks.repository import Repository, manifest_in
from onnx_export_hooks.rules import CURRENT_HOOK

_NAMES = frozenset({SETTINGS_NAME, MANIFEST_NAME, CONFIG_NAME, MODULES_NAME})
_WEIGHTS = (".safetensors", ".bin")
MAX_NAMES = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the hook on the files named in ``argv``."""
    return run_hook(HOOK, argv)


def check(files: list[Path], repository: Repository, _: argparse.Namespace) -> Iterator[Finding]:
    """The targets that the files belong to."""
    changed = [path.resolve() for path in files]
    settings = repository.settings_path.resolve()
    for target in repository.targets:
        if settings in changed or any(_belongs(path, target) for path in changed):
            yield from _TargetCheck(target, repository).findings()


def _belongs(path: Path, target: Target) -> bool:
    folder = target.folder
    in_model = folder is not None and path.parent in (folder, *(folder / name for name in module_folders(folder)))
    code = target.options.declaration.configuration_class
    return in_model or (code is not None and path == code.file) or path.is_relative_to(target.output)


class _TargetCheck:
    """One target whose artifact folder holds a manifest."""

    def __init__(self, target: Target, repository: Repository) -> None:
        self._target = target
        self._repository = repository
        self._path = target.output / MANIFEST_NAME

    def findings(self) -> Iterator[Finding]:
        manifest, found = manifest_in(self._target.output)
        yield from found
        if manifest is None:
            return
        if manifest.target != self._target.name:
            yield self._stale(f"it belongs to the target {quoted(manifest.target)}")
            return
        for words in (*self._settings(manifest), *self._sources(manifest)):
            yield self._stale(words)
        yield from self._artifacts(manifest)

    def _settings(self, manifest: Manifest) -> Iterator[str]:
        target, model = self._target, manifest.model
        compared: list[tuple[str, object, object]] = [
            ("weights", model.weights, target.options.weights),
            ("opset", manifest.opset, target.options.opset),
            ("engine", manifest.engine, target.options.engine),
            ("variants", sorted(manifest.variants), sorted(target.options.variants)),
        ]
        if target.folder is None:
            compared.append(("model", model.source, target.model))
        if target.task != "auto" and not same_task(target.task, model.task):
            compared.append(("task", model.task, target.task))
        if manifest.declaration_sha256 != target.options.declaration.sha256():
            yield f"its inputs, outputs or configuration class were declared otherwise than {SETTINGS_NAME} says now"
        for key, before, now in compared:
            if before != now:
                yield f"it was exported with {key} {_words(before)}, {SETTINGS_NAME} says {_words(now)}"
        if target.revision is not None and model.revision is not None and not _same_commit(model.revision, target):
            wanted = quoted(target.revision)
            yield f"it was exported from revision {quoted(model.revision)}, {SETTINGS_NAME} says {wanted}"

    def _sources(self, manifest: Manifest) -> Iterator[str]:
        """The configuration and the weights; of those that are not in the checkout nothing can be said."""
        folder = self._target.folder
        if folder is None:
            return
        if self._hash(config_folder(folder) / CONFIG_NAME) not in (None, manifest.model.config_sha256):
            yield f"it was exported from another {CONFIG_NAME}"
        if self._target.options.weights is not Weights.LOAD:
            return
        recorded = manifest.model.weight_hashes
        now = {name: self._hash(folder / name) or recorded.get(name) for name in weight_paths(folder)}
        changed = sorted(name for name in recorded.keys() | now.keys() if recorded.get(name) != now.get(name))
        if now and changed:
            yield f"it was exported from other weights ({_listed(changed)})"

    def _hash(self, path: Path) -> str | None:
        if not path.is_file() or self._repository.leads_out(path):
            return None
        return content_sha256(path)

    def _artifacts(self, manifest: Manifest) -> Iterator[Finding]:
        missing = [record.path for record in manifest.all_files() if not (self._target.output / record.path).exists()]
        if missing:
            message = f"the manifest of {self._target.name} names files that are missing: {_listed(missing)}"
            yield finding(self._path, (1, 1), "missing-artifact", message, self._hint())
        elsewhere = [record for record in manifest.other_files if record.path not in missing]
        altered = [
            record.path
            for record in elsewhere
            if self._hash(self._target.output / record.path) not in (None, record.sha256)
        ]
        if altered:
            yield self._stale(f"files beside it were changed since ({_listed(altered)})")

    def _stale(self, words: str) -> Finding:
        message = f"the export of {self._target.name} is not current: {words}"
        return finding(self._path, (1, 1), "stale-export", message, self._hint())

    def _hint(self) -> str:
        return f"run `onnx-export run --target {self._target.name}`"


def _same_commit(recorded: str, target: Target) -> bool:
    """A branch or tag cannot be compared with a commit; commits may be written short."""
    wanted = str(target.revision)
    is_commit = len(wanted) >= 7 and all(char in "0123456789abcdef" for char in wanted)  # noqa: PLR2004 - git's shortest
    return not is_commit or recorded.startswith(wanted)


def _words(value: object) -> str:
    return ", ".join(map(quoted, value)) if isinstance(value, list) else quoted(value)


def _listed(names: list[str]) -> str:
    shown = ", ".join(quoted(name) for name in names[:MAX_NAMES])
    return shown if len(names) <= MAX_NAMES else f"{shown} and {len(names) - MAX_NAMES} more"


HOOK = Hook(
    name=CURRENT_HOOK,
    description="Check that committed exports were made from the configuration and weights that are committed now.",
    accepts=lambda path: path.name in _NAMES or path.suffix in _WEIGHTS,
    check=check,
)
