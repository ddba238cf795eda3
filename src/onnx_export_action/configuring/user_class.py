"""A configuration class from a Python file of the repository. Its code runs here: the plan asked whether it may."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.vocabulary.declarations import ConfigurationClass
from onnx_export_action.vocabulary.errors import ExportError, plan_error
from onnx_export_action.vocabulary.problems import did_you_mean, quoted

_MODULE_NAME = "onnx_export_user_configuration"


def user_onnx_config(model: Any, source: ConfigurationClass, task: str) -> OnnxConfig:
    """The user's configuration of a loaded model.

    Raises:
        ExportError: the file does not run, has no such class, or the class is no configuration that can be made.
    """
    found = _configuration_class(source, _module(source))
    with _explained(source, f"{source.class_name} cannot be made"):
        onnx_config = found(model.config, task=task)
        if not onnx_config.components() or not onnx_config.inputs or not onnx_config.outputs:
            raise plan_error(f"{source.place}: {source.class_name} names no inputs or no outputs")
    return onnx_config


def _module(source: ConfigurationClass) -> ModuleType:
    spec = importlib.util.spec_from_file_location(_MODULE_NAME, source.file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE_NAME] = module  # dataclasses look their module up
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # nothing is left in the repository
    try:
        with _explained(source, f"{source.file.name} does not run"):
            spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes_bytecode
    return module


def _configuration_class(source: ConfigurationClass, module: ModuleType) -> type[OnnxConfig]:
    found = getattr(module, source.class_name, None)
    if isinstance(found, type) and issubclass(found, OnnxConfig):
        abstract = sorted(getattr(found, "__abstractmethods__", ()))
        if abstract:
            raise plan_error(f"{source.place}: {source.class_name} does not say its {', '.join(abstract)}")
        return found
    known = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, OnnxConfig) and value.__module__ == _MODULE_NAME
    ]
    if found is not None:
        message = f"{source.place}: {source.class_name} of {source.file.name} is no subclass of OnnxConfig"
        raise plan_error(message, "import the classes to subclass from onnx_export_action.onnx_config")
    hint = did_you_mean(source.class_name, known) or (f"it has: {', '.join(known)}" if known else None)
    raise plan_error(f"{source.place}: {source.file.name} has no class {quoted(source.class_name)}", hint)


@contextmanager
def _explained(source: ConfigurationClass, what: str) -> Iterator[None]:
    """Turn whatever the user's code raises into an error with the line of their file."""
    try:
        yield
    except ExportError:
        raise
    except (Exception, SystemExit) as error:
        text = (str(error).strip().splitlines() or [""])[0][:300]
        line = error.lineno if isinstance(error, SyntaxError) else _line_in(source.file, error)
        where = source.file.name if line is None else f"{source.file.name}:{line}"
        raise plan_error(f"{source.place}: {what}: {type(error).__name__}: {text} ({where})") from error


def _line_in(file: Path, error: BaseException) -> int | None:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return lines[-1] if lines else None
