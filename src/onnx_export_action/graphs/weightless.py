"""Graphs without their weights: naming, folding, merging, and writing them to disk without a copy in memory.

The tracer hands over a graph whose parameters are graph inputs without data. Here they become initializers,
read straight from the model's tensors (memory-mapped from its safetensors file) when the file is written.
So a file costs no memory beyond the model, and a weight that the model ties is stored once.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path

import onnx
import torch

from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.external_data import MOST_PIECES, SHARD_BYTES, piece_path
from onnx_export_action.vocabulary.manifest import FileRecord, TensorRecord
from onnx_export_action.vocabulary.results import Stage

PROTOBUF_LIMIT_BYTES = 2**31 - 2**20
"""A protobuf message may not reach 2 GiB; a mebibyte is left for the graph's own growth in other tools."""

TRANSPOSED = "_transposed"
"""What the name of a weight ends in that is stored with its axes in another order."""

_EXTERNAL_ALIGNMENT_BYTES = 4096
_INLINE_LIMIT_BYTES = 1024
"""With external data, tensors up to this size stay in the file: shape inference reads them there."""

# Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
_MODEL_GRAPH_FIELD = 7
_GRAPH_INITIALIZER_FIELD = 5
_TENSOR_RAW_DATA_FIELD = 9
_LENGTH_DELIMITED = 2

_ONNX_TYPES = {
    torch.float32: onnx.TensorProto.FLOAT,
    torch.float64: onnx.TensorProto.DOUBLE,
    torch.float16: onnx.TensorProto.FLOAT16,
    torch.bfloat16: onnx.TensorProto.BFLOAT16,
    torch.int64: onnx.TensorProto.INT64,
    torch.int32: onnx.TensorProto.INT32,
    torch.int16: onnx.TensorProto.INT16,
    torch.int8: onnx.TensorProto.INT8,
    torch.uint8: onnx.TensorProto.UINT8,
    torch.bool: onnx.TensorProto.BOOL,
    torch.complex64: onnx.TensorProto.COMPLEX64,
}


@dataclass(frozen=True)
class Weight:
    """One initializer: a tensor of the model, stored with its axes permuted when ``permutation`` is given."""

    tensor: torch.Tensor
    permutation: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as stored."""
        shape = tuple(self.tensor.shape)
        return shape if self.permutation is None else tuple(shape[axis] for axis in self.permutation)

    @property
    def nbytes(self) -> int:
        """Size in bytes as stored."""
        return self.tensor.numel() * self.tensor.element_size()

    def read(self) -> memoryview:
        """Bytes in row-major order, little-endian; a view of the model's memory when no permutation is needed."""
        tensor = self.tensor.detach()
        if self.permutation is not None:
            tensor = tensor.permute(self.permutation)
        flat = tensor.contiguous().reshape(-1).view(torch.uint8)
        return memoryview(flat.numpy())

    def description(self, name: str) -> onnx.TensorProto:
        """The ``TensorProto`` without data."""
        return onnx.TensorProto(name=name, dims=self.shape, data_type=_ONNX_TYPES[self.tensor.dtype])


@dataclass
class WeightlessGraph:
    """A model whose large initializers live in ``weights`` and not in ``model``."""

    model: onnx.ModelProto
    weights: dict[str, Weight] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of all weights."""
        return sum(weight.nbytes for weight in self.weights.values())


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


def name_axes(
    model: onnx.ModelProto,
    dynamic_axes: Mapping[str, Mapping[int, str]],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Give every input and output its declared axis names; all other axes are fixed at the size in ``shapes``."""
    for value in (*model.graph.input, *model.graph.output):
        tensor_type = value.type.tensor_type
        del tensor_type.shape.dim[:]
        for axis, size in enumerate(shapes[value.name]):
            name = dynamic_axes.get(value.name, {}).get(axis)
            tensor_type.shape.dim.add(**({"dim_param": name} if name else {"dim_value": size}))


def give_defaults(model: onnx.ModelProto, defaults: Mapping[str, float]) -> None:
    """Let a caller leave out these inputs, float32 numbers: an input with an initializer has it as its default.

    See "Optional inputs" in https://github.com/onnx/onnx/blob/main/docs/IR.md (from IR version 4 on).
    """
    for name, value in defaults.items():
        model.graph.initializer.append(onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [], [value]))


def set_metadata(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Replace the file's metadata; intermediate shapes of the traced batch are dropped, as they mislead readers."""
    del model.graph.value_info[:]
    del model.metadata_props[:]
    for key, value in sorted(metadata.items()):
        model.metadata_props.add(key=key, value=value)


def tensor_records(values: Iterable[onnx.ValueInfoProto]) -> dict[str, TensorRecord]:
    """Describe a graph's inputs or outputs for the manifest."""
    return {value.name: _tensor_record(value.type.tensor_type) for value in values}


def _tensor_record(tensor_type: onnx.TypeProto.Tensor) -> TensorRecord:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor_type.elem_type)
    return TensorRecord(dtype=str(dtype), shape=[dim.dim_param or dim.dim_value for dim in tensor_type.shape.dim])


def write_graph(graph: WeightlessGraph, path: Path, *, shard_bytes: int = SHARD_BYTES) -> list[FileRecord]:
    """Write ``path``, with its weights inside or, where it would exceed ``shard_bytes``, in pieces beside it.

    A piece exceeds them only where a single weight does.

    Raises:
        ExportError: there would be more pieces than clients fetch.
    """
    if sys.byteorder != "little":
        message = "ONNX stores weights little-endian; this machine is big-endian"
        raise NotImplementedError(message)
    structure_bytes = graph.model.ByteSize()
    if graph.nbytes + structure_bytes < min(shard_bytes, PROTOBUF_LIMIT_BYTES):
        return [_write_inline(graph.model, graph.weights, path)]
    return _write_external(graph, path, shard_bytes)


def _write_inline(model: onnx.ModelProto, weights: Mapping[str, Weight], path: Path) -> FileRecord:
    # Protobuf lets a message be written in pieces: fields of the same message simply follow each other, so
    # the weights can be appended to the serialised graph one at a time.
    without_graph = onnx.ModelProto()
    without_graph.CopyFrom(model)
    without_graph.ClearField("graph")
    graph_head = model.graph.SerializeToString()
    headers = [_tensor_header(name, weight) for name, weight in weights.items()]
    tensors_bytes = sum(len(header) + weight.nbytes for header, weight in zip(headers, weights.values(), strict=True))
    with _HashingFile(path) as file:
        file.write(without_graph.SerializeToString())
        file.write(_field_head(_MODEL_GRAPH_FIELD, len(graph_head) + tensors_bytes))
        file.write(graph_head)
        for header, weight in zip(headers, weights.values(), strict=True):
            file.write(header)
            file.write(weight.read())
    return file.written()


def _tensor_header(name: str, weight: Weight) -> bytes:
    description = weight.description(name).SerializeToString()
    data_head = _field_head(_TENSOR_RAW_DATA_FIELD, weight.nbytes)
    length = len(description) + len(data_head) + weight.nbytes
    return _field_head(_GRAPH_INITIALIZER_FIELD, length) + description + data_head


def _field_head(field_number: int, length: int) -> bytes:
    """Key and length of a length-delimited field (https://protobuf.dev/programming-guides/encoding/)."""
    return _varint(field_number << 3 | _LENGTH_DELIMITED) + _varint(length)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 1 << 7:  # seven bits a byte, the eighth says that more follow
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _write_external(graph: WeightlessGraph, path: Path, shard_bytes: int) -> list[FileRecord]:
    inline = {name: weight for name, weight in graph.weights.items() if weight.nbytes <= _INLINE_LIMIT_BYTES}
    pieces = _pieces({name: weight for name, weight in graph.weights.items() if name not in inline}, shard_bytes)
    if len(pieces) > MOST_PIECES:
        raise ExportError(
            f"{path.name} would have its weights in {len(pieces)} files; clients fetch {MOST_PIECES} at most",
            stage=Stage.EXPORT,
            hint=f"raise shard_bytes: {sum(weight.nbytes for weight in graph.weights.values())} bytes are to be split",
        )
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    written = []
    for number, piece in enumerate(pieces):
        with _HashingFile(piece_path(path, number)) as file:
            for name, weight in piece.items():
                file.write(bytes(-file.bytes % _EXTERNAL_ALIGNMENT_BYTES))
                model.graph.initializer.append(_tensor_elsewhere(name, weight, file))
                file.write(weight.read())
        written.append(file.written())
    return [_write_inline(model, inline, path), *written]


def _pieces(weights: Mapping[str, Weight], shard_bytes: int) -> list[dict[str, Weight]]:
    """The weights in their order, cut where a file of them would exceed ``shard_bytes``."""
    pieces: list[dict[str, Weight]] = []
    filled = shard_bytes
    for name, weight in weights.items():
        start = filled + -filled % _EXTERNAL_ALIGNMENT_BYTES
        if start + weight.nbytes > shard_bytes:
            pieces.append({})
            start = 0
        pieces[-1][name] = weight
        filled = start + weight.nbytes
    return pieces


def _tensor_elsewhere(name: str, weight: Weight, file: _HashingFile) -> onnx.TensorProto:
    """What the graph says of a weight that begins where ``file`` ends."""
    tensor = weight.description(name)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", file.name), ("offset", file.bytes), ("length", weight.nbytes)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


class _HashingFile:
    """A file for writing that knows its size and SHA-256."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.name
        self._hash = hashlib.sha256()
        self.bytes = 0

    def __enter__(self) -> _HashingFile:
        self._file: BufferedWriter = self._path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.bytes += len(data)

    def written(self) -> FileRecord:
        return FileRecord(path=self.name, bytes=self.bytes, sha256=self._hash.hexdigest())


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
