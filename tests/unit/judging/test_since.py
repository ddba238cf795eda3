"""Since when an export is not proven, by what the base says."""

from __future__ import annotations

import pytest

from onnx_export_action.judging.since import Past, Since, past_of
from onnx_export_action.vocabulary.results import ModelInfo, TargetResult, Verdict
from tests.unit.report.samples import file, target


def made(verdict: Verdict, task: str = "fill-mask", sha256: str | None = "a", torch: str = "2.13.0") -> TargetResult:
    model = ModelInfo(source="./model", task=task, sha256=sha256)
    return target(verdict=verdict, files=[file(verdict)], model=model, packages={"torch": torch, "onnx": "1.23"})


def test_without_a_base_nothing_is_known() -> None:
    assert past_of(made(Verdict.FAIL), []) == Past(Since.UNKNOWN)


def test_a_target_that_the_base_lacks_is_new() -> None:
    assert past_of(made(Verdict.FAIL), [target("other")]) == Past(Since.NEW)


@pytest.mark.parametrize(
    ("before", "since"), [(Verdict.PASS, Since.HERE), (Verdict.FAIL, Since.BEFORE), (Verdict.ERROR, Since.BEFORE)]
)
def test_the_verdict_of_the_base_tells(before: Verdict, since: Since) -> None:
    assert past_of(made(Verdict.FAIL), [made(before)]).since is since


def test_the_result_of_the_same_task_is_the_one_that_counts() -> None:
    base = [made(Verdict.PASS, "text-classification"), made(Verdict.FAIL)]
    assert past_of(made(Verdict.FAIL), base).since is Since.BEFORE
    assert past_of(made(Verdict.FAIL), base[:1]).since is Since.HERE


def test_what_else_changed_is_named() -> None:
    past = past_of(made(Verdict.FAIL, sha256="b", torch="2.14.0"), [made(Verdict.PASS)])
    assert past.model_changed is True
    assert past.packages == (("torch", "2.13.0", "2.14.0"),)
    assert past_of(made(Verdict.FAIL), [made(Verdict.PASS)]) == Past(Since.HERE, model_changed=False)
    assert past_of(made(Verdict.FAIL, sha256=None), [made(Verdict.PASS)]).model_changed is None
