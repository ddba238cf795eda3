"""The ground floors import without the heavy packages: a hook or a report job does not have them."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "onnxruntime", "onnx", "numpy", "huggingface_hub", "safetensors")


@pytest.mark.parametrize(
    "module",
    [
        "entrypoints.command_line.cli",
        "vocabulary.errors",
        "pipeline.installing",
        "onnx_config",
        "onnx_config.features",
        "pipeline.workers",
        "entrypoints.progress",
        "project.manifest",
        "project.settings",
        "report.render",
        "vocabulary.results",
        "pipeline.running",
        "entrypoints.starting_files",
        "loading.source",
    ],
)
def test_module_imports_no_heavy_package(module: str) -> None:
    code = (
        f"import sys, importlib; importlib.import_module('onnx_export_action.{module}'); "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
