"""Where atol and rtol come from: declared, else the configuration class' default at the output's own scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from onnx_export_action.project.plan import OutputTolerance

DEFAULT_RTOL = 1e-4
"""Relative half of the default: float32 has 24 bits (6e-8); depth and the order of sums cost about three decimals."""


class DeclaredTolerances(Protocol):
    """What the user declares, by output and for the rest: a :class:`Job`, or :class:`UserTolerances`."""

    @property
    def tolerance(self) -> Mapping[str, OutputTolerance]:
        """By output name."""

    @property
    def default_tolerance(self) -> OutputTolerance:
        """For the outputs that have no tolerance of their own."""


@dataclass(frozen=True)
class UserTolerances:
    """Tolerances that were declared outside of any user."""

    tolerance: Mapping[str, OutputTolerance]
    default_tolerance: OutputTolerance


@dataclass(frozen=True)
class Tolerance:
    """An element passes when ``|onnx - torch| <= atol + rtol * |torch|``."""

    atol: float
    rtol: float
    source: str


def tolerance_of(output: str, user: DeclaredTolerances, class_atol: float, root_mean_square: float) -> Tolerance:
    """Tolerance of one output.

    Rounding errors of float32 grow with the size of the numbers that are summed, not of their sum. So where nothing
    is declared, the class' absolute tolerance holds for outputs of size one and grows with the output's own
    root mean square above that.
    """
    declared = user.tolerance.get(output, user.default_tolerance)
    atol = user.default_tolerance.atol if declared.atol is None else declared.atol
    rtol = user.default_tolerance.rtol if declared.rtol is None else declared.rtol
    return Tolerance(
        atol=atol if atol is not None else class_atol * max(1.0, root_mean_square),
        rtol=rtol if rtol is not None else DEFAULT_RTOL,
        source="default" if atol is None else "declared",
    )
