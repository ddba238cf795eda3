"""What each variant saves and costs, beside the fp32 file that it was made from: rows of a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from onnx_export_action.report import figures
from onnx_export_action.report.escape import Markdown, code
from onnx_export_action.report.tables import Cells, Columns
from onnx_export_action.report.verdicts import file_state
from onnx_export_action.vocabulary.results import FileResult, OutputResult, TargetResult
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT, VARIANTS, reference_path

_COSTS = ("Size", "One call")
_QUALITIES = ("Signal over noise", "Needed", "Cosine", "Largest logit", "Tokens", "Similarity moves by")
VARIANTS_TABLE = Columns(
    ("", "Target", "File", "Variant", *_COSTS, "Output", *_QUALITIES), frozenset({*_COSTS, *_QUALITIES})
)
"""Of the table that :func:`variant_rows` fills. Of each file the output is shown that is nearest to its own demand."""


def variant_rows(result: TargetResult) -> Iterator[Cells]:
    """One row a file, each file's variants after it; none where there is only fp32."""
    if all(file.variant == REFERENCE_VARIANT for file in result.files):
        return
    exact = {file.path: file for file in result.files if file.variant == REFERENCE_VARIANT}
    of_source: dict[str, list[FileResult]] = {path: [] for path in exact}
    for file in result.files:
        known = file.variant in VARIANTS
        of_source.setdefault(reference_path(file.path, file.variant) if known else file.path, []).append(file)
    for source, files in of_source.items():
        for file in files:
            yield _row(result.target, file, exact.get(source))


def _row(target: str, file: FileResult, exact: FileResult | None) -> Cells:
    generation = file.generation
    output = nearest_to_its_demand(file.outputs)
    quality = None if output is None else output.quality
    return (
        file_state(file).icon,
        code(target),
        code(file.path),
        code(file.variant),
        _beside(figures.megabytes(file.bytes), file.bytes, None if exact is None else exact.bytes),
        _call(file, exact),
        figures.NOTHING if output is None else code(output.name),
        figures.decibels(None if output is None else output.sqnr_db),
        figures.decibels(None if quality is None else quality.min_sqnr_db),
        figures.cosine(None if output is None else output.cosine),
        _share(None if output is None else output.argmax_agreement),
        _share(None if generation is None else generation.token_agreement),
        _similarity(file),
    )


def _call(file: FileResult, exact: FileResult | None) -> Markdown:
    if file.call_ms is None:
        return figures.NOTHING
    return _beside(figures.milliseconds(file.call_ms), file.call_ms, None if exact is None else exact.call_ms)


def _beside(shown: Markdown, value: float, exact: float | None) -> Markdown:
    """The figure, and in how many parts of the fp32 file's it is."""
    if not value or not exact or value == exact:
        return shown
    return Markdown(f"{shown} (×{figures.ratio(value / exact)})")


def nearest_to_its_demand(outputs: Sequence[OutputResult]) -> OutputResult | None:
    """The output that misses a demand, else the one that comes nearest to its own: a row shows it and no other."""
    return min(outputs, key=_room, default=None)


def _room(output: OutputResult) -> tuple[float, float]:
    """Decibels beyond what is demanded, below all others where a demand is missed; then decibels alone."""
    found = -math.inf if output.sqnr_db is None else output.sqnr_db
    quality = output.quality
    if quality is None:
        return math.inf, found
    shares = ((output.cosine, quality.min_cosine), (output.argmax_agreement, quality.min_agreement))
    if any(share is not None and wanted is not None and share < wanted for share, wanted in shares):
        return -math.inf, found
    return math.inf if quality.min_sqnr_db is None else found - quality.min_sqnr_db, found


def _similarity(file: FileResult) -> Markdown:
    """How far the similarity of two sample texts moves, at most."""
    moves = [abs(pair.onnx - pair.torch) for pair in file.similarities]
    return figures.similarity(max(moves)) if moves else figures.NOTHING


def _share(value: float | None) -> Markdown:
    return figures.NOTHING if value is None else figures.percent(value)
