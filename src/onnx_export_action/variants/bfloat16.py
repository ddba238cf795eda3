"""bf16: weights in bfloat16; numbers in float32, as ONNX Runtime's CPU kernels know no bfloat16."""

from __future__ import annotations

import onnx
import torch

from onnx_export_action.graphs.nodes import graph_nodes
from onnx_export_action.graphs.separating import is_weight
from onnx_export_action.graphs.weightless import Weight
from onnx_export_action.variants.source import Fp32File
from onnx_export_action.vocabulary.variants import Variant


def make_bf16(source: Fp32File, _: Variant) -> onnx.ModelProto:
    """The file with its weights in bfloat16, and a cast to float32 after each."""
    graph = source.model.graph
    kept = {name for node in graph_nodes(graph) if node.name in source.kept for name in node.input}
    casts = []
    for tensor in graph.initializer:
        if not is_weight(tensor) or tensor.name in kept:
            continue
        rounded = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()).to(torch.bfloat16)
        stored = f"{tensor.name}_bf16"
        casts.append(
            onnx.helper.make_node("Cast", [stored], [tensor.name], name=f"{stored}/Cast", to=onnx.TensorProto.FLOAT)
        )
        weight = Weight(rounded)
        tensor.CopyFrom(weight.description(stored))
        tensor.raw_data = bytes(weight.read())
    nodes = [*casts, *(onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node)]
    del graph.node[:]
    graph.node.extend(nodes)
    return source.model
