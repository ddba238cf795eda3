"""What is wrong with a Git LFS pointer in the place of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from onnx_export_action.project.lfs import Pointer
from onnx_export_hooks.findings import Finding, finding
from onnx_export_hooks.repository import is_lfs_managed


def pointer_findings(path: Path, pointer: Pointer) -> Iterator[Finding]:
    """What is wrong with a pointer: damaged text, or a file that Git LFS does not manage."""
    if pointer.sha256 is None:
        yield finding(path, (1, 1), "lfs-pointer", "a damaged Git LFS pointer", "fetch the file again: `git lfs pull`")
    elif is_lfs_managed(path) is False:
        hint = f"run `git lfs track '*{path.suffix}'`, fetch the file and add it again"
        yield finding(path, (1, 1), "lfs-pointer", "a Git LFS pointer committed as a plain file", hint)
