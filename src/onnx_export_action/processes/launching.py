"""Starting processes: fresh ones, and forks of a process that has everything loaded. They inherit little.

No process has the terminal, a secret, or the working folder among what it imports; each ends with the command.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from onnx_export_action.isolation.environment import environment_of_models
from onnx_export_action.isolation.import_path import importable_folders
from onnx_export_action.processes.messages import BadMessageError, Channel, Ended, Fork, Kill, Started, decode, encode
from onnx_export_action.vocabulary.errors import disk_hint, plan_error
from onnx_export_action.vocabulary.interrupts import INTERRUPTS

_START = (
    "import sys; sys.path[:] = sys.argv[4:]; from onnx_export_action.processes.{module} import {function};"
    " {function}(int(sys.argv[1]), {arguments})"
)
_SERVE = _START.format(module="serving", function="serve", arguments="sys.argv[3], int(sys.argv[2])")
_SERVE_FORKS = _START.format(
    module="fork_server", function="serve_forks", arguments="int(sys.argv[2]), filter(None, sys.argv[3].split(','))"
)
_PATIENCE_SECONDS = 5.0  # for a fork server to end a process; one that does not answer was stopped by somebody
_SEND_SECONDS = 600  # for a process to read what it was asked: it may be importing
_TICK_SECONDS = 0.05


class Process(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int | None:
        """None before it began."""

    def exit_code(self) -> int | None:
        """None while it lives; a signal is negative."""

    def end(self) -> None:
        """End it at once, and wait until it has ended."""


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold interrupts back until the end: they arrive then. A process started meanwhile never sees Ctrl-C."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def connection() -> tuple[Channel, socket.socket]:
    """A connection: the command's end, and the process's, to be closed here once it is handed over."""
    ours, theirs = socket.socketpair()
    # A time limit of Python's own would hold for reading as well, which waits elsewhere.
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))
    return Channel(ours), theirs


class FreshProcess:
    """A process that imports only what its function needs."""

    def __init__(self, function: str, end: socket.socket) -> None:
        self._process = _started(_SERVE, end, function)

    @property
    def pid(self) -> int | None:
        """Known from the beginning."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it lives; a signal is negative."""
        return self._process.poll()

    def end(self) -> None:
        """End it at once, and wait until it has ended."""
        _end(self._process)


class ForkServer:
    """A process that imports the modules of ``preload`` at once, and is forked from then on."""

    def __init__(self, preload: Sequence[str]) -> None:
        self._channel, theirs = connection()
        with theirs:
            self._process = _started(_SERVE_FORKS, theirs, ",".join(preload))
        self._count = 0
        self._pids: dict[int, int] = {}
        self._codes: dict[int, int] = {}

    @property
    def alive(self) -> bool:
        """Whether it can be forked."""
        return self._process.poll() is None

    def fork(self, function: str, end: socket.socket) -> ForkedProcess:
        """A process that answers calls of ``function`` at this end of a connection, as soon as the imports are done.

        Raises:
            OSError: the server has gone.
        """
        self._count += 1
        self._channel.send(encode(Fork(self._count, function, str(Path.cwd()))), end.fileno())
        return ForkedProcess(self, self._count)

    def pid_of(self, number: int) -> int | None:
        """The id of a process, as the server told it; None before it began."""
        self._listen()
        return self._pids.get(number)

    def code_of(self, number: int) -> int | None:
        """How a process ended; None while it lives. What a server has forked dies with it."""
        self._listen()
        return self._codes.get(number, self._process.poll())

    def kill(self, number: int) -> None:
        """End a process and wait for it; the server with all its processes where it does not answer."""
        with contextlib.suppress(OSError):
            self._channel.send(encode(Kill(number)))
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self.code_of(number) is None:
            if not self._pids or time.monotonic() > deadline:  # it still imports and forked none yet, or is stopped
                self.end()
            self._channel.is_readable(_TICK_SECONDS)

    def end(self) -> None:
        """End it at once, also while it still imports, with everything it forked."""
        _end(self._process)

    def _listen(self) -> None:
        """Take note of what the server told. It may lie: its processes are a model's."""
        try:
            while (content := self._channel.receive()) is not None:
                told = decode(content, Started | Ended)  # type: ignore[arg-type]  # a union is no type to mypy
                if isinstance(told, Started):
                    self._pids[told.number] = told.pid
                elif isinstance(told, Ended):
                    self._codes[told.number] = told.code
        except (EOFError, OSError):
            _wait(self._process)
        except BadMessageError:
            self.end()


class ForkedProcess:
    """A fork of the fork server."""

    def __init__(self, server: ForkServer, number: int) -> None:
        self._server = server
        self._number = number

    @property
    def pid(self) -> int | None:
        """None before it began."""
        return self._server.pid_of(self._number)

    def exit_code(self) -> int | None:
        """None while it lives; a signal is negative."""
        return self._server.code_of(self._number)

    def end(self) -> None:
        """End it at once, and wait until it has ended."""
        if self.exit_code() is None:
            self._server.kill(self._number)


def _started(code: str, end: socket.socket, word: str) -> subprocess.Popen[bytes]:
    flags = ["-P", *(["-I"] if sys.flags.isolated else []), *(["-B"] if sys.flags.dont_write_bytecode else [])]
    words = [str(end.fileno()), str(os.getpid()), word, *importable_folders()]
    environment = {**environment_of_models(os.environ), "TMPDIR": str(_scratch_folder())}
    with uninterrupted():
        return subprocess.Popen(
            [sys.executable, *flags, "-c", code, *words],
            stdin=subprocess.DEVNULL,
            pass_fds=[end.fileno()],
            env=environment,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    _wait(process)


def _wait(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE_SECONDS)


@functools.cache
def _scratch_folder() -> Path:
    """A temporary folder that goes with this command.

    Importing torch makes folders there, and ONNX Runtime (1.31) leaves a file ``.ses``.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="onnx-export-"))
    except OSError as error:
        place = tempfile.gettempdir() if tempfile.tempdir else "the temporary folder"
        raise plan_error(f"no temporary folder can be made in {place}: {error.strerror}", disk_hint(error)) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
