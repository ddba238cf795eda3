"""The nodes of a graph with those of the graphs inside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx


def graph_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes of a graph and of the branches and loop bodies inside it."""
    return nodes_within(graph.node)


def nodes_within(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """These nodes and those of the branches and loop bodies inside them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graph_nodes(attribute.g)
