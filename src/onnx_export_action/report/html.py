"""The report as one HTML page that holds all it needs: no script, no address, nothing from the network.

Untrusted words are made visible (:mod:`.escape`) and escaped by the template; a content security policy forbids
everything but the page's own styles, in case one slips through.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from onnx_export_action.judging.comparison import Difference, FileChange, compare
from onnx_export_action.report import charts, figures
from onnx_export_action.report.differences import before_and_after
from onnx_export_action.report.escape import visible
from onnx_export_action.report.verdicts import file_state, target_state, worst_margin
from onnx_export_action.vocabulary.results import FileResult, OutputResult, TargetResult, Verdict

if typing.TYPE_CHECKING:
    import jinja2

MOST_BYTES = 2_000_000
_CHART_BYTES = 1_500_000
_MOST_ROWS = 500
_MOST_HISTOGRAMS = 6
_MOST_BARS = 24
_MOST_DRAWN = 16
"""Files with charts, the worst ones: each takes half a second to draw."""
_NAME = 120
_PROSE = 600
_HEAD = ("", "Target", "File", "Variant", "Opset", "Worst error", "Tolerance used", "Agreement", "Size", "Latency")


@dataclass(frozen=True)
class FileView:
    """One file: ``facts`` are words and values, ``charts`` SVG of this project's making."""

    title: str
    state: str
    facts: list[tuple[str, str]]
    charts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PageView:
    """The whole page; rows are cells of plain text."""

    headline: str
    head: list[str]
    rows: list[list[str]]
    changes: list[list[str]]
    comparisons: list[str]
    files: list[FileView]
    left_out: int


def render_html(results: Sequence[TargetResult], *, base: Sequence[TargetResult] = ()) -> str:
    """One self-contained page of less than 2 MB; charts of the files that ended well are left out first.

    Raises:
        ExportError: matplotlib is not installed.
    """
    page = _page(results, base)
    text = _template().render(page=page) + "\n"
    if len(text.encode()) < MOST_BYTES:
        return text
    bare = [replace(file, charts=[]) for file in page.files]
    return _template().render(page=replace(page, comparisons=[], files=bare)) + "\n"


def _page(results: Sequence[TargetResult], base: Sequence[TargetResult]) -> PageView:
    worst_first = sorted(results, key=target_state, reverse=True)
    files = [(result, file) for result in worst_first for file in result.files]
    files.sort(key=lambda pair: file_state(pair[1]), reverse=True)
    views: list[FileView] = []
    used = 0
    for number, (result, file) in enumerate(files[:_MOST_ROWS]):
        drawn = list(_charts(file, number)) if number < _MOST_DRAWN and used < _CHART_BYTES else []
        used += sum(map(len, drawn))
        views.append(FileView(_title(result, file), file_state(file).name.lower(), list(_facts(file)), drawn))
    proven = sum(result.verdict is Verdict.PASS for result in results)
    return PageView(
        headline=f"{proven} of {len(results)} exports proven",
        head=[
            "",
            "Target",
            "File",
            "Variant",
            "Opset",
            "Worst error",
            "Tolerance used",
            "Agreement",
            "Size",
            "Latency",
        ],
        rows=[_row(result, file) for result, file in files[:_MOST_ROWS]] + list(_rows_without_file(worst_first)),
        changes=[_change(change) for change in compare(base, results)][:_MOST_ROWS],
        comparisons=list(_comparisons(files, base)),
        files=views,
        left_out=max(len(files) - _MOST_ROWS, 0),
    )


def _title(result: TargetResult, file: FileResult) -> str:
    return f"{visible(result.target, _NAME)} · {visible(file.path, _NAME)}"


def _row(result: TargetResult, file: FileResult) -> list[str]:
    worst = max(file.outputs, key=worst_margin, default=None)
    shares = [output.argmax_agreement for output in file.outputs if output.argmax_agreement is not None]
    latency = figures.NOTHING if file.latency is None else figures.milliseconds(file.latency.onnx_ms)
    return [
        file_state(file).icon,
        visible(result.target, _NAME),
        visible(file.path, _NAME),
        visible(file.variant, _NAME),
        figures.integer(file.opset),
        figures.NOTHING if worst is None else figures.error(worst.max_abs),
        figures.NOTHING if worst is None or worst.margin is None else figures.margin(worst.margin),
        figures.percent(min(shares)) if shares else figures.NOTHING,
        figures.megabytes(file.bytes),
        latency,
    ]


def _rows_without_file(results: Sequence[TargetResult]) -> Iterator[list[str]]:
    for result in results:
        if not result.files:
            said = "" if result.failure is None else visible(result.failure.message, _PROSE)
            yield [target_state(result).icon, visible(result.target, _NAME), said, *[""] * (len(_HEAD) - 3)]


def _facts(file: FileResult) -> Iterator[tuple[str, str]]:
    failure = file.failure
    if failure is not None:
        yield "What is wrong", visible(failure.message, _PROSE)
        for name, words in (
            ("Kind of cause", failure.cause.value if failure.cause is not None else None),
            ("Hint", failure.hint),
            ("Smallest input", failure.trigger),
            ("First layer that differs", failure.first_divergent_layer),
            ("Files to reproduce it", failure.repro),
        ):
            if words:
                yield name, visible(words, _PROSE)
    passed = sum(case.verdict is Verdict.PASS for case in file.cases)
    yield "Cases", f"{passed} of {len(file.cases)} pass"
    if file.generation is not None:
        ending = "the same tokens as PyTorch" if file.generation.equal else "other tokens than PyTorch"
        yield "Greedy generation", f"{figures.integer(file.generation.tokens)} tokens: {ending}"
    yield "SHA-256", visible(file.sha256, _NAME)
    if file.operators:
        counts = sorted(file.operators.items(), key=lambda pair: (-pair[1], pair[0]))
        yield "Operators", visible(", ".join(f"{name} {figures.integer(count)}" for name, count in counts), _PROSE)


def _charts(file: FileResult, number: int) -> Iterator[str]:
    if file.failure is not None and file.failure.layers:
        yield charts.layer_curve(file.failure.layers, file.failure.first_divergent_layer, number)
    if file.cases:
        yield charts.margin_map(sorted(file.cases, key=lambda case: case.verdict is Verdict.PASS), number)
    worst: list[OutputResult] = sorted(file.outputs, key=worst_margin, reverse=True)
    counted = [output for output in worst if any(output.error_decades)][:_MOST_HISTOGRAMS]
    for place, output in enumerate(counted):
        yield charts.error_histogram(output, number * _MOST_HISTOGRAMS + place)


def _comparisons(files: Sequence[tuple[TargetResult, FileResult]], base: Sequence[TargetResult]) -> Iterator[str]:
    """Size, tolerance used and latency of every file beside the others and the base."""
    shown = sorted(files[:_MOST_BARS], key=lambda pair: (pair[0].target, pair[1].path))
    before: Mapping[tuple[str, str], FileResult] = {
        (result.target, file.path): file for result in base for file in result.files
    }
    labels = [f"{result.target} {file.path}" for result, file in shown]
    earlier = [before.get((result.target, file.path)) for result, file in shown]
    if len(shown) < 2 and not any(earlier):  # noqa: PLR2004 - one alone has nothing to stand beside
        return
    for what, value in (("size in MB", _size), ("tolerance used", _margin), ("milliseconds for one call", _latency)):
        head = [value(file) for _, file in shown]
        if any(one is not None for one in head):
            yield charts.side_by_side(labels, [value(file) if file else None for file in earlier], head, what)


def _size(file: FileResult) -> float | None:
    return file.bytes / figures.MEGABYTE if abs(file.bytes) < figures.MEGABYTE**3 else None


def _margin(file: FileResult) -> float | None:
    return file.worst_margin


def _latency(file: FileResult) -> float | None:
    return file.latency.onnx_ms if file.latency is not None else None


def _change(change: FileChange) -> list[str]:
    said = "; ".join(_difference(one) for one in change.differences) or f"{change.kind} file"
    return [visible(change.target, _NAME), visible(change.path, _NAME), said]


def _difference(difference: Difference) -> str:
    before, after = (visible(side, _PROSE) or "–" for side in before_and_after(difference))
    return f"{'breaking: ' if difference.breaking else ''}{difference.aspect} {before} → {after}"


@functools.cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("onnx_export_action", "report/templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html.j2")
