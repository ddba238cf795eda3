"""Accounts add up, and what stopped a target becomes its failure without what was known being lost."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from onnx_export_action.pipeline.states import Account, TargetState, failure_of, result_of
from onnx_export_action.project.manifest import Fingerprint
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.jobs import Job, Request
from onnx_export_action.vocabulary.options import ExportOptions
from onnx_export_action.vocabulary.results import FileResult, Stage, Verdict
from onnx_export_action.vocabulary.supported.engines import Engine

REQUEST = Request(name="a", model="org/a", destination=Path("out"), revision="main", notes=["pin it"])


def file(verdict: Verdict) -> FileResult:
    return FileResult(path="a", bytes=1, sha256="", variant="fp32", engine=Engine.TRACER, opset=18, verdict=verdict)


def test_accounts_add_seconds_say_a_note_once_and_keep_the_largest_process() -> None:
    both = Account(notes=("a", "b"), timings={"export": 1.0}, peak_rss_bytes=5) + Account(
        notes=("b", "c"), timings={"export": 2.0, "runtime": 1.0}, peak_rss_bytes=3
    )
    assert both == Account(notes=("a", "b", "c"), timings={"export": 3.0, "runtime": 1.0}, peak_rss_bytes=5)


def test_a_state_is_not_changed_by_what_comes_after_it() -> None:
    before = TargetState()
    after = before.told(Account(notes=("later",))).stopped(plan_error("no"))
    assert before == TargetState()
    assert after.account.notes == ("later",)
    assert after.verdict is Verdict.ERROR


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], Verdict.ERROR),
        ([Verdict.PASS, Verdict.PASS], Verdict.PASS),
        ([Verdict.PASS, Verdict.FAIL], Verdict.FAIL),
        ([Verdict.FAIL, Verdict.ERROR], Verdict.ERROR),
    ],
)
def test_the_verdict_is_that_of_the_worst_file(verdicts: list[Verdict], expected: Verdict) -> None:
    assert TargetState(files=tuple(file(verdict) for verdict in verdicts)).verdict is expected


def test_what_is_known_before_the_work_stops_is_in_the_result() -> None:
    job = Job(
        name="a",
        source="org/a",
        folder=Path("a"),
        model_type="bert",
        task="fill-mask",
        destination=Path("out"),
        revision="0" * 40,
    )
    state = TargetState(job=job, origin=Fingerprint(config_sha256="1" * 64, weight_hashes={}), packages={"torch": "2"})
    stopped = state.told(Account(notes=("pin it", "more"), timings={"export": 1.0})).stopped(
        ExportError("no memory", stage=Stage.EXPORT)
    )
    result = result_of(REQUEST, stopped, 2.5)
    assert (result.verdict, result.failure and result.failure.message) == (Verdict.ERROR, "no memory")
    assert (result.model.revision, result.model.model_type, result.model.task) == ("0" * 40, "bert", "fill-mask")
    assert result.model.sha256 is not None
    assert result.notes == ["pin it", "more"]
    assert result.timings == {"export": 1.0, "total": 2.5}
    assert result.packages == {"torch": "2"}
    assert result.peak_rss_bytes is None


def test_a_request_that_is_not_even_planned_is_named_in_its_result() -> None:
    request = Request(
        name="a", model="org/a", destination=Path("out"), options=ExportOptions(weights=Weights.RANDOM, seed=7)
    )
    result = result_of(request, TargetState().stopped(plan_error("there is no such model", "look")), 0.1)
    assert (result.target, result.model.source, result.model.weights, result.seed) == ("a", "org/a", "random", 7)
    assert result.failure is not None
    assert (result.failure.stage, result.failure.hint) == (Stage.PLAN, "look")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_where_and_what_to_do(number: int) -> None:
    failure = failure_of(OSError(number, "No space left on device", "/data/out/model.onnx"))
    assert failure.stage is Stage.EXPORT
    assert failure.message == "/data/out/model.onnx: No space left on device"
    assert failure.hint == "free some space on that disk"
