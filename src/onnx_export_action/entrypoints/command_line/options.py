"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.names.file_names import SETTINGS_NAME
from onnx_export_action.vocabulary.results import FailOn, TargetResult, read_result

if TYPE_CHECKING:
    from onnx_export_action.vocabulary.declarations import Declaration
    from onnx_export_action.vocabulary.jobs import Request


Command = TypeVar("Command", bound=Callable[..., Any])


def _declared_class(_context: click.Context, _option: click.Parameter, written: str | None) -> Declaration:
    from onnx_export_action.project.settings.declarations import class_of_caller
    from onnx_export_action.vocabulary.declarations import Declaration

    return Declaration() if written is None else class_of_caller(written)


def model_options(command: Command) -> Command:
    """Options that say which model, as what, and how close the file must be."""
    options = (
        click.option("--task", default="auto", show_default=True, help="Task or legacy feature name."),
        click.option(
            "--weights",
            type=click.Choice(["load", "random"]),
            default="load",
            show_default=True,
            help="Random: built from config.json with seeded weights.",
        ),
        click.option("--revision", help="Branch, tag or commit of a Hub id."),
        click.option(
            "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of inputs and weights."
        ),
        click.option(
            "--samples", type=click.Path(path_type=Path), help="Real inputs: a .jsonl, .csv or .txt file, or a folder."
        ),
        click.option("--atol", type=click.FloatRange(0.0, min_open=True), help="Absolute tolerance of every output."),
        click.option("--rtol", type=click.FloatRange(0.0), help="Relative tolerance of every output."),
        click.option("--latency", is_flag=True, help="Also measure how long a call takes, beside PyTorch."),
        click.option("--trust-remote-code", is_flag=True, help="Run Python code from the model's repository."),
        click.option(
            "--onnx-config",
            "declaration",
            metavar="FILE.py:CLASS",
            callback=_declared_class,
            help="A configuration class of your own; needs --trust-remote-code.",
        ),
        click.option("--result-json", type=click.Path(path_type=Path), help="Write the result to this file."),
    )
    for option in reversed(options):
        command = option(command)
    return command


config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path(SETTINGS_NAME),
    show_default=True,
    help="The configuration file.",
)


fail_on_option = click.option(
    "--fail-on",
    type=click.Choice([word.value for word in FailOn]),
    callback=lambda _context, _option, word: None if word is None else FailOn(word),
    help="What fails the command, instead of each target's own fail_on.",
)


base_option = click.option(
    "--base",
    "base",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Result of the base branch or the last release to compare with; may be repeated.",
)


def request_for(model: str, folder: Path, name: str, given: dict[str, Any], **options: Any) -> Request:
    """The request that the ``given`` :func:`model_options` make of ``model``, with further ``options`` of an export."""
    from onnx_export_action.vocabulary.jobs import Request
    from onnx_export_action.vocabulary.options import ExportOptions, LatencyBounds, OutputTolerance, Tolerances

    return Request(
        name=name,
        model=model,
        destination=folder,
        revision=given["revision"],
        task=given["task"],
        trust_remote_code=given["trust_remote_code"],
        options=ExportOptions(
            weights=Weights(given["weights"]),
            seed=given["seed"],
            samples=given["samples"],
            tolerance=Tolerances(of_every_output=OutputTolerance(atol=given["atol"], rtol=given["rtol"])),
            latency=LatencyBounds() if given["latency"] else None,
            declaration=given["declaration"],
            **options,
        ),
    )


def result_in(path: Path) -> TargetResult:
    """The result in the file that the user named.

    Raises:
        ExportError: it is not one.
    """
    try:
        return read_result(path)
    except (ValueError, OSError) as error:
        raise plan_error(str(error)) from error
