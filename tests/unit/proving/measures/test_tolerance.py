"""Where tolerances come from, and that float64 really is float64."""

from __future__ import annotations

import pytest

from onnx_export_action.proving.measures.tolerance import tolerance_of
from onnx_export_action.proving.records import NoiseRecord, OutputRecord
from onnx_export_action.vocabulary.options import OutputTolerance, Tolerances

NOISE = NoiseRecord(max_abs=1e-6, root_mean_square=2e-7, elements=10_000, cases=4)
NOTHING_DECLARED = OutputTolerance()


def record(noise: NoiseRecord | None = NOISE, *, scale: float = 1.0) -> OutputRecord:
    return OutputRecord(axes={}, class_atol=1e-4, root_mean_square=scale, noise=noise)


def test_what_is_not_declared_is_a_multiple_of_the_models_own_noise() -> None:
    tolerance = tolerance_of(NOTHING_DECLARED, record())
    assert tolerance.source == "calibrated"
    assert tolerance.multiple is not None
    assert tolerance.rms_multiple is not None
    assert tolerance.atol == pytest.approx(tolerance.multiple * NOISE.max_abs)
    assert tolerance.rms == pytest.approx(tolerance.rms_multiple * NOISE.root_mean_square)
    assert (tolerance.noise, tolerance.rms_noise) == (NOISE.max_abs, NOISE.root_mean_square)


def test_an_output_without_noise_still_has_the_floor() -> None:
    silent = NoiseRecord(max_abs=0.0, root_mean_square=0.0, elements=10_000, cases=4)
    tolerance = tolerance_of(NOTHING_DECLARED, record(silent, scale=3.0))
    assert tolerance.atol == tolerance.floor == pytest.approx(3e-6)
    assert tolerance.rms == tolerance.rms_floor
    assert (tolerance.rms or 0.0) > 0.0


def test_noise_of_few_numbers_is_trusted_less() -> None:
    few = NoiseRecord(max_abs=1e-6, root_mean_square=2e-7, elements=4, cases=2)
    assert tolerance_of(NOTHING_DECLARED, record(few)).atol > 4 * tolerance_of(NOTHING_DECLARED, record()).atol


def test_a_model_that_rounds_a_lot_has_a_tolerance_wider_than_the_default() -> None:
    loud = NoiseRecord(max_abs=5e-5, root_mean_square=3e-6, elements=10_000, cases=4)
    tolerance = tolerance_of(NOTHING_DECLARED, record(loud, scale=0.1))
    assert tolerance.source == "calibrated"
    assert tolerance.atol > 1e-3
    assert (tolerance.rms or 1.0) < 1e-4


@pytest.mark.parametrize(
    "noise", [None, NoiseRecord(max_abs=0.5, root_mean_square=0.1, elements=10_000, cases=4)], ids=["none", "unsettled"]
)
def test_without_noise_that_decides_anything_the_default_table_holds(noise: NoiseRecord | None) -> None:
    tolerance = tolerance_of(NOTHING_DECLARED, record(noise, scale=2.0))
    assert (tolerance.atol, tolerance.rtol, tolerance.source, tolerance.rms) == (2e-4, 1e-4, "default", None)


@pytest.mark.parametrize(
    ("user", "atol", "rtol"),
    [
        (Tolerances(of_variants={"fp32": {}}, of_every_output=OutputTolerance(atol=1e-2)), 1e-2, 0.0),
        (
            Tolerances(
                of_variants={"fp32": {"logits": OutputTolerance(atol=1e-3, rtol=1e-5)}},
                of_every_output=OutputTolerance(atol=1e-2),
            ),
            1e-3,
            1e-5,
        ),
        (
            Tolerances(
                of_variants={"fp32": {"logits": OutputTolerance(rtol=1e-5)}}, of_every_output=OutputTolerance(atol=1e-2)
            ),
            1e-2,
            1e-5,
        ),
        (
            Tolerances(
                of_variants={"fp32": {"other": OutputTolerance(atol=1e-3)}}, of_every_output=OutputTolerance(atol=1e-2)
            ),
            1e-2,
            0.0,
        ),
        (Tolerances(of_variants={"fp32": {}}, of_every_output=OutputTolerance(rtol=1e-2)), 1e-4, 1e-2),
    ],
)
def test_what_is_declared_wins_and_is_not_widened(user: Tolerances, atol: float, rtol: float) -> None:
    tolerance = tolerance_of(user.of("fp32", "logits"), record())
    assert (tolerance.atol, tolerance.rtol, tolerance.source, tolerance.rms) == (atol, rtol, "declared", None)
