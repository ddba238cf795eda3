"""What the hooks need of the repository: its targets, their manifests, and which findings its owner ignores."""

from __future__ import annotations

import fnmatch
import functools
import os
from collections.abc import Iterator
from pathlib import Path

from onnx_export_action.project.manifest import read_manifest
from onnx_export_action.project.places import repository_of
from onnx_export_action.project.settings import Target
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.manifest import MANIFEST_NAME, Manifest
from onnx_export_hooks.findings import Finding, finding

SKIPPED_FOLDERS = frozenset({".git", ".hg", ".tox", ".venv", "venv", "node_modules", "__pycache__", "site-packages"})

LINK_MESSAGE = "a link that leads out of the repository, or nowhere"
LINK_HINT = "replace it by the file"


class Repository:
    """The repository around the current folder. ``settings_path`` may not exist: then there are no targets."""

    def __init__(self, settings_path: Path) -> None:
        self.settings_path = settings_path
        self.root = repository_of(settings_path.absolute())

    @functools.cached_property
    def targets(self) -> list[Target]:
        """The targets of onnx-export.yaml; none where it has mistakes, which check-onnx-export-config reports."""
        from onnx_export_action.project.settings import SettingsError, load_settings

        if not self.settings_path.exists():
            return []
        try:
            return load_settings(self.settings_path).targets
        except SettingsError:
            return []

    @functools.cached_property
    def _targets_by_folder(self) -> dict[Path, list[Target]]:
        by_folder: dict[Path, list[Target]] = {}
        for target in self.targets:
            if target.folder is not None:
                by_folder.setdefault(target.folder, []).append(target)
        return by_folder

    def targets_of(self, model_folder: Path) -> list[Target]:
        """The targets whose model lies in this folder."""
        return self._targets_by_folder.get(model_folder.resolve(), [])

    def leads_out(self, path: Path) -> bool:
        """Whether a link leads out of the repository, or nowhere: what is there may not be shown, or is not there."""
        try:
            if path.is_symlink() and not path.exists():
                return True
            return not path.resolve().is_relative_to(self.root)
        except (OSError, RuntimeError):  # RuntimeError: links in a circle, in Python 3.11
            return True

    @functools.cached_property
    def ignored(self) -> dict[str, list[str]]:
        """Rule -> patterns of the paths for which its findings are left out."""
        from onnx_export_action.project.document import read_document

        if not self.settings_path.is_file():
            return {}
        root, _ = read_document(self.settings_path)
        plain = None if root is None else root.plain()
        section = plain.get("hooks") if isinstance(plain, dict) else None
        ignored = section.get("ignore") if isinstance(section, dict) else None
        if not isinstance(ignored, dict):
            return {}
        listed = {rule: patterns for rule, patterns in ignored.items() if isinstance(patterns, list)}
        return {rule: [text for text in patterns if isinstance(text, str)] for rule, patterns in listed.items()}

    def is_ignored(self, found: Finding) -> bool:
        """Whether onnx-export.yaml says to leave the finding out; patterns are relative to that file's folder."""
        patterns = self.ignored.get(found.rule, [])
        if not patterns:
            return False
        path = Path(os.path.relpath(found.path, self.settings_path.parent)).as_posix()
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def manifest_in(folder: Path) -> tuple[Manifest | None, list[Finding]]:
    """The manifest of an artifact folder, None where there is none; or why it cannot be read."""
    path = folder / MANIFEST_NAME
    try:
        return read_manifest(path), []
    except FileNotFoundError:
        return None, []
    except OSError as error:
        return None, [finding(path, (1, 1), "manifest", f"the manifest cannot be read: {error.strerror}")]
    except ValueError as error:
        words = str(error).removeprefix(f"{path}: ")
        return None, [finding(path, (1, 1), "manifest", words, "write it again with `onnx-export run`")]


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder, by name, without what tools keep there and without following links."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
        yield from (Path(parent) / name for name in sorted(names))


def is_lfs_managed(path: Path) -> bool | None:
    """Whether .gitattributes gives the file to Git LFS; None where git cannot say."""
    from onnx_export_action.isolation.git import Git  # only here, where a file is a pointer or too large: it is slow

    root = repository_of(path.absolute())
    if not (root / ".git").exists():
        return None
    try:
        answer = Git(root, path.parent).try_to_ask("check-attr", "-z", "filter", "--", path.name)
    except ExportError:
        return None
    return None if answer is None else answer.split(b"\0")[2:3] == [b"lfs"]
