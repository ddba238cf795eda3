"""Ensures that no parameter of the model is an input of the graph: each is a weight of it."""

from __future__ import annotations

import onnx
import torch

from onnx_export_action.graphs.nodes import graph_nodes
from onnx_export_action.graphs.weightless import Weight, WeightlessGraph


def attach_weights(model: onnx.ModelProto, module: torch.nn.Module, input_names: list[str]) -> WeightlessGraph:
    """Turn the graph inputs that are parameters of ``module`` into weights; the rest must be ``input_names``.

    Raises:
        ValueError: a graph input is neither.
    """
    tensors = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    graph = model.graph
    used = {name for node in graph_nodes(graph) for name in node.input}
    weights: dict[str, Weight] = {}
    kept = []
    for value in graph.input:
        if value.name in input_names:
            kept.append(value)
        elif value.name not in tensors:
            message = f"graph input {value.name!r} is neither an input of the model nor one of its parameters"
            raise ValueError(message)
        elif value.name in used:
            weights[value.name] = Weight(tensors[value.name])
    del graph.input[:]
    graph.input.extend(kept)
    return WeightlessGraph(model, weights)
