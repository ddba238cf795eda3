"""The side of the fork server: it imports what every export needs, once, and forks a process whenever it is asked.

multiprocessing has one too, which starts what is pickled; here a process is a function's name.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Iterable

from onnx_export_action.isolation.memory import close_to_others, end_with
from onnx_export_action.processes.messages import Channel, Ended, Fork, Kill, Started, decode, encode
from onnx_export_action.processes.serving import serve


def serve_forks(descriptor: int, parent: int, preload: Iterable[str]) -> None:
    """Import the modules of ``preload`` that are there, then fork on demand; does not return."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command alone
    close_to_others()
    end_with(parent)
    for module in preload:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    _ForkServer(Channel(socket.socket(fileno=descriptor), takes_descriptors=True)).run()
    # The command has ended. Tearing torch's modules down takes over a second, while a pipe that reads the command's
    # stderr would wait for it.
    os._exit(0)


class _ForkServer:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._numbers: dict[int, int] = {}  # pid -> number
        self._woken, self._wake = os.pipe()

    def run(self) -> None:
        """Until the command has gone; what it left is ended."""
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # it is the wakeup that counts
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        try:
            while True:
                select.select([self._channel.fileno(), self._woken], [], [])
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._reap()
                self._obey()
        except (EOFError, OSError):
            for pid in self._numbers:
                _kill(pid)

    def _obey(self) -> None:
        while (content := self._channel.receive()) is not None:
            order = decode(content, Fork | Kill)  # type: ignore[arg-type]  # a union is no type to mypy
            if isinstance(order, Fork):
                self._fork(order, self._channel.descriptors.pop(0))
            elif isinstance(order, Kill):
                for pid in [pid for pid, number in self._numbers.items() if number == order.number]:
                    _kill(pid)

    def _fork(self, order: Fork, descriptor: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(order, descriptor, parent)
        os.close(descriptor)
        self._numbers[pid] = order.number
        self._channel.send(encode(Started(order.number, pid)))

    def _become_worker(self, order: Fork, descriptor: int, parent: int) -> None:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._channel.close()
            os.close(self._woken)
            os.close(self._wake)
            os.setsid()
            os.chdir(order.folder)
            serve(descriptor, order.function, parent)
        except BaseException:  # nothing of this process may go on as the server
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(1)

    def _reap(self) -> None:
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            number = self._numbers.pop(pid, None)
            if number is not None:
                self._channel.send(encode(Ended(number, os.waitstatus_to_exitcode(status))))


def _kill(pid: int) -> None:
    """End a process that was not waited for yet, with what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
