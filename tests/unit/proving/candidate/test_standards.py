"""What each output is held to, by variant and by what is declared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from onnx_export_action.proving.candidate.standards import OutputStandard, standards_of
from onnx_export_action.proving.records import PrecisionCost
from onnx_export_action.vocabulary.options import OutputTolerance, Tolerances
from onnx_export_action.vocabulary.results import ToleranceSource
from tests.unit.proving.candidate.graphs import PRODUCT
from tests.unit.proving.references import NO_TOLERANCE, asked

COSTS = {"q8": PrecisionCost(root_mean_square=0.01, max_abs=0.05)}


def standard(folder: Path, variant: str, declared: Tolerances = NO_TOLERANCE) -> OutputStandard:
    record = replace(PRODUCT, costs=COSTS).record(folder)
    return standards_of(declared, asked(folder / "model.onnx", variant=variant), [record])["scores"]


def test_an_fp32_file_is_held_to_the_models_own_noise(tmp_path: Path) -> None:
    found = standard(tmp_path, "fp32")
    assert found.tolerance == found.exact
    assert found.tolerance.source is ToleranceSource.CALIBRATED
    assert found.quality is None
    assert not found.is_vacuous


def test_a_variant_is_held_to_what_its_precision_costs(tmp_path: Path) -> None:
    found = standard(tmp_path, "q8")
    assert found.exact.atol < COSTS["q8"].max_abs < found.tolerance.atol
    assert found.quality is not None
    assert found.quality.source is ToleranceSource.CALIBRATED
    assert (found.quality.min_sqnr_db or 0.0) < (found.quality.cost_db or 0.0)


def test_what_is_declared_of_a_variant_holds_for_it_alone(tmp_path: Path) -> None:
    declared = Tolerances(of_variants={"q8": {"scores": OutputTolerance(atol=0.5, sqnr_db=40.0)}})
    found = standard(tmp_path, "q8", declared)
    assert (found.tolerance.atol, found.tolerance.source) == (0.5, ToleranceSource.DECLARED)
    assert found.quality is not None
    assert (found.quality.min_sqnr_db, found.quality.source) == (40.0, ToleranceSource.DECLARED)
    assert standard(tmp_path, "fp32", declared).tolerance.source is ToleranceSource.CALIBRATED


def test_an_output_that_does_not_move_is_vacuous(tmp_path: Path) -> None:
    still = replace(PRODUCT, model=lambda inputs: {"scores": inputs["states"] @ (inputs["states"][0, 0, :, None] * 0)})
    record = still.record(tmp_path)
    assert standards_of(NO_TOLERANCE, asked(tmp_path / "model.onnx"), [record])["scores"].is_vacuous
