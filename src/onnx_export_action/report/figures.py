"""Numbers as a person reads them. ``None`` (not measured) prints as an en dash.

The numbers come from a result file, so they may be absurd: infinite, negative, or integers of hundreds of digits.
Rounding never crosses a line that matters: only a share of exactly one prints as 100 %, and a margin above 1 never
prints as 1.00.
"""

from __future__ import annotations

import math

from onnx_export_action.report.escape import Markdown

NOTHING = Markdown("–")
_BAR_CELLS = 10
_LARGEST_INTEGER = 10**15
_LARGEST_FIXED = 1e6
MEGABYTE = 10**6
# GitHub wraps table cells at spaces; a bar and its number, or a number and its unit, belong together.
_SPACE = "\u00a0"


def error(value: float | None) -> Markdown:
    """An error as ``3.1e-06``."""
    if value is None:
        return NOTHING
    return Markdown("0" if value == 0 else f"{value:.1e}")


def value(number: float | None) -> Markdown:
    """A number that a model gave, as ``-1.234567``."""
    return NOTHING if number is None else Markdown(f"{number:.7g}")


def tolerance(atol: float, rtol: float) -> Markdown:
    """What is allowed, as ``atol 0.0001, rtol 1e-05``."""
    return Markdown(f"atol {atol:.3g}, rtol {rtol:.3g}")


def margin(value: float | None) -> Markdown:
    """The part of the tolerance that was used, as ``▓▓░░░░░░░░ 0.12``; the bar is full at 1, where a pass ends."""
    if value is None:
        return NOTHING
    share = min(max(value, 0.0), 1.0) if math.isfinite(value) else 1.0
    filled = math.ceil(share * _BAR_CELLS)
    return Markdown("▓" * filled + "░" * (_BAR_CELLS - filled) + _SPACE + ratio(value))


def ratio(value: float) -> Markdown:
    """A margin as a number: ``0.03``, ``12``, ``1873``, ``3.1e+06``."""
    if value > 1 and f"{value:.2f}" == "1.00":
        return Markdown(">1.00")
    if 0 < value < 0.01:  # noqa: PLR2004 - the smallest number that two decimals show
        return Markdown("<0.01")
    if 10 <= value < 10_000:  # noqa: PLR2004 - decimals say nothing here
        return Markdown(f"{value:.0f}")
    return _fixed(value, 2) if abs(value) < 10 else error(value)  # noqa: PLR2004


def percent(share: float) -> Markdown:
    """``99.97 %``, rounded down."""
    return Markdown(f"{_rounded_down(share, 4) * 100:.4g}{_SPACE}%")


def cosine(value: float | None) -> Markdown:
    """A cosine similarity with six decimals, rounded down; 1 is only an exact one."""
    if value is None:
        return NOTHING
    return Markdown("1" if value == 1 else f"{_rounded_down(value, 6):.6f}")


def similarity(value: float) -> Markdown:
    """The similarity of two texts, with four decimals."""
    return _fixed(value, 4)


def decibels(value: float | None) -> Markdown:
    """A signal-to-noise ratio as ``103 dB``."""
    return NOTHING if value is None else Markdown(f"{value:.3g}{_SPACE}dB")


def megabytes(count: int) -> Markdown:
    """Bytes as ``90.9 MB`` (of 10^6 bytes), with two decimals below one."""
    if abs(count) >= _LARGEST_INTEGER:
        return Markdown(f"over 1e9{_SPACE}MB")
    if 0 < count < MEGABYTE // 100:
        return Markdown(f"<0.01{_SPACE}MB")
    return Markdown(f"{_fixed(count / MEGABYTE, 1 if abs(count) >= MEGABYTE else 2)}{_SPACE}MB")


def seconds(value: float | None) -> Markdown:
    """A duration as ``12.3 s``."""
    return NOTHING if value is None else Markdown(f"{_fixed(value, 1)}{_SPACE}s")


def milliseconds(value: float) -> Markdown:
    """A latency as ``3.21 ms``."""
    return Markdown(f"{_fixed(value, 2)}{_SPACE}ms")


def integer(value: int) -> Markdown:
    """A count. Python itself refuses to print integers of thousands of digits."""
    return Markdown(value if abs(value) < _LARGEST_INTEGER else "over 1e15")


def _fixed(value: float, decimals: int) -> Markdown:
    return Markdown(f"{value:.{decimals}f}" if abs(value) < _LARGEST_FIXED else f"{value:.1e}")


def _rounded_down(value: float, decimals: int) -> float:
    if not math.isfinite(value):
        return value
    scale = math.pow(10, decimals)
    # Rounded first, because 0.9997 times 10000 is a hair below 9997.
    steps = math.floor(round(min(max(value, -1.0), 1.0) * scale, 3))
    return min(steps, scale - 1 if value < 1 else scale) / scale
