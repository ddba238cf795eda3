"""Paths that the settings write: relative, and never out of the repository, through ``..`` or a link."""

from __future__ import annotations

import re
from pathlib import Path

from onnx_export_action.project.document import Entry, Node
from onnx_export_action.project.places import repository_of
from onnx_export_action.vocabulary.problems import Problem, quoted

_NOT_RELATIVE = re.compile(r"[/~\\]|[A-Za-z]:[\\/]")


class WrittenPaths:
    """Follows the paths of one settings file; ``problems`` collects what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self.problems: list[Problem] = []
        self.base = path.parent.resolve()
        self.repository = repository_of(path)
        self._path = path

    def inside(self, written: str, node: Node, key: str) -> Path | None:
        """``written`` resolved; None where it leads out of the repository, which is reported."""
        if _NOT_RELATIVE.match(written) or "\\" in written:
            self.report(node, f"{key} must be a relative path with '/' between its parts, not {quoted(written)}")
            return None
        try:
            resolved = (self.base / written).resolve()
        except (OSError, RuntimeError) as error:  # Python 3.11 raises RuntimeError for links in a circle
            self.report(node, f"{key} {quoted(written)} cannot be followed: {quoted(str(error))}")
            return None
        if not resolved.is_relative_to(self.repository):
            self.report(node, f"{key} {quoted(written)} leads out of the repository")
            return None
        return resolved

    def report(self, node: Node | Entry, message: str, hint: str | None = None) -> None:
        """A mistake at a node."""
        self.problems.append(Problem(str(self._path), node.line, node.column, message, hint))

    def place(self, where: Node | Entry) -> str:
        """A node as ``file:line:column``."""
        return f"{self._path}:{where.line}:{where.column}"


def folded(path: Path) -> tuple[str, ...]:
    """The parts of a path as a case-insensitive file system compares them."""
    return tuple(part.casefold() for part in path.parts)


def is_dir(path: Path) -> bool:
    """Whether there is such a folder, whatever the name is."""
    try:
        return path.is_dir()
    except OSError:  # a name too long for the file system, a folder that may not be read
        return False


def is_file(path: Path) -> bool:
    """Whether there is such a file, whatever the name is."""
    try:
        return path.is_file()
    except OSError:
        return False
