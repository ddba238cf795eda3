"""Git LFS pointers: the text that stands for a large file in a checkout without its content, and in git always.

Format: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

POINTER_START = b"version https://git-lfs.github.com/spec/"
_MAX_BYTES = 1024  # the specification's limit
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-\d-[^\n]+\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n?"
)


class Pointer(msgspec.Struct, frozen=True):
    """What the pointer stands for. ``sha256`` is None for a pointer whose text is damaged."""

    sha256: str | None
    size: int


def parse_pointer(content: bytes) -> Pointer | None:
    """The pointer that a file of this content is, None where it is no pointer."""
    if not content.startswith(POINTER_START):
        return None
    match = _POINTER.fullmatch(content) if len(content) <= _MAX_BYTES else None
    return Pointer(None, 0) if match is None else Pointer(match[1].decode("ascii"), int(match[2]))


def read_pointer(path: Path) -> Pointer | None:
    """The pointer that the file is, None where it is no pointer.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return parse_pointer(stream.read(_MAX_BYTES + 1))


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


def is_content_of(path: Path, pointer: Pointer) -> bool:
    """Whether a file, which is no link, holds what a pointer stands for; a file that cannot be read does not."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size != pointer.size:
            return False
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == pointer.sha256
    except OSError:
        return False
