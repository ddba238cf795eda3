"""Reads the user's samples: which texts, images and sounds a file or folder names. Decodes none of them.

Everything here may come from a pull request: paths stay inside the repository that holds the samples, sizes are
limited, and every mistake is named with its file and line. Labels and other columns are passed over.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx_export_action.project.places import repository_of
from onnx_export_action.vocabulary.errors import plan_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Medium = Path | NDArray[Any]

SAMPLE_SUFFIXES = (".jsonl", ".txt", ".csv")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
AUDIO_SUFFIXES = (".wav",)
MAX_SAMPLES = 64
MAX_TABLE_BYTES = 4 * 2**20
MAX_MEDIUM_BYTES = 32 * 2**20
_MAX_FILES = 10_000

# What datasets call the same thing; the first that a row has is taken.
_COLUMNS = {
    "text": ("text", "sentence", "sentence1", "question", "premise"),
    "text_pair": ("text_pair", "sentence2", "context", "hypothesis"),
    "image": ("image", "image_path", "file_name"),
    "audio": ("audio", "audio_path"),
}


@dataclass(frozen=True)
class Sample:
    """One sample: a text or two, an image, a sound, or several of them. ``origin`` is its file, and its line.

    An image or a sound is a file, or an array that is in memory already.
    """

    origin: str
    text: str | None = None
    text_pair: str | None = None
    image: Medium | None = None
    audio: Medium | None = None


@dataclass(frozen=True)
class Samples:
    """The samples that are used, and how many there are in all."""

    used: list[Sample]
    total: int


def read_samples(path: Path) -> Samples:
    """Read a table (``.jsonl``, ``.csv``, or ``.txt`` with a text a line) or a folder of images, sounds and tables.

    At most 64 samples are used, the first ones; the order of a folder is that of its names.

    Raises:
        ExportError: unreadable, too large, empty, a line that is no sample, or a path that leads out of the repository.
    """
    root = repository_of(path / "any" if path.is_dir() else path)
    if path.is_dir():
        found = list(_from_folder(path, root))
    elif path.suffix.lower() in SAMPLE_SUFFIXES:
        found = list(_from_table(path, root))
    else:
        raise plan_error(f"{path}: samples are a folder, or a file that ends in {', '.join(SAMPLE_SUFFIXES)}")
    if not found:
        raise plan_error(f"{path} holds no samples", "give texts, images (png, jpg, webp, bmp, gif) or sounds (wav)")
    return Samples(found[:MAX_SAMPLES], len(found))


def _from_folder(folder: Path, root: Path) -> Iterator[Sample]:
    # os.walk and rglob of Python 3.11 do not follow links to folders.
    files = sorted(islice((path for path in folder.rglob("*") if path.is_file()), _MAX_FILES))
    for path in files:
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            yield Sample(str(path), image=_medium(path, str(path), root))
        elif suffix in AUDIO_SUFFIXES:
            yield Sample(str(path), audio=_medium(path, str(path), root))
        elif suffix in SAMPLE_SUFFIXES:
            _confined(path, str(path), root)
            yield from _from_table(path, root)


def _from_table(path: Path, root: Path) -> Iterator[Sample]:
    try:
        if path.stat().st_size > MAX_TABLE_BYTES:
            raise plan_error(f"{path} is larger than {MAX_TABLE_BYTES >> 20} MiB", "a few dozen samples are enough")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise plan_error(f"{path}:{line}: the text is not UTF-8: {error.reason}", "save the file as UTF-8") from error
    except OSError as error:
        raise plan_error(f"the samples {path} cannot be read: {error.strerror or error}") from error
    rows = {".jsonl": _json_rows, ".csv": _csv_rows, ".txt": _text_rows}[path.suffix.lower()]
    for number, row in rows(path, text):
        yield _sample(f"{path}:{number}", row, path.parent, root)


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise plan_error(f"{path}:{number}: not valid JSON: {error}", "one JSON object a line") from error
        yield number, row if isinstance(row, dict) else {"text": row}


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        known = {column for columns in _COLUMNS.values() for column in columns}
        if reader.fieldnames is not None and known.isdisjoint(reader.fieldnames):
            columns = ", ".join(_COLUMNS)
            raise plan_error(f"{path}:1: no column is called {columns}", f"its columns: {', '.join(reader.fieldnames)}")
        for row in reader:
            if None in row:
                raise plan_error(f"{path}:{reader.line_num}: more values than there are columns", "quote commas")
            yield reader.line_num, {name: value for name, value in row.items() if value is not None}
    except csv.Error as error:
        raise plan_error(f"{path}:{reader.line_num}: not valid CSV: {error}") from error


def _text_rows(_: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, {"text": line.rstrip("\r")}


def _sample(origin: str, row: dict[str, Any], folder: Path, root: Path) -> Sample:
    values = {field: next((row[name] for name in names if name in row), None) for field, names in _COLUMNS.items()}
    if all(value is None for value in values.values()):
        raise plan_error(
            f"{origin}: a sample has a text, an image or an audio",
            'such as {"text": "...", "text_pair": "..."} or {"image": "photo.png"}',
        )
    for field, value in values.items():
        if value is not None and not isinstance(value, str):
            raise plan_error(f"{origin}: {field} must be text, not {json.dumps(value)[:60]}")
    if values["text_pair"] is not None and values["text"] is None:
        raise plan_error(f"{origin}: a text_pair without a text")
    media = {
        field: None if not values[field] else _medium(folder / str(values[field]), origin, root)
        for field in ("image", "audio")
    }
    return Sample(origin, text=values["text"], text_pair=values["text_pair"], **media)


def _medium(path: Path, origin: str, root: Path) -> Path:
    """The resolved path of an image or a sound that is there, inside the repository, and not too large."""
    resolved = _confined(path, origin, root)
    try:
        if not resolved.is_file():
            raise plan_error(f"{origin}: there is no file {path}")
        if resolved.stat().st_size > MAX_MEDIUM_BYTES:
            raise plan_error(f"{origin}: {path} is larger than {MAX_MEDIUM_BYTES >> 20} MiB")
    except OSError as error:  # a name too long for the file system
        raise plan_error(f"{origin}: {path} cannot be read: {error.strerror or error}") from error
    if resolved.suffix.lower() not in (*IMAGE_SUFFIXES, *AUDIO_SUFFIXES):
        known = ", ".join((*IMAGE_SUFFIXES, *AUDIO_SUFFIXES))
        raise plan_error(f"{origin}: {path} is neither an image nor a sound that can be read", f"known: {known}")
    return resolved


def _confined(path: Path, origin: str, root: Path) -> Path:
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a NUL in the name
        raise plan_error(f"{origin}: {path!r} cannot be followed: {error}") from error
    if not resolved.is_relative_to(root):
        raise plan_error(f"{origin}: {path} leads out of {root}", "samples stay inside the repository")
    return resolved
