"""``transformers.js_config`` in config.json: which files transformers.js is to fetch, and in which form it can.

Without it, weights beside a file are never fetched, and a browser asks for q8, Node for fp32, whether they are there or
not. Read as transformers.js 4.3.2 reads it (packages/transformers/src/models/session.js, utils/model-loader.js and
utils/dtypes.js in https://github.com/huggingface/transformers.js); ``kv_cache_dtype`` is for its 3.x alone, as 4.x asks
the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from onnx_export_action.vocabulary.manifest import OnnxFileRecord
from onnx_export_action.vocabulary.names.cache_names import is_past
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT, VARIANTS, Variant, reference_path

KEY = "transformers.js_config"

Json: TypeAlias = Any
"""What a JSON file holds; config.json is a stranger's, so any of its values may be of any type."""

_DTYPES = tuple(row for row in VARIANTS.values() if row.in_transformers_js)
_DEFAULT_OF_DEVICE = {device: row.name for row in _DTYPES for device in row.default_of}


def _by_size(row: Variant) -> tuple[bool, bool]:
    """The smaller first that are computed in float32: WebAssembly has 4 GiB at most, and few kernels for float16."""
    return row.half_cache, not row.quantised


_NEAREST_FIRST = tuple(row.name for row in _DTYPES)
_SMALLEST_FIRST = tuple(row.name for row in sorted(_DTYPES, key=_by_size))


def with_transformers_js_config(config: Mapping[str, Json], files: Sequence[OnnxFileRecord]) -> dict[str, Json]:
    """config.json with what transformers.js has to know of ``files``, those that are to be published.

    What the key says already stays, unless it is false about the files; where nothing has to be said, nothing is added.
    """
    readable = [file for file in files if VARIANTS[file.variant].in_transformers_js]
    given = config.get(KEY)
    said = dict(given) if isinstance(given, dict) else {}
    told = _with_pieces(said, readable)
    told = _with_dtypes(told, readable)
    told = _with_cache_dtypes(told, readable)
    if told == said:
        return dict(config)
    return {**config, KEY: told}


def _with_pieces(said: dict[str, Json], files: Sequence[OnnxFileRecord]) -> dict[str, Json]:
    """With ``use_external_data_format``: of each file whose weights lie beside it the number of pieces.

    A device's own word for it goes before the common one, so a false one is put right there too.
    """
    name = "use_external_data_format"
    corrected = _pieces_told(said.get(name), files)
    told = said if corrected == said.get(name) else {**said, name: corrected}
    devices = {
        device: {**own, name: _pieces_told(own[name], files)} if isinstance(own, dict) and name in own else own
        for device, own in _devices(said).items()
    }
    return told if devices == _devices(said) else {**told, "device_config": devices}


def _pieces_told(said: Json, files: Sequence[OnnxFileRecord]) -> Json:
    false = {_name(file): len(file.external_data) for file in files if _pieces(said, file) != len(file.external_data)}
    if not false:
        return said
    kept = said if isinstance(said, dict) else {}
    pieces = {_name(file): len(file.external_data) for file in files if file.external_data}
    return {**kept, **pieces, **false}


def _pieces(said: Json, file: OnnxFileRecord) -> Json:
    """How many pieces transformers.js would fetch (its ``resolveExternalDataFormat``)."""
    if isinstance(said, dict):
        return said.get(_name(file), said.get(_stem(file), 0))
    return int(said) if isinstance(said, (bool, int)) else 0 if said is None else said


def _with_dtypes(said: dict[str, Json], files: Sequence[OnnxFileRecord]) -> dict[str, Json]:
    """With a ``dtype``, in common or of a device, where the one that would be taken without it is not there."""
    made = _made(files)
    told = _with_dtype(said, REFERENCE_VARIANT, _NEAREST_FIRST, made)
    if "dtype" in told:  # it goes before the defaults of all devices
        return told
    devices = _devices(told)
    for device, default in _DEFAULT_OF_DEVICE.items():
        own = devices.get(device)
        own = dict(own) if isinstance(own, dict) else {}
        corrected = _with_dtype(own, default, _SMALLEST_FIRST, made)
        if corrected != own:
            devices = {**devices, device: corrected}
    return told if devices == _devices(told) else {**told, "device_config": devices}


def _with_dtype(
    said: dict[str, Json], default: str, preferred: Sequence[str], made: Mapping[str, set[str]]
) -> dict[str, Json]:
    """``said`` with a dtype that every file is there in, where the one that it names, or the default, is not."""
    every = set.intersection(*made.values()) if made else set()
    if _is_there(said.get("dtype", default), default, made):
        return said
    there = [dtype for dtype in preferred if dtype in every]
    if there:
        return {**said, "dtype": there[0]}
    return {name: value for name, value in said.items() if name != "dtype"}


def _is_there(dtype: Json, default: str, made: Mapping[str, set[str]]) -> bool:
    """Whether each file is there in the dtype that is said of all, or of each by its name."""
    of_files = dtype if isinstance(dtype, dict) else dict.fromkeys(made, dtype)
    return all(of_files.get(stem, default) in variants for stem, variants in made.items())


def _with_cache_dtypes(said: dict[str, Json], files: Sequence[OnnxFileRecord]) -> dict[str, Json]:
    """With ``kv_cache_dtype`` of the variants whose cache is in float16."""
    name = "kv_cache_dtype"
    false = {file.variant: dtype for file, dtype in _caches(files) if _cache_dtype(said.get(name), file) != dtype}
    if not false:
        return said
    kept = said[name] if isinstance(said.get(name), dict) else {}
    halves = {file.variant: dtype for file, dtype in _caches(files) if dtype == "float16"}
    return {**said, name: {**kept, **halves, **false}}


def _caches(files: Sequence[OnnxFileRecord]) -> Iterator[tuple[OnnxFileRecord, str]]:
    """The files that take a cache, with the type of its numbers."""
    for file in files:
        dtypes = [record.dtype for name, record in file.inputs.items() if is_past(name)]
        if dtypes:
            yield file, dtypes[0]


def _cache_dtype(said: Json, file: OnnxFileRecord) -> Json:
    return said.get(file.variant, "float32") if isinstance(said, dict) else said or "float32"


def _made(files: Sequence[OnnxFileRecord]) -> dict[str, set[str]]:
    """The variants of each file, by the name that transformers.js knows the file by."""
    made: dict[str, set[str]] = {}
    for file in files:
        made.setdefault(_stem(file), set()).add(file.variant)
    return made


def _devices(said: Mapping[str, Json]) -> dict[str, Json]:
    devices = said.get("device_config")
    return dict(devices) if isinstance(devices, dict) else {}


def _name(file: OnnxFileRecord) -> str:
    return PurePosixPath(file.path).name


def _stem(file: OnnxFileRecord) -> str:
    return PurePosixPath(reference_path(file.path, file.variant)).stem
