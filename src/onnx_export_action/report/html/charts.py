"""Charts as small SVG pieces that scale with the page: bars in the cells of tables, a curve, and a field of points.

Of bars the text stays outside, in HTML, so that it keeps its size at any width. Every mark has a title with its values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from onnx_export_action.report import figures
from onnx_export_action.report.escape import visible
from onnx_export_action.report.failures import NEAR_MISS
from onnx_export_action.vocabulary.results import LayerResult

_LEAST_MARGIN, _MOST_MARGIN = 1e-3, 1e3
_LEAST_ERROR, _MOST_ERROR = 1e-8, 10.0
_MOST_DRAWN = 400
_LABEL = 60
_MOST_LEVELS = 5
_MOST_VALUE = 1e9
_LINE = 10
_WIDTH, _HEIGHT = 360, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 12, 34


@dataclass(frozen=True)
class Point:
    """A variant by its size and quality: ``x`` in MB, ``y`` in decibels; ``needed`` decibels would be enough."""

    name: str
    x: float
    y: float
    needed: float | None
    passed: bool


def margin_bar(margin: float) -> Markup:
    """The part of the tolerance that was used, by powers of ten, with a line at 1 where a pass ends."""
    words = f"{figures.ratio(margin)} of the tolerance" if math.isfinite(margin) else "beyond any tolerance"
    level = "bad" if not margin <= 1 else "near" if margin > NEAR_MISS else "good"
    return _bar(_place(margin), level, words, mark=_place(1.0))


def share_bar(share: float, words: str) -> Markup:
    """A share of what is usual, which is at four fifths of the width."""
    return _bar(min(max(share, 0.0), 1.25) * 80, "plain", words, mark=80.0)


def _place(margin: float) -> float:
    """Where a margin ends, from 0 to 100; one that is no number is the worst."""
    if math.isnan(margin):
        return 100.0
    low, high = math.log10(_LEAST_MARGIN), math.log10(_MOST_MARGIN)
    return 100 * (math.log10(min(max(margin, _LEAST_MARGIN), _MOST_MARGIN)) - low) / (high - low)


def _bar(length: float, level: str, words: str, *, mark: float) -> Markup:
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{0}">'
        "<title>{0}</title>"
        '<rect class="track" width="100" height="10"/><rect class="{1}" width="{2:.1f}" height="10"/>'
        '<line class="mark" x1="{3:.1f}" x2="{3:.1f}" y2="10"/></svg>'
    ).format(words, level, max(length, 1.0), mark)


def layer_curve(layers: Sequence[LayerResult], first: str | None) -> Markup:
    """The error of every layer in the order of execution; the first that differs is marked."""
    shown = layers[:_MOST_DRAWN]
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(shown) - 1, 1)
    places = [(_LEFT + number * step, _error_place(layer.error)) for number, layer in enumerate(shown)]
    marked = next((number for number, layer in enumerate(shown) if layer.name == first), None)
    parts = [*_error_axis(), Markup('<polyline class="curve" points="{}"/>').format(_points(places))]
    if marked is not None:
        parts.append(_first(places[marked][0], shown[marked].name))
    for (x, y), layer in zip(places, shown, strict=True):
        title = f"{visible(layer.name, _LABEL)}: {figures.error(layer.error)}"
        parts.append(Markup('<circle cx="{:.1f}" cy="{:.1f}" r="2.5"><title>{}</title></circle>').format(x, y, title))
    label = f"relative error of {len(shown)} layers, in the order in which they end"
    return _chart(parts, label)


def _error_place(error: float | None) -> float:
    bounded = _MOST_ERROR if error is None or math.isnan(error) else min(max(error, _LEAST_ERROR), _MOST_ERROR)
    low, high = math.log10(_LEAST_ERROR), math.log10(_MOST_ERROR)
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - math.log10(bounded)) / (high - low)


def _error_axis() -> Iterator[Markup]:
    for power in (0, -2, -4, -6, -8):
        yield _level(_error_place(10.0**power), f"1e{power}")


def _first(x: float, name: str) -> Markup:
    anchor = "start" if x < _WIDTH / 2 else "end"
    return Markup(
        '<line class="first" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
        '<text class="first" x="{3:.1f}" y="{4}" text-anchor="{5}">{6}</text>'
    ).format(x, _TOP, _HEIGHT - _BOTTOM, x + (4 if anchor == "start" else -4), _TOP + 8, anchor, _end_of(name))


def _end_of(name: str) -> str:
    """The end of a layer's path, which tells it from others, as far as there is room for it."""
    shown = visible(name, _LABEL)
    return shown if len(shown) <= 28 else f"…{shown[-27:]}"  # noqa: PLR2004 - what fits half of the width


def quality_field(points: Sequence[Point]) -> Markup:
    """Size beside quality: smaller is further left, better is higher; a line below a point ends at what is needed."""
    widest, highest = (1.1 * max(map(_drawable, values)) for values in zip(*((p.x, p.y) for p in points), strict=True))
    parts = [_level(_quality_place(level, highest), f"{level:g} dB") for level in _round_levels(highest)]
    parts += [_size_mark(_size_place(level, widest), f"{level:g}") for level in _round_levels(widest)]
    free = -math.inf  # where the next label has room, from the top down
    for point in sorted(points, key=lambda point: -_drawable(point.y)):
        x, y = _size_place(point.x, widest), _quality_place(point.y, highest)
        free = max(y + 3, free)
        parts.append(_dot(point, x, y, _quality_place(point.needed, highest), label=free))
        free += _LINE
    return _chart(parts, "size in MB, beside decibels of signal over noise")


def _dot(point: Point, x: float, y: float, needed: float, *, label: float) -> Markup:
    words = f"{visible(point.name, _LABEL)}: {point.x:.3g} MB, {point.y:.3g} dB"
    if point.needed is not None:
        words += f", {point.needed:.3g} dB needed"
    left = x < _WIDTH * 0.75
    return Markup(
        '<line class="need" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}"/>'
        '<circle class="{3}" cx="{0:.1f}" cy="{1:.1f}" r="4"><title>{4}</title></circle>'
        '<text x="{5:.1f}" y="{6:.1f}" text-anchor="{7}">{8}</text>'
    ).format(
        *(x, y, needed if point.needed is not None else y, "good" if point.passed else "bad", words),
        *(x + 7 if left else x - 7, label, "start" if left else "end", visible(point.name, 12)),
    )


def _drawable(value: float) -> float:
    """A value of a result file as one that has a place: none below zero, none without end."""
    return min(max(value, 0.0), _MOST_VALUE) if not math.isnan(value) else 0.0


def _size_place(size: float, widest: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * _drawable(size) / max(widest, 1e-9)


def _size_mark(x: float, words: str) -> Markup:
    return Markup('<text class="axis" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
        x, _HEIGHT - _BOTTOM + 12, words
    )


def _quality_place(decibels: float | None, highest: float) -> float:
    share = min(_drawable(decibels or 0.0), highest) / max(highest, 1e-9)
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)


def _round_levels(most: float) -> list[float]:
    """Up to six round numbers from zero on."""
    if not 0 < most < math.inf:
        return [0.0]
    power = 10.0 ** math.floor(math.log10(most))
    step = next(step for step in (power / 5, power / 2, power, power * 2) if most / step <= _MOST_LEVELS)
    return [step * number for number in range(int(most // step) + 1)]


def _level(y: float, words: str) -> Markup:
    return Markup(
        '<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>'
        '<text class="axis" x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
    ).format(_LEFT, _WIDTH - _RIGHT, y, _LEFT - 5, y + 3, words)


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _chart(parts: Sequence[Markup], label: str) -> Markup:
    under = Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format(
        (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, label
    )
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, _HEIGHT, label, Markup("").join([*parts, under])
    )
