"""What each variant saves and costs, beside the fp32 file that it was made from: rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnx_export_action.report import figures
from onnx_export_action.report.escape import Markdown, code
from onnx_export_action.report.verdicts import file_state
from onnx_export_action.vocabulary.results import FileResult, OutputResult, TargetResult
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT, VARIANTS, reference_path


def variant_rows(result: TargetResult) -> Iterator[Markdown]:
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


def _row(target: str, file: FileResult, exact: FileResult | None) -> Markdown:
    generation = file.generation
    cells: list[Markdown] = [
        file_state(file).icon,
        code(target),
        code(file.path),
        code(file.variant),
        _beside(figures.megabytes(file.bytes), file.bytes, None if exact is None else exact.bytes),
        _call(file, exact),
        figures.decibels(_least([output.sqnr_db for output in file.outputs])),
        figures.decibels(_most_demanded(file.outputs)),
        figures.cosine(_least([output.cosine for output in file.outputs])),
        _share(_least([output.argmax_agreement for output in file.outputs])),
        _share(None if generation is None else generation.token_agreement),
        _similarity(file),
    ]
    return Markdown(f"| {' | '.join(cells)} |")


def _call(file: FileResult, exact: FileResult | None) -> Markdown:
    if file.call_ms is None:
        return figures.NOTHING
    return _beside(figures.milliseconds(file.call_ms), file.call_ms, None if exact is None else exact.call_ms)


def _beside(shown: Markdown, value: float, exact: float | None) -> Markdown:
    """The figure, and in how many parts of the fp32 file's it is."""
    if not value or not exact or value == exact:
        return shown
    return Markdown(f"{shown} (×{figures.ratio(value / exact)})")


def _most_demanded(outputs: Sequence[OutputResult]) -> float | None:
    """The demand on the output that comes nearest to its own."""
    demands = [
        (output.sqnr_db - output.quality.min_sqnr_db, output.quality.min_sqnr_db)
        for output in outputs
        if output.quality is not None and output.quality.min_sqnr_db is not None and output.sqnr_db is not None
    ]
    return min(demands)[1] if demands else None


def _similarity(file: FileResult) -> Markdown:
    """How far the similarity of two sample texts moves, at most."""
    moves = [abs(pair.onnx - pair.torch) for pair in file.similarities]
    return figures.similarity(max(moves)) if moves else figures.NOTHING


def _share(value: float | None) -> Markdown:
    return figures.NOTHING if value is None else figures.percent(value)


def _least(values: Sequence[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)
