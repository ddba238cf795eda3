"""The runner's protocol: inputs, outputs, masks, groups, annotations. The one module that touches actions-toolkit.

Of actions-toolkit only ``core`` is used, and ``command`` where ``core`` falls short: its annotations (0.1.15) print
``file=,line=`` for what was not given, which the runner reads as a place. It has no step summary either.
"""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from actions_toolkit import core
from actions_toolkit.command import issue_command

_INPUT = "INPUT_"
_NOT_OURS = frozenset({"ARGS", "ENTRYPOINT"})  # keys of `with` that the runner itself reads in a container action


def given_inputs() -> list[str]:
    """Names of the inputs in the environment, as ``action.yml`` writes them: in lower case, hyphens kept."""
    names = [name.removeprefix(_INPUT) for name in os.environ if name.startswith(_INPUT)]
    return sorted(name.lower() for name in names if name not in _NOT_OURS)


def read_input(name: str) -> str:
    """The value of an input without outer white space, empty where it was not given."""
    return str(core.get_input(name))


def forget_input(name: str) -> None:
    """Take an input out of the environment, so that no process started later finds it."""
    os.environ.pop(f"{_INPUT}{name.upper()}", None)


def mask(secret: str) -> None:
    """Have the runner replace ``secret`` by ``***`` in the log; a line at a time, as the runner masks lines."""
    for line in secret.splitlines():
        if line.strip():
            core.set_secret(line)
    _flush()


def set_output(name: str, value: str) -> None:
    """Set an output of the step; without a runner it is not printed either."""
    if os.environ.get("GITHUB_OUTPUT"):
        core.set_output(name, value)


def append_summary(markdown: str) -> None:
    """Add to the step's summary; without a runner it goes nowhere."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(markdown)


def annotate(level: str, message: str, properties: Mapping[str, str | int]) -> None:
    """Print one annotation; ``level`` is error, warning or notice, properties are file, line, col and title."""
    issue_command(level, dict(properties), message)
    _flush()


@contextlib.contextmanager
def group(title: str) -> Iterator[None]:
    """Fold in the log what is printed meanwhile, and let nothing in it act as a workflow command.

    Whoever prints there (a library, a model's own code) does not know the word that ends it.
    """
    core.start_group(title)
    word = f"onnx-export-{uuid.uuid4().hex}"
    core.issue("stop-commands", word)
    _flush()
    try:
        yield
    finally:
        _flush()
        core.issue(word)
        core.end_group()
        _flush()


def join_streams() -> None:
    """Send stderr through stdout: the runner reads two streams in any order, so a stop could come after its command."""
    _flush()
    os.dup2(sys.stdout.fileno(), sys.stderr.fileno())


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
