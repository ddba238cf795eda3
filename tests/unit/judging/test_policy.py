"""The exit code over several results, two of one target among them."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from onnx_export_action.judging.policy import exit_code_of, regressions
from onnx_export_action.vocabulary.results import ExitCode, FailOn, Failure, Stage, TargetResult, Verdict
from tests.proofs import recorded, with_other_output


@pytest.fixture
def passed() -> TargetResult:
    return recorded("vit")


@pytest.fixture
def wrong(passed: TargetResult) -> TargetResult:
    file = msgspec.structs.replace(passed.files[0], verdict=Verdict.FAIL)
    return msgspec.structs.replace(passed, verdict=Verdict.FAIL, files=[file])


@pytest.fixture
def stopped(passed: TargetResult) -> TargetResult:
    failure = Failure(stage=Stage.EXPORT, message="the tracer stopped")
    return msgspec.structs.replace(passed, verdict=Verdict.ERROR, files=[], failure=failure)


def test_two_results_of_one_target_hide_nothing_in_any_order(
    passed: TargetResult, wrong: TargetResult, stopped: TargetResult
) -> None:
    for results in itertools.permutations([passed, wrong]):
        assert exit_code_of(results) is ExitCode.FAILED
    for results in itertools.permutations([passed, wrong, stopped]):
        assert exit_code_of(results) is ExitCode.ERROR


def test_a_lenient_policy_of_one_result_does_not_spread_to_another_of_its_target(
    passed: TargetResult, wrong: TargetResult
) -> None:
    lenient = msgspec.structs.replace(passed, fail_on=FailOn.NEVER)
    for results in itertools.permutations([lenient, wrong]):
        assert exit_code_of(results) is ExitCode.FAILED


def test_a_regression_in_one_of_two_results_of_a_target_is_found_in_any_order(passed: TargetResult) -> None:
    renamed = with_other_output(passed)
    for results in itertools.permutations([passed, renamed]):
        assert regressions([passed], results)
        assert exit_code_of(results, [passed], FailOn.REGRESSION) is ExitCode.FAILED
    assert exit_code_of([passed, passed], [passed], FailOn.REGRESSION) is ExitCode.PASSED
