"""``onnx-export report``."""

from __future__ import annotations

from pathlib import Path

import click

from onnx_export_action.entrypoints.command_line.options import base_option, fail_on_option, result_in
from onnx_export_action.judging.evidence import believed
from onnx_export_action.judging.policy import exit_code_of
from onnx_export_action.pipeline.installing import require_writable_file, write_file
from onnx_export_action.vocabulary.results import ExitCode, FailOn


@click.command()
@click.argument(
    "results",
    nargs=-1,
    required=True,
    metavar="RESULT_JSON...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@base_option
@click.option(
    "--format",
    "report_format",
    type=click.Choice(["markdown", "html", "json"]),
    default="markdown",
    show_default=True,
    help="Format of the report.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file instead of stdout.")
@fail_on_option
def report(
    results: tuple[Path, ...], base: tuple[Path, ...], report_format: str, output: Path | None, fail_on: FailOn | None
) -> ExitCode:
    """Render results as one report; exits as the verdicts say."""
    from onnx_export_action.report.html.rendering import render_html
    from onnx_export_action.report.render import render_json, render_markdown

    if output is not None:
        require_writable_file(output)
    read, before = [believed(result_in(path)) for path in results], [result_in(path) for path in base]
    render = {"markdown": render_markdown, "json": render_json, "html": render_html}[report_format]
    text = render(read, base=before)
    if output is None:
        click.echo(text)
    else:
        write_file(output, text.encode())
    return exit_code_of(read, before, fail_on)
