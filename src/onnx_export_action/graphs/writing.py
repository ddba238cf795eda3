"""Writes graphs without their weights to disk, the weights straight from the model's memory, without a copy of them.

Protobuf lets a message be written in pieces, so that a file costs no memory beyond the model.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from io import BufferedWriter
from pathlib import Path

import onnx

from onnx_export_action.graphs.weightless import Weight, WeightlessGraph
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.manifest import FileRecord
from onnx_export_action.vocabulary.names.external_data import MOST_PIECES, SHARD_BYTES, piece_path
from onnx_export_action.vocabulary.results import Stage

PROTOBUF_LIMIT_BYTES = 2**31 - 2**20
"""A protobuf message may not reach 2 GiB; a mebibyte is left for the graph's own growth in other tools."""

_EXTERNAL_ALIGNMENT_BYTES = 4096

INLINE_LIMIT_BYTES = 1024
"""With external data, tensors up to this size stay in the file: shape inference reads them there."""

# Field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
_MODEL_GRAPH_FIELD = 7

_GRAPH_INITIALIZER_FIELD = 5

_TENSOR_RAW_DATA_FIELD = 9

_LENGTH_DELIMITED = 2


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
    inline = {name: weight for name, weight in graph.weights.items() if weight.nbytes <= INLINE_LIMIT_BYTES}
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
