"""Git LFS pointers: the text that stands for a large file in a checkout without its content.

Format: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from onnx_export_hooks.findings import Finding, finding
from onnx_export_hooks.repository import is_lfs_managed

MAX_BYTES = 1024  # the specification's limit
_START = b"version https://git-lfs.github.com/spec/"
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-\d-[^\n]+\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n?"
)


class Pointer(msgspec.Struct, frozen=True):
    """What the pointer stands for. ``sha256`` is None for a pointer whose text is damaged."""

    sha256: str | None
    size: int


def read_pointer(path: Path) -> Pointer | None:
    """The pointer that the file is, None where it is no pointer.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        start = stream.read(MAX_BYTES)
    if not start.startswith(_START):
        return None
    match = _POINTER.fullmatch(start)
    return Pointer(None, 0) if match is None else Pointer(match[1].decode("ascii"), int(match[2]))


def pointer_findings(path: Path, pointer: Pointer) -> Iterator[Finding]:
    """What is wrong with a pointer: damaged text, or a file that Git LFS does not manage."""
    if pointer.sha256 is None:
        yield finding(path, (1, 1), "lfs-pointer", "a damaged Git LFS pointer", "fetch the file again: `git lfs pull`")
    elif is_lfs_managed(path) is False:
        hint = f"run `git lfs track '*{path.suffix}'`, fetch the file and add it again"
        yield finding(path, (1, 1), "lfs-pointer", "a Git LFS pointer committed as a plain file", hint)


def content_sha256(path: Path) -> str | None:
    """SHA-256 of the content: of the file itself, or what a pointer states; None for a damaged pointer.

    Raises:
        OSError: the file cannot be read.
    """
    pointer = read_pointer(path)
    if pointer is not None:
        return pointer.sha256
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
