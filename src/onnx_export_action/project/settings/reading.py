"""Reads ``onnx-export.yaml``: the document, then the schema, then the meaning; every mistake is reported at once.

Paths in the file are relative to the folder of the file, and stay inside the repository that holds it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from onnx_export_action.project.document import Entry, Node, read_document
from onnx_export_action.project.places import repository_of
from onnx_export_action.project.settings.fields import TargetFields
from onnx_export_action.project.settings.findings import DocumentPath, schema_findings
from onnx_export_action.project.settings.schema import MAX_TARGETS, OWN_KEYS
from onnx_export_action.project.settings.target_reader import TargetReader
from onnx_export_action.project.settings.targets import Target
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.problems import Problem
from onnx_export_action.vocabulary.results import Stage

MAX_PROBLEMS = 100


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of ``onnx-export.yaml``, checked."""

    version: int
    targets: list[Target]


class SettingsError(ExportError):
    """Everything that is wrong with ``onnx-export.yaml``, in the order of the file."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), stage=Stage.PLAN)
        self.problems = problems


def load_settings(path: Path) -> Settings:
    """Read and check ``onnx-export.yaml``.

    Raises:
        SettingsError: with every mistake that was found, at most 100.
    """
    if _leads_out(path):
        raise SettingsError([Problem(str(path), 1, 1, "the file is a link out of the repository")])
    root, problems = read_document(path)
    if root is None:
        raise SettingsError(_presentable(problems, path))
    findings = schema_findings(root, str(path))
    problems += [finding.problem for finding in findings if finding.problem is not None]
    spoiled = {finding.place[:end] for finding in findings for end in range(len(finding.place) + 1)}
    reader = TargetReader(path)
    targets = [reader.read(fields) for fields in _fields_of_targets(root, spoiled)]
    reader.check_outputs()
    problems += reader.problems
    if problems:
        raise SettingsError(_presentable(problems, path))
    return Settings(version=1, targets=[target for target in targets if target is not None])


def _leads_out(path: Path) -> bool:
    """Whether the file is a link to one elsewhere: its content would be quoted in messages, and these in public."""
    try:
        return path.is_symlink() and not path.resolve().is_relative_to(repository_of(path))
    except (OSError, RuntimeError):  # RuntimeError: links in a circle, in Python 3.11; reading says what is wrong
        return False


def _fields_of_targets(root: Node, spoiled: set[DocumentPath]) -> list[TargetFields]:
    sections = root.value if isinstance(root.value, dict) else {}
    defaults = _usable(sections["defaults"].node, ("defaults",), spoiled) if "defaults" in sections else {}
    defaults = {key: entry for key, entry in defaults.items() if key not in OWN_KEYS}
    listed = sections["targets"].node.value if "targets" in sections else []
    if not isinstance(listed, list):
        return []
    return [
        TargetFields(item, _usable(item, ("targets", index), spoiled), defaults)
        for index, item in enumerate(listed[:MAX_TARGETS])
    ]


def _usable(section: Node, place: DocumentPath, spoiled: set[DocumentPath]) -> dict[str, Entry]:
    entries = section.value if isinstance(section.value, dict) else {}
    return {key: entry for key, entry in entries.items() if (*place, key) not in spoiled}


def _presentable(problems: list[Problem], path: Path) -> list[Problem]:
    """In the order of the file, each once: an alias or a default shows the same mistake in several targets."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.column))
    if len(ordered) <= MAX_PROBLEMS:
        return ordered
    last = ordered[MAX_PROBLEMS - 1]
    more = f"{len(ordered) - MAX_PROBLEMS} more problems follow"
    return [*ordered[:MAX_PROBLEMS], Problem(str(path), last.line, last.column, more)]
