"""fp16: weights and numbers in float16; inputs and outputs stay float32, so that callers need not change.

But for the cache, which no caller computes with: what a decoder gives it takes back, and that needs half the memory.

What must not be rounded so far stays in float32: positions, buckets of distances, angles of rotary embeddings, and
divisions that a tiny number guards.
"""

from __future__ import annotations

import onnx
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

from onnx_export_action.graphs.separating import elements, is_weight, names_read, sort_nodes
from onnx_export_action.variants.source import Fp32File
from onnx_export_action.vocabulary.names.cache_names import is_cache
from onnx_export_action.vocabulary.variants import MASK_FILL, WEIGHT_ELEMENTS, Variant

# Smaller numbers are zero in float16; what hands on a divisor unchanged, or its root.
_SMALLEST_FLOAT16 = 2.0**-24
_PASS_ON = frozenset({"Expand", "Unsqueeze", "Reshape", "Sqrt", "Identity", "Cast"})


def make_fp16(source: Fp32File, variant: Variant) -> onnx.ModelProto:
    """The file in float16."""
    return in_float16(source.model, source.kept, half_cache=variant.half_cache)


def in_float16(model: onnx.ModelProto, kept: list[str], *, half_cache: bool) -> onnx.ModelProto:
    """The model in float16, but for the nodes named in ``kept``; it may have operators of ONNX Runtime."""
    interface = [value.name for value in (*model.graph.input, *model.graph.output)]
    with_types = _with_inferred_types(model)
    converted: onnx.ModelProto = convert_float_to_float16(
        with_types,
        max_finite_val=MASK_FILL,
        keep_io_types=[name for name in interface if not (half_cache and is_cache(name))],
        disable_shape_infer=True,
        op_block_list=DEFAULT_OP_BLOCK_LIST,
        node_block_list=[*kept, *_position_nodes(model.graph), *_guarded_divisions(model.graph)],
    )
    del converted.graph.value_info[:]
    _tidy_casts(converted.graph)
    sort_nodes(converted.graph)
    return converted


def _tidy_casts(graph: onnx.GraphProto) -> None:
    """Take out what the float16 tool (of ONNX Runtime 1.31) puts in too much.

    Between two nodes that stay in float32 it casts to float16 and back, which rounds what was to be exact; and it adds
    the same cast for each reader, which ONNX Runtime then refuses to load.
    """
    lowered = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.op_type == "Cast" and (node.name.endswith("_cast_to_fp16_node") or _casts_an_input(node))
    }
    exact = {
        node.output[0]: lowered[node.input[0]]
        for node in graph.node
        if node.op_type == "Cast" and node.name.endswith("_cast_to_fp32_node") and node.input[0] in lowered
    }
    kept: dict[tuple[str, ...], onnx.NodeProto] = {}
    for node in graph.node:
        if node.op_type == "Cast" and node.output[0] in exact:
            continue
        node.input[:] = [exact.get(name, name) for name in node.input]
        kept.setdefault(tuple(node.output), onnx.NodeProto.FromString(node.SerializeToString()))
    read = {name for node in kept.values() for name in names_read(node)} | {value.name for value in graph.output}
    del graph.node[:]
    graph.node.extend(node for node in kept.values() if node.op_type != "Cast" or node.output[0] in read)


def _casts_an_input(node: onnx.NodeProto) -> bool:
    return node.name.startswith("graph_input_cast")


def _position_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes that compute places from whole numbers and constants: buckets, angles of rotary embeddings.

    In float16 the bucket of a distance (T5) is often another one, and a position beyond 2048 is no whole number.
    """
    computed = {value.name for value in graph.input if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    computed |= {tensor.name for tensor in graph.initializer if is_weight(tensor)}
    made_by: dict[str, onnx.NodeProto] = {}
    waiting: list[str] = []
    for node in graph.node:
        if node.op_type != "Shape" and any(name in computed for name in names_read(node)):
            computed.update(node.output)
            continue
        made_by.update(dict.fromkeys(node.output, node))
        if node.op_type in ("Cos", "Sin") or _casts_to_whole_numbers(node):
            waiting.extend(node.output)
    found: dict[str, None] = {}
    while waiting:
        origin = made_by.get(waiting.pop())
        if origin is not None and origin.name not in found:
            found[origin.name] = None
            waiting.extend(origin.input)
    return list(found)


def _guarded_divisions(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes that keep a divisor from being zero by a number which is zero in float16, and of the division.

    Of an empty text the mean over its tokens, none, is 0 / max(0, 1e-9): in float16 that is 0 / 0.
    """
    tiny = {tensor.name for tensor in graph.initializer if _is_tiny(tensor)}
    found: dict[str, None] = {}
    reached: set[str] = set()
    for node in graph.node:
        if node.op_type == "Constant" and any(a.name == "value" and _is_tiny(a.t) for a in node.attribute):
            tiny.update(node.output)
        if node.op_type == "Cast" and node.input[0] in tiny:
            tiny.update(node.output)
            found[node.name] = None
        guards = node.op_type in ("Clip", "Max", "Add") and not tiny.isdisjoint(node.input)
        if guards or not reached.isdisjoint(node.input):
            found[node.name] = None
            if guards or node.op_type in _PASS_ON:
                reached.update(node.output)
    divides = any(node.op_type == "Div" and node.name in found for node in graph.node)
    return list(found) if divides else []


def _is_tiny(tensor: onnx.TensorProto) -> bool:
    if tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE) or elements(tensor) != 1:
        return False
    return 0.0 < abs(float(onnx.numpy_helper.to_array(tensor).reshape(()))) < _SMALLEST_FLOAT16


def _casts_to_whole_numbers(node: onnx.NodeProto) -> bool:
    whole = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
    return node.op_type == "Cast" and any(a.name == "to" and a.i in whole for a in node.attribute)


def _with_inferred_types(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the types of what lies between its nodes; protobuf limits what inference itself may be given."""
    light = onnx.ModelProto()
    light.CopyFrom(model)
    for tensor in light.graph.initializer:
        if elements(tensor) >= WEIGHT_ELEMENTS:
            tensor.CopyFrom(onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type))
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="elsewhere")
    inferred = onnx.shape_inference.infer_shapes(light)
    del model.graph.value_info[:]
    model.graph.value_info.extend(inferred.graph.value_info)
    return model
