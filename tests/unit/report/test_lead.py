"""The first three lines of a report on what is not proven."""

from __future__ import annotations

from onnx_export_action.report import render_markdown
from onnx_export_action.vocabulary.results import Cause, Failure, Stage, TargetResult, Verdict
from tests.unit.report.samples import file, target

WRONG = Failure(
    stage=Stage.VALIDATE,
    message="3 of 8 cases fail",
    cause=Cause.MASK,
    hint="padding shifts what follows it",
    repro="artifacts/sentiment.repro/model",
    first_divergent_layer="bert.encoder.layer.0",
)


def failing(name: str = "sentiment") -> TargetResult:
    return target(name, Verdict.FAIL, files=[file(), file(Verdict.FAIL, path="onnx/b.onnx", failure=WRONG)])


def bullets(results: list[TargetResult], base: list[TargetResult]) -> list[str]:
    """The lines after the headline."""
    headline, nothing, *lines = render_markdown(results, base=base).splitlines()
    assert headline.startswith("### ")
    assert nothing == ""
    return lines[:3]


def test_they_say_what_is_wrong_since_when_and_what_to_do() -> None:
    wrong, since, action = bullets([failing()], [target(packages={"torch": "2.12.0"})])
    assert wrong == "- **What is wrong:** `sentiment` `onnx/b.onnx`: `3 of 8 cases fail`"
    assert since.startswith("- **Since when:** since this change: the base's is proven; changed since: ")
    assert "`torch` `2.12.0` → `2.13.0`" in since
    assert action.startswith("- **What to do:** run `python -P artifacts/sentiment.repro/model/reproduce.py`")
    assert "`bert.encoder.layer.0`" in action


def test_a_base_that_was_wrong_too_is_said() -> None:
    assert bullets([failing()], [failing()])[1] == "- **Since when:** from before: the base's is not proven either"
    assert "no result of the base" in bullets([failing()], [])[1]
    assert "the base has no such target" in bullets([failing()], [target("other")])[1]


def test_the_worst_of_several_leads() -> None:
    stopped = target(
        "stopped",
        Verdict.ERROR,
        files=[],
        failure=Failure(stage=Stage.LOAD, message="no weights\nmore", hint="add them"),
    )
    wrong, _, action = bullets([target("good"), stopped, failing()], [])
    assert wrong.endswith("(1 more export is not proven, below)")
    assert "`sentiment`" in wrong
    assert "reproduce.py" in action
    wrong, _, action = bullets([target("good"), stopped], [])
    assert wrong == "- **What is wrong:** `stopped`: `no weights`"
    assert action == "- **What to do:** `add them`"


def test_nothing_leads_where_all_is_proven() -> None:
    assert "What is wrong" not in render_markdown([target()])
