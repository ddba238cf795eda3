"""The variants of an fp32 file: smaller types for its weights or for all of its numbers.

ONNX Runtime's own tools make them. A merged decoder is merged anew from the two variants of its parts, whose graphs
have no branches, so that a weight of both is stored once here too.

What each variant is, and why (the same choices as transformers.js' own script makes,
https://github.com/huggingface/transformers.js/blob/main/scripts/quantize.py, but where said):

- fp16: weights and numbers in float16; inputs and outputs stay float32, so that callers need not change.
- bf16: weights in bfloat16; numbers in float32, as ONNX Runtime's CPU kernels know no bfloat16. Not of transformers.js.
- int8, uint8, q8: 8-bit weights, and numbers quantised to 8 bits at each product. q8 is signed, but unsigned where
  there are convolutions, for which there is no signed kernel. Signed weights take 7 bits: with 8, products of
  processors without VNNI saturate (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
- q4: 4-bit weights of products in blocks of 32, symmetric; q4f16: the rest in float16 like fp16.
- bnb4: 4-bit weights of products in blocks of 64, NormalFloat (https://arxiv.org/abs/2305.14314).
- O1, O2, O3, O4: graph optimisation levels (:mod:`onnx_export_action.variants.optimisation`).
"""

from __future__ import annotations

import fnmatch
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_bnb4_quantizer import MatMulBnb4Quantizer
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

from onnx_export_action.graphs.merging import merge_decoders
from onnx_export_action.graphs.weightless import Weight, WeightlessGraph, graph_nodes, set_metadata, write_graph
from onnx_export_action.variants.optimisation import optimised
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.manifest import OnnxFileRecord
from onnx_export_action.vocabulary.results import Stage
from onnx_export_action.vocabulary.variants import MASK_FILL, variant_path
from onnx_export_action.vocabulary.version import VERSION

_Q4_BLOCK, _BNB4_BLOCK = 32, 64
_WEIGHT_ELEMENTS = 1024
"""Initializers from this size on are weights; smaller ones stay in the graph and as they are."""

# Smaller numbers are zero in float16; what hands on a divisor unchanged, or its root.
_SMALLEST_FLOAT16 = 2.0**-24
_PASS_ON = frozenset({"Expand", "Unsqueeze", "Reshape", "Sqrt", "Identity", "Cast"})
_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})


def make_variant(path: Path, variant: str, kept: Iterable[str] = ()) -> WeightlessGraph:
    """The ``variant`` of the fp32 file at ``path``; nodes whose name or operator matches ``kept`` stay in float32.

    ``kept`` are patterns as :mod:`fnmatch` reads them, such as ``LayerNormalization`` or ``/encoder/layer.0/*``.

    Raises:
        ExportError: ONNX Runtime's tool cannot make it.
    """
    source = _Source(path, list(kept))
    try:
        with _quiet():
            made = _MAKERS[variant](source)
    except Exception as error:  # the tools raise whatever meets them: assertions, KeyError, protobuf's own
        text = (str(error).strip().splitlines() or [""])[0][:300]
        raise ExportError(
            f"{path.name}: the variant {variant} cannot be made: {type(error).__name__}: {text}", stage=Stage.EXPORT
        ) from error
    return weightless(made)


def write_variants(
    folder: Path, files: Sequence[OnnxFileRecord], variant: str, kept: Sequence[str]
) -> list[OnnxFileRecord]:
    """Write the ``variant`` of every fp32 file of the artifact ``folder`` beside it, and describe them.

    Raises:
        ExportError: one of them cannot be made; what was written of the variant is removed again.
    """
    written: list[OnnxFileRecord] = []
    graphs: dict[str, WeightlessGraph] = {}
    try:
        for file in files:
            graph = _variant_of(folder, file, variant, kept, graphs)
            graphs[file.components[0] if len(file.components) == 1 else ""] = graph
            written.append(_write(folder, file, variant, graph))
    except BaseException:
        for file in files:
            path = folder / variant_path(file.path, variant)
            for left in (path, path.with_name(f"{path.name}_data")):
                left.unlink(missing_ok=True)
        raise
    return written


def _variant_of(
    folder: Path, file: OnnxFileRecord, variant: str, kept: Sequence[str], graphs: Mapping[str, WeightlessGraph]
) -> WeightlessGraph:
    if len(file.components) == 1:
        return make_variant(folder / file.path, variant, kept)
    first, second = file.components
    return merge_decoders(graphs[first], graphs[second])


def _write(folder: Path, file: OnnxFileRecord, variant: str, graph: WeightlessGraph) -> OnnxFileRecord:
    metadata = {prop.key: prop.value for prop in onnx.load(folder / file.path, load_external_data=False).metadata_props}
    set_metadata(graph.model, metadata | {"variant": variant})
    graph.model.producer_name = "onnx-export-action"
    graph.model.producer_version = VERSION
    path = variant_path(file.path, variant)
    main, *external = write_graph(graph, folder / path)
    return msgspec.structs.replace(
        file,
        path=path,
        bytes=main.bytes,
        sha256=main.sha256,
        variant=variant,
        opset=next(o.version for o in graph.model.opset_import if o.domain in ("", "ai.onnx")),
        external_data=[
            msgspec.structs.replace(one, path=PurePosixPath(path).with_name(one.path).as_posix()) for one in external
        ],
    )


@dataclass(frozen=True)
class _Source:
    """An fp32 file, and patterns of its nodes that stay as they are."""

    path: Path
    patterns: list[str]

    @cached_property
    def model(self) -> onnx.ModelProto:
        return onnx.load(self.path)

    @cached_property
    def kept(self) -> list[str]:
        """The names of the nodes that stay as they are; asked for before a tool renames nodes of ``model``."""
        return _matching(self.model, self.patterns)


def _matching(model: onnx.ModelProto, patterns: Iterable[str]) -> list[str]:
    wanted = list(patterns)
    found = [
        node.name
        for node in graph_nodes(model.graph)
        if any(fnmatch.fnmatchcase(name, pattern) for name in (node.name, node.op_type) for pattern in wanted)
    ]
    # The tools call so the product that they make of a Gemm.
    return [*found, *(f"{name}_MatMul" for name in found)]


def _fp16(source: _Source) -> onnx.ModelProto:
    return _in_float16(source.model, source.kept)


def _in_float16(model: onnx.ModelProto, kept: list[str]) -> onnx.ModelProto:
    with_types = _with_inferred_types(model)
    converted: onnx.ModelProto = convert_float_to_float16(
        with_types,
        max_finite_val=MASK_FILL,
        keep_io_types=True,
        disable_shape_infer=True,
        op_block_list=DEFAULT_OP_BLOCK_LIST,
        node_block_list=[*kept, *_position_nodes(model.graph), *_guarded_divisions(model.graph)],
    )
    del converted.graph.value_info[:]
    _tidy_casts(converted.graph)
    _sort(converted.graph)
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
    read = {name for node in kept.values() for name in _names_read(node)} | {value.name for value in graph.output}
    del graph.node[:]
    graph.node.extend(node for node in kept.values() if node.op_type != "Cast" or node.output[0] in read)


def _casts_an_input(node: onnx.NodeProto) -> bool:
    return node.name.startswith("graph_input_cast")


def _position_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes that compute places from whole numbers and constants: buckets, angles of rotary embeddings.

    In float16 the bucket of a distance (T5) is often another one, and a position beyond 2048 is no whole number.
    """
    computed = {value.name for value in graph.input if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    computed |= {tensor.name for tensor in graph.initializer if _is_weight(tensor)}
    made_by: dict[str, onnx.NodeProto] = {}
    waiting: list[str] = []
    for node in graph.node:
        if node.op_type != "Shape" and any(name in computed for name in _names_read(node)):
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
    if tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE) or _elements(tensor) != 1:
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
        if _elements(tensor) >= _WEIGHT_ELEMENTS:
            tensor.CopyFrom(onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type))
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="elsewhere")
    inferred = onnx.shape_inference.infer_shapes(light)
    del model.graph.value_info[:]
    model.graph.value_info.extend(inferred.graph.value_info)
    return model


def _bf16(source: _Source) -> onnx.ModelProto:
    graph = source.model.graph
    kept = {name for node in graph_nodes(graph) if node.name in source.kept for name in node.input}
    casts = []
    for tensor in graph.initializer:
        if not _is_weight(tensor) or tensor.name in kept:
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


def _dynamically_quantised(source: _Source, weight_type: QuantType) -> onnx.ModelProto:
    signed = weight_type is QuantType.QInt8
    kept = source.kept
    weights = {tensor.name for tensor in source.model.graph.initializer}
    for node in graph_nodes(source.model.graph):
        # The tool stops at a convolution whose weight the graph computes, as weight norms do.
        if node.op_type in _CONVOLUTIONS and (signed or node.input[1] not in weights):
            kept = [*kept, node.name]
    with tempfile.TemporaryDirectory(prefix="onnx-export-variant-") as folder:
        path = Path(folder) / "model.onnx"
        quantize_dynamic(
            source.path,
            path,
            per_channel=True,
            reduce_range=signed,
            weight_type=weight_type,
            nodes_to_exclude=kept,
            use_external_data_format=True,
            extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
        )
        return onnx.load(path)


def _int8(source: _Source) -> onnx.ModelProto:
    return _dynamically_quantised(source, QuantType.QInt8)


def _uint8(source: _Source) -> onnx.ModelProto:
    return _dynamically_quantised(source, QuantType.QUInt8)


def _q8(source: _Source) -> onnx.ModelProto:
    convolves = any(node.op_type in _CONVOLUTIONS for node in graph_nodes(source.model.graph))
    return _uint8(source) if convolves else _int8(source)


def _q4(source: _Source) -> onnx.ModelProto:
    kept = source.kept
    quantizer = MatMulNBitsQuantizer(
        _products_only(source), bits=4, block_size=_Q4_BLOCK, is_symmetric=True, nodes_to_exclude=kept
    )
    quantizer.process()
    made: onnx.ModelProto = quantizer.model.model
    return made


def _q4f16(source: _Source) -> onnx.ModelProto:
    return _in_float16(_q4(source), source.kept)


def _bnb4(source: _Source) -> onnx.ModelProto:
    kept = source.kept
    quantizer = MatMulBnb4Quantizer(_products_only(source), MatMulBnb4Quantizer.NF4, _BNB4_BLOCK, nodes_to_exclude=kept)
    quantizer.process()
    made: onnx.ModelProto = quantizer.model.model
    return made


def _products_only(source: _Source) -> onnx.ModelProto:
    """With a MatMul and an Add for each Gemm: the 4-bit tools pass over a Gemm, which all of GPT-2's layers are."""
    wrapped = ONNXModel(source.model)
    wrapped.replace_gemm_with_matmul()
    return source.model


def _o1(source: _Source) -> onnx.ModelProto:
    return optimised(source.path, fused=False, approximated=False)


def _o2(source: _Source) -> onnx.ModelProto:
    return optimised(source.path, fused=True, approximated=False)


def _o3(source: _Source) -> onnx.ModelProto:
    return optimised(source.path, fused=True, approximated=True)


def _o4(source: _Source) -> onnx.ModelProto:
    model = _o3(source)
    return _in_float16(model, _matching(model, source.patterns))


_MAKERS: Mapping[str, Callable[[_Source], onnx.ModelProto]] = {
    "fp16": _fp16,
    "bf16": _bf16,
    "int8": _int8,
    "uint8": _uint8,
    "q8": _q8,
    "q4": _q4,
    "q4f16": _q4f16,
    "bnb4": _bnb4,
    "O1": _o1,
    "O2": _o2,
    "O3": _o3,
    "O4": _o4,
}


def weightless(model: onnx.ModelProto) -> WeightlessGraph:
    """The model with its weights apart, each once: the tools add one anew for every node that reads it."""
    weights: dict[str, Weight] = {}
    small: dict[str, onnx.TensorProto] = {}
    for tensor in model.graph.initializer:
        if _elements(tensor) >= _WEIGHT_ELEMENTS:
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


def _elements(tensor: onnx.TensorProto) -> int:
    return int(np.prod(tensor.dims))


def _is_weight(tensor: onnx.TensorProto) -> bool:
    return tensor.data_type == onnx.TensorProto.FLOAT and _elements(tensor) >= _WEIGHT_ELEMENTS


def _sort(graph: onnx.GraphProto) -> None:
    """Order nodes so that each comes after what it reads: the float16 tool appends its casts at the end."""
    made = {name for node in graph.node for name in node.output if name}
    waiting = list(graph.node)
    ready: list[onnx.NodeProto] = []
    readers: dict[str, list[int]] = {}
    missing: list[int] = []
    for position, node in enumerate(waiting):
        needed = {name for name in _names_read(node) if name in made}
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


def _names_read(node: onnx.NodeProto) -> Iterator[str]:
    """What a node and the branches inside it read."""
    yield from node.input
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in graph_nodes(attribute.g):
                yield from inner.input


@contextmanager
def _quiet() -> Iterator[None]:
    """The tools warn through the root logger of what is done here on purpose."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
