"""Where files that a pull request brings may lie."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from onnx_export_action.vocabulary.problems import nearest, quoted

_MAX_NEIGHBOURS = 1000
# What git-annex and Git LFS keep of the checkout's own large files: git-annex stores a file as a link to it.
_LARGE_FILES = (("annex", "objects"), ("lfs", "objects"))


def repository_of(path: Path) -> Path:
    """The nearest folder above ``path`` that git keeps, else the folder of ``path``; resolved."""
    base = path.parent.resolve()
    return next((folder for folder in (base, *base.parents) if (folder / ".git").exists()), base)


def stays_inside(path: Path, folder: Path) -> bool:
    """Whether what a link in a model's folder leads to lies in that folder, its cache, or the current folder."""
    return is_inside(path, folder) or _contains(Path.cwd().resolve(), path.resolve())


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a file lies in a model's folder or its cache, wherever links lead."""
    # The Hub's cache links snapshots/<commit>/name to blobs/<hash>: both lie under models--*.
    place = folder.resolve()
    return _contains(place.parent.parent if place.parent.name == "snapshots" else place, path.resolve())


def _contains(folder: Path, path: Path) -> bool:
    """Whether ``path`` lies in ``folder`` but not in what git keeps there: that holds the checkout's credentials."""
    if not path.is_relative_to(folder):
        return False
    parts = path.relative_to(folder).parts
    if ".git" not in parts:
        return True
    kept = parts[parts.index(".git") + 1 :]
    return kept[:2] in _LARGE_FILES


def lies_in_a_folder(model: str, base: Path) -> bool:
    """Whether a name that may be a Hub id begins with a folder that is here: so it means a folder in it."""
    namespace, slash, _ = model.partition("/")
    return bool(slash) and (base / namespace).is_dir()


def missing_folder_hint(model: str, base: Path) -> str:
    """What to do about a missing folder whose name could be a Hub id as well."""
    meant = neighbour_hint(model, base)
    start = f"{meant} " if meant else ""
    return f"{start}a Hub id needs a revision here, because {quoted(model.partition('/')[0])} is a folder"


def neighbour_hint(path: str, base: Path) -> str | None:
    """The file or folder beside a missing one that its name most likely means; None where there is none."""
    start, slash, name = path.rstrip("/").rpartition("/")
    try:
        names = [found.name for found in islice((base / start).iterdir(), _MAX_NEIGHBOURS)]
    except OSError:
        return None
    found = nearest(name, names)
    return None if found is None else f"did you mean {quoted(start + slash + found)}?"
