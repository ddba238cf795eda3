"""Progress on stderr: a live line when it is a terminal, plain lines when it is not."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import click

from onnx_export_action.vocabulary.results import TargetResult, Verdict

_MARKS = {Verdict.PASS: ("pass", "green"), Verdict.FAIL: ("FAIL", "red"), Verdict.ERROR: ("ERROR", "red")}


class Progress(Protocol):
    """Where the stages say what they are doing."""

    def labelled(self, label: str) -> Callable[[str], None]:
        """A function that shows one step of the work that ``label`` names."""

    def finished(self, label: str, result: TargetResult, *, validated: bool = True) -> None:
        """Show how the work ended; not ``validated`` when the user asked for no check."""


@contextlib.contextmanager
def progress_display() -> Iterator[Progress]:
    """The display that suits stderr. A terminal needs rich, which comes with the export extra."""
    if not sys.stderr.isatty():
        yield _PlainLines()
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting") as status:
        yield _LiveLine(status.update)


class _PlainLines:
    """One line a step, with the seconds since the start: what a log can show."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def labelled(self, label: str) -> Callable[[str], None]:
        return lambda step: self._line(f"{label}: {step}")

    def finished(self, label: str, result: TargetResult, *, validated: bool = True) -> None:
        self._line(f"{label}: {_ending(result, validated=validated)[0]}")

    def _line(self, text: str) -> None:
        _tell(f"{time.monotonic() - self._started:6.1f} s  {printable(text)}")


class _LiveLine:
    """A spinner with the current step; finished work stays above it."""

    def __init__(self, update: Callable[[str], None]) -> None:
        self._update = update

    def labelled(self, label: str) -> Callable[[str], None]:
        from rich.markup import escape

        return lambda step: self._update(escape(printable(f"{label}: {step}")))

    def finished(self, label: str, result: TargetResult, *, validated: bool = True) -> None:
        word, colour = _ending(result, validated=validated)
        seconds = result.timings.get("total", 0.0)
        _tell(f"{click.style(word, fg=colour)}  {printable(label)}  {seconds:.1f} s")


def _tell(line: str) -> None:
    with contextlib.suppress(OSError):  # a log that takes no more, on a full disk, stops no work
        click.echo(line, err=True)


def _ending(result: TargetResult, *, validated: bool) -> tuple[str, str]:
    return _MARKS[result.verdict] if validated or result.failure is not None else ("written, not validated", "yellow")


def printable(text: str) -> str:
    """Untrusted text as one harmless line: no control characters, and no workflow command at its start."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line.replace("::", ": :")[:1000]
