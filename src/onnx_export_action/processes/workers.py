"""Work in processes of its own: crashes are values, memory is given back, nothing outlives the command.

The heavy imports (torch, transformers: seconds) happen once, in a fork server; every process forked from it starts
with them loaded and untouched. The candidate's process starts afresh instead, as light as a user's program.
"""

from __future__ import annotations

import atexit
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from socket import socket
from typing import Any, Generic, TypeVar

from onnx_export_action.isolation.memory import close_to_others
from onnx_export_action.processes.launching import ForkServer, FreshProcess, Process, connection
from onnx_export_action.processes.messages import BadMessageError, Crashed, Refused, Returned, decode, encode
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.results import Stage

Answer = TypeVar("Answer")

_TICK_SECONDS = 0.2
_LAST_SECONDS = 3.0


@dataclass(frozen=True)
class Work(Generic[Answer]):
    """What a process does: ``package.module:function`` and what that answers.

    ``stage`` is the one that stops when it dies, ``description`` says what it does then.
    """

    function: str
    answer: type[Answer]
    stage: Stage
    description: str


class Worker(Generic[Answer]):
    """A process that answers calls of one function. It starts at once, so that its imports overlap other work.

    The function is given by name, so that this process need not import what it needs. What it answers is checked
    against the type that the work names.
    """

    def __init__(self, start: Callable[[str, socket], Process], work: Work[Answer]) -> None:
        self._start_process = start
        self._work = work
        self._start()

    def _start(self) -> None:
        self._channel, theirs = connection()
        with theirs:
            self._process = self._start_process(self._work.function, theirs)

    def ask(self, *arguments: Any) -> None:
        """Start a call; a process that died before is started anew."""
        if self._process.exit_code() is not None:
            self._channel.close()
            self._start()
        try:
            content = encode(arguments)
        except UnicodeEncodeError as error:
            raise plan_error(f"a name is no text in UTF-8: {ascii(error.object)[:200]}", "rename it") from error
        try:
            self._channel.send(content)
        except OSError:  # it died meanwhile, or does not read
            self.stop()

    def answer(self, seconds: float | None = None) -> Answer:
        """Wait for the call that :meth:`ask` started, at most so many seconds; the process is ended after that.

        Raises:
            ExportError: the function raised it, the process died or sent something else, or time is up.
        """
        try:
            answer = decode(self._content(seconds), Returned | Refused | Crashed)  # type: ignore[arg-type]  # a union
            if isinstance(answer, Returned):
                return decode(answer.value, self._work.answer)
        except BadMessageError as error:
            self.stop()
            raise self._error("sent no answer of the right form") from error
        if isinstance(answer, Refused):
            raise ExportError.of(answer.failure)
        raise ExportError(answer.reason, stage=self._work.stage)

    def stop(self) -> None:
        """End the process at once and give its memory back; what it was writing is its owner's to remove."""
        self._process.end()

    def _content(self, seconds: float | None) -> bytes:
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = _TICK_SECONDS if deadline is None else max(0.0, deadline - time.monotonic())
            self._channel.is_readable(min(_TICK_SECONDS, left))
            # Asked before the last look at what was sent: what a process sent before it ended is its answer.
            code = self._process.exit_code()
            try:
                content = self._channel.receive()
            except EOFError:
                code, content = self._ended(), None
            if content is not None:
                return content
            if code is not None:
                raise self._error(_how_it_ended(code))
            if deadline is not None and time.monotonic() > deadline:
                self.stop()
                raise self._error(f"did not end within {seconds:.0f} s")

    def _ended(self) -> int:
        """How a process ended that has closed its end; one that lives on is ended."""
        deadline = time.monotonic() + _LAST_SECONDS
        while (code := self._process.exit_code()) is None:
            if time.monotonic() > deadline:
                self.stop()
            time.sleep(_TICK_SECONDS / 10)
        return code

    def _error(self, what: str) -> ExportError:
        return ExportError(f"the process that {self._work.description} {what}", stage=self._work.stage)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code} and no answer"
    cause = "; the machine may be out of memory" if -code == signal.SIGKILL else ""
    try:
        return f"was killed by {signal.Signals(-code).name}{cause}"
    except ValueError:
        return f"was killed by signal {-code}"


class Workers:
    """Starts workers and makes sure that none outlives it; use as a context manager."""

    _server: ForkServer | None = None  # of the whole command: the imports are made once

    def __init__(self, preload: Sequence[str]) -> None:
        # Export and reference share the cores. OpenMP threads that spin while they wait take them from each other:
        # measured on two cores, the same reference run took 1.3 s or 5 s by luck, and 1.4 s always when waiting sleeps.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        close_to_others()
        self._preload = tuple(preload)
        self._workers: list[Worker[Any]] = []
        self._running_server()  # its imports start now; the first warm worker waits for them

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()

    def warm(self, work: Work[Answer]) -> Worker[Answer]:
        """A worker that has torch and transformers loaded."""
        return self._added(Worker(self._forked, work))

    def fresh(self, work: Work[Answer]) -> Worker[Answer]:
        """A worker that imports only what its function needs."""
        return self._added(Worker(FreshProcess, work))

    def _added(self, worker: Worker[Answer]) -> Worker[Answer]:
        self._workers.append(worker)
        return worker

    def _forked(self, function: str, end: socket) -> Process:
        try:
            return self._running_server().fork(function, end)
        except OSError:  # it died a moment ago
            return self._running_server().fork(function, end)

    def _running_server(self) -> ForkServer:
        if Workers._server is None or not Workers._server.alive:
            Workers._server = ForkServer(self._preload)
            atexit.register(Workers._server.end)
        return Workers._server
