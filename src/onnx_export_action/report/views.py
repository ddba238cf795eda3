"""A report as lists of rows and sentences of safe Markdown, and the same report with less in it.

Each list is ordered with what matters most first. :func:`cut` keeps a number of pieces, so that a report that must be
short loses its case tables first and the rows and reasons of the exports that failed last.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice, repeat

from onnx_export_action.judging.comparison import ChangeKind, FileChange, compare
from onnx_export_action.report import figures, tables
from onnx_export_action.report.escape import NAME_LIMIT, PROSE_LIMIT, Markdown, code, html_code, visible
from onnx_export_action.report.failures import TargetFailure, target_failure, warnings
from onnx_export_action.report.lead import lead
from onnx_export_action.report.tables import Cells
from onnx_export_action.report.variants import variant_rows
from onnx_export_action.report.verdicts import (
    State,
    file_state,
    headline,
    short_headline,
    target_state,
    verdict_state,
    worst_margin,
)
from onnx_export_action.vocabulary.results import (
    CaseResult,
    FileResult,
    LatencySizeResult,
    TargetResult,
    TaskMetricResult,
    Verdict,
)
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT

# Beyond these a list says how many more there are: result.json has them all.
MOST_OUTPUTS = 20
_MOST_PACKAGES = 30
_MOST_TIMINGS = 12
_MOST_TARGETS = 5
_MOST_SIZES = 4
_HASH_LIMIT = 13

# The lists of a view, and what a reader calls one piece and several pieces of each.
_WORDS = {
    "rows": ("row", "rows"),
    "failures": ("failure", "failures"),
    "changes": ("change", "changes"),
    "warnings": ("remark", "remarks"),
    "variants": ("variant", "variants"),
    "generations": ("generation", "generations"),
    "similarities": ("pair of sentences", "pairs of sentences"),
    "versions": ("set of versions", "sets of versions"),
    "cases": ("case", "cases"),
}
_LISTS = [name for name in _WORDS if name != "cases"]


@dataclasses.dataclass(frozen=True)
class CaseTable:
    """All that was measured of one file, to be folded away. ``outputs`` are table rows."""

    summary: Markdown
    facts: list[Markdown]
    outputs: list[Cells]
    more_outputs: int
    cases: Sequence[CaseResult]
    more_cases: int = 0

    @property
    def rows(self) -> Iterator[Cells]:
        """The cases as rows of cells, made when they are printed: there may be hundreds of thousands."""
        return map(tables.case_cells, self.cases)


@dataclasses.dataclass(frozen=True)
class ReportView:
    """A report, ready to print. ``left_out`` says what :func:`cut` took away."""

    headline: Markdown
    short_headline: Markdown
    breaking: Markdown
    lead: Sequence[Markdown] = ()
    rows: Sequence[Cells] = ()
    failures: Sequence[TargetFailure] = ()
    changes: Sequence[Cells] = ()
    warnings: Sequence[Markdown] = ()
    variants: Sequence[Cells] = ()
    generations: Sequence[Markdown] = ()
    similarities: Sequence[Cells] = ()
    versions: Sequence[Markdown] = ()
    case_tables: Sequence[CaseTable] = ()
    left_out: Markdown | None = None


def report_view(results: Sequence[TargetResult], base: Sequence[TargetResult]) -> ReportView:
    """Everything that the report can say of ``results`` and, where there is a ``base``, of what changed."""
    # The sort is stable: targets that ended alike keep the order of the configuration.
    worst_first = sorted(results, key=target_state, reverse=True)
    files = [(result, file) for result in worst_first for file in result.files]
    wrong = [result for result in worst_first if target_state(result) in (State.FAILED, State.ERROR)]
    changes = compare(base, results)
    return ReportView(
        headline=headline(results),
        short_headline=short_headline(results),
        breaking=_breaking_words(changes),
        lead=lead(results, base),
        rows=[row for result in worst_first for row in tables.file_rows(result)],
        failures=[target_failure(result) for result in wrong],
        changes=[tables.change_cells(change) for change in changes],
        warnings=[warning for result in worst_first for warning in warnings(result)],
        variants=[row for result in worst_first for row in variant_rows(result)],
        generations=[bullet for result, file in files for bullet in _generation(result, file)],
        similarities=[
            tables.similarity_cells(result, pair)
            for result, file in files
            if file.variant == REFERENCE_VARIANT
            for pair in file.similarities
        ],
        versions=list(_versions(results)),
        case_tables=[_case_table(result, file) for result, file in files if file.outputs or file.cases],
    )


def _breaking_words(changes: Sequence[FileChange]) -> Markdown:
    """What the headline adds where callers of a file must change."""
    count = sum(change.kind is ChangeKind.GONE or any(one.breaking for one in change.differences) for change in changes)
    return Markdown(f", {count} with a breaking change" if count else "")


def size(view: ReportView) -> int:
    """How many pieces there are to cut."""
    return sum(1 for _ in _pieces(view))


def cut(view: ReportView, pieces: int) -> ReportView:
    """The ``pieces`` pieces that matter most, and a sentence about what was left out."""
    kept = Counter(islice(_pieces(view), pieces))
    lists = {name: getattr(view, name)[: kept[name]] for name in _LISTS}
    tables = list(_cut_tables(view.case_tables, kept["cases"]))
    more = {name: len(getattr(view, name)) - kept[name] for name in _LISTS}
    more["cases"] = sum(len(table.cases) for table in view.case_tables) - sum(len(table.cases) for table in tables)
    return dataclasses.replace(view, **lists, case_tables=tables, left_out=_left_out(more))


def _left_out(more: dict[str, int]) -> Markdown | None:
    counts = [f"{count} more {_WORDS[name][count > 1]}" for name, count in more.items() if count]
    return Markdown(f"and {', '.join(counts)}, for which there is no room here") if counts else None


def _pieces(view: ReportView) -> Iterator[str]:
    """The name of the list that each piece belongs to, the most important piece first."""
    # A failing export's row and its reason stand side by side, so that neither crowds the other out.
    failing = len(view.failures)
    yield from chain.from_iterable(repeat(("rows", "failures"), failing))
    yield from repeat("rows", len(view.rows) - failing)
    for name in _LISTS:
        if name not in ("rows", "failures"):
            yield from repeat(name, len(getattr(view, name)))
    yield from repeat("cases", sum(1 + len(table.cases) for table in view.case_tables))


def _cut_tables(tables: Sequence[CaseTable], pieces: int) -> Iterator[CaseTable]:
    """Whole tables, then one with its first cases; a table's head is a piece of its own."""
    for table in tables:
        if pieces < 1 + bool(table.cases):
            return
        cases = table.cases[: pieces - 1]
        yield dataclasses.replace(table, cases=cases, more_cases=len(table.cases) - len(cases))
        pieces -= 1 + len(cases)


def _generation(result: TargetResult, file: FileResult) -> Iterator[Markdown]:
    if file.generation is not None:
        generation = file.generation
        tokens, prompts = figures.integer(generation.tokens), figures.integer(generation.prompts)
        ending = "the same tokens as PyTorch" if generation.equal else "**not** the tokens that PyTorch generates"
        icon = verdict_state(Verdict.PASS if generation.equal else Verdict.FAIL).icon
        if generation.ties:
            ending += f", but for {figures.integer(generation.ties)} ties between logits within the tolerance"
        if not generation.equal and generation.token_agreement is not None:
            ending += f"; {figures.percent(generation.token_agreement)} of the tokens agree"
        name = f"{code(result.target)} {code(file.path)}"
        yield Markdown(f"{icon} {name}: {tokens} tokens, {prompts} prompts: {ending}")


def _case_table(result: TargetResult, file: FileResult) -> CaseTable:
    passed = sum(case.verdict is Verdict.PASS for case in file.cases)
    names = f"{html_code(result.target)} {html_code(file.path)}"
    outputs = sorted(file.outputs, key=worst_margin, reverse=True)
    return CaseTable(
        summary=Markdown(f"{file_state(file).icon} {names}: {passed} of {len(file.cases)} cases pass"),
        facts=list(_facts(result, file)),
        outputs=[tables.output_cells(output) for output in outputs[:MOST_OUTPUTS]],
        more_outputs=max(len(outputs) - MOST_OUTPUTS, 0),
        # Failing cases first: a short report keeps those.
        cases=sorted(file.cases, key=lambda case: verdict_state(case.verdict), reverse=True),
    )


def _facts(result: TargetResult, file: FileResult) -> Iterator[Markdown]:
    model = result.model
    revision = f" at {code(model.revision)}" if model.revision else ""
    model_type = f", type {code(model.model_type)}" if model.model_type else ""
    yield Markdown(f"model {code(model.source)}{revision}{model_type}, weights {code(model.weights)}")
    digest = code(file.sha256, _HASH_LIMIT)
    opset = f", opset {figures.integer(file.opset)}" if file.opset else ""  # a TorchScript file has none
    yield Markdown(f"variant {code(file.variant)}{opset}, SHA-256 {digest}")
    if file.latency is not None:
        onnx, torch = figures.milliseconds(file.latency.onnx_ms), figures.milliseconds(file.latency.torch_ms)
        yield Markdown(f"one call: ONNX Runtime {onnx}, PyTorch {torch}")
        yield from map(_latency_of_size, file.latency.sizes[:_MOST_SIZES])
    if file.task_metrics:
        yield Markdown(f"what its users notice: {', '.join(map(_task_metric, file.task_metrics))}")
    if result.timings:
        steps = [
            f"{code(name)} {figures.seconds(taken)}" for name, taken in islice(result.timings.items(), _MOST_TIMINGS)
        ]
        yield Markdown(f"time of the target: {', '.join(steps)}")
    if result.peak_rss_bytes is not None:
        yield Markdown(f"peak memory {figures.megabytes(result.peak_rss_bytes)}")


def _latency_of_size(size: LatencySizeResult) -> Markdown:
    shape = code(", ".join(f"{axis} {number}" for axis, number in size.shape.items()), PROSE_LIMIT)
    onnx, torch = (
        Markdown(f"{figures.milliseconds(median)} ± {figures.milliseconds(spread / 2)}")
        for median, spread in ((size.onnx_ms, size.onnx_spread_ms), (size.torch_ms, size.torch_spread_ms))
    )
    return Markdown(f"one call at {shape}: ONNX Runtime {onnx}, PyTorch {torch} ({figures.integer(size.calls)} each)")


def _task_metric(metric: TaskMetricResult) -> str:
    value = figures.NOTHING if metric.value is None else code(f"{metric.value:.6g}")
    return f"{code(metric.name)} {value} over {figures.integer(metric.count)}"


def _versions(results: Sequence[TargetResult]) -> Iterator[Markdown]:
    """One line per set of packages and seed, with the targets' names where there is more than one set."""
    targets: dict[tuple[int, tuple[tuple[str, str], ...]], list[str]] = {}
    for result in results:
        targets.setdefault((result.seed, tuple(sorted(result.packages.items()))), []).append(result.target)
    for (seed, packages), names in targets.items():
        listed = [code(f"{visible(name, NAME_LIMIT)} {version}") for name, version in packages[:_MOST_PACKAGES]]
        more = [f"and {len(packages) - _MOST_PACKAGES} more packages"] if len(packages) > _MOST_PACKAGES else []
        whose = f"{_target_names(names)}: " if len(targets) > 1 else ""
        yield Markdown(f"{whose}{', '.join([f'seed {figures.integer(seed)}', *listed, *more])}")


def _target_names(names: Sequence[str]) -> str:
    listed = ", ".join(code(name) for name in names[:_MOST_TARGETS])
    return f"{listed} and {len(names) - _MOST_TARGETS} more" if len(names) > _MOST_TARGETS else listed
