"""Whether a file holds the weights of the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import torch

from onnx_export_action.graphs.weightless import TRANSPOSED
from onnx_export_action.proving.arrays import Array
from onnx_export_action.proving.records import WeightFindings

_FEW = 3
_MOST_FOREIGN = 0.5


def compare_weights(model: torch.nn.Module, graph: onnx.ModelProto) -> WeightFindings:
    """Compare the file's float32 weights with those of the same name in the model, stored as they are or transposed.

    Merged, folded and quantised weights have other names and are passed over.
    """
    ours = {name: tensor for name, tensor in model.state_dict().items() if tensor.dtype == torch.float32}
    known = 0
    changed = []
    for tensor in graph.graph.initializer:
        name = _model_name(tensor.name, ours)
        if name is None or tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        known += 1
        if not _same(onnx.numpy_helper.to_array(tensor), ours[name].numpy()):
            changed.append(name)
    return WeightFindings(changed=sorted(changed), foreign=len(changed) > max(_FEW, _MOST_FOREIGN * known))


def _model_name(name: str, ours: Mapping[str, object]) -> str | None:
    bare = name.removesuffix(TRANSPOSED)
    return next((candidate for candidate in (bare, bare.removeprefix("model.")) if candidate in ours), None)


def _same(stored: Array, own: Array) -> bool:
    """Whether the stored weight is the model's own; axes may be in another order, which keeps the sorted values."""
    if stored.shape == own.shape:
        return np.array_equal(stored, own) or (own.ndim == 2 and np.array_equal(stored, own.T))  # noqa: PLR2004
    if sorted(stored.shape) != sorted(own.shape):
        return stored.size != own.size  # something else that happens to have the name
    if own.ndim == 2:  # noqa: PLR2004 - a matrix
        return np.array_equal(stored, own.T)
    return np.array_equal(np.sort(stored, axis=None), np.sort(own, axis=None))
