"""Work in processes of its own: crashes are values, memory is given back, nothing outlives the command.

The heavy imports (torch, transformers: seconds) happen once, in a fork server; every process forked from it starts
with them loaded and untouched. The candidate's process starts afresh instead, as light as a user's program.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, Generic, TypeVar

from onnx_export_action.errors import ExportError
from onnx_export_action.results import Stage

Answer = TypeVar("Answer")

_TERMINATE_SECONDS = 5.0


@dataclass(frozen=True)
class Crash:
    """A process that ended without an answer, or an exception that is a bug of ours."""

    reason: str


class Worker(Generic[Answer]):
    """A process that answers calls of one function. It starts at once, so that its imports overlap other work.

    The function is named as ``package.module:function``, so that this process need not import what it needs.
    """

    def __init__(self, context: BaseContext, function: str) -> None:
        self._context = context
        self._function = function
        self._start()

    def _start(self) -> None:
        self._connection, theirs = self._context.Pipe()
        self._process = self._context.Process(  # type: ignore[attr-defined]  # BaseContext declares no Process
            target=_serve, args=(theirs, self._function), daemon=True
        )
        self._process.start()
        theirs.close()

    def ask(self, *arguments: Any) -> None:
        """Start a call; a process that died before is started anew."""
        if not self._process.is_alive():
            self._start()
        with contextlib.suppress(BrokenPipeError):  # it died meanwhile: `answer` says so
            self._connection.send(arguments)

    def answer(self) -> Answer:
        """Wait for the call that :meth:`ask` started.

        Raises:
            ExportError: the function raised it, or the process died.
        """
        wait([self._connection, self._process.sentinel])
        try:
            answer = self._connection.recv() if self._connection.poll() else Crash("")
        except (EOFError, ConnectionResetError):
            answer = Crash("")
        if isinstance(answer, ExportError):
            raise answer
        if isinstance(answer, Crash):
            raise ExportError(answer.reason or self._death(), stage=Stage.EXPORT)
        return answer  # type: ignore[no-any-return]  # what the function returned crossed a pipe

    def stop(self) -> None:
        """End the process and give its memory back."""
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(_TERMINATE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _death(self) -> str:
        self._process.join()
        code = self._process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            cause = "; the machine may be out of memory" if -code == signal.SIGKILL else ""
            return f"the process was killed by {name}{cause}"
        return f"the process ended with exit code {code} and no answer"


class Workers:
    """Starts workers and makes sure that none outlives it; use as a context manager."""

    def __init__(self, preload: list[str]) -> None:
        # Export and reference share the cores. OpenMP threads that spin while they wait take them from each other:
        # measured on two cores, the same reference run took 1.3 s or 5 s by luck, and 1.4 s always when waiting sleeps.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        self._fresh: BaseContext = multiprocessing.get_context("spawn")
        self._warm: BaseContext = self._fresh
        if "forkserver" in multiprocessing.get_all_start_methods():
            self._warm = multiprocessing.get_context("forkserver")
            forkserver.set_forkserver_preload(["onnx_export_action.warm_imports", *preload])
            forkserver.ensure_running()  # its imports start now; the first warm worker waits for them
        self._workers: list[Worker[Any]] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()

    def warm(self, function: str) -> Worker[Any]:
        """A worker that has torch and transformers loaded."""
        return self._add(Worker(self._warm, function))

    def fresh(self, function: str) -> Worker[Any]:
        """A worker that imports only what ``function`` needs."""
        return self._add(Worker(self._fresh, function))

    def _add(self, worker: Worker[Any]) -> Worker[Any]:
        self._workers.append(worker)
        return worker


def _serve(connection: Connection, name: str) -> None:
    # The parent ends its workers on Ctrl-C; a worker's own KeyboardInterrupt would only print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # stdout carries the command's answer alone
    gc.enable()
    module, _, attribute = name.partition(":")
    function = getattr(importlib.import_module(module), attribute)
    while True:
        try:
            arguments = connection.recv()
        except EOFError:  # the parent is done with us, or gone
            break
        connection.send(_answer(function, arguments))
    sys.stderr.flush()
    # Tearing down torch's interpreter takes over a second, in which there is nothing left to do.
    os._exit(0)


def _answer(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return function(*arguments)
    except ExportError as error:
        return error
    except MemoryError:
        return Crash("the process ran out of memory")
    except Exception as error:  # a bug of ours, or of a library: reported as one, with its place
        last = traceback.extract_tb(error.__traceback__)[-1]
        return Crash(f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})")
