"""What the code of a model may do in the process that runs it, instead of answering. Named by the tests, run there."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import socket
import struct
import sys
import time
from pathlib import Path

import msgspec

LENGTH = struct.Struct(">Q")


class Exploit:
    """Whoever unpickles it makes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


def _connection() -> socket.socket:
    return socket.socket(fileno=os.dup(int(sys.argv[1])))


def _answer(body: bytes) -> bytes:
    return LENGTH.pack(len(body)) + body


def send_pickle(canary: str) -> int:
    _connection().sendall(_answer(pickle.dumps(Exploit(canary))))
    return 1


def send_pickle_as_multiprocessing_does(canary: str) -> int:
    body = pickle.dumps(Exploit(canary))
    _connection().sendall(struct.pack("!i", len(body)) + body)
    time.sleep(60)
    return 1


def send_pickle_inside_the_answer(canary: str) -> bytes:
    return pickle.dumps(Exploit(canary))


def send_other_type(_: str) -> str:
    return "a text and no number"


def send_nothing_and_close(_: str) -> int:
    os.close(int(sys.argv[1]))
    time.sleep(60)
    return 1


def send_half(_: str) -> int:
    _connection().sendall(LENGTH.pack(1000) + b"x" * 10)
    time.sleep(60)
    return 1


def send_slowly(_: str) -> int:
    connection = _connection()
    connection.sendall(LENGTH.pack(1_000_000))
    while True:
        connection.sendall(b"x")
        time.sleep(0.01)


def announce_too_much(_: str) -> int:
    _connection().sendall(LENGTH.pack(2**63) + b"x" * 1000)
    time.sleep(60)
    return 1


def send_without_end(_: str) -> int:
    connection = _connection()
    while True:
        connection.sendall(b"\xff" * 2**20)


def send_deep_nesting(_: str) -> int:
    _connection().sendall(_answer(b"\x91" * 5_000_000))
    return 1


def announce_a_huge_list(_: str) -> int:
    body = msgspec.msgpack.encode({"type": "Returned"})
    _connection().sendall(_answer(b"\x82" + body[1:] + b"\xa5value\xdd\xff\xff\xff\xff"))
    return 1


def send_descriptors(_: str) -> int:
    connection = _connection()
    for _number in range(200):
        opened = os.open("/dev/null", os.O_RDONLY)
        socket.send_fds(connection, [b"\xff"], [opened] * 100)
        os.close(opened)
    time.sleep(60)
    return 1


def leave_a_child_at_the_connection(_: str) -> int:
    if os.fork() == 0:
        os.setsid()
        time.sleep(20)
        os._exit(0)
    os._exit(7)


def stop_itself(_: str) -> int:
    os.kill(os.getpid(), signal.SIGSTOP)
    return 1


def exit_with(code: str) -> int:
    os._exit(int(code))


def die_of(number: str) -> int:
    os.kill(os.getpid(), int(number))
    return 1


def stop_the_fork_server(_: str) -> int:
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(60)
    return 1


def kill_the_fork_server(_: str) -> int:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
    return 1


def read_memory_of(pid: str) -> list[str]:
    """What can be read of another process: the names of what opened."""
    found = []
    for name in ("environ", "mem", "maps", "fd", "cwd", "exe", "root", "auxv", "stack", "syscall", "io", "pagemap"):
        path = Path("/proc") / pid / name
        try:
            if name in ("fd",):
                list(path.iterdir())
            elif name in ("cwd", "exe", "root"):
                path.readlink()
            else:
                with path.open("rb") as file:
                    file.read(1)
        except OSError:
            continue
        found.append(name)
    return found


def is_open_to_others(_: str) -> bool:
    return ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) != 0  # PR_GET_DUMPABLE


def open_to_others() -> None:
    """What a process is by default; changing the user closes it."""
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE


def who_am_i(_: str) -> list[int]:
    return [os.getpid(), os.getppid(), os.getuid(), os.getgid()]
