"""Where the installed hooks begin: nothing is imported before the working folder is left out."""

from onnx_export_action.isolation.import_path import leave_out_working_folder


def check_onnx_export_config() -> int:
    """The command ``check-onnx-export-config``."""
    return _run("check_onnx_export_config")


def check_model_config() -> int:
    """The command ``check-model-config``."""
    return _run("check_model_config")


def check_safetensors() -> int:
    """The command ``check-safetensors``."""
    return _run("check_safetensors")


def check_onnx_files() -> int:
    """The command ``check-onnx-files``."""
    return _run("check_onnx_files")


def check_export_is_current() -> int:
    """The command ``check-export-is-current``."""
    return _run("check_export_is_current")


def validate_onnx_export() -> int:
    """The command ``validate-onnx-export``."""
    return _run("validate_onnx_export")


def _run(module: str) -> int:
    leave_out_working_folder()
    import importlib

    return int(importlib.import_module(f"onnx_export_hooks.{module}").main())
