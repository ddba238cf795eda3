"""A whole model taken apart: its graph, and its weights each once; and the order of the nodes of a graph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import torch

from onnx_export_action.graphs.nodes import graph_nodes
from onnx_export_action.graphs.weightless import Weight, WeightlessGraph
from onnx_export_action.vocabulary.variants import WEIGHT_ELEMENTS


def weightless(model: onnx.ModelProto) -> WeightlessGraph:
    """The model with its weights apart, each once: the tools add one anew for every node that reads it."""
    weights: dict[str, Weight] = {}
    small: dict[str, onnx.TensorProto] = {}
    for tensor in model.graph.initializer:
        if elements(tensor) >= WEIGHT_ELEMENTS:
            weights.setdefault(tensor.name, Weight(_as_torch(tensor)))
        else:
            small.setdefault(tensor.name, onnx.TensorProto.FromString(tensor.SerializeToString()))
    del model.graph.initializer[:]
    model.graph.initializer.extend(small.values())
    return WeightlessGraph(model, weights)


def _as_torch(tensor: onnx.TensorProto) -> torch.Tensor:
    array = onnx.numpy_helper.to_array(tensor)
    if tensor.data_type == onnx.TensorProto.BFLOAT16:  # numpy's is a type of the package ml_dtypes
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def elements(tensor: onnx.TensorProto) -> int:
    """How many numbers a tensor has."""
    return int(np.prod(tensor.dims))


def is_weight(tensor: onnx.TensorProto) -> bool:
    """Whether an initializer is a weight in float32, not one of the small constants of a graph."""
    return tensor.data_type == onnx.TensorProto.FLOAT and elements(tensor) >= WEIGHT_ELEMENTS


def sort_nodes(graph: onnx.GraphProto) -> None:
    """Order nodes so that each comes after what it reads: the float16 tool appends its casts at the end."""
    made = {name for node in graph.node for name in node.output if name}
    waiting = list(graph.node)
    ready: list[onnx.NodeProto] = []
    readers: dict[str, list[int]] = {}
    missing: list[int] = []
    for position, node in enumerate(waiting):
        needed = {name for name in names_read(node) if name in made}
        missing.append(len(needed))
        for name in needed:
            readers.setdefault(name, []).append(position)
    queue = [position for position, count in enumerate(missing) if count == 0]
    for position in queue:  # grows while it is read
        ready.append(onnx.NodeProto.FromString(waiting[position].SerializeToString()))
        for name in waiting[position].output:
            for reader in readers.get(name, ()):
                missing[reader] -= 1
                if missing[reader] == 0:
                    queue.append(reader)
    if len(ready) != len(waiting):
        message = "the graph has a circle"
        raise ValueError(message)
    del graph.node[:]
    graph.node.extend(ready)


def names_read(node: onnx.NodeProto) -> Iterator[str]:
    """What a node and the branches inside it read."""
    yield from node.input
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in graph_nodes(attribute.g):
                yield from inner.input
