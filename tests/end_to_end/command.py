"""``onnx-export`` as a user runs it: the installed script, in a process of its own, in a folder of its own.

Every run must end without a traceback, an empty folder for temporary files, and no process left alive.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

SCRIPT = Path(sys.executable).with_name("onnx-export")
MARK = "ONNX_EXPORT_TEST_RUN"
RUN_SECONDS = 90
LINGER_SECONDS = 3.0  # processes that have lost their parent end by themselves, but not in no time


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def errors(self) -> list[str]:
        """The lines of stderr but for progress."""
        return [line for line in self.stderr.splitlines() if not line.lstrip()[:1].isdigit()]


@dataclass
class CommandLine:
    """Runs ``onnx-export`` in ``folder``, offline unless ``environment`` says otherwise."""

    folder: Path
    environment: dict[str, str] = field(default_factory=lambda: {**os.environ, "HF_HUB_OFFLINE": "1"})

    def __call__(self, *arguments: object, **options: Any) -> Outcome:
        with self.started(*arguments, **options) as run:
            return run.outcome()

    def path(self, name: str) -> Path:
        return self.folder / name

    @contextlib.contextmanager
    def started(
        self,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        temporary: Path | None = None,
        **options: Any,
    ) -> Iterator[Running]:
        """A command under way; it is ended and its traces are checked at the end of the block."""
        # Not below pytest's folders: the path of a Unix socket, which the fork server makes there, must be short.
        temporary = temporary or Path(tempfile.mkdtemp(prefix="e2e-"))
        mark = uuid.uuid4().hex
        process = subprocess.Popen(
            [str(SCRIPT), *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **(environment or {}), "TMPDIR": str(temporary), MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )
        running = Running(process, mark)
        try:
            yield running
            running.outcome()
            assert "Traceback" not in running.outcome().stderr
            assert living(mark, LINGER_SECONDS) == []
            assert [path.name for path in temporary.rglob("*")] == []
        finally:
            for left in processes_of(mark):
                left.kill()
            process.wait()
            shutil.rmtree(temporary)


@dataclass
class Running:
    """A command under way."""

    process: subprocess.Popen[str]
    mark: str
    _outcome: Outcome | None = None
    _seen: str = ""

    def outcome(self) -> Outcome:
        if self._outcome is None:
            stdout, stderr = self.process.communicate(timeout=RUN_SECONDS)
            self._outcome = Outcome(self.process.returncode, stdout, self._seen + stderr)
        return self._outcome

    def wait_for_line(self, text: str) -> None:
        """Until a line of stderr holds ``text``."""
        assert self.process.stderr is not None
        while text not in self._seen:
            line = self.process.stderr.readline()
            assert line, f"no line says {text!r}:\n{self._seen}"
            self._seen += line

    def send(self, number: signal.Signals, *, group: bool = False) -> None:
        """A signal to the command alone, or, as from a terminal, to its whole group of processes."""
        (os.killpg if group else os.kill)(self.process.pid, number)

    def fork_server(self) -> psutil.Process:
        return self._first(lambda: self._children("processes.fork_server"))

    def wait_until_torch_is_loaded(self) -> psutil.Process:
        """The fork server, in the midst of its imports."""
        return self._first(
            lambda: [
                server
                for server in self._children("processes.fork_server")
                if any("libtorch" in area.path for area in server.memory_maps())
            ]
        )

    def exporting(self) -> psutil.Process:
        """The process that exports: the first one that the fork server forks."""
        return self._first(lambda: self._forked()[:1])

    def referencing(self) -> psutil.Process:
        """The process that runs PyTorch on the cases: the second one."""
        return self._first(lambda: self._forked()[1:2])

    def checking(self) -> psutil.Process:
        """The process that runs the file in ONNX Runtime."""
        return self._first(lambda: self._children("processes.serving"))

    def _children(self, module: str) -> list[psutil.Process]:
        return [
            child
            for child in psutil.Process(self.process.pid).children()
            if any(module in word for word in child.cmdline())
        ]

    def _forked(self) -> list[psutil.Process]:
        return sorted(self.fork_server().children(), key=lambda process: (process.create_time(), process.pid))

    def _first(self, find: Callable[[], list[psutil.Process]]) -> psutil.Process:
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.outcome().stderr
            with contextlib.suppress(psutil.NoSuchProcess):
                found = find()
                if found:
                    return found[0]
            time.sleep(0.002)
        raise AssertionError("the process never started")


def processes_of(mark: str) -> list[psutil.Process]:
    """Living processes that descend from the command with this mark, however they were started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def living(mark: str, patience: float) -> list[list[str]]:
    """Command lines of the processes that still live when patience ends."""
    deadline = time.monotonic() + patience
    while processes_of(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [process.cmdline() for process in processes_of(mark)]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``, hidden ones too; an empty folder is a name with a slash at its end."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() or path.is_symlink():
            found[name] = path.read_bytes() if path.is_file() else b""
        elif not any(path.iterdir()):
            found[f"{name}/"] = b""
    return found
