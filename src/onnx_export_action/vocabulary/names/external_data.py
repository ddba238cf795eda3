"""Weights beside an ONNX file: ``model.onnx_data``, then ``model.onnx_data_1``, ``model.onnx_data_2``, ...

These are the names that transformers.js 4 fetches
(https://github.com/huggingface/transformers.js/blob/main/packages/transformers/src/utils/model-loader.js); ONNX Runtime
opens whatever names the file holds.
"""

from __future__ import annotations

import re
from pathlib import Path

SHARD_BYTES = 2_000_000_000
"""No file is larger by default: a browser holds no buffer of 2 GiB, and protobuf no message."""

MOST_PIECES = 100
"""transformers.js 4.3 refuses to fetch more for one file (``MAX_EXTERNAL_DATA_CHUNKS``)."""

_PIECE = re.compile(r"(?P<model>.+\.onnx)(?:_data(?:_[0-9]{1,3})?|\.data)")  # .onnx.data is what torch.onnx writes


def piece_path(model: Path, number: int) -> Path:
    """The file of the weights of ``model`` with this number, which starts at 0."""
    return model.with_name(f"{model.name}_data{f'_{number}' if number else ''}")


def pieces_beside(model: Path) -> list[Path]:
    """All files of weights that lie beside ``model`` by their names, whether it reads them or not."""
    return sorted(path for path in model.parent.iterdir() if model_of_piece(path) == model)


def model_of_piece(path: Path) -> Path | None:
    """The ONNX file whose weights ``path`` holds by its name, None where it is named otherwise."""
    match = _PIECE.fullmatch(path.name)
    return None if match is None else path.with_name(match["model"])
