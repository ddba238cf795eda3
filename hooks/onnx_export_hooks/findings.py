"""What a hook found: a place, a message, a rule; and how it is printed."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from onnx_export_action.vocabulary.problems import Problem

LONGEST_MESSAGE = 1000
START = (1, 1)  # line and column of what is said of a whole file


class Finding(msgspec.Struct, frozen=True, order=True):
    """One mistake. ``path`` is as the user knows it; ``line`` and ``column`` count from 1."""

    path: str
    line: int
    column: int
    rule: str
    message: str

    def as_text(self) -> str:
        """``file:line:column: message [rule]``, on one line whatever the names hold."""
        path = printable(self.path)
        # A line that starts like a workflow command would be one, where a runner reads our output.
        path = f"./{path}" if path.startswith((":", "#", " ")) else path
        return f"{path}:{self.line}:{self.column}: {printable(self.message)} [{self.rule}]"

    def as_github(self) -> str:
        """An annotation for GitHub Actions, escaped as its toolkit escapes commands."""
        path = _escaped(printable(self.path)).replace(":", "%3A").replace(",", "%2C")
        place = f"file={path},line={self.line},col={self.column},title={self.rule}"
        return f"::error {place}::{_escaped(printable(self.message))}"


def finding(path: Path, place: tuple[int, int], rule: str, message: str, hint: str | None = None) -> Finding:
    """A finding at a place; the hint says what to do about it."""
    words = message if hint is None else f"{message}: {hint}"
    return Finding(shown(path), *place, rule, words[:LONGEST_MESSAGE])


def from_problem(problem: Problem, rule: str) -> Finding:
    """A finding for what reading ``onnx-export.yaml`` reported."""
    return finding(Path(problem.path), (problem.line, problem.column), rule, problem.message, problem.hint)


def shown(path: Path) -> str:
    """The path from the current folder where it lies below, else as it is; ``/`` between its parts."""
    absolute = path if path.is_absolute() else Path.cwd() / path
    below = os.path.relpath(absolute)
    return path.as_posix() if below.startswith("..") else Path(below).as_posix()


def printable(text: str) -> str:
    """``text`` with its control, direction and unpaired characters as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
