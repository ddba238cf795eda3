"""Weights have the names of the model's own state dict."""

from __future__ import annotations

import torch
from onnx import TensorProto, helper

from onnx_export_action.graphs.passes.weights_named import strip_weight_prefix
from onnx_export_action.graphs.weightless import Weight, WeightlessGraph


def graph_of(name: str, *, output: str = "answer") -> WeightlessGraph:
    """An addition of one weight, which is also read inside of a branch."""
    inner = helper.make_graph(
        [helper.make_node("Identity", [name], ["inner"])],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Add", ["given", name], [output]),
        helper.make_node("If", ["flag"], ["chosen"], then_branch=inner, else_branch=inner),
    ]
    given = [helper.make_tensor_value_info("given", TensorProto.FLOAT, [2])]
    model = helper.make_model(helper.make_graph(nodes, "graph", given, []))
    return WeightlessGraph(model, {name: Weight(torch.zeros(2))})


def test_the_prefix_goes_everywhere_also_inside_of_branches() -> None:
    graph = graph_of("model.bias")
    strip_weight_prefix(graph, "model.")
    addition, choice = graph.model.graph.node
    assert list(graph.weights) == ["bias"]
    assert addition.input[1] == "bias"
    assert [attribute.g.node[0].input[0] for attribute in choice.attribute] == ["bias", "bias"]


def test_a_name_that_another_value_has_stays() -> None:
    graph = graph_of("model.bias", output="bias")
    strip_weight_prefix(graph, "model.")
    assert list(graph.weights) == ["model.bias"]
    assert graph.model.graph.node[0].input[1] == "model.bias"


def test_a_name_without_the_prefix_stays() -> None:
    graph = graph_of("constant")
    strip_weight_prefix(graph, "model.")
    assert list(graph.weights) == ["constant"]
