"""Comparing with a base and the policy of what fails, as commands."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from onnx_export_action.vocabulary.results import FailOn, TargetResult, Verdict, encode
from tests.end_to_end.command import CommandLine
from tests.proofs import recorded, with_other_output


def wrong(name: str) -> TargetResult:
    """A recorded result as it would be if its file were wrong."""
    result = recorded(name)
    result.verdict = result.files[0].verdict = Verdict.FAIL
    return result


@pytest.mark.parametrize(("fail_on", "code"), [("validation", 0), ("regression", 1), ("never", 0)])
def test_a_renamed_output_is_a_breaking_change_that_fails_a_regression(fail_on: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "base.json").write_bytes(encode(recorded("vit")))
    (tmp_path / "head.json").write_bytes(encode(with_other_output(recorded("vit"))))
    done = CommandLine(tmp_path)("report", "head.json", "--base", "base.json", "--fail-on", fail_on)
    assert done.code == code
    assert done.stdout.startswith("### ✅ 1 of 1 export proven, 1 with a breaking change\n")
    assert "**breaking:** outputs" in done.stdout


@pytest.mark.parametrize(
    ("policies", "option", "code"),
    [
        (("validation", "validation"), (), 1),
        (("never", "validation"), (), 0),
        (("export", "validation"), (), 0),
        (("never", "validation"), ("--fail-on", "validation"), 1),
        (("validation", "validation"), ("--fail-on", "never"), 0),
    ],
)
def test_each_target_has_its_own_policy_unless_the_command_says_otherwise(
    policies: tuple[str, str], option: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    results = [wrong("gpt2"), recorded("vit")]
    paths = []
    for result, policy in zip(results, policies, strict=True):
        paths.append(tmp_path / f"{result.target}.json")
        paths[-1].write_bytes(encode(msgspec.structs.replace(result, fail_on=FailOn(policy))))
    done = CommandLine(tmp_path)("report", *paths, *option)
    assert done.code == code
    assert done.stdout.startswith("### ❌ `gpt2`")


def test_an_error_is_not_let_pass_by_the_policy_for_exports(tmp_path: Path) -> None:
    stopped = msgspec.structs.replace(recorded("vit"), verdict=Verdict.ERROR, files=[], fail_on=FailOn.EXPORT)
    (tmp_path / "stopped.json").write_bytes(encode(stopped))
    assert CommandLine(tmp_path)("report", "stopped.json").code == 3
