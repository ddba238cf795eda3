"""Charts of the HTML report, as SVG in which text and lines take the page's colours.

Every word in them may be a stranger's. It is made visible (:mod:`.escape`), matplotlib is told not to read formulas in
it, and escapes it as XML.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any

from onnx_export_action.report.escape import visible
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.results import CaseResult, LayerResult, OutputResult

_LABEL, _CASE_LABEL = 60, 80
_MOST_CASES = 60
_MOST_OUTPUTS = 16
_LEAST_MARGIN, _MOST_MARGIN = 1e-3, 1e3
_LEAST_ERROR = 1e-9
_ROW_INCHES = 0.22
_MANY = 1000
"""Bars that differ by more stand on a logarithmic scale."""

# Readable on white and on black; the rest is drawn in the page's own colour.
_BLUE, _ORANGE, _RED = "#3b82c4", "#d9822b", "#d64545"
_GREY = "#888888"
_SETTINGS = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.0,
    "font.family": "sans-serif",
    "text.color": _GREY,
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "figure.constrained_layout.use": True,
}


def error_histogram(output: OutputResult, number: int) -> str:
    """How many errors of one output lie in each power of ten, with the absolute tolerance."""
    plt = _pyplot()
    with plt.rc_context(_settings()):
        figure, axes = plt.subplots(figsize=(6, 2))
        counts = output.error_decades
        total = max(sum(counts), 1)
        places = range(-13, -13 + len(counts))
        axes.bar(places, [100 * count / total for count in counts], width=0.9, align="edge", color=_BLUE)
        if 0 < output.atol < math.inf:
            axes.axvline(math.log10(output.atol), color=_RED, linewidth=1.5)
        axes.set_xticks(range(-12, -13 + len(counts), 3), [f"1e{power}" for power in range(-12, -13 + len(counts), 3)])
        axes.set_xlabel("absolute error; the line is atol")
        axes.set_ylabel("% of values")
        axes.set_title(visible(output.name, _LABEL), loc="left")
        return _svg(figure, f"histogram {number}")


def margin_map(cases: Sequence[CaseResult], number: int) -> str:
    """The margin of every output in every case, by colour: what is above 1 fails."""
    plt = _pyplot()
    shown = list(cases[:_MOST_CASES])
    names = list(dict.fromkeys(output.name for case in shown for output in case.outputs))[:_MOST_OUTPUTS]
    margins = {(row, output.name): output.margin for row, case in enumerate(shown) for output in case.outputs}
    grid = [[_logarithm(margins.get((row, name))) for name in names] for row in range(len(shown))]
    if not names:
        names, grid = ["worst output"], [[_logarithm(case.margin)] for case in shown]
    with plt.rc_context(_settings()):
        figure, axes = plt.subplots(figsize=(6.0 + 0.35 * len(names), 2.2 + _ROW_INCHES * len(shown)))
        low, high = math.log10(_LEAST_MARGIN), math.log10(_MOST_MARGIN)
        mesh = axes.pcolormesh(grid, cmap="RdBu_r", vmin=low, vmax=high, edgecolors=_GREY, linewidth=0.3)
        mesh.set_rasterized(False)
        axes.invert_yaxis()
        axes.set_yticks([row + 0.5 for row in range(len(shown))], [_case_label(case) for case in shown])
        axes.set_xticks(
            [column + 0.5 for column in range(len(names))],
            [visible(name, _LABEL // 2) for name in names],
            rotation=40,
            ha="right",
        )
        bar = figure.colorbar(mesh, ax=axes, ticks=[low, 0, high])
        bar.solids.set_rasterized(False)
        bar.ax.set_yticklabels([f"≤ {_LEAST_MARGIN:g}", "1: allowed", f"≥ {_MOST_MARGIN:g}"])
        return _svg(figure, f"map {number}")


def layer_curve(layers: Sequence[LayerResult], first: str | None, number: int) -> str:
    """The error of every layer in the order of execution; the first that differs is marked."""
    plt = _pyplot()
    errors = [_clipped(layer.error) for layer in layers]
    with plt.rc_context(_settings()):
        figure, axes = plt.subplots(figsize=(9, 3))
        axes.semilogy(range(len(errors)), errors, marker=".", markersize=4, linewidth=1, color=_BLUE)
        place = next((place for place, layer in enumerate(layers) if layer.name == first), None)
        if place is not None:
            axes.axvline(place, color=_RED, linewidth=1.5)
            left = place < len(errors) / 2
            axes.annotate(
                visible(layers[place].name, _LABEL),
                (place, max(errors)),
                xytext=(5 if left else -5, 0),
                textcoords="offset points",
                ha="left" if left else "right",
                color=_RED,
            )
        powers = range(round(math.log10(_LEAST_ERROR)), 2, 2)
        axes.set_yticks([10.0**power for power in powers], [f"1e{power}" for power in powers])
        axes.minorticks_off()
        axes.set_xlabel("layers, in the order in which they end")
        axes.set_ylabel("relative error")
        return _svg(figure, f"layers {number}")


def side_by_side(labels: Sequence[str], base: Sequence[float | None], head: Sequence[float | None], what: str) -> str:
    """One bar a file, and one beside it for the base where there is one."""
    plt = _pyplot()
    with plt.rc_context(_settings()):
        figure, axes = plt.subplots(figsize=(7, 0.8 + 0.45 * len(labels)))
        places = range(len(labels))
        axes.barh([p - 0.2 for p in places], [_finite(x) for x in head], height=0.38, color=_BLUE, label="now")
        if any(value is not None for value in base):
            axes.barh([p + 0.2 for p in places], [_finite(x) for x in base], height=0.38, color=_ORANGE, label="base")
            axes.legend(frameon=False)
        axes.set_yticks(list(places), [visible(label, _LABEL) for label in labels])
        axes.invert_yaxis()
        axes.set_xlabel(what)
        largest = max((_finite(value) for value in (*head, *base)), default=0.0)
        if largest > _MANY * max(min(_finite(value) for value in head), _LEAST_MARGIN):
            axes.set_xscale("symlog", linthresh=1.0)
            powers = range(max(1, round(math.log10(largest)) + 1))
            axes.set_xticks([0.0, *(10.0**power for power in powers)], ["0", *(f"1e{power}" for power in powers)])
        return _svg(figure, f"bars {what}")


def _pyplot() -> Any:
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise plan_error("the HTML report needs matplotlib", "pip install 'onnx-export-action[html]'") from error
    mpl.use("svg")
    import matplotlib.pyplot as plt

    return plt


def _settings() -> dict[str, Any]:
    """All settings: matplotlib reads a file ``matplotlibrc`` of the working folder, which may be anyone's."""
    import matplotlib as mpl

    return {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"} | _SETTINGS


def _case_label(case: CaseResult) -> str:
    axes = [f"{name} {size}" for name, size in case.shape.items() if "+" not in name]
    shape = ", ".join(axes[:3])
    return visible(f"{shape} ({case.mask})", _CASE_LABEL)


def _logarithm(margin: float | None) -> float:
    """Of a margin within the map's range; one that is no number, as where shapes differ, is the worst."""
    if margin is None or math.isnan(margin):
        return math.log10(_MOST_MARGIN)
    return math.log10(min(max(margin, _LEAST_MARGIN), _MOST_MARGIN))


def _clipped(error: float | None) -> float:
    return 10.0 if error is None or math.isnan(error) else min(max(error, _LEAST_ERROR), 10.0)


def _finite(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else 0.0


def _svg(figure: Any, salt: str) -> str:
    """The figure as an element to stand in a page; ids of one chart differ from those of another."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": salt}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    plt.close(figure)
    text = buffer.getvalue()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return text[text.index("<svg") :]
