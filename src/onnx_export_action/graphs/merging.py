"""One decoder file out of two: ``decoder_model_merged.onnx`` chooses its branch by ``use_cache_branch``.

Both branches read the same initializers from the outer graph, so a weight that both use is stored once.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import torch
from onnx import helper

from onnx_export_action.graphs.nodes import graph_nodes
from onnx_export_action.graphs.weightless import Weight, WeightlessGraph
from onnx_export_action.vocabulary.names.components import USE_CACHE_BRANCH


def merge_decoders(without_past: WeightlessGraph, with_past: WeightlessGraph) -> WeightlessGraph:
    """Merge a decoder without past (its first step) and one with past (every later step).

    Inputs are the union of both plus ``use_cache_branch`` (bool, shape (1,)); outputs are those of the decoder
    without past. Cross-attention keys and values, which later steps do not change, pass through.

    Raises:
        ValueError: the two graphs do not belong together.
    """
    weights, renamed = _shared_weights(without_past.weights, with_past.weights)
    inputs = _union_of_inputs(without_past.model.graph, with_past.model.graph)
    outputs = _union_of_outputs(without_past.model.graph, with_past.model.graph)
    input_names = {value.name for value in inputs}
    fixed = input_names | set(weights)
    then_branch = _branch(with_past, "with_past", fixed, renamed, outputs)
    else_branch = _branch(without_past, "without_past", fixed, {}, outputs)
    node = helper.make_node(
        "If", [USE_CACHE_BRANCH], [value.name for value in outputs], then_branch=then_branch, else_branch=else_branch
    )
    flag = helper.make_tensor_value_info(USE_CACHE_BRANCH, onnx.TensorProto.BOOL, [1])
    defaults = {tensor.name: tensor for part in (without_past, with_past) for tensor in _defaults(part.model.graph)}
    graph = helper.make_graph([node], "merged_decoder", [*inputs, flag], outputs, initializer=list(defaults.values()))
    model = helper.make_model(graph, opset_imports=_opsets(without_past.model, with_past.model))
    model.ir_version = max(without_past.model.ir_version, with_past.model.ir_version)
    return WeightlessGraph(model, weights)


def _shared_weights(
    first: Mapping[str, Weight], second: Mapping[str, Weight]
) -> tuple[dict[str, Weight], dict[str, str]]:
    """Union by name; a second weight that differs under the same name gets a new one."""
    weights = dict(first)
    renamed = {}
    for name, weight in second.items():
        stored = name
        if name in weights and not _same(weights[name], weight):
            stored = f"{name}.with_past"
            renamed[name] = stored
        weights[stored] = weight
    return weights, renamed


def _same(first: Weight, second: Weight) -> bool:
    if first.permutation != second.permutation or first.tensor.shape != second.tensor.shape:
        return False
    return first.tensor.data_ptr() == second.tensor.data_ptr() or torch.equal(first.tensor, second.tensor)


def _union_of_inputs(first: onnx.GraphProto, second: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    inputs = {value.name: value for value in first.input}
    for value in second.input:
        inputs.setdefault(value.name, value)
    return list(inputs.values())


def _union_of_outputs(first: onnx.GraphProto, second: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Those of the first; an axis that varies in either of the two varies."""
    others = {value.name: value.type.tensor_type.shape.dim for value in second.output}
    outputs = []
    for value in first.output:
        merged = onnx.ValueInfoProto()
        merged.CopyFrom(value)
        for dim, other in zip(merged.type.tensor_type.shape.dim, others.get(value.name, ()), strict=False):
            if other.dim_param and not dim.dim_param:
                dim.CopyFrom(other)
        outputs.append(merged)
    return outputs


def _branch(
    source: WeightlessGraph,
    prefix: str,
    fixed: set[str],
    renamed_weights: Mapping[str, str],
    outputs: list[onnx.ValueInfoProto],
) -> onnx.GraphProto:
    graph = onnx.GraphProto()
    graph.CopyFrom(source.model.graph)
    own_names = {name for node in graph_nodes(graph) for name in node.output if name}
    own_names |= {tensor.name for tensor in graph.initializer}
    names = {name: f"{prefix}/{name}" for name in own_names if name not in fixed} | dict(renamed_weights)
    _rename(graph, names)
    produced = {value.name for value in source.model.graph.output}
    nodes = list(graph.node)
    results = []
    for value in outputs:
        name = f"{prefix}/{value.name}"
        if value.name not in produced:
            nodes.append(helper.make_node("Identity", [_past_name(value.name, source)], [name]))
        # Types without shapes: the branches' shapes differ, and the outer graph declares what both satisfy.
        results.append(helper.make_tensor_value_info(name, value.type.tensor_type.elem_type, None))
    initializer = [tensor for tensor in graph.initializer if tensor.name not in fixed]
    return helper.make_graph(nodes, prefix, [], results, initializer=initializer)


def _defaults(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """The values of inputs that a caller may leave out."""
    inputs = {value.name for value in graph.input}
    return [tensor for tensor in graph.initializer if tensor.name in inputs]


def _past_name(present: str, source: WeightlessGraph) -> str:
    name = present.replace("present.", "past_key_values.", 1)
    if name not in {value.name for value in source.model.graph.input}:
        message = f"the decoder with past neither gives {present} nor takes {name}"
        raise ValueError(message)
    return name


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph_nodes(graph):
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                for value in (*attribute.g.input, *attribute.g.output):
                    value.name = names.get(value.name, value.name)
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)


def _opsets(*models: onnx.ModelProto) -> list[onnx.OperatorSetIdProto]:
    versions: dict[str, int] = {}
    for model in models:
        for opset in model.opset_import:
            versions[opset.domain] = max(versions.get(opset.domain, 0), opset.version)
    return [helper.make_opsetid(domain, version) for domain, version in versions.items()]
