"""What a file takes and gives, as one line a test can hold: ``input_ids[batch_size, sequence_length]``."""

from collections.abc import Mapping

from onnx_export_action.onnx_config import OnnxConfig


def signature(config: OnnxConfig) -> str:
    """Inputs and outputs of one file with the axes that vary: ``pixel_values[batch_size] -> logits[]``."""
    return f"{_tensors(config.inputs)} -> {_tensors(config.outputs)}"


def _tensors(tensors: Mapping[str, Mapping[int, str]]) -> str:
    return " ".join(f"{name}[{_axes(axes)}]" for name, axes in tensors.items() if ".1." not in name)


def _axes(axes: Mapping[int, str]) -> str:
    in_order = list(axes) == sorted(axes) == list(range(len(axes)))
    return ", ".join(name if in_order else f"{axis}: {name}" for axis, name in sorted(axes.items()))
