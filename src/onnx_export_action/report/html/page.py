"""What the HTML page shows, as tables of cells and pieces of HTML, made of the same words as the Markdown report."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from markupsafe import Markup, escape

from onnx_export_action.report import figures, tables
from onnx_export_action.report.escape import Markdown, code, visible
from onnx_export_action.report.failures import TargetFailure, target_failure
from onnx_export_action.report.html import charts
from onnx_export_action.report.tables import Cells, Columns
from onnx_export_action.report.variants import VARIANTS_TABLE, nearest_to_its_demand
from onnx_export_action.report.verdicts import State, file_state, target_state, worst_margin
from onnx_export_action.report.views import MOST_OUTPUTS, ReportView, report_view
from onnx_export_action.vocabulary.results import FileResult, OutputResult, TargetResult
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_MOST_LINES = 60
_MOST_WORDS = 400
_MOST_FIELDS = 6
_TAGS = 45
_MOST_CASES = 40
_FEWEST_POINTS = 3
_MARGIN = "Tolerance used"
_BREAKABLE = re.compile(r"([/_:=,-]|\.(?!\w{1,8}$))(?=[A-Za-z_])")  # but not before the ending of a file's name
_SIGNS = re.compile("[▓░]+\u00a0")  # a bar of Markdown, before its number
_NUMBER = re.compile(r"\d[\d.]*e[+-]\d+")
_NAMES = {State.PROVEN: "proven", State.UNVALIDATED: "unvalidated", State.ERROR: "error", State.FAILED: "failed"}
View = TypeVar("View")
_FILES = (
    *(("State", False), ("Target", False), ("File", False), ("Variant", False), ("Task", False), ("Engine", False)),
    *(("Worst error", True), (_MARGIN, True), ("Agreement", True), ("Size", True), ("One call", True)),
    ("Time", True),
)


@dataclass(frozen=True)
class Cell:
    """One cell: ``key`` is what its column is sorted by, a number or text."""

    content: Markup
    key: str = ""
    right: bool = False


@dataclass(frozen=True)
class TableView:
    """A table; each heading says whether its column holds numbers."""

    columns: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class FileRow:
    """A row of the table of all files, and the words that it is found by."""

    state: str
    words: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class FailureView:
    """One export that is not proven. ``curves`` are of its files in whose layers the difference begins."""

    title: Markup
    state: str
    files: Sequence[tuple[Markup, Markup, Sequence[Markup]]]
    more_files: int
    command: Markup
    curves: Sequence[tuple[Markup, Markup]]


@dataclass(frozen=True)
class FileView:
    """All that was measured of one file."""

    title: Markup
    state: str
    facts: Sequence[Markup]
    outputs: TableView
    more_outputs: int
    cases: TableView
    more_cases: int


@dataclass(frozen=True)
class PageView:
    """The whole page, what is not proven first. ``more_...`` count what there was no room for."""

    headline: Markup
    state: str
    lead: Sequence[Markup]
    failures: Sequence[FailureView]
    more_failures: int
    columns: Sequence[tuple[str, bool]]
    rows: Sequence[FileRow]
    more_rows: int
    variants: TableView
    fields: Sequence[tuple[Markup, Markup]]
    changes: TableView
    warnings: Sequence[Markup]
    generations: Sequence[Markup]
    similarities: TableView
    files: Sequence[FileView]
    more_files: int
    versions: Sequence[Markup]
    more_lines: int


def page_view(results: Sequence[TargetResult], base: Sequence[TargetResult], room: int) -> PageView:
    """What the page says of ``results`` and, where there is a ``base``, of what changed, in about ``room`` bytes."""
    view = report_view(results, base)
    worst_first = sorted(results, key=target_state, reverse=True)
    wrong = [result for result in worst_first if target_state(result) in (State.FAILED, State.ERROR)]
    failures, used = _within(room // 3, (_failure(result, target_failure(result)) for result in wrong))
    count = sum(max(len(result.files), 1) for result in results)
    rows, used_by_rows = _within(room // 3, (row for result in worst_first for row in _file_rows(result)))
    details = sum(1 for _ in _with_details(worst_first))
    files, _ = _within(room - used - used_by_rows, _details(view, worst_first))
    return PageView(
        headline=inline(Markdown(f"{view.headline}{view.breaking}")),
        state=_NAMES[max(map(target_state, results), default=State.ERROR)],
        lead=list(map(inline, view.lead)),
        failures=failures,
        more_failures=len(wrong) - len(failures),
        columns=_FILES,
        rows=rows,
        more_rows=max(count - len(rows), 0),
        variants=_table(VARIANTS_TABLE, view.variants[:_MOST_LINES]),
        fields=list(islice(_quality_fields(worst_first), _MOST_FIELDS)),
        changes=_table(tables.CHANGES, view.changes[:_MOST_LINES]),
        warnings=list(map(inline, view.warnings[:_MOST_LINES])),
        generations=list(map(inline, view.generations[:_MOST_LINES])),
        similarities=_table(tables.SIMILARITIES, view.similarities[:_MOST_LINES]),
        files=files,
        more_files=details - len(files),
        versions=list(map(inline, view.versions[:_MOST_LINES])),
        more_lines=sum(max(len(lines) - _MOST_LINES, 0) for lines in _bounded(view)),
    )


def _bounded(view: ReportView) -> Sequence[Sequence[object]]:
    return view.variants, view.changes, view.warnings, view.generations, view.similarities, view.versions


def _within(room: int, views: Iterable[View]) -> tuple[list[View], int]:
    """The first views, as far as there is room, and how much of it they take; the rest is never made."""
    found: list[View] = []
    used = 0
    for view in views:
        used += _weight(view)
        if used > room:
            return found, used - _weight(view)
        found.append(view)
    return found, used


def _weight(value: object) -> int:
    """About how many bytes a view takes in the page: its words, and the tags around each piece."""
    if isinstance(value, str):
        return len(value.encode()) + _TAGS
    if isinstance(value, (list, tuple)):
        return sum(map(_weight, value))
    if dataclasses.is_dataclass(value):
        return sum(_weight(getattr(value, field.name)) for field in dataclasses.fields(value))
    return 0


@functools.lru_cache(maxsize=4096)
def inline(text: Markdown) -> Markup:
    """Safe Markdown of one line as HTML; long names may break after their separators, and nowhere else."""
    return Markup(_markdown().renderInline(text.replace("\\|", "|")))  # noqa: S704 - the renderer escapes


def block_html(text: Markdown | None) -> Markup:
    """A fenced block as HTML."""
    return Markup(_markdown().render(text)) if text is not None else Markup("")  # noqa: S704 - the renderer escapes


@functools.cache
def _markdown() -> MarkdownIt:
    """Code, emphasis and fences alone: no HTML, no link, no image."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("zero").enable(["backticks", "emphasis", "fence"])
    parser.add_render_rule("text", _text)
    parser.add_render_rule("code_inline", _code_inline)
    parser.add_render_rule("fence", _fence)
    return parser


def _text(_: object, tokens: Sequence[Token], place: int, *__: object) -> str:
    return _whole(str(escape(_SIGNS.sub("", tokens[place].content))))


def _code_inline(_: object, tokens: Sequence[Token], place: int, *__: object) -> str:
    return f"<code>{_soft(tokens[place].content)}</code>"


def _fence(_: object, tokens: Sequence[Token], place: int, *__: object) -> str:
    return f"<pre><code>{_soft(tokens[place].content)}</code></pre>\n"


def _soft(text: str) -> Markup:
    return Markup(_whole(_BREAKABLE.sub(r"\1<wbr>", str(escape(text)))))  # noqa: S704 - escaped before


def _whole(escaped: str) -> str:
    """Numbers such as 2.8e-02 stay on one line: a browser breaks after their sign."""
    return _NUMBER.sub(r'<span class="number">\g<0></span>', escaped)


def _table(columns: Columns, rows: Iterable[Cells]) -> TableView:
    """The table without the columns in which nothing was measured."""
    listed = list(rows)
    kept = [place for place in range(len(columns.names)) if any(row[place] != figures.NOTHING for row in listed)]
    headings = [(columns.names[place], columns.names[place] in columns.right) for place in kept]
    cells = [
        [Cell(inline(row[place]), right=number) for place, (_, number) in zip(kept, headings, strict=True)]
        for row in listed
    ]
    return TableView(headings, cells)


def _file_rows(result: TargetResult) -> Iterator[FileRow]:
    """One row a file; the time is the target's, on its first row."""
    files: list[FileResult | None] = list(result.files)
    if not files or target_state(result) > max(map(file_state, result.files)):
        files.insert(0, None)
    for number, file in enumerate(files):
        yield _row(result, file, None if number else tables.duration_of(result))


def _row(result: TargetResult, file: FileResult | None, seconds: float | None) -> FileRow:
    state = target_state(result) if file is None else file_state(file)
    worst = None if file is None else max(file.outputs, key=worst_margin, default=None)
    call = None if file is None else file.call_ms if file.latency is None else file.latency.onnx_ms
    outputs = [] if file is None else file.outputs
    cells = [
        _cell(Markdown(f"{state.icon}\u00a0{_NAMES[state]}"), -state),
        _cell(code(result.target), result.target),
        _cell(figures.NOTHING if file is None else code(file.path), "" if file is None else file.path),
        _cell(figures.NOTHING if file is None else code(file.variant), "" if file is None else file.variant),
        _cell(code(result.model.task) if result.model.task else figures.NOTHING, result.model.task or ""),
        _cell(figures.NOTHING if file is None else code(file.engine), "" if file is None else file.engine),
        _worst_error(worst),
        _margin_cell(None if worst is None else worst_margin(worst)),
        _number(tables.agreement_of(outputs), _least_agreement(outputs)),
        _number(
            figures.NOTHING if file is None else figures.megabytes(file.bytes), None if file is None else file.bytes
        ),
        _number(figures.NOTHING if call is None else figures.milliseconds(call), call),
        _number(figures.seconds(seconds), seconds),
    ]
    words = " ".join([result.target, "" if file is None else f"{file.path} {file.variant}", result.model.task or ""])
    return FileRow(_NAMES[state], visible(words.casefold(), _MOST_WORDS), cells)


def _worst_error(worst: OutputResult | None) -> Cell:
    if worst is None:
        return _number(figures.NOTHING, None)
    return _number(Markdown(f"{figures.error(worst.max_abs)} {code(worst.name)}"), worst.max_abs)


def _least_agreement(outputs: Sequence[OutputResult]) -> float | None:
    """What :func:`.tables.agreement_of` shows, as a number."""
    shares = [output.argmax_agreement for output in outputs if output.argmax_agreement is not None]
    return min(shares or [output.cosine for output in outputs if output.cosine is not None], default=None)


def _cell(content: Markdown, key: object) -> Cell:
    return Cell(inline(content), key=visible(str(key), _MOST_WORDS))


def _number(content: Markdown, key: float | None) -> Cell:
    return Cell(inline(content), key="" if key is None or math.isnan(key) else repr(key), right=True)


def _margin_cell(margin: float | None) -> Cell:
    """A bar and its number; the bar says what a row of signs says in Markdown."""
    if margin is None or margin < 0:
        return Cell(inline(figures.NOTHING), right=True)
    value = Markup('<span class="value">{}</span>').format(inline(figures.ratio(margin)))
    return Cell(charts.margin_bar(margin) + value, key=repr(margin), right=True)


def _failure(result: TargetResult, told: TargetFailure) -> FailureView:
    curves = [
        (inline(code(file.path)), charts.layer_curve(file.failure.layers, file.failure.first_divergent_layer))
        for file in result.files
        if file.failure is not None and file.failure.layers
    ]
    return FailureView(
        title=inline(told.title),
        state=_NAMES[target_state(result)],
        files=[
            (inline(one.title), block_html(one.message), [inline(point) for point in one.points]) for one in told.files
        ],
        more_files=told.more_files,
        command=block_html(told.command),
        curves=curves[:_FEWEST_POINTS],
    )


def _quality_fields(results: Sequence[TargetResult]) -> Iterator[tuple[Markup, Markup]]:
    """Size beside quality, where a target has variants enough to compare."""
    for result in results:
        points = [
            charts.Point(
                name=file.variant,
                x=file.bytes / figures.MEGABYTE,
                y=output.sqnr_db,
                needed=None if output.quality is None else output.quality.min_sqnr_db,
                passed=file_state(file) is State.PROVEN,
            )
            for file in result.files
            if (output := nearest_to_its_demand(file.outputs)) is not None
            and output.sqnr_db is not None
            and math.isfinite(output.sqnr_db)
            and file.variant != REFERENCE_VARIANT
        ]
        if len(points) >= _FEWEST_POINTS:
            yield inline(code(result.target)), charts.quality_field(points)


def _with_details(results: Sequence[TargetResult]) -> Iterator[FileResult]:
    """The files that the Markdown report has a table of, in its order."""
    return (file for result in results for file in result.files if file.outputs or file.cases)


def _details(view: ReportView, results: Sequence[TargetResult]) -> Iterator[FileView]:
    pairs = zip(view.case_tables, _with_details(results), strict=True)
    for table, file in sorted(pairs, key=lambda pair: file_state(pair[1]), reverse=True):
        outputs = sorted(file.outputs, key=worst_margin, reverse=True)
        shown, cases = outputs[:MOST_OUTPUTS], table.cases[:_MOST_CASES]
        yield FileView(
            title=Markup(table.summary),  # noqa: S704 - of html_code, which escapes
            state=_NAMES[file_state(file)],
            facts=list(map(inline, table.facts)),
            outputs=_with_bars(_table(tables.OUTPUTS, map(tables.output_cells, shown)), list(map(worst_margin, shown))),
            more_outputs=len(outputs) - len(shown),
            cases=_with_bars(_table(tables.CASES, map(tables.case_cells, cases)), [case.margin for case in cases]),
            more_cases=len(table.cases) - len(cases),
        )


def _with_bars(table: TableView, margins: Sequence[float | None]) -> TableView:
    """The table with a bar in place of the signs that Markdown has for one."""
    names = [name for name, _ in table.columns]
    if _MARGIN not in names:
        return table
    column = names.index(_MARGIN)
    pairs = zip(table.rows, margins, strict=True)
    rows = [[*row[:column], _margin_cell(margin), *row[column + 1 :]] for row, margin in pairs]
    return TableView([(name, number or name == _MARGIN) for name, number in table.columns], rows)
