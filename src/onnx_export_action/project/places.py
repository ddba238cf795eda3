"""Where files that a pull request brings may lie."""

from __future__ import annotations

from pathlib import Path


def stays_inside(path: Path, folder: Path) -> bool:
    """Whether what a link in a model's folder leads to lies in that folder, its cache, or the current folder."""
    # The Hub's cache links snapshots/<commit>/name to blobs/<hash>: both lie under models--*.
    place = folder.resolve()
    root = place.parent.parent if place.parent.name == "snapshots" else place
    return path.resolve().is_relative_to(root) or path.resolve().is_relative_to(Path.cwd().resolve())
