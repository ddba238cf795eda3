"""What a graph takes and gives, as the manifest says it."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from onnx_export_action.vocabulary.manifest import TensorRecord


def tensor_records(values: Iterable[onnx.ValueInfoProto]) -> dict[str, TensorRecord]:
    """Describe a graph's inputs or outputs for the manifest."""
    return {value.name: _tensor_record(value.type.tensor_type) for value in values}


def _tensor_record(tensor_type: onnx.TypeProto.Tensor) -> TensorRecord:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor_type.elem_type)
    return TensorRecord(dtype=str(dtype), shape=[dim.dim_param or dim.dim_value for dim in tensor_type.shape.dim])
