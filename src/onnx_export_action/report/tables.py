"""The tables of a report: what their columns are called, and the cells of a row as safe Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from onnx_export_action.judging.comparison import Difference, FileChange
from onnx_export_action.report import figures
from onnx_export_action.report.differences import before_and_after
from onnx_export_action.report.escape import PROSE_LIMIT, Markdown, code
from onnx_export_action.report.failures import shape_words
from onnx_export_action.report.verdicts import file_state, target_state, verdict_state, worst_margin
from onnx_export_action.vocabulary.results import (
    CaseResult,
    ElementResult,
    OutputResult,
    SimilarityResult,
    TargetResult,
)

_MOST_DIFFERENCES = 10
_MOST_AXES = 6
_SENTENCE_LIMIT = 60

Cells: TypeAlias = tuple[Markdown, ...]


@dataclass(frozen=True)
class Columns:
    """The heading of a table; ``right`` names the columns of numbers."""

    names: tuple[str, ...]
    right: frozenset[str] = frozenset()

    @property
    def markdown(self) -> Markdown:
        """Both lines of a Markdown table's heading."""
        names = "|".join(f" {name} " if name else " " for name in self.names)
        rules = "|".join("--:" if name in self.right else "---" for name in self.names)
        return Markdown(f"|{names}|\n|{rules}|")


FILES = Columns(
    ("", "Target", "File", "Task", "Engine", "Worst error", "Tolerance used", "Agreement", "Size", "Time"),
    frozenset({"Size", "Time"}),
)
CHANGES = Columns(("Target", "File", "What changed"))
SIMILARITIES = Columns(("Target", "First", "Second", "PyTorch", "ONNX"), frozenset({"PyTorch", "ONNX"}))
_OUTPUT_NUMBERS = ("Max error", "Mean", "99 %", "Max relative", "Cosine", "SQNR", "Argmax", "Top 5")
OUTPUTS = Columns(
    ("Output", "Tolerance used", *_OUTPUT_NUMBERS, "Worst element", "Tolerance"), frozenset(_OUTPUT_NUMBERS)
)
CASES = Columns(
    ("", "Case", "Shape", "Mask", "Max error", "Tolerance used", "Worst output", "Message"), frozenset({"Max error"})
)


def row_of(cells: Cells) -> Markdown:
    """The cells as a line of a Markdown table."""
    return Markdown(f"| {' | '.join(cells)} |")


def file_rows(result: TargetResult) -> Iterator[Cells]:
    """One row per file; a target without a file still has its row. The time is the target's, on its first row."""
    target, task = code(result.target), code(result.model.task) if result.model.task else figures.NOTHING
    duration = figures.seconds(duration_of(result))
    if not result.files or target_state(result) > max(map(file_state, result.files)):
        nothing = [figures.NOTHING] * 5
        yield target_state(result).icon, target, figures.NOTHING, task, *nothing, duration
        duration = figures.NOTHING
    for file in result.files:
        worst = max(file.outputs, key=worst_margin, default=None)
        yield (
            file_state(file).icon,
            target,
            code(file.path),
            task,
            code(file.engine),
            figures.NOTHING if worst is None else Markdown(f"{figures.error(worst.max_abs)} {code(worst.name)}"),
            figures.NOTHING if worst is None else margin_of(worst),
            agreement_of(file.outputs),
            figures.megabytes(file.bytes),
            duration,
        )
        duration = figures.NOTHING


def margin_of(output: OutputResult) -> Markdown:
    """The part of its tolerance that an output used."""
    margin = worst_margin(output)
    return figures.NOTHING if margin < 0 else figures.margin(margin)


def duration_of(result: TargetResult) -> float | None:
    """Seconds in all: the measured total, else the sum of the steps."""
    return result.timings.get("total", sum(result.timings.values())) if result.timings else None


def agreement_of(outputs: Sequence[OutputResult]) -> Markdown:
    """The lowest share of equal largest values over the outputs that have one, else the lowest cosine similarity."""
    shares = [output.argmax_agreement for output in outputs if output.argmax_agreement is not None]
    cosines = [output.cosine for output in outputs if output.cosine is not None]
    if shares:
        return Markdown(f"argmax {figures.percent(min(shares))}")
    return Markdown(f"cosine {figures.cosine(min(cosines))}") if cosines else figures.NOTHING


def change_cells(change: FileChange) -> Cells:
    """What changed of a file against the base."""
    differences = [_difference(difference) for difference in change.differences[:_MOST_DIFFERENCES]]
    said = "; ".join(differences) if differences else f"{change.kind} file"
    return code(change.target), code(change.path), Markdown(said)


def _difference(difference: Difference) -> str:
    before, after = (code(side) if side else figures.NOTHING for side in before_and_after(difference))
    breaking = "**breaking:** " if difference.breaking else ""
    return f"{breaking}{difference.aspect} {before} → {after}"


def similarity_cells(result: TargetResult, pair: SimilarityResult) -> Cells:
    """How alike two sentences are, on both sides."""
    texts = code(pair.first, _SENTENCE_LIMIT), code(pair.second, _SENTENCE_LIMIT)
    return code(result.target), *texts, figures.similarity(pair.torch), figures.similarity(pair.onnx)


def output_cells(output: OutputResult) -> Cells:
    """All that was measured of an output."""
    return (
        code(output.name),
        margin_of(output),
        figures.error(output.max_abs),
        figures.error(output.mean_abs),
        figures.error(output.p99_abs),
        figures.error(output.max_rel),
        figures.cosine(output.cosine),
        figures.decibels(output.sqnr_db),
        figures.NOTHING if output.argmax_agreement is None else figures.percent(output.argmax_agreement),
        figures.NOTHING if output.top5_agreement is None else figures.percent(output.top5_agreement),
        figures.NOTHING if output.worst is None else _element(output.worst),
        Markdown(f"{figures.tolerance(output.atol, output.rtol)} ({_tolerance_source(output)})"),
    )


def _element(element: ElementResult) -> Markdown:
    place = code(", ".join(str(figures.integer(one)) for one in element.index[:_MOST_AXES]), _SENTENCE_LIMIT)
    return Markdown(f"[{place}] {figures.value(element.torch)} → {figures.value(element.onnx)}")


def _tolerance_source(output: OutputResult) -> str:
    """Where a tolerance comes from; of a calibrated one also how: the noise's multiple, or the floor below it."""
    source = code(output.tolerance_source)
    if output.noise is None or output.noise_multiple is None:
        return source
    if output.noise_floor is not None and output.noise_multiple * output.noise < output.noise_floor:
        return f"{source}: floor, noise {figures.error(output.noise)}"
    return f"{source}: {figures.ratio(output.noise_multiple)} × noise {figures.error(output.noise)}"


def case_cells(case: CaseResult) -> Cells:
    """One case, and which output it was worst for."""
    return (
        verdict_state(case.verdict).icon,
        code(case.id),
        shape_words(case),
        code(case.mask),
        figures.error(case.max_abs),
        figures.margin(case.margin),
        code(case.worst_output) if case.worst_output is not None else figures.NOTHING,
        code(case.message, PROSE_LIMIT) if case.message else figures.NOTHING,
    )
