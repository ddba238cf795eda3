"""The side of the process: it answers calls of one function until the command is done with it, or gone."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

from onnx_export_action.isolation.memory import close_to_others, end_with
from onnx_export_action.processes.messages import Channel, Crashed, Refused, Returned, decode, encode, readable
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.interrupts import INTERRUPTS

import msgspec  # isort: skip


def serve(descriptor: int, function: str, parent: int) -> None:
    """Answer calls of ``package.module:function`` at the connection of this descriptor; does not return."""
    _prepare(parent)
    channel = Channel(socket.socket(fileno=descriptor))
    called = _called(function)
    kinds = _kinds_of_arguments(called)
    while True:
        try:
            content = channel.receive(wait=True)
        except EOFError:  # the command is done with us, or gone
            break
        assert content is not None
        channel.send(_answer(called, decode(content, kinds)))
    sys.stderr.flush()
    # Tearing down torch's interpreter takes over a second, in which there is nothing left to do.
    os._exit(0)


def _prepare(parent: int) -> None:
    # The command ends its processes on Ctrl-C; a KeyboardInterrupt of their own would only print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # stdout carries the command's answer alone
    close_to_others()
    end_with(parent)
    gc.freeze()  # collections do not touch (and thereby copy) pages of what was imported before the fork
    gc.enable()


def _called(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    called: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return called


def _kinds_of_arguments(called: Callable[..., Any]) -> Any:
    hints = get_type_hints(called)
    hints.pop("return", None)
    return tuple[tuple(hints.values())] if hints else tuple[()]  # type: ignore[misc]  # made when it runs


def _answer(called: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    try:
        return encode(Returned(msgspec.Raw(encode(called(*arguments)))))
    except ExportError as error:
        hint = None if error.hint is None else readable(error.hint)
        told = msgspec.structs.replace(error.as_failure(), message=readable(error.message), hint=hint)
        return encode(Refused(told))
    except MemoryError:
        return encode(Crashed("the process ran out of memory"))
    except Exception as error:  # a bug of ours, or of a library: reported as one, with its place
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = (str(error).strip().splitlines() or [""])[0][:300]
        return encode(Crashed(readable(f"{type(error).__name__}: {text} ({Path(last.filename).name}:{last.lineno})")))
