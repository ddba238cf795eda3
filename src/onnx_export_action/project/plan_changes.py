"""Which targets are exported again: those whose section, files or shaping versions differ from a base commit.

Git compares the files, so that nothing is loaded and a repository of many models costs a few calls. When in doubt a
target counts as changed. Nothing of the repository runs.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from onnx_export_action.project.document import Node, Plain, read_document
from onnx_export_action.project.git_repository import GitRepository
from onnx_export_action.project.settings import Target
from onnx_export_action.project.settings.schema import OWN_KEYS
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.names.file_names import SETTINGS_NAME
from onnx_export_action.vocabulary.problems import quoted
from onnx_export_action.vocabulary.results import TargetResult
from onnx_export_action.vocabulary.supported.versions import SHAPING_PACKAGES, installed_version

MAX_JOBS = 256  # GitHub's limit of jobs from one matrix
_PINNED_PACKAGES = ("onnx-export-action", *SHAPING_PACKAGES)

# Files at the top of a repository that pin versions, and lines in them that name a package which shapes an export.
_PIN_FILES = re.compile(
    r"(?:requirements|constraints)[\w.-]*\.(?:txt|in)|pyproject\.toml|(?:uv|poetry|pdm|pixi)\.lock|Pipfile(?:\.lock)?"
    r"|environment\.ya?ml|\.github/workflows/[^/]+\.ya?ml"
)
_PIN_LINE = re.compile(
    rf"(?<![\w-])(?:{'|'.join(_PINNED_PACKAGES)}|optimum|safetensors|tokenizers)(?![\w-])", re.IGNORECASE
)
_MAX_PIN_BYTES = 8 * 1024 * 1024
_LOCK_WINDOW = 12  # a lock file has version and hashes in the lines after the name
_MAX_LINKS = 1000
_FULL_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class PlannedTarget(msgspec.Struct, frozen=True, kw_only=True):
    """One target of the plan. ``reasons`` says why it is exported again; empty when it is not."""

    name: str
    reasons: list[str] = []

    @property
    def changed(self) -> bool:
        """Whether it is exported again."""
        return bool(self.reasons)


class ChangePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Every target in the order of the file. ``base`` is the commit compared with, None when nothing was compared."""

    targets: list[PlannedTarget]
    base: str | None = None
    notes: list[str] = []

    @property
    def changed(self) -> list[str]:
        """Names of the targets to export."""
        return [target.name for target in self.targets if target.changed]

    def matrix(self) -> str:
        """JSON for ``strategy.matrix``: an entry a target with ``name`` and ``targets``.

        With more targets than a matrix can have jobs, an entry has several.
        """
        names = self.changed
        jobs = min(len(names), MAX_JOBS)
        groups = [names[start::jobs] for start in range(jobs)]
        return json.dumps({"include": [{"name": group[0], "targets": ",".join(group)} for group in groups]})


def plan_everything(targets: Sequence[Target], *, reason: str, notes: Sequence[str] = ()) -> ChangePlan:
    """A plan that exports all of ``targets``."""
    planned = [PlannedTarget(name=target.name, reasons=[reason]) for target in targets]
    return ChangePlan(targets=planned, notes=list(notes))


def plan_changes(
    config: Path, targets: Sequence[Target], since: str, *, base_results: Sequence[TargetResult] = ()
) -> ChangePlan:
    """Compare ``targets``, read from ``config``, with the commit where this branch left ``since``.

    A full hash that this clone does not have (it is shallow, or the branch was rewritten) gives a plan of everything,
    and a note. ``base_results`` tell the versions that the base was exported with.

    Raises:
        ExportError: ``config`` is in no git repository, or ``since`` names no commit of it.
    """
    repository = GitRepository(config)
    if not repository.has(since):
        if _FULL_HASH.fullmatch(since):
            note = f"everything is exported: this clone does not have {since[:12]} (checkout with fetch-depth: 0)"
            return plan_everything(targets, reason="there is no base to compare with", notes=[note])
        raise plan_error(
            f"there is no commit {quoted(since)} in this clone", "fetch it, or check out with fetch-depth: 0"
        )
    base = repository.base(since)
    before, now = _sections(repository.file_at(base, config)), _sections(config.read_bytes())
    changed = repository.changed_files(base)
    everywhere = _changed_pins(repository, base, changed)
    results = {result.target: result for result in base_results}
    planned = []
    for target in targets:
        reasons = _section_reasons(before, now, target.name)
        reasons += _file_reasons(repository, target, changed)
        reasons += everywhere or _version_reasons(results.get(target.name))
        planned.append(PlannedTarget(name=target.name, reasons=reasons))
    unpinned = [
        f"{target.name}: {target.model} is not pinned to a commit; whether the Hub has a newer one was not asked"
        for target in targets
        if target.folder is None and not _FULL_HASH.fullmatch(target.revision or "")
    ]
    return ChangePlan(targets=planned, base=base, notes=unpinned)


def changed_since_commit(config: Path) -> list[str]:
    """Files that git keeps and that differ from the newest commit, in the repository of ``config``.

    Raises:
        ExportError: ``config`` is in no git repository.
    """
    return GitRepository(config).uncommitted()


def _section_reasons(before: dict[str, Plain] | None, now: dict[str, Plain] | None, name: str) -> list[str]:
    if before is None or now is None:
        return ["the base has no configuration that can be read"]
    if name not in before:
        return ["the target is new"]
    old, new = before[name], now.get(name)
    if not isinstance(old, dict) or not isinstance(new, dict):
        return ["its section changed"]
    keys = sorted(key for key in old.keys() | new.keys() if _differs(old.get(key), new.get(key)))
    return [f"its section changed: {', '.join(keys)}"] if keys else []


def _differs(old: Plain, new: Plain) -> bool:
    return msgspec.json.encode(old, order="sorted") != msgspec.json.encode(new, order="sorted")


def _file_reasons(repository: GitRepository, target: Target, changed: Sequence[str]) -> list[str]:
    places = [repository.relative(path) for path in _sources(target, repository.root)]
    found = [path for path in changed if any(_touches(path, place) for place in places)]
    # What earlier exports wrote is no source, also when a model's folder is the whole repository.
    output = repository.relative(target.output)
    found = [path for path in found if not path.startswith((f"{output}/", f"{output}.result.json"))]
    if not found:
        return []
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return [f"{found[0]} changed{more}"]


def _touches(path: str, place: str) -> bool:
    """Whether ``path`` is ``place``, lies in it, or is the submodule that holds it."""
    return place in ("", path) or path.startswith(f"{place}/") or place.startswith(f"{path}/")


def _sources(target: Target, root: Path) -> list[Path]:
    """What a target reads: its model's folder, samples and class, and where links in the folder lead."""
    own_class = target.options.declaration.configuration_class
    named = (target.folder, target.options.samples, None if own_class is None else own_class.file)
    sources = [path for path in named if path is not None]
    if target.folder is None:
        return sources
    links = 0
    for folder, names, files in os.walk(target.folder):
        for name in (*names, *files):
            path = Path(folder, name)
            if not path.is_symlink():
                continue
            links += 1
            resolved = path.resolve()
            if resolved.is_relative_to(root):
                sources.append(resolved)
        if links > _MAX_LINKS:
            break
    return sources


def _version_reasons(result: TargetResult | None) -> list[str]:
    if result is None:
        return []
    moved = [
        f"{name} {result.packages[name]} became {version}"
        for name in _PINNED_PACKAGES
        if name in result.packages and (version := installed_version(name)) not in (None, result.packages[name])
    ]
    return [", ".join(moved)] if moved else []


def _sections(content: bytes | None) -> dict[str, Plain] | None:
    """Each target's section with the defaults merged in, by name; None when the file cannot be read."""
    if content is None:
        return None
    with tempfile.TemporaryDirectory(prefix="onnx-export-plan-") as folder:
        path = Path(folder) / SETTINGS_NAME
        path.write_bytes(content)
        root, _ = read_document(path)
    document = root.plain() if isinstance(root, Node) else None
    listed = document.get("targets") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(listed, list):
        return None
    written = document.get("defaults")
    defaults = (
        {key: value for key, value in written.items() if key not in OWN_KEYS} if isinstance(written, dict) else {}
    )
    sections = [{**defaults, **item} for item in listed if isinstance(item, dict)]
    return {str(section.get("name")): section for section in sections}


def _changed_pins(repository: GitRepository, commit: str, changed: Sequence[str]) -> list[str]:
    """One reason for all targets when a line that pins a package which shapes an export changed."""
    for name in changed:
        if not _PIN_FILES.fullmatch(name):
            continue
        path = repository.root / name
        now = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        window = _LOCK_WINDOW if name.endswith(".lock") else 1
        if _pins(repository.file_at(commit, path) or b"", window) != _pins(now, window):
            return [f"the versions in {name} changed"]
    return []


def _pins(content: bytes, window: int) -> list[list[str]]:
    """The lines that name a shaping package, each with those after it that ``window`` covers."""
    lines = [line.strip() for line in content[:_MAX_PIN_BYTES].decode(errors="replace").splitlines()]
    return [lines[number : number + window] for number, line in enumerate(lines) if _PIN_LINE.search(line)]
