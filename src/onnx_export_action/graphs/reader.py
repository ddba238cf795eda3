"""The structure of an ONNX file: operator sets, inputs, outputs, nodes, weights' sizes; the weights stay on disk.

An ONNX file is one protobuf message. Its wire format is simple and stable, so this module reads it itself: importing
``onnx`` takes longer than a hook may, and needs numpy. Field numbers:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto; wire format: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from pathlib import Path

import msgspec

MAX_DEPTH = 32  # of graphs inside nodes of graphs
MAX_VALUES = 1_000_000  # nodes, names and dimensions of one file

# TensorProto.DataType -> name as numpy has it, and bits of one element in raw_data (None: no fixed size).
ELEMENT_TYPES: dict[int, tuple[str, int | None]] = {
    1: ("float32", 32),
    2: ("uint8", 8),
    3: ("int8", 8),
    4: ("uint16", 16),
    5: ("int16", 16),
    6: ("int32", 32),
    7: ("int64", 64),
    8: ("object", None),
    9: ("bool", 8),
    10: ("float16", 16),
    11: ("float64", 64),
    12: ("uint32", 32),
    13: ("uint64", 64),
    14: ("complex64", 64),
    15: ("complex128", 128),
    16: ("bfloat16", 16),
    17: ("float8_e4m3fn", 8),
    18: ("float8_e4m3fnuz", 8),
    19: ("float8_e5m2", 8),
    20: ("float8_e5m2fnuz", 8),
    21: ("uint4", 4),
    22: ("int4", 4),
    23: ("float4_e2m1fn", 4),
    24: ("float8_e8m0fnu", 8),
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EXTERNAL = 1  # TensorProto.DataLocation
_LONGEST_VARINT = 10


class OnnxError(Exception):
    """The file is no ONNX model; the message says why."""


class Value(msgspec.Struct, frozen=True):
    """An input or output of the graph. An axis is a size, a name, or None; ``shape`` is None where it is not given."""

    name: str
    element_type: str
    shape: tuple[int | str | None, ...] | None


class Tensor(msgspec.Struct, frozen=True):
    """A weight. ``data_bytes`` is the length of its raw data in the file, None where it is stored another way."""

    name: str
    element_type: int
    shape: tuple[int, ...]
    data_bytes: int | None
    external: dict[str, str] | None

    def expected_bytes(self) -> int | None:
        """How many bytes its raw data has to have."""
        bits = ELEMENT_TYPES.get(self.element_type, ("", None))[1]
        return None if bits is None else (math.prod(self.shape) * bits + 7) // 8


class OnnxNode(msgspec.Struct, frozen=True):
    """One operation, with the graphs that it holds. An empty input name stands for an optional input left out."""

    name: str
    operator: str
    domain: str
    inputs: list[str]
    outputs: list[str]
    graphs: list[Graph]


class Graph(msgspec.Struct, frozen=True):
    """A graph: nodes in the order of execution."""

    nodes: list[OnnxNode]
    weights: list[Tensor]
    sparse_weights: list[str]
    inputs: list[Value]
    outputs: list[Value]


class OnnxFile(msgspec.Struct, frozen=True):
    """A model. ``opsets`` is domain -> version; ``functions`` are the operators it defines itself."""

    ir_version: int
    opsets: dict[str, int]
    graph: Graph
    functions: frozenset[tuple[str, str]]


def external_locations(graph: Graph) -> list[str]:
    """Where weights of the graph and of the graphs inside it lie, beside their file: each place once, as it says it."""
    inner = [location for node in graph.nodes for held in node.graphs for location in external_locations(held)]
    own = [tensor.external.get("location", "") for tensor in graph.weights if tensor.external is not None]
    return list(dict.fromkeys([*own, *inner]))


def read_onnx(path: Path) -> OnnxFile:
    """Read the structure of a model.

    Raises:
        OnnxError: the file is empty, damaged, or no ONNX model.
        OSError: the file cannot be read.
    """
    if path.stat().st_size == 0:
        raise OnnxError("the file is empty")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _Reader(data).model()


class _Message:
    """The fields of one message, by number: whole numbers, and the spans of what has a length."""

    def __init__(self, numbers: dict[int, list[int]], spans: dict[int, list[tuple[int, int]]]) -> None:
        self._numbers = numbers
        self._spans = spans

    def number(self, field: int) -> int:
        """The last whole number of a field, 0 where there is none, as protobuf reads it."""
        return self._numbers.get(field, [0])[-1]

    def numbers(self, field: int) -> list[int]:
        return self._numbers.get(field, [])

    def spans(self, field: int) -> list[tuple[int, int]]:
        return self._spans.get(field, [])


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._values = 0

    def model(self) -> OnnxFile:
        message = self._message((0, len(self._data)))
        graphs = message.spans(7)
        if len(graphs) != 1 or message.number(1) < 1:
            raise OnnxError("it holds no model: the file is of another format, or cut short")
        functions = (self._message(span) for span in message.spans(25))
        return OnnxFile(
            ir_version=message.number(1),
            opsets=dict(self._opset(span) for span in message.spans(8)),
            graph=self._graph(graphs[0], 0),
            functions=frozenset((self._text_of(function, 10), self._text_of(function, 1)) for function in functions),
        )

    def _opset(self, span: tuple[int, int]) -> tuple[str, int]:
        message = self._message(span)
        return _plain_domain(self._text_of(message, 1)), _signed(message.number(2))

    def _graph(self, span: tuple[int, int], depth: int) -> Graph:
        if depth > MAX_DEPTH:
            raise OnnxError(f"graphs are nested deeper than {MAX_DEPTH} levels")
        message = self._message(span)
        sparse = [self._message(span).spans(1) for span in message.spans(15)]
        return Graph(
            nodes=[self._node(span, depth) for span in message.spans(1)],
            weights=[self._tensor(span) for span in message.spans(5)],
            sparse_weights=[self._tensor(values[0]).name for values in sparse if values],
            inputs=[self._value(span) for span in message.spans(11)],
            outputs=[self._value(span) for span in message.spans(12)],
        )

    def _node(self, span: tuple[int, int], depth: int) -> OnnxNode:
        message = self._message(span)
        attributes = [self._message(span) for span in message.spans(5)]
        graphs = [span for attribute in attributes for field in (6, 11) for span in attribute.spans(field)]
        return OnnxNode(
            name=self._text_of(message, 3),
            operator=self._text_of(message, 4),
            domain=_plain_domain(self._text_of(message, 7)),
            inputs=[self._text(span) for span in message.spans(1)],
            outputs=[self._text(span) for span in message.spans(2)],
            graphs=[self._graph(span, depth + 1) for span in graphs],
        )

    def _tensor(self, span: tuple[int, int]) -> Tensor:
        message = self._message(span)
        shape = [_signed(size) for size in message.numbers(1)]
        shape += [_signed(size) for packed in message.spans(1) for size in self._packed(packed)]
        raw = message.spans(9)
        entries = [self._message(span) for span in message.spans(13)]
        external = {self._text_of(entry, 1): self._text_of(entry, 2) for entry in entries}
        return Tensor(
            name=self._text_of(message, 8),
            element_type=message.number(2),
            shape=tuple(shape),
            data_bytes=raw[-1][1] - raw[-1][0] if raw else None,
            external=external if message.number(14) == _EXTERNAL else None,
        )

    def _value(self, span: tuple[int, int]) -> Value:
        message = self._message(span)
        types = [self._message(span) for span in message.spans(2)]
        tensors = [self._message(span) for kind in types for span in kind.spans(1)]
        name = self._text_of(message, 1)
        if not tensors:
            return Value(name, "not a tensor", None)
        shapes = tensors[-1].spans(2)
        shape = None
        if shapes:
            shape = tuple(self._dimension(span) for span in self._message(shapes[-1]).spans(1))
        element_type = tensors[-1].number(1)
        return Value(name, ELEMENT_TYPES.get(element_type, (f"element type {element_type}", None))[0], shape)

    def _dimension(self, span: tuple[int, int]) -> int | str | None:
        message = self._message(span)
        if message.spans(2):
            return self._text_of(message, 2)
        return _signed(message.number(1)) if message.numbers(1) else None

    def _text_of(self, message: _Message, field: int) -> str:
        spans = message.spans(field)
        return self._text(spans[-1]) if spans else ""

    def _text(self, span: tuple[int, int]) -> str:
        try:
            return self._data[span[0] : span[1]].decode("utf-8")
        except UnicodeDecodeError as error:
            raise OnnxError(f"a name at byte {span[0]} is not UTF-8 text") from error

    def _message(self, span: tuple[int, int]) -> _Message:
        numbers: dict[int, list[int]] = {}
        spans: dict[int, list[tuple[int, int]]] = {}
        position, end = span
        while position < end:
            self._count()
            key, position = self._varint(position, end)
            field, kind = key >> 3, key & 7
            if kind == _VARINT:
                value, position = self._varint(position, end)
                numbers.setdefault(field, []).append(value)
                continue
            length, position = self._length(kind, position, end)
            if position + length > end:
                raise OnnxError(
                    f"cut short: a value at byte {position} would end {position + length - end} bytes later"
                )
            if kind == _BYTES:
                spans.setdefault(field, []).append((position, position + length))
            position += length
        return _Message(numbers, spans)

    def _length(self, kind: int, position: int, end: int) -> tuple[int, int]:
        if kind == _BYTES:
            return self._varint(position, end)
        if kind in (_FIXED64, _FIXED32):
            return 8 if kind == _FIXED64 else 4, position
        raise OnnxError(f"it is no protobuf message: byte {position - 1} makes no sense")

    def _packed(self, span: tuple[int, int]) -> Iterator[int]:
        position, end = span
        while position < end:
            self._count()
            value, position = self._varint(position, end)
            yield value

    def _count(self) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise OnnxError(f"more than {MAX_VALUES} nodes, names and values")

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        result = shift = 0
        for index in range(position, min(end, position + _LONGEST_VARINT)):
            byte = self._data[index]
            result |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the bit that says more follows
                return result, index + 1
            shift += 7
        raise OnnxError(f"cut short, or no protobuf message: byte {position} starts a number that does not end")


def _signed(number: int) -> int:
    """A whole number of 64 bits in two's complement."""
    return number - 2**64 if number >= 2**63 else number


def _plain_domain(domain: str) -> str:
    """``ai.onnx`` is the long name of the default domain."""
    return "" if domain == "ai.onnx" else domain
