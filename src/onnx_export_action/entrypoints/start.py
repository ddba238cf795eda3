"""Where the installed command ``onnx-export`` begins: nothing is imported before the working folder is left out."""

from onnx_export_action.isolation.import_path import leave_out_working_folder


def main() -> None:
    """Run the command."""
    leave_out_working_folder()
    from onnx_export_action.entrypoints.command_line.cli import main as commands

    commands()
