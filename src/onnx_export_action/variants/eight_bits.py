"""int8, uint8, q8: 8-bit weights, and numbers quantised to 8 bits at each product, as they come.

q8 is signed, but unsigned where there are convolutions, for which there is no signed kernel. Signed weights take 7
bits: with 8, products of processors without VNNI saturate
(https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from onnx_export_action.graphs.nodes import graph_nodes
from onnx_export_action.variants.source import Fp32File
from onnx_export_action.vocabulary.variants import Variant

_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})


def make_int8(source: Fp32File, _: Variant) -> onnx.ModelProto:
    """Signed 8-bit weights."""
    return _dynamically_quantised(source, QuantType.QInt8)


def make_uint8(source: Fp32File, _: Variant) -> onnx.ModelProto:
    """Unsigned 8-bit weights."""
    return _dynamically_quantised(source, QuantType.QUInt8)


def make_q8(source: Fp32File, variant: Variant) -> onnx.ModelProto:
    """Signed or unsigned 8-bit weights, whichever ONNX Runtime has kernels for."""
    convolves = any(node.op_type in _CONVOLUTIONS for node in graph_nodes(source.model.graph))
    return make_uint8(source, variant) if convolves else make_int8(source, variant)


def _dynamically_quantised(source: Fp32File, weight_type: QuantType) -> onnx.ModelProto:
    signed = weight_type is QuantType.QInt8
    kept = source.kept
    weights = {tensor.name for tensor in source.model.graph.initializer}
    for node in graph_nodes(source.model.graph):
        # The tool stops at a convolution whose weight the graph computes, as weight norms do.
        if node.op_type in _CONVOLUTIONS and (signed or node.input[1] not in weights):
            kept = [*kept, node.name]
    with tempfile.TemporaryDirectory(prefix="onnx-export-variant-") as folder:
        path = Path(folder) / "model.onnx"
        quantize_dynamic(
            source.path,
            path,
            per_channel=True,
            reduce_range=signed,
            weight_type=weight_type,
            nodes_to_exclude=kept,
            use_external_data_format=True,
            extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
        )
        return onnx.load(path)
