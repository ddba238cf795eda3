"""The call that ``python -m transformers.onnx`` had, with its options and its lines on stdout.

What lies behind is the export and the proof of every other command; the lines tell its result in the old words.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import click

from onnx_export_action.entrypoints.command_line.exits import ForUsers, complain_of
from onnx_export_action.entrypoints.progress import printable, progress_display
from onnx_export_action.judging.policy import exit_code_of
from onnx_export_action.project.manifest import read_manifest
from onnx_export_action.vocabulary.manifest import MANIFEST_NAME, Manifest, TensorRecord
from onnx_export_action.vocabulary.options import ExportOptions, OutputTolerance, Tolerances
from onnx_export_action.vocabulary.results import (
    CaseResult,
    ExitCode,
    FileResult,
    OutputResult,
    TargetResult,
    Verdict,
)
from onnx_export_action.vocabulary.supported.opsets import DEFAULT_OPSET, LOWEST_OPSET, MAX_OPSET

_NO_EFFECT = "Accepted for old scripts; it has no effect here."


@click.command(
    cls=ForUsers,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="The commands of onnx-export are here as well: python -m onnx_export_action export --help",
)
@click.argument("output", type=click.Path(path_type=Path))
@click.option("-m", "--model", required=True, help="Model ID on huggingface.co or path on disk to load model from.")
@click.option("--feature", default="default", show_default=True, help="The type of features to export the model with.")
@click.option(
    "--opset",
    type=click.IntRange(LOWEST_OPSET, MAX_OPSET),
    default=DEFAULT_OPSET,
    show_default=True,
    help="ONNX opset version to export with.",
)
@click.option(
    "--atol",
    type=click.FloatRange(0.0, min_open=True),
    help="Absolute difference tolerance when validating the model, beside a relative one of 1e-4.",
)
@click.option("--cache_dir", type=click.Path(path_type=Path, file_okay=False), help="Cache of models from the Hub.")
@click.option("--framework", type=click.Choice(["pt", "tf"]), default="pt", show_default=True, help="Always pt.")
@click.option(
    "--preprocessor",
    type=click.Choice(["auto", "tokenizer", "feature_extractor", "image_processor", "processor"]),
    default="auto",
    help=_NO_EFFECT,
)
@click.option("--export_with_transformers", is_flag=True, help=_NO_EFFECT)
def main(
    output: Path,
    model: str,
    feature: str,
    opset: int,
    atol: float | None,
    cache_dir: Path | None,
    framework: str,
    preprocessor: str,  # noqa: ARG001 - the inputs follow from the model type
    export_with_transformers: bool,  # noqa: ARG001
) -> ExitCode:
    """Export a model to ONNX files in the folder OUTPUT and prove them, as python -m transformers.onnx was called."""
    if framework == "tf":
        raise click.UsageError("transformers 5 has no TensorFlow models: only --framework pt is available")
    if output.suffix == ".onnx" and not output.is_dir():
        raise click.UsageError(f"{output} names a file; give the folder that the files go to")
    if cache_dir is not None:
        os.environ["HF_HUB_CACHE"] = str(cache_dir)  # huggingface_hub reads it when it is imported, which is later
    from onnx_export_action.pipeline.running import export_and_check
    from onnx_export_action.vocabulary.jobs import Request

    request = Request(
        name=output.resolve().name or "model",
        model=model,
        destination=output,
        task=feature,
        options=ExportOptions(
            opset=opset, tolerance=Tolerances(of_every_output=OutputTolerance(atol=atol)), flat_layout=True
        ),
    )
    with progress_display() as progress:
        result = export_and_check(request, progress=progress.labelled(model))
        progress.finished(model, result)
    if result.files:
        for line in _log(result, read_manifest(output / MANIFEST_NAME), output):
            click.echo(line)
    complain_of(result)
    return exit_code_of([result])


def _log(result: TargetResult, manifest: Manifest, folder: Path) -> Iterator[str]:
    shapes = {record.path: record.outputs for record in manifest.files}
    for file in result.files:
        yield "Validating ONNX model..."
        yield from _log_of_file(file, shapes[file.path])
    if result.verdict is Verdict.PASS:
        saved = ", ".join((folder / file.path).as_posix() for file in result.files)
        yield f"All good, model saved at: {saved}"


def _log_of_file(file: FileResult, shapes: dict[str, TensorRecord]) -> Iterator[str]:
    if not file.cases:  # ONNX Runtime refused the file, or its names are others
        yield f"\t-[x] {_reason(file)}"
        return
    names = ", ".join(repr(output.name) for output in file.outputs)
    yield f"\t-[✓] ONNX model output names match reference model ({{{names}}})"
    for output in file.outputs:
        yield f'\t- Validating ONNX Model output "{output.name}":'
        yield from _log_of_output(output, shapes[output.name], file.cases)
    if file.verdict is not Verdict.PASS:
        yield f"\t-[x] {_reason(file)}"


def _log_of_output(output: OutputResult, record: TensorRecord, cases: list[CaseResult]) -> Iterator[str]:
    failing = [case for case in cases if case.verdict is not Verdict.PASS]
    stopped = next((case for case in failing if case.worst_output is None), None)
    if stopped is not None:
        yield f"\t\t-[x] {printable(f'{stopped.id}: {stopped.message}')}"
        return
    if output.margin is None or math.isinf(output.margin):
        messages = (case.message for case in failing if case.worst_output == output.name)
        yield f"\t\t-[x] {printable(next(messages, None) or 'shape or type differs from the reference model')}"
        return
    shape = _shape(record, cases)
    yield f"\t\t-[✓] {shape} matches {shape}"
    if output.vacuous:
        yield "\t\t-[x] the reference values do not vary with the input: nothing is proven"
    elif output.nan_mismatch:
        yield f"\t\t-[x] NaN or Inf in other places than in the reference model: {output.nan_mismatch}"
    elif output.margin > 1.0:
        yield f"\t\t-[x] values not close enough, max diff: {output.max_abs:.3g} (atol: {output.atol:g})"
    else:
        yield f"\t\t-[✓] all values close (atol: {output.atol:g})"


def _shape(record: TensorRecord, cases: list[CaseResult]) -> str:
    """The output's shape in the first case that has its axes: ``(2, 16, 768)``."""
    for case in cases:
        sizes = [axis if isinstance(axis, int) else case.shape.get(axis) for axis in record.shape]
        if None not in sizes:
            return str(tuple(sizes))
    return printable(str(tuple(record.shape)))


def _reason(file: FileResult) -> str:
    return printable(file.failure.message if file.failure is not None else f"verdict: {file.verdict}")
