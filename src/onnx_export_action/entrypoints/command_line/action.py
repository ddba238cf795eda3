"""``onnx-export action``: what the container runs."""

from __future__ import annotations

import click

from onnx_export_action.vocabulary.results import ExitCode


@click.command()
def action() -> ExitCode:
    """Work as a step of GitHub Actions: inputs from the environment, outputs to the runner's files."""
    from onnx_export_action.entrypoints.github.action import main as run_action

    return run_action()
