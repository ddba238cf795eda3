"""Prints a report: Markdown for a pull request or a job's summary, JSON for programs."""

from __future__ import annotations

import functools
import typing
from collections.abc import Sequence

import msgspec

from onnx_export_action.judging.comparison import FileChange, compare
from onnx_export_action.report import figures, tables
from onnx_export_action.report.escape import Markdown, code
from onnx_export_action.report.variants import VARIANTS_TABLE
from onnx_export_action.report.views import ReportView, cut, report_view, size
from onnx_export_action.vocabulary.results import TargetResult, Verdict, encode, overall_verdict

if typing.TYPE_CHECKING:
    import jinja2

# No row, bullet or section is shorter: with more pieces than the limit has room for, there is no need to try them all.
_SHORTEST_PIECE = 10
# The search for what fits ends within one part in so many.
_PRECISION = 64


class Report(msgspec.Struct, kw_only=True, frozen=True):
    """The JSON report: the verdict over all targets, the targets' results, and what changed against the base."""

    verdict: Verdict
    targets: Sequence[TargetResult]
    changes: Sequence[FileChange] = ()


def render_markdown(
    results: Sequence[TargetResult], *, base: Sequence[TargetResult] = (), limit: int | None = None
) -> str:
    """The report as GitHub Markdown: the verdict in the first line, then the table, the reasons and folded details.

    The same results give the same text. Nothing in them can mention, link, load or break anything (:mod:`.escape`).

    Args:
        results: the targets' results.
        base: the results of the base branch or the last release, to say what changed.
        limit: most characters of the text. When there is more to say, case tables are left out first, then rows, and
            the text says how many; what remains is whole Markdown.

    Raises:
        ValueError: ``limit`` is not positive.
    """
    if limit is not None and limit < 1:
        message = f"the limit of a report must be at least 1 character, not {limit}"
        raise ValueError(message)
    view = report_view(results, base)
    if limit is None:
        return _print(view)
    return _fit(view, limit)


def render_json(results: Sequence[TargetResult], *, base: Sequence[TargetResult] = ()) -> str:
    """The report as indented JSON: ``verdict``, ``targets`` (as in ``result.json``) and ``changes``."""
    verdict = overall_verdict(result.verdict for result in results)
    report = Report(verdict=verdict, targets=results, changes=compare(base, results))
    # In a job's log the runner obeys ##[command] anywhere in a line; in a JSON string the escape means the same hash.
    return encode(report).decode().replace("##[", "#\\u0023[")


def _fit(view: ReportView, limit: int) -> str:
    """The whole report if it fits, else the text with nearly the most pieces that does."""
    pieces = size(view)
    if pieces * _SHORTEST_PIECE <= limit and len(whole := _print(view)) <= limit:
        return whole
    best, enough, too_many = _shortest(view, limit), 0, pieces + 1
    while too_many - enough > 1 + enough // _PRECISION:
        # Doubling from below: a report of a million pieces must not be printed to learn that it is too long.
        tried = min(2 * enough + 1, (enough + too_many) // 2)
        text = _print(cut(view, tried))
        if len(text) <= limit:
            best, enough = text, tried
        else:
            too_many = tried
    return best


def _shortest(view: ReportView, limit: int) -> str:
    """The verdict alone. Without a name it has no markup that a cut could break."""
    named = f"### {view.headline}{view.breaking}\n"
    return named if len(named) <= limit else f"{view.short_headline}{view.breaking}\n"[:limit]


def _print(view: ReportView) -> str:
    return _template().render(report=view).rstrip("\n") + "\n"


@functools.cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("onnx_export_action", "report/templates"),
        # Escaping for HTML would not make Markdown safe: `finalize` is this report's autoescape.
        autoescape=False,  # noqa: S701
        finalize=_safe,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["row"] = tables.row_of
    return environment.get_template("report.md.j2", globals={"tables": tables, "variants_table": VARIANTS_TABLE})


def _safe(value: object) -> str:
    """What a template prints: Markdown as it is, counts as numbers, anything else as a code span."""
    if isinstance(value, Markdown):
        return value
    return figures.integer(value) if isinstance(value, int) else code(str(value))
