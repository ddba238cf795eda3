"""``onnx-export export``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from onnx_export_action.entrypoints.command_line.exits import finish, reproduce
from onnx_export_action.entrypoints.command_line.options import model_options, request_for
from onnx_export_action.entrypoints.progress import progress_display
from onnx_export_action.pipeline.installing import require_writable_file
from onnx_export_action.vocabulary.names.external_data import SHARD_BYTES
from onnx_export_action.vocabulary.results import ExitCode
from onnx_export_action.vocabulary.supported.engines import ENGINES_OF_ONNX, Engine
from onnx_export_action.vocabulary.supported.opsets import DEFAULT_OPSET, MAX_OPSET, MIN_OPSET
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT, VARIANTS, variant_meant


class VariantName(click.Choice[str]):
    """A variant; says what a misspelt one, or another tool's word for it, most likely means."""

    def get_invalid_choice_message(self, value: object, ctx: click.Context | None) -> str:
        """The message for a word that is no variant."""
        meant = variant_meant(str(value))
        hint = f" Did you mean {meant!r}?" if meant else ""
        return super().get_invalid_choice_message(value, ctx) + hint


@click.command()
@click.argument("model")
@click.argument("output", type=click.Path(path_type=Path))
@model_options
@click.option(
    "--opset",
    type=click.IntRange(MIN_OPSET, MAX_OPSET),
    default=DEFAULT_OPSET,
    show_default=True,
    help="ONNX operator set.",
)
@click.option(
    "--engine",
    type=click.Choice([str(one) for one in ENGINES_OF_ONNX]),
    default="auto",
    show_default=True,
    help="Export engine.",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=VariantName(list(VARIANTS)),
    default=(REFERENCE_VARIANT,),
    show_default=True,
    help="Precision or graph optimisation level; may be repeated. fp32 is always made: the others are made from it.",
)
@click.option(
    "--high-precision",
    "high_precision",
    multiple=True,
    metavar="VARIANT=NODES",
    help="Nodes that stay in float32: auto, or operators and patterns of names with commas between; may be repeated.",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["onnx", "torchscript"]),
    default="onnx",
    show_default=True,
    help="File format.",
)
@click.option(
    "--shard-bytes",
    type=click.IntRange(1, SHARD_BYTES),
    default=SHARD_BYTES,
    show_default=True,
    metavar="BYTES",
    help="The largest file: beyond, weights lie in pieces beside the ONNX file.",
)
@click.option("--no-validate", is_flag=True, help="Write the files without proving them.")
def export(
    model: str,
    output: Path,
    opset: int,
    engine: str,
    variants: tuple[str, ...],
    high_precision: tuple[str, ...],
    file_format: str,
    shard_bytes: int,
    no_validate: bool,
    **options: Any,
) -> ExitCode:
    """Export MODEL (a folder or a Hub id) to OUTPUT and prove its files; the report goes to stdout."""
    from onnx_export_action.pipeline.running import export_and_check

    if file_format == Engine.TORCHSCRIPT:
        _require_defaults("engine", "opset", "variants", "shard_bytes")
        engine = Engine.TORCHSCRIPT
    result_json = options.pop("result_json")
    if no_validate and result_json is not None:
        raise click.UsageError("--result-json needs validation: without it there is no result")
    if result_json is not None:
        require_writable_file(result_json)
    request = request_for(
        model,
        output,
        output.name or "model",
        options,
        opset=opset,
        engine=Engine(engine),
        variants=tuple(dict.fromkeys(variants)),
        shard_bytes=shard_bytes,
        high_precision=_kept_nodes(high_precision, variants),
    )
    with progress_display() as progress:
        result = export_and_check(request, progress=progress.labelled(model), validate=not no_validate)
        progress.finished(model, result, validated=not no_validate)
    result.reproduce = reproduce()
    if no_validate and result.failure is None and not result.files:  # files without a proof are those not made
        return ExitCode.PASSED
    return finish(result, result_json)


def _require_defaults(*names: str) -> None:
    """Refuse options of ONNX for another format."""
    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(option.name or "") is click.core.ParameterSource.COMMANDLINE
        if option.name in names and given:
            raise click.UsageError(f"{option.opts[0]} is for ONNX: a TorchScript file has none")


def _kept_nodes(written: Sequence[str], variants: Sequence[str]) -> dict[str, list[str]]:
    kept: dict[str, list[str]] = {}
    for one in written:
        variant, _, nodes = one.partition("=")
        if variant not in variants or not nodes:
            raise click.UsageError(f"--high-precision {one}: write VARIANT=NODES, of a variant that --variant names")
        if VARIANTS[variant].float32:
            raise click.UsageError(f"--high-precision {one}: all nodes of {variant} are in float32")
        kept.setdefault(variant, []).extend(nodes.split(","))
    return kept
