"""Where tolerances come from: declared, else calibrated by the model's own rounding noise, else the default table."""

from __future__ import annotations

from dataclasses import dataclass

from onnx_export_action.proving.records import NoiseRecord, OutputRecord
from onnx_export_action.vocabulary.demands import (
    DEFAULT_RTOL,
    FEW_ELEMENTS,
    NOISE_MULTIPLE,
    RMS_NOISE_MULTIPLE,
    ROUNDING_RTOL,
)
from onnx_export_action.vocabulary.options import OutputTolerance
from onnx_export_action.vocabulary.results import ToleranceSource

NOISE_FLOOR, RMS_NOISE_FLOOR = 1e-6, 2.5e-7
"""The least that is allowed, in root mean squares of the output: 16 and 4 units in the last place of float32."""

# Noise of so large a part of the output (root mean squares) says that float32 decides nothing there: a router or a
# threshold went the other way in float64.
_UNSETTLED = 1e-3


@dataclass(frozen=True)
class Tolerance:
    """An element passes when ``|onnx - torch| <= atol + rtol * |torch|``.

    Where ``rms`` is given, the root mean square of ``onnx - torch`` over a case must not exceed it either. The rest
    says how calibrated ones came about: ``atol = max(multiple * noise, floor)``, ``rms`` in the same way.
    """

    atol: float
    rtol: float
    source: ToleranceSource
    rms: float | None = None
    noise: float | None = None
    multiple: float | None = None
    floor: float | None = None
    rms_noise: float | None = None
    rms_multiple: float | None = None
    rms_floor: float | None = None


def tolerance_of(declared: OutputTolerance, record: OutputRecord) -> Tolerance:
    """Tolerance of one output: what is declared holds; a declared ``atol`` alone is not widened by any ``rtol``."""
    if declared.atol is not None:
        return Tolerance(declared.atol, 0.0 if declared.rtol is None else declared.rtol, ToleranceSource.DECLARED)
    default = default_tolerance(record)
    if declared.rtol is not None:
        return Tolerance(default.atol, declared.rtol, ToleranceSource.DECLARED)
    return calibrated_tolerance(record) or default


def default_tolerance(record: OutputRecord) -> Tolerance:
    """The configuration class' absolute tolerance, at the output's own scale.

    Rounding errors of float32 grow with the size of the numbers that are summed, not of their sum. So the absolute
    tolerance holds for outputs of size one and grows with the output's root mean square above that.
    """
    return Tolerance(record.class_atol * max(1.0, record.root_mean_square), DEFAULT_RTOL, ToleranceSource.DEFAULT)


def calibrated_tolerance(record: OutputRecord) -> Tolerance | None:
    """A multiple of the model's own noise, with a floor; None where that was not measured or decides nothing."""
    noise = record.noise
    if noise is None or noise.root_mean_square > _UNSETTLED * record.root_mean_square:
        return None
    if record.root_mean_square == 0.0:
        return None
    multiple, rms_multiple = NOISE_MULTIPLE * _doubt(noise), RMS_NOISE_MULTIPLE * _doubt(noise)
    floor, rms_floor = NOISE_FLOOR * record.root_mean_square, RMS_NOISE_FLOOR * record.root_mean_square
    return Tolerance(
        atol=max(multiple * noise.max_abs, floor),
        rtol=ROUNDING_RTOL,
        source=ToleranceSource.CALIBRATED,
        rms=max(rms_multiple * noise.root_mean_square, rms_floor),
        noise=noise.max_abs,
        multiple=multiple,
        floor=floor,
        rms_noise=noise.root_mean_square,
        rms_multiple=rms_multiple,
        rms_floor=rms_floor,
    )


def _doubt(noise: NoiseRecord) -> float:
    """Noise of a few numbers may be small by chance: 1 for many, 2 for sixteen, 5 for four of them."""
    return 1.0 + FEW_ELEMENTS / noise.elements
