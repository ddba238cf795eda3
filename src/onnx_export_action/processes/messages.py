"""What a command and its processes say to each other: MessagePack of known types, of a bounded size, never a pickle.

A process that runs a model may run the model's own code. What comes from it is data that is checked like a file of a
stranger. (JSON would turn NaN and infinities, which errors of a wrong file may be, into null.)
"""

from __future__ import annotations

import os
import select
import socket
import struct
from pathlib import Path, PurePath
from typing import Any, TypeVar

import msgspec

from onnx_export_action.vocabulary.results import Failure

MOST_BYTES = 256 * 2**20
_LENGTH = struct.Struct(">Q")
_DESCRIPTOR = struct.Struct("i")
_CHUNK = 2**20

Kind = TypeVar("Kind")


class Returned(msgspec.Struct, tag=True, frozen=True):
    """What the function returned, still to be decoded as what it should be."""

    value: msgspec.Raw


class Refused(msgspec.Struct, tag=True, frozen=True):
    """The ``ExportError`` that the function raised."""

    failure: Failure


class Crashed(msgspec.Struct, tag=True, frozen=True):
    """An exception that is a bug of ours or of a library, with its place."""

    reason: str


class Fork(msgspec.Struct, tag=True, frozen=True):
    """To the fork server, with the process's end of a connection: start one that answers calls of ``function``.

    It works in ``folder``, to which relative paths in its arguments belong: the server may have started in another.
    """

    number: int
    function: str
    folder: str


class Kill(msgspec.Struct, tag=True, frozen=True):
    """To the fork server: end a process."""

    number: int


class Started(msgspec.Struct, tag=True, frozen=True):
    """From the fork server: a process began."""

    number: int
    pid: int


class Ended(msgspec.Struct, tag=True, frozen=True):
    """From the fork server: a process ended; a signal is a negative ``code``."""

    number: int
    code: int


class BadMessageError(Exception):
    """The other side sent what is no message."""


def encode(value: Any) -> bytes:
    """The message of a value.

    Raises:
        UnicodeEncodeError: a text in it is no Unicode, as a name that is not UTF-8.
    """
    return msgspec.msgpack.encode(value, enc_hook=_as_plain)


def readable(text: str) -> str:
    """A text that can be sent: what is no Unicode in it comes out as escapes."""
    return text.encode(errors="backslashreplace").decode()


def decode(content: bytes | msgspec.Raw, kind: type[Kind]) -> Kind:
    """The value of a message.

    Raises:
        BadMessageError: it is of another type, or no message at all.
    """
    try:
        return msgspec.msgpack.decode(content, type=kind, dec_hook=_as_custom)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BadMessageError(str(error)) from error


def _as_plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return os.fsencode(value)
    message = f"{type(value).__name__} cannot be sent"
    raise NotImplementedError(message)


def _as_custom(kind: type, value: Any) -> Any:
    if issubclass(kind, PurePath) and isinstance(value, bytes):
        return Path(os.fsdecode(value))
    message = f"{kind.__name__} cannot be received"
    raise NotImplementedError(message)


class Channel:
    """One end of a connection. Only the end that asks for it takes descriptors; others' are dropped by the system."""

    def __init__(self, end: socket.socket, *, takes_descriptors: bool = False) -> None:
        self._socket = end
        self._takes_descriptors = takes_descriptors
        self._received = bytearray()
        self.descriptors: list[int] = []

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def is_readable(self, seconds: float) -> bool:
        """Whether something was sent, or the other side has gone; waits for it at most so long."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def send(self, content: bytes, descriptor: int | None = None) -> None:
        """Send a whole message, with a descriptor where one is given.

        Raises:
            OSError: the other side has gone, or did not read it within the time set on the socket.
        """
        framed = memoryview(_LENGTH.pack(len(content)) + content)
        if descriptor is not None:
            framed = framed[socket.send_fds(self._socket, [framed], [descriptor]) :]
        self._socket.sendall(framed)

    def receive(self, *, wait: bool = False) -> bytes | None:
        """The next message; None where it is not there as a whole, and this is not to ``wait``.

        Raises:
            BadMessageError: it would be larger than any message.
            EOFError: the other side has gone.
        """
        flags = 0 if wait else socket.MSG_DONTWAIT
        while True:
            message = self._whole_message()
            if message is not None:
                return message
            try:
                chunk = self._read(flags)
            except BlockingIOError:
                return None
            except ConnectionError as error:
                raise EOFError from error
            if not chunk:
                raise EOFError
            self._received += chunk

    def _read(self, flags: int) -> bytes:
        if not self._takes_descriptors:
            return self._socket.recv(_CHUNK, flags)
        # socket.recv_fds takes flags and forgets them (Python 3.11 to 3.13).
        chunk, extra, _, _ = self._socket.recvmsg(_CHUNK, socket.CMSG_SPACE(_DESCRIPTOR.size), flags)
        for level, kind, content in extra:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self.descriptors += [number for (number,) in _DESCRIPTOR.iter_unpack(content)]
        return chunk

    def _whole_message(self) -> bytes | None:
        if len(self._received) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._received)
        if length > MOST_BYTES:
            raise BadMessageError(f"a message of {length} bytes")
        end = _LENGTH.size + length
        if len(self._received) < end:
            return None
        message = bytes(self._received[_LENGTH.size : end])
        del self._received[:end]
        return message
