"""A process that runs a model may run the model's own code: what it sends is data, and it ends when it is told to."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_export_action.isolation.memory import close_to_others
from onnx_export_action.pipeline import checking, explaining, exporting, timing, variants
from onnx_export_action.processes.messages import (
    BadMessageError,
    Crashed,
    Ended,
    Fork,
    Kill,
    Refused,
    Returned,
    Started,
    decode,
    encode,
)
from onnx_export_action.processes.workers import Work, Workers
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Failure, Stage
from tests.attack import hostile_processes
from tests.attack.hostile_processes import Exploit

WORKS = [
    value
    for module in (checking, explaining, exporting, timing, variants)
    for value in vars(module).values()
    if isinstance(value, Work)
]
KINDS: list[Any] = [*dict.fromkeys(str(work.answer) for work in WORKS)]
KINDS = [next(work.answer for work in WORKS if str(work.answer) == name) for name in KINDS]
ENVELOPES: list[Any] = [Returned | Refused | Crashed, Fork | Kill, Started | Ended]

BODIES: dict[str, bytes] = {
    **{f"a pickle of protocol {n}": pickle.dumps(Exploit("/nowhere/canary"), protocol=n) for n in range(6)},
    "nothing": b"",
    "nil": b"\xc0",
    "true": b"\xc3",
    "a number": b"\x2a",
    "a negative number": b"\xff",
    "NaN": msgspec.msgpack.encode(math.nan),
    "a text": msgspec.msgpack.encode("text"),
    "a text that is no UTF-8": b"\xa2\xff\xfe",
    "bytes": msgspec.msgpack.encode(b"bytes"),
    "an extension": b"\xd4\x05\x00",
    "a timestamp": b"\xd6\xff\x00\x00\x00\x01",
    "an unknown code": b"\xc1",
    "a list without its end": b"\xdd\xff\xff\xff\xff",
    "a map without its end": b"\xdf\xff\xff\xff\xff",
    "a text without its end": b"\xdb\xff\xff\xff\xff",
    "a deep list": b"\x91" * 100_000,
    "a deep map": b"\x81\xa1a" * 100_000,
    "keys that are lists": b"\x81\x90\x01",
    "two values": b"\x01\x02",
    "JSON": b'{"type": "Returned", "value": {}}',
    "another type": msgspec.msgpack.encode({"type": "Exploit", "value": {}}),
    "a type that is no text": msgspec.msgpack.encode({"type": 5}),
    "no type": msgspec.msgpack.encode({"value": {}}),
    "a file elsewhere": msgspec.msgpack.encode({"files": [{"path": "../../.bashrc", "bytes": 1, "sha256": "0" * 64}]}),
    "a negative size": msgspec.msgpack.encode({"files": [{"path": "a", "bytes": -1, "sha256": "0" * 64}]}),
}


@pytest.mark.parametrize("kind", [*KINDS, *ENVELOPES], ids=str)
@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_none_is_refused_by_every_kind_of_answer(name: str, kind: Any) -> None:
    with pytest.raises(BadMessageError):
        decode(BODIES[name], kind)


@given(st.binary(max_size=200), st.sampled_from([*KINDS, *ENVELOPES]))
def test_any_bytes_are_a_value_of_the_kind_or_refused(content: bytes, kind: Any) -> None:
    with contextlib.suppress(BadMessageError):
        encode(decode(content, kind))


def test_every_work_says_what_it_answers() -> None:
    assert len(WORKS) >= 7
    assert all(work.answer not in (Any, object, bytes) for work in WORKS)


def test_what_is_sent_arrives() -> None:
    told = Refused(Failure(stage=Stage.EXPORT, message="no"))
    assert decode(encode(told), Returned | Refused | Crashed) == told
    place = Path(os.fsdecode(b"/models/\xff"))
    assert decode(encode([place]), list[Path]) == [place]
    found = decode(encode([math.nan, math.inf]), list[float])
    assert math.isnan(found[0])
    assert found[1] == math.inf


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    monkeypatch.chdir(tmp_path)  # what lies in the working folder cannot be imported
    with Workers([]) as running:
        yield running


def work(name: str, answer: Any = int) -> Work[Any]:
    return Work(f"{hostile_processes.__name__}:{name}", answer, Stage.EXPORT, "is not what it seems")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("send_pickle", "sent no answer of the right form"),
        ("send_pickle_as_multiprocessing_does", "sent no answer of the right form"),
        ("send_pickle_inside_the_answer", "sent no answer of the right form"),
        ("send_other_type", "sent no answer of the right form"),
        ("send_nothing_and_close", "was killed by SIGKILL"),
        ("send_half", "did not end within 1 s"),
        ("send_slowly", "did not end within 1 s"),
        ("announce_too_much", "sent no answer of the right form"),
        ("send_without_end", "sent no answer of the right form"),
        ("send_deep_nesting", "sent no answer of the right form"),
        ("announce_a_huge_list", "sent no answer of the right form"),
        ("send_descriptors", "sent no answer of the right form"),
        ("leave_a_child_at_the_connection", "ended with exit code 7 and no answer"),
        ("stop_itself", "did not end within 1 s"),
    ],
)
def test_a_process_that_does_not_answer_as_it_should_is_an_error_and_runs_nothing(
    name: str, said: str, workers: Workers, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    before = descriptors()
    worker = workers.fresh(work(name))
    worker.ask(str(canary))
    started = time.monotonic()
    with pytest.raises(ExportError, match=said):
        worker.answer(1.0 if "did not end" in said else 20.0)
    assert time.monotonic() - started < 20
    assert not canary.exists()
    assert descriptors() <= before + 3


@pytest.mark.parametrize("number", [1, 3, 9, 11, 15, 34, 64])
def test_a_signal_is_named(number: int, workers: Workers) -> None:
    worker = workers.fresh(work("die_of"))
    worker.ask(str(number))
    with pytest.raises(ExportError, match=r"was killed by (SIG|signal )"):
        worker.answer(20)


@pytest.mark.parametrize("name", ["stop_the_fork_server", "kill_the_fork_server"])
def test_a_process_that_ends_the_fork_server_ends_itself_and_the_next_one_works(name: str, workers: Workers) -> None:
    worker = workers.warm(work(name))
    worker.ask("")
    with pytest.raises(ExportError):
        worker.answer(1.0)
    following = workers.warm(work("who_am_i", list[int]))
    following.ask("")
    assert len(following.answer(20)) == 4


@pytest.mark.parametrize("kind", ["warm", "fresh"])
def test_the_memory_of_a_process_is_closed_to_others_of_its_user(kind: str, workers: Workers) -> None:
    worker = getattr(workers, kind)(work("is_open_to_others", bool))
    worker.ask("")
    assert worker.answer(20) is False
    assert not hostile_processes.is_open_to_others("")  # the command's own, as soon as it may start any


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_what_is_closed_cannot_be_read_by_the_same_user() -> None:
    """Two processes of a user without rights: one closes itself, the other looks before and after."""
    nobody = 65534
    context = multiprocessing.get_context("fork")
    asked, theirs = context.Pipe()

    def closing() -> None:
        os.setgroups([])
        os.setgid(nobody)
        os.setuid(nobody)
        hostile_processes.open_to_others()
        theirs.send("open")
        theirs.recv()
        close_to_others()
        theirs.send("closed")
        theirs.recv()

    def looking(pid: int) -> None:
        os.setgroups([])
        os.setgid(nobody)
        os.setuid(nobody)
        theirs.send(hostile_processes.read_memory_of(str(pid)))

    closed = context.Process(target=closing)
    closed.start()
    seen = []
    for state in ("open", "closed"):
        assert asked.recv() == state
        looker = context.Process(target=looking, args=(closed.pid,))
        looker.start()
        looker.join()
        seen.append(asked.recv())
        asked.send("go on")
    closed.join()
    assert {"environ", "maps", "fd", "cwd"} <= set(seen[0])
    assert seen[1] == []
