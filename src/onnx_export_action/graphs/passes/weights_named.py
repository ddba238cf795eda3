"""Ensures that weights have the names of the model's own state dict."""

from __future__ import annotations

from onnx_export_action.graphs.nodes import graph_nodes
from onnx_export_action.graphs.weightless import WeightlessGraph


def strip_weight_prefix(graph: WeightlessGraph, prefix: str) -> None:
    """Name weights as the model's own state dict does."""
    new_names = {name: name.removeprefix(prefix) for name in graph.weights}
    taken = {name for node in graph_nodes(graph.model.graph) for name in node.output}
    taken.update(value.name for value in graph.model.graph.input)
    new_names = {old: new for old, new in new_names.items() if new not in taken}
    for node in graph_nodes(graph.model.graph):
        for position, name in enumerate(node.input):
            if name in new_names:
                node.input[position] = new_names[name]
    graph.weights = {new_names.get(name, name): weight for name, weight in graph.weights.items()}
