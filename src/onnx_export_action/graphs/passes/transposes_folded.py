"""Ensures that no weight is transposed whenever the graph runs, but stored as it is needed."""

from __future__ import annotations

from collections import Counter

import onnx

from onnx_export_action.graphs.nodes import graph_nodes, nodes_within
from onnx_export_action.graphs.weightless import TRANSPOSED, Weight, WeightlessGraph


def fold_weight_transposes(graph: WeightlessGraph) -> None:
    """Store a weight transposed when transposing is all that the graph does with it.

    A weight with another reader (a tied embedding) stays as it is, so that it is stored once.
    """
    nodes = graph.model.graph.node
    readers = Counter(name for node in graph_nodes(graph.model.graph) for name in node.input)
    renamed: dict[str, str] = {}
    remaining = []
    for node in nodes:
        source = node.input[0] if node.input else ""
        if node.op_type != "Transpose" or source not in graph.weights or readers[source] != 1:
            remaining.append(node)
            continue
        weight = graph.weights.pop(source)
        stored = f"{source}{TRANSPOSED}"
        graph.weights[stored] = Weight(weight.tensor, tuple(node.attribute[0].ints))
        renamed[node.output[0]] = stored
    for node in nodes_within(remaining):
        for position, name in enumerate(node.input):
            if name in renamed:
                node.input[position] = renamed[name]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in remaining]
    del nodes[:]
    nodes.extend(kept)
