"""The command ``onnx-export``: one file beside this one a command.

Progress and errors go to stderr; stdout carries the answer alone, so that it can be piped.
"""

from __future__ import annotations

import click

from onnx_export_action.entrypoints.command_line.action import action
from onnx_export_action.entrypoints.command_line.exits import ForUsers
from onnx_export_action.entrypoints.command_line.export import export
from onnx_export_action.entrypoints.command_line.init import init
from onnx_export_action.entrypoints.command_line.plan import plan
from onnx_export_action.entrypoints.command_line.publish import publish
from onnx_export_action.entrypoints.command_line.report import report
from onnx_export_action.entrypoints.command_line.run import run
from onnx_export_action.entrypoints.command_line.schema import schema
from onnx_export_action.entrypoints.command_line.tasks import tasks
from onnx_export_action.entrypoints.command_line.validate import validate
from onnx_export_action.vocabulary.supported.version import VERSION


class _Commands(ForUsers, click.Group):
    """All commands."""


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="onnx-export")
def main() -> None:
    """Export Hugging Face models to ONNX, prove that the files compute what PyTorch computes, and report."""


for command in (run, plan, publish, action, export, validate, report, tasks, schema, init):
    main.add_command(command)
