"""Work in processes of its own: crashes are values, memory is given back, nothing outlives the command.

The heavy imports (torch, transformers: seconds) happen once, in a fork server; every process forked from it starts
with them loaded and untouched. The candidate's process starts afresh instead, as light as a user's program.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, Generic, TypeVar

from onnx_export_action.isolation.environment import environment_of_models
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.interrupts import INTERRUPTS
from onnx_export_action.vocabulary.results import Stage

Answer = TypeVar("Answer")


_PRELOAD = ("onnx_export_action.exporting.warm_imports", "onnx_export_action.proving.reference.recording")


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold interrupts back until the end: they arrive then. A process started meanwhile never sees Ctrl-C."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True)
class Work:
    """What a process does: ``package.module:function``, the stage that stops when it dies, and its words for that."""

    function: str
    stage: Stage
    description: str


@dataclass(frozen=True)
class Crash:
    """A process that ended without an answer, or an exception that is a bug of ours."""

    reason: str


class Worker(Generic[Answer]):
    """A process that answers calls of one function. It starts at once, so that its imports overlap other work.

    The function is given by name, so that this process need not import what it needs.
    """

    def __init__(self, context: BaseContext, work: Work) -> None:
        self._context = context
        self._work = work
        self._start()

    def _start(self) -> None:
        self._connection, theirs = self._context.Pipe()
        self._process = self._context.Process(  # type: ignore[attr-defined]  # BaseContext declares no Process
            target=_serve, args=(theirs, self._work.function), daemon=True
        )
        # A forked process inherits from the fork server, and waits for its imports: those can be interrupted.
        with _starting() if self._context.get_start_method() == "spawn" else contextlib.nullcontext():
            self._process.start()
        theirs.close()

    def ask(self, *arguments: Any) -> None:
        """Start a call; a process that died before is started anew."""
        if not self._process.is_alive():
            self._start()
        with contextlib.suppress(BrokenPipeError):  # it died meanwhile: `answer` says so
            self._connection.send(arguments)

    def answer(self, seconds: float | None = None) -> Answer:
        """Wait for the call that :meth:`ask` started, at most so many seconds; the process is ended after that.

        Raises:
            ExportError: the function raised it, the process died, or time is up.
        """
        if not wait([self._connection, self._process.sentinel], seconds):
            self.stop()
            raise ExportError(
                f"the process that {self._work.description} did not end within {seconds:.0f} s", stage=self._work.stage
            )
        try:
            answer = self._connection.recv() if self._connection.poll() else Crash("")
        except (EOFError, ConnectionResetError):
            answer = Crash("")
        if isinstance(answer, ExportError):
            raise answer
        if isinstance(answer, Crash):
            raise ExportError(answer.reason or self._death(), stage=self._work.stage)
        return answer  # type: ignore[no-any-return]  # what the function returned crossed a pipe

    def stop(self) -> None:
        """End the process at once and give its memory back; what it was writing is its owner's to remove."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join()

    def _death(self) -> str:
        self._process.join()
        code = self._process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            cause = "; the machine may be out of memory" if -code == signal.SIGKILL else ""
            return f"the process that {self._work.description} was killed by {name}{cause}"
        return f"the process that {self._work.description} ended with exit code {code} and no answer"


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
            forkserver.set_forkserver_preload([*_PRELOAD, *preload])
            try:
                with _starting():
                    forkserver.ensure_running()  # its imports start now; the first warm worker waits for them
            except OSError:  # the path of the temporary folder is too long for the name of a socket
                self._warm = self._fresh
        self._workers: list[Worker[Any]] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()

    def warm(self, work: Work) -> Worker[Any]:
        """A worker that has torch and transformers loaded."""
        return self._add(Worker(self._warm, work))

    def fresh(self, work: Work) -> Worker[Any]:
        """A worker that imports only what its function needs."""
        return self._add(Worker(self._fresh, work))

    def _add(self, worker: Worker[Any]) -> Worker[Any]:
        self._workers.append(worker)
        return worker


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """What a process started now inherits: a temporary folder that goes with this command, no Ctrl-C, no secret.

    Importing torch makes folders in the temporary folder, and ONNX Runtime (1.31) leaves a file ``.ses`` there.
    """
    before = dict(os.environ)
    _become({**environment_of_models(before), "TMPDIR": str(_scratch_folder())})
    try:
        # Every start would start it, and thereby (in 3.11) let Ctrl-C through again.
        resource_tracker.ensure_running()
        with uninterrupted():
            yield
    finally:
        _become(before)


def _become(environment: Mapping[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)


@functools.cache
def _scratch_folder() -> Path:
    try:
        folder = Path(tempfile.mkdtemp(prefix="onnx-export-"))
    except OSError as error:
        raise plan_error(f"no temporary folder can be made: {error.strerror}", "set TMPDIR to a folder") from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(_end_fork_server)  # before the folder goes: last registered is first called
    return folder


def _end_fork_server() -> None:
    """End it at once, also while it still imports.

    Python has no public way: a fork server ends by itself when its parent has gone, but only after its imports.
    """
    pid = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _serve(connection: Connection, name: str) -> None:
    # The parent ends its workers on Ctrl-C; a worker's own KeyboardInterrupt would only print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # stdout carries the command's answer alone
    gc.freeze()  # collections do not touch (and thereby copy) pages of what was imported before the fork
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
        text = (str(error).strip().splitlines() or [""])[0][:300]
        return Crash(f"{type(error).__name__}: {text} ({Path(last.filename).name}:{last.lineno})")
