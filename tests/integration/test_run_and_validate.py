"""``run`` and ``validate`` take the same way from the checking on: what one asks and finds, the other does too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from onnx_export_action.pipeline.running import check_folder, export_and_check
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.options import ExportOptions, OutputTolerance, Tolerances
from onnx_export_action.vocabulary.results import FileResult, TargetResult, Verdict
from tests.conftest import CheckpointFactory

VARIANTS = ("fp32", "fp16", "q8", "O2")
# What only the export knows, or the clock.
NOT_COMPARED = ("engine", "opset", "call_ms", "failure")


def both(model: Path, folder: Path, tolerance: Tolerances = Tolerances()) -> tuple[TargetResult, TargetResult]:  # noqa: B008
    options = ExportOptions(variants=VARIANTS, tolerance=tolerance)
    request = Request(name=folder.name, model=str(model), destination=folder, options=options)
    return export_and_check(request, progress=lambda _: None), check_folder(request, progress=lambda _: None)


def compared(file: FileResult) -> dict[str, Any]:
    told = msgspec.to_builtins(file)
    return {name: value for name, value in told.items() if name not in NOT_COMPARED}


@pytest.fixture(scope="module")
def good(checkpoint: CheckpointFactory, tmp_path_factory: pytest.TempPathFactory) -> tuple[TargetResult, TargetResult]:
    return both(checkpoint("bert"), tmp_path_factory.mktemp("good") / "bert")


def test_both_find_the_same_of_every_file(good: tuple[TargetResult, TargetResult]) -> None:
    run, validated = good
    assert (run.verdict, validated.verdict) == (Verdict.PASS, Verdict.PASS)
    assert [compared(file) for file in run.files] == [compared(file) for file in validated.files]


def test_both_time_the_calls_of_variants_and_say_the_largest_process(good: tuple[TargetResult, TargetResult]) -> None:
    for result in good:
        assert all(file.call_ms is not None and file.call_ms > 0 for file in result.files)
        assert (result.peak_rss_bytes or 0) > 50e6
        assert result.timings["runtime"] > 0


@pytest.mark.parametrize(
    "tolerance",
    [
        Tolerances(of_variants={"q8": {"logits": OutputTolerance(sqnr_db=90.0)}}),
        Tolerances(of_variants={"q8": {"logits": OutputTolerance(cosine=0.9999999)}}),
        Tolerances(of_variants={"q8": {"logits": OutputTolerance(atol=1e-9)}}),
    ],
    ids=["decibels", "cosine", "atol"],
)
def test_both_ask_what_is_declared_of_a_variant(
    tolerance: Tolerances, checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    for result in both(checkpoint("bert"), tmp_path / "bert", tolerance):
        verdicts = {file.variant: file.verdict for file in result.files}
        assert verdicts == dict.fromkeys(VARIANTS, Verdict.PASS) | {"q8": Verdict.FAIL}


def test_a_tolerance_of_every_output_holds_for_every_variant(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    tight = Tolerances(of_every_output=OutputTolerance(atol=1e-4, rtol=0.0))
    for result in both(checkpoint("bert"), tmp_path / "bert", tight):
        verdicts = {file.variant: file.verdict for file in result.files}
        assert verdicts == {"fp32": Verdict.PASS, "O2": Verdict.PASS, "fp16": Verdict.FAIL, "q8": Verdict.FAIL}
        assert {output.atol for file in result.files for output in file.outputs} == {1e-4}
