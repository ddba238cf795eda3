"""``python -m onnx_export_action``: the commands of ``onnx-export``, or the call that ``transformers.onnx`` had."""

import sys

from onnx_export_action.entrypoints import transformers_onnx as legacy
from onnx_export_action.entrypoints.command_line.cli import main as commands


def main() -> None:
    """Run a command where the first word is one, else the legacy call."""
    if len(sys.argv) > 1 and sys.argv[1] in commands.commands:
        commands(prog_name="python -m onnx_export_action")
    legacy.main(prog_name="python -m onnx_export_action")


if __name__ == "__main__":
    main()
