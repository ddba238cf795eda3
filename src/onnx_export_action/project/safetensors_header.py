"""The header of a safetensors file: names, number formats and shapes, without the weights.

Layout: 8 bytes little-endian length of the header, the header in JSON, the weights.
Source: https://github.com/huggingface/safetensors, whose loader makes the same checks.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec

from onnx_export_action.vocabulary.names.file_names import MAX_SAFETENSORS_HEADER_BYTES
from onnx_export_action.vocabulary.problems import quoted

MAX_RANK = 64
BITS = {
    **dict.fromkeys(("F4", "F4_E2M1"), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
}


class TensorHeader(msgspec.Struct, frozen=True):
    """One tensor: its number format as safetensors names it, and its shape."""

    dtype: str
    shape: tuple[int, ...]


class HeaderError(Exception):
    """The file is no whole safetensors file; the message says why."""


def read_header(path: Path) -> dict[str, TensorHeader]:
    """Name -> tensor of one file.

    Raises:
        HeaderError: the header is damaged, or does not fit the file's length.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8:  # noqa: PLR2004 - the length's own length
            raise HeaderError("the file is shorter than a header")
        if length > MAX_SAFETENSORS_HEADER_BYTES or 8 + length > size:
            raise HeaderError(f"the header would be {length} bytes long in a file of {size}")
        raw = stream.read(length)
    return _tensors(_parsed(raw), size - 8 - length)


def _parsed(raw: bytes) -> dict[str, Any]:
    if not raw.startswith(b"{"):
        raise HeaderError("the header is no JSON object")
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise HeaderError(f"the header is not valid JSON: {str(error)[:200]}") from error
    if not isinstance(header, dict):
        raise HeaderError("the header is no JSON object")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise ValueError("a name is given twice")
    return read


def _tensors(header: dict[str, Any], data_bytes: int) -> dict[str, TensorHeader]:
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise HeaderError("__metadata__ must hold text only")
    tensors: dict[str, TensorHeader] = {}
    spans: list[tuple[int, int, str]] = []
    for name, described in header.items():
        tensors[name], begin, end = _tensor(name, described)
        spans.append((begin, end, name))
    expected = 0
    for begin, end, name in sorted(spans):
        if begin != expected:
            raise HeaderError(f"{quoted(name)} starts at byte {begin} of the weights, not at {expected}")
        expected = end
    if expected != data_bytes:
        raise HeaderError(f"the header describes {expected} bytes of weights, the file holds {data_bytes}")
    return tensors


def _tensor(name: str, described: Any) -> tuple[TensorHeader, int, int]:
    fields = described if isinstance(described, dict) else {}
    dtype, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or dtype not in BITS:
        raise HeaderError(f"{quoted(name)} has the unknown number format {quoted(dtype)}")
    if not isinstance(shape, list) or len(shape) > MAX_RANK or not _are_sizes(shape):
        raise HeaderError(f"{quoted(name)} has no valid shape")
    if not isinstance(offsets, list) or len(offsets) != 2 or not _are_sizes(offsets):  # noqa: PLR2004 - begin, end
        raise HeaderError(f"{quoted(name)} has no valid place in the file")
    begin, end = offsets
    if (end - begin) * 8 != math.prod(shape) * BITS[dtype]:
        raise HeaderError(f"{quoted(name)} takes {end - begin} bytes, which is not what {dtype} {shape} takes")
    return TensorHeader(dtype, tuple(shape)), begin, end


def _are_sizes(value: list[Any]) -> bool:
    return all(type(size) is int and 0 <= size < 2**63 for size in value)  # True is no size
