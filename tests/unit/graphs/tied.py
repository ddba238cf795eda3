"""A graph as the tracer hands it over, and the module that it was traced from."""

from __future__ import annotations

import onnx
import torch
from onnx import TensorProto, helper


class Tied(torch.nn.Module):
    """An embedding whose matrix is also the output projection, as in GPT-2, and a projection of its own."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.embedding = torch.nn.Parameter(torch.randn(300, 16, generator=generator))
        self.projection = torch.nn.Parameter(torch.randn(16, 16, generator=generator))


def traced() -> onnx.ModelProto:
    """Gather(embedding), MatMul with the projection transposed, MatMul with the embedding transposed."""
    nodes = [
        helper.make_node("Gather", ["embedding", "input_ids"], ["embedded"]),
        helper.make_node("Transpose", ["projection"], ["projection_t"], perm=[1, 0]),
        helper.make_node("MatMul", ["embedded", "projection_t"], ["projected"]),
        helper.make_node("Transpose", ["embedding"], ["embedding_t"], perm=[1, 0]),
        helper.make_node("MatMul", ["projected", "embedding_t"], ["logits"]),
    ]
    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, [2, 3]),
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [300, 16]),
        helper.make_tensor_value_info("projection", TensorProto.FLOAT, [16, 16]),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [2, 3, 300])]
    graph = helper.make_graph(nodes, "tied", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
