"""Exports Hugging Face models to ONNX, proves that the files compute what PyTorch computes, and reports.

The functions for models in memory are here: ``export``, ``validate_model_outputs`` and ``convert_to_onnx``, with
``ValidationError``, ``TasksManager``, the base classes of configurations and ``onnx_config``. They are loaded when
first asked for, because torch takes seconds and most of the package works without it.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from onnx_export_action import export as _export_package

if TYPE_CHECKING:
    from onnx_export_action import onnx_config
    from onnx_export_action.library import (
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

__version__ = "0.1.0"
__all__ = [
    "OnnxConfig",
    "OnnxConfigWithPast",
    "OnnxSeq2SeqConfigWithPast",
    "TasksManager",
    "ValidationError",
    "convert_to_onnx",
    "export",
    "onnx_config",
    "validate_model_outputs",
]

_HOMES = {
    "OnnxConfig": "onnx_export_action.onnx_config",
    "OnnxConfigWithPast": "onnx_export_action.onnx_config",
    "OnnxSeq2SeqConfigWithPast": "onnx_export_action.onnx_config",
    "TasksManager": "onnx_export_action.onnx_config",
    "ValidationError": "onnx_export_action.library",
    "convert_to_onnx": "onnx_export_action.library",
    "validate_model_outputs": "onnx_export_action.library",
}


def __getattr__(name: str) -> Any:
    if name == "onnx_config":
        return importlib.import_module("onnx_export_action.onnx_config")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


class _ExportPackage(ModuleType):
    """The subpackage ``export``, which can be called as the function of that name.

    The function's name is that of optimum and transformers.onnx. Importing the subpackage sets the attribute of the
    same name, whenever that happens, so both are one object.
    """

    def __call__(self, *positional: Any, **named: Any) -> tuple[list[str], list[str]]:
        from onnx_export_action.library import export as export_model

        return export_model(*positional, **named)


_export_package.__class__ = _ExportPackage
