"""check-safetensors: weight files by their headers alone, against config.json and the index of the shards."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from onnx_export_action.project.checkpoint_tensors import SCALED_FORMATS, WHOLE_FORMATS, TensorKind, kind_of, listed
from onnx_export_action.project.lfs import read_pointer
from onnx_export_action.project.safetensors_header import HeaderError, TensorHeader, read_header
from onnx_export_action.vocabulary.names.file_names import ADAPTER_CONFIG_NAME, CONFIG_NAME
from onnx_export_action.vocabulary.problems import quoted
from onnx_export_hooks.command import Hook, run_hook
from onnx_export_hooks.findings import START, Finding, finding
from onnx_export_hooks.json_document import JsonDocument, read_json
from onnx_export_hooks.lfs import pointer_findings
from onnx_export_hooks.model_config import ModelConfig
from onnx_export_hooks.model_folder import ModelFolder
from onnx_export_hooks.repository import LINK_HINT, LINK_MESSAGE, Repository
from onnx_export_hooks.rules import SAFETENSORS_HOOK
from onnx_export_hooks.weight_shapes import shape_findings

INDEX_SUFFIX = ".safetensors.index.json"
MAX_INDEX_FINDINGS = 20
_OF_A_FOLDER = (CONFIG_NAME, ADAPTER_CONFIG_NAME)
# What torch.save writes, by the names that model folders use; a .bin of another name may be anything.
_PICKLE = re.compile(r"pytorch_model.*\.bin|adapter_model\.bin|.+\.(?:pt|pth|ckpt|pkl|pickle)")
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # a zip of torch.save, a pickle


def main(argv: Sequence[str] | None = None) -> int:
    """Run the hook on the files named in ``argv``."""
    return run_hook(HOOK, argv)


def check(files: list[Path], repository: Repository, _: argparse.Namespace) -> Iterator[Finding]:
    """The files one by one, then the weights of each of their folders together."""
    folders: dict[Path, ModelFolder] = {}
    for path in files:
        if repository.leads_out(path):
            yield finding(path, START, "link-outside", LINK_MESSAGE, LINK_HINT)
            continue
        if path.name.endswith(INDEX_SUFFIX):
            yield from _index_findings(path)
        elif path.suffix == ".safetensors":
            yield from _file_findings(path)
            yield from _missing_in_index(path)
        elif _PICKLE.fullmatch(path.name):
            yield from _pickle_findings(path)
        if path.suffix == ".safetensors" or path.name in _OF_A_FOLDER:
            folders.setdefault(path.parent, ModelFolder(path.parent))
    for folder in folders.values():
        if folder.config is not None and not repository.leads_out(folder.path / CONFIG_NAME):
            yield from _folder_findings(folder, folder.config)


def _file_findings(path: Path) -> Iterator[Finding]:
    pointer = read_pointer(path)
    if pointer is not None:
        yield from pointer_findings(path, pointer)
        return
    try:
        read_header(path)
    except HeaderError as error:
        hint = "fetch or save the file again"
        yield finding(path, START, "safetensors-header", f"not a whole safetensors file: {error}", hint)


def _pickle_findings(path: Path) -> Iterator[Finding]:
    if read_pointer(path) is None:
        with path.open("rb") as stream:
            if not stream.read(8).startswith(_PICKLE_STARTS):
                return
    message = "pickled weights can run any code when they are loaded"
    yield finding(path, START, "pickle-weights", message, "save them with `save_pretrained`, as safetensors")


def _missing_in_index(path: Path) -> Iterator[Finding]:
    """A shard's own index, which may not have changed with it."""
    stem = re.fullmatch(r"(.+)-\d{5}-of-\d{5}\.safetensors", path.name)
    if stem is None:
        return
    index = path.with_name(stem[1] + INDEX_SUFFIX)
    if index.is_file():
        yield from _index_findings(index)
    else:
        yield finding(path, START, "shard-index", f"a shard without its index {index.name}", "add the index")


def _index_findings(path: Path) -> Iterator[Finding]:
    document, found = read_json(path)
    yield from found
    if document is None:
        return
    listed = document.value.get("weight_map") if isinstance(document.value, dict) else None
    if not isinstance(listed, dict) or not all(isinstance(shard, str) for shard in listed.values()):
        yield document.finding(
            "shard-index", ("weight_map",), "weight_map must say for every tensor in which file it is"
        )
        return
    for number, one in enumerate(_shard_findings(document, listed)):
        if number == MAX_INDEX_FINDINGS:
            return
        yield one


def _shard_findings(document: JsonDocument, listed: Mapping[str, str]) -> Iterator[Finding]:
    tensors_of: dict[str, list[str]] = {}
    for tensor, shard in listed.items():
        tensors_of.setdefault(shard, []).append(tensor)
    for shard, tensors in tensors_of.items():
        place = ("weight_map", tensors[0])
        path = document.path.parent / shard
        if Path(shard).name != shard or shard in {".", ".."} or "\\" in shard or "\0" in shard:
            yield document.finding("shard-index", place, f"the shard {quoted(shard)} lies outside the folder")
        elif not path.is_file():
            yield document.finding("shard-index", place, f"the shard {quoted(shard)} is missing")
        elif read_pointer(path) is None:
            yield from _shard_contents(document, path, tensors)


def _shard_contents(document: JsonDocument, path: Path, tensors: list[str]) -> Iterator[Finding]:
    try:
        present = read_header(path)
    except HeaderError:  # reported with the shard
        return
    for tensor in tensors:
        if tensor not in present:
            message = f"{path.name} does not hold {quoted(tensor)}"
            yield document.finding("shard-index", ("weight_map", tensor), message)
    for tensor in sorted(present.keys() - set(tensors)):
        message = f"{path.name} holds {quoted(tensor)}, which the index does not give to it"
        yield document.finding("shard-index", ("weight_map",), message)


def _folder_findings(folder: ModelFolder, config: ModelConfig) -> Iterator[Finding]:
    yield from shape_findings(config, folder.weights)
    yield from _dtype(config, folder.weights)
    yield from _without_scale(config, folder.weights)
    yield from _unmerged_adapter(folder)


def _without_scale(config: ModelConfig, weights: Mapping[str, TensorHeader]) -> Iterator[Finding]:
    """Quantised weights, of which config.json does not say how to read them: transformers would drop their scales."""
    if any("quantization_config" in part.values for part in config.all_parts()):
        return
    stored = [name for name, tensor in weights.items() if _needs_scale(name, tensor.dtype)]
    if stored:
        formats = ", ".join(sorted({weights[name].dtype for name in stored}))
        message = f"{quoted(listed(stored))}: quantised weights ({formats}), and no quantization_config says how"
        hint = "restore quantization_config, or save the weights as floats"
        yield config.finding("weights-without-scale", "dtype", message, hint)


def _needs_scale(name: str, number_format: str) -> bool:
    is_weight = name.rpartition(".")[2] == "weight" and number_format in WHOLE_FORMATS
    return is_weight or number_format in SCALED_FORMATS or kind_of(name) is TensorKind.SCALE


def _unmerged_adapter(folder: ModelFolder) -> Iterator[Finding]:
    """An adapter of peft in or beside a whole model's weights: transformers would leave it out."""
    layers = [name for name in folder.weights if kind_of(name) is TensorKind.ADAPTER]
    settings = folder.path / ADAPTER_CONFIG_NAME
    if layers or (folder.weights and settings.is_file()):
        place = next(path for path in (settings, *folder.weight_paths()) if path.is_file())
        said = f" ({listed(layers)})" if layers else ""
        message = f"an adapter that is not merged into the weights{said}"
        yield finding(place, START, "unmerged-adapter", message, "merge it (`merge_and_unload`) and save the model")


def _dtype(config: ModelConfig, weights: Mapping[str, TensorHeader]) -> Iterator[Finding]:
    """The number format of config.json, against those of the weights; quantised weights have formats of their own."""
    key = next((key for key in ("dtype", "torch_dtype") if isinstance(config.values.get(key), str)), None)
    formats = {tensor.dtype for tensor in weights.values() if tensor.dtype in _DTYPES.values()}
    if key is None or not formats or "quantization_config" in config.values:
        return
    said = config.values[key]
    expected = _DTYPES.get(said.removeprefix("torch."))
    if expected is not None and expected not in formats:
        found = " and ".join(sorted(formats))
        yield config.finding("weights-dtype", key, f"{key} is {quoted(said)}, but the weights are {found}")


_DTYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64", "half": "F16", "float": "F32"}

HOOK = Hook(
    name=SAFETENSORS_HOOK,
    description="Check weight files by their headers: shapes, number formats, shards, Git LFS pointers, pickles.",
    accepts=lambda path: (
        path.name in _OF_A_FOLDER
        or path.name.endswith((".safetensors", INDEX_SUFFIX))
        or _PICKLE.fullmatch(path.name) is not None
    ),
    check=check,
)
