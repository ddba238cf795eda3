"""What a target declares of its inputs and outputs, or the class of the repository that says it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from onnx_export_action.project.document import Node
from onnx_export_action.project.places import neighbour_hint
from onnx_export_action.project.settings.fields import TargetFields
from onnx_export_action.project.settings.schema import CLASS_PATTERN
from onnx_export_action.project.settings.written_paths import WrittenPaths, is_file
from onnx_export_action.vocabulary.declarations import ConfigurationClass, Declaration, DeclaredAxis, DeclaredTensor
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.problems import nearest, quoted


def declaration_of(fields: TargetFields, paths: WrittenPaths) -> Declaration:
    """What the target declares of its inputs and outputs, or the class that says it."""
    written = fields.text("onnx_config")
    if written is None:
        return Declaration(inputs=_tensors(fields, "inputs", paths), outputs=_tensors(fields, "outputs", paths))
    for key in ("inputs", "outputs"):
        if key in fields:
            paths.report(fields.node(key), f"{key} and onnx_config say the same thing", "give one of the two")
    found = _configuration_class(written, fields.node("onnx_config"), paths)
    return Declaration(configuration_class=found)


def _configuration_class(written: str, node: Node, paths: WrittenPaths) -> ConfigurationClass | None:
    parts = re.fullmatch(CLASS_PATTERN, written)
    if parts is None:
        return None
    file = paths.inside(parts[1], node, "onnx_config")
    if file is None:
        return None
    if not is_file(file):
        paths.report(node, f"there is no file {quoted(parts[1])}", neighbour_hint(parts[1], paths.base))
        return None
    return ConfigurationClass(file, parts[2], paths.place(node))


def _tensors(fields: TargetFields, key: str, paths: WrittenPaths) -> dict[str, DeclaredTensor]:
    declared = fields.node(key).value if key in fields else None
    if not isinstance(declared, dict):
        return {}
    return {
        name: DeclaredTensor(dict(_axes(entry.node, paths, is_input=key == "inputs")), paths.place(entry))
        for name, entry in declared.items()
    }


def _axes(tensor: Node, paths: WrittenPaths, *, is_input: bool) -> Iterator[tuple[int, DeclaredAxis]]:
    from onnx_export_action.onnx_config.axis_names import AXIS_ARGUMENTS
    from onnx_export_action.vocabulary.names.axes import atomic_axes

    for number, entry in tensor.value.items() if isinstance(tensor.value, dict) else ():
        name = entry.node.value
        for part in atomic_axes(name) if isinstance(name, str) else ():
            near = nearest(part, AXIS_ARGUMENTS, cutoff=0.6 if is_input else 0.9)
            # An output may have an axis that no input has; an input's is varied by its name.
            if part not in AXIS_ARGUMENTS and (is_input or near):
                hint = f"did you mean {quoted(near)}?" if near else f"names are {', '.join(AXIS_ARGUMENTS)}"
                paths.report(entry.node, f"unknown axis name {quoted(part)}", hint)
        if isinstance(name, str | int):
            yield int(number), DeclaredAxis(name, paths.place(entry))


def class_of_caller(written: str) -> Declaration:
    """What ``--onnx-config FILE.py:CLASS`` declares; the file lies in the current folder or below it.

    Raises:
        ExportError: there is no such file, or it lies elsewhere.
    """
    parts = re.fullmatch(CLASS_PATTERN, written)
    if parts is None:
        raise plan_error(
            f"--onnx-config cannot be {quoted(written)}", "give a relative path and a class: file.py:Class"
        )
    try:
        file = Path(parts[1]).resolve()
    except (OSError, RuntimeError) as error:  # Python 3.11 raises RuntimeError for links in a circle
        raise plan_error(f"--onnx-config {quoted(parts[1])} cannot be followed: {quoted(str(error))}") from error
    if not file.is_relative_to(Path.cwd()):
        raise plan_error(f"--onnx-config {quoted(parts[1])} leads out of the current folder")
    if not is_file(file):
        raise plan_error(f"--onnx-config: there is no file {quoted(parts[1])}")
    return Declaration(configuration_class=ConfigurationClass(file, parts[2], "--onnx-config"))
