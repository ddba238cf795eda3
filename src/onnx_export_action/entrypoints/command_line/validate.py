"""``onnx-export validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from onnx_export_action.entrypoints.command_line.exits import finish, reproduce
from onnx_export_action.entrypoints.command_line.options import model_options, request_for
from onnx_export_action.entrypoints.progress import progress_display
from onnx_export_action.pipeline.installing import require_writable_file
from onnx_export_action.vocabulary.results import ExitCode


@click.command()
@click.argument("model")
@click.argument("onnx_folder", metavar="ONNX_DIR", type=click.Path(path_type=Path))
@model_options
def validate(model: str, onnx_folder: Path, **options: Any) -> ExitCode:
    """Prove the ONNX files in ONNX_DIR against MODEL; the report goes to stdout."""
    from onnx_export_action.pipeline.running import check_folder

    result_json = options.pop("result_json")
    if result_json is not None:
        require_writable_file(result_json)
    request = request_for(model, onnx_folder, onnx_folder.resolve().name, options)
    with progress_display() as progress:
        result = check_folder(request, progress=progress.labelled(str(onnx_folder)))
        progress.finished(str(onnx_folder), result)
    result.reproduce = reproduce()
    return finish(result, result_json)
