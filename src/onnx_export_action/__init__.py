"""Exports Hugging Face models to ONNX, proves that the files compute what PyTorch computes, and reports.

The functions for models in memory are here: ``export``, ``validate_model_outputs`` and ``convert_to_onnx``, with
``ValidationError``, ``TasksManager``, the base classes of configurations and ``onnx_config``. They are loaded when
first asked for, because torch takes seconds and most of the package works without it.
"""

# First of all: until this has run, `python -m` takes any module from the working folder.
from onnx_export_action.isolation.import_path import leave_out_working_folder_of_module_run

leave_out_working_folder_of_module_run(__name__)

from onnx_export_action.vocabulary.supported.version import VERSION  # noqa: E402

TYPE_CHECKING = False  # typing's own would be an import; type checkers take this name for it
if TYPE_CHECKING:
    from typing import Any

    from onnx_export_action import onnx_config
    from onnx_export_action.entrypoints.library import (
        ValidationError,
        convert_to_onnx,
        export,
        validate_model_outputs,
    )
    from onnx_export_action.onnx_config import (
        OnnxConfig,
        OnnxConfigWithPast,
        OnnxSeq2SeqConfigWithPast,
        TasksManager,
    )

__version__ = VERSION
__all__ = [
    "OnnxConfig",
    "OnnxConfigWithPast",
    "OnnxSeq2SeqConfigWithPast",
    "TasksManager",
    "ValidationError",
    "__version__",
    "convert_to_onnx",
    "export",
    "onnx_config",
    "validate_model_outputs",
]

_LIBRARY = "onnx_export_action.entrypoints.library"
_HOMES = {
    "OnnxConfig": "onnx_export_action.onnx_config",
    "OnnxConfigWithPast": "onnx_export_action.onnx_config",
    "OnnxSeq2SeqConfigWithPast": "onnx_export_action.onnx_config",
    "TasksManager": "onnx_export_action.onnx_config",
    "ValidationError": _LIBRARY,
    "convert_to_onnx": _LIBRARY,
    "export": _LIBRARY,
    "validate_model_outputs": _LIBRARY,
}


def __getattr__(name: str) -> "Any":
    import importlib

    if name == "onnx_config":
        return importlib.import_module("onnx_export_action.onnx_config")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
