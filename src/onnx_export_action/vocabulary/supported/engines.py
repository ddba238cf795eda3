"""The engines that record a model: their names, the order in which ``auto`` tries them, and what opsets they write."""

from __future__ import annotations

from enum import StrEnum


class Engine(StrEnum):
    """What a target may ask for (all but ``torchscript``), and what a file says made it (all but ``auto``)."""

    AUTO = "auto"
    TRACER = "tracer"
    TORCH_EXPORT = "torch-export"
    TORCHSCRIPT = "torchscript"  # of the other format


AUTO_ORDER = (Engine.TRACER, Engine.TORCH_EXPORT)
"""What ``auto`` tries: each where the ones before it cannot export the model, or make a file that is wrong."""

ENGINES_OF_ONNX = (Engine.AUTO, *AUTO_ORDER)
"""What a target may ask for."""

TRACER_MAX_OPSET = 20
"""The tracer's symbolic functions end here (``torch.onnx._constants.ONNX_TORCHSCRIPT_EXPORTER_MAX_OPSET``)."""

TORCH_EXPORT_MIN_OPSET = 18
"""torch.onnx has operators for this opset and newer ones (``torch.onnx._constants.ONNX_TORCHLIB_OPSET``). An older one
it makes by converting the finished graph down, which leaves it at 18 or breaks it (seen with onnx 1.23: ``Split`` keeps
``num_outputs``, which opset 17 does not know)."""
