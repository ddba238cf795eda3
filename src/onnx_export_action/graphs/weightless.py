"""Graphs without their weights.

An engine hands over a graph whose large tensors are not in it but here, each as the model itself holds it
(memory-mapped from its safetensors file); ``passes`` change such graphs, ``writing`` streams them to disk. So a file
costs no memory beyond the model, and a weight that the model ties is stored once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx
import torch

TRANSPOSED = "_transposed"
"""What the name of a weight ends in that is stored with its axes in another order."""


_ONNX_TYPES = {
    torch.float32: onnx.TensorProto.FLOAT,
    torch.float64: onnx.TensorProto.DOUBLE,
    torch.float16: onnx.TensorProto.FLOAT16,
    torch.bfloat16: onnx.TensorProto.BFLOAT16,
    torch.int64: onnx.TensorProto.INT64,
    torch.int32: onnx.TensorProto.INT32,
    torch.int16: onnx.TensorProto.INT16,
    torch.int8: onnx.TensorProto.INT8,
    torch.uint8: onnx.TensorProto.UINT8,
    torch.bool: onnx.TensorProto.BOOL,
    torch.complex64: onnx.TensorProto.COMPLEX64,
}


@dataclass(frozen=True)
class Weight:
    """One initializer: a tensor of the model, stored with its axes permuted when ``permutation`` is given."""

    tensor: torch.Tensor
    permutation: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as stored."""
        shape = tuple(self.tensor.shape)
        return shape if self.permutation is None else tuple(shape[axis] for axis in self.permutation)

    @property
    def nbytes(self) -> int:
        """Size in bytes as stored."""
        return self.tensor.numel() * self.tensor.element_size()

    def read(self) -> memoryview:
        """Bytes in row-major order, little-endian; a view of the model's memory when no permutation is needed."""
        tensor = self.tensor.detach()
        if self.permutation is not None:
            tensor = tensor.permute(self.permutation)
        flat = tensor.contiguous().reshape(-1).view(torch.uint8)
        return memoryview(flat.numpy())

    def description(self, name: str) -> onnx.TensorProto:
        """The ``TensorProto`` without data."""
        return onnx.TensorProto(name=name, dims=self.shape, data_type=_ONNX_TYPES[self.tensor.dtype])


@dataclass
class WeightlessGraph:
    """A model whose large initializers live in ``weights`` and not in ``model``."""

    model: onnx.ModelProto
    weights: dict[str, Weight] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of all weights."""
        return sum(weight.nbytes for weight in self.weights.values())
