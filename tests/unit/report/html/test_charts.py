"""Bars, the curve of the layers and the field of variants, whatever numbers a result file holds."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_export_action.report.html.charts import Point, layer_curve, margin_bar, quality_field
from onnx_export_action.vocabulary.results import LayerResult

ANY = st.floats(allow_nan=True, allow_infinity=True)
NUMBERS = re.compile(r'(?:x|y|cx|cy|x1|x2|y1|y2|width|points)="([^"]*)"')


def drawn(svg: str) -> list[float]:
    """Every coordinate; the SVG is well-formed."""
    ET.fromstring(svg)
    return [float(number) for found in NUMBERS.findall(svg) for number in re.split(r"[ ,]", found)]


def filled(svg: str) -> float:
    return float(re.findall(r'<rect class="(?:good|near|bad)" width="([^"]*)"', svg)[0])


@given(ANY.filter(lambda margin: not margin < 0))
def test_a_bar_passes_its_line_where_the_tolerance_is_exceeded(margin: float) -> None:
    svg = margin_bar(margin)
    assert all(0 <= number <= 100 for number in drawn(svg))
    mark = float(re.findall(r'x1="([^"]*)"', svg)[0])
    assert ('class="bad"' in svg) == (not margin <= 1)
    if margin > 1.01 or math.isnan(margin):
        assert filled(svg) > mark
    elif margin < 0.99:
        assert filled(svg) < mark


@given(st.lists(st.none() | ANY, min_size=1, max_size=50))
def test_a_curve_stays_inside_whatever_the_layers_gave(errors: list[float | None]) -> None:
    layers = [LayerResult(name=f"<layer {number}>", error=error) for number, error in enumerate(errors)]
    numbers = drawn(layer_curve(layers, layers[-1].name))
    assert all(0 <= number <= 360 for number in numbers)


def test_the_first_layer_that_differs_is_marked() -> None:
    layers = [LayerResult(name=f"a.{number}", error=10.0**-number) for number in range(3)]
    assert '<text class="first"' in layer_curve(layers, "a.1")
    assert '<text class="first"' not in layer_curve(layers, None)


@given(st.lists(st.tuples(ANY, ANY, st.none() | ANY), min_size=1, max_size=8))
def test_a_field_stays_inside_whatever_the_variants_gave(values: list[tuple[float, float, float | None]]) -> None:
    points = [Point(f"v{n}", x, y, needed, passed=True) for n, (x, y, needed) in enumerate(values)]
    assert all(math.isfinite(number) for number in drawn(quality_field(points)))


@pytest.mark.parametrize("needed", [10.0, None])
def test_a_point_says_its_values(needed: float | None) -> None:
    svg = quality_field([Point("q8", 23.0, 15.7, needed, passed=True)])
    words = "q8: 23 MB, 15.7 dB" + ("" if needed is None else ", 10 dB needed")
    assert f"<title>{words}</title>" in svg
