"""The tensors of a checkpoint's files: what their headers say, and their values where they are asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch
from safetensors import safe_open

from onnx_export_action.project.safetensors_header import TensorHeader, read_header

_FORMATS = {
    torch.bool: "BOOL",
    torch.int8: "I8",
    torch.qint8: "I8",
    torch.uint8: "U8",
    torch.quint8: "U8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
}


class TensorFiles:
    """The tensors of a checkpoint's files, read one by one when asked for."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files

    @cached_property
    def formats(self) -> dict[str, str]:
        """Name -> number format; of a pickle those that need no scale are all ``F32``.

        Raises:
            HeaderError: a file is damaged.
            OSError: a file cannot be read.
        """
        return {name: header.dtype for name, header in self._headers.items()}

    def alike(self, name: str) -> list[str]:
        """The tensors of the same format and shape, itself among them."""
        return [other for other, header in self._headers.items() if header == self._headers[name]]

    def read(self, name: str) -> torch.Tensor | None:
        """One tensor; None where the checkpoint has it under another name."""
        path = self._places.get(name)
        if path is None:
            return None
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return file.get_tensor(name)
        return torch.load(path, map_location="cpu", weights_only=True)[name]

    @cached_property
    def _headers(self) -> dict[str, TensorHeader]:
        return {name: header for path in self._files for name, header in self._read(path).items()}

    @cached_property
    def _places(self) -> dict[str, Path]:
        return {name: path for path in self._files for name in self._read(path)}

    def _read(self, path: Path) -> dict[str, TensorHeader]:
        if path.suffix == ".safetensors":
            return read_header(path)
        tensors = torch.load(path, map_location="meta", weights_only=True)
        return {
            name: TensorHeader(_FORMATS.get(tensor.dtype, "F32"), tuple(tensor.shape))
            for name, tensor in tensors.items()
            if torch.is_tensor(tensor)
        }
