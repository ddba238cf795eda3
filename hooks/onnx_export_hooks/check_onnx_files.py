"""check-onnx-files: committed ONNX files, alone and against their manifest."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from onnx_export_action.graphs.reader import Graph, OnnxError, OnnxFile, OnnxNode, Tensor, Value, read_onnx
from onnx_export_action.project.lfs import Pointer, content_sha256, read_pointer
from onnx_export_action.vocabulary.errors import plan_error
from onnx_export_action.vocabulary.manifest import FileRecord, Manifest, OnnxFileRecord, TensorRecord
from onnx_export_action.vocabulary.names.external_data import model_of_piece
from onnx_export_action.vocabulary.problems import quoted
from onnx_export_action.vocabulary.supported.opsets import FIRST_LOADED_OPSET, LAST_LOADED_OPSET
from onnx_export_hooks.command import Hook, run_hook
from onnx_export_hooks.findings import START, Finding, finding
from onnx_export_hooks.lfs import pointer_findings
from onnx_export_hooks.repository import LINK_HINT, LINK_MESSAGE, Repository, is_lfs_managed, manifest_in
from onnx_export_hooks.rules import ONNX_HOOK

DOMAINS = ("", "ai.onnx.ml", "com.microsoft")  # what ONNX Runtime has on every machine
MAX_PROTOBUF_BYTES = 2**31 - 1
GITHUB_LIMIT_MIB = 100
MAX_GRAPH_FINDINGS = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Run the hook on the files named in ``argv``."""
    return run_hook(HOOK, argv)


def check(files: list[Path], repository: Repository, options: argparse.Namespace) -> Iterator[Finding]:
    """Each file; for weights beside a model, the model that names them is checked."""
    if options.full_check:
        _require_onnx()
    artifacts = _Artifacts(repository)
    for path in dict.fromkeys(model for file in files for model in _models_of(file)):
        if repository.leads_out(path):
            yield finding(path, START, "link-outside", LINK_MESSAGE, LINK_HINT)
        else:
            yield from _OnnxCheck(path, artifacts, options).findings()
    for manifest_path in dict.fromkeys(path for path in files if path.name == "manifest.json"):
        yield from artifacts.unreadable(manifest_path.parent)


def _models_of(path: Path) -> list[Path]:
    """The models to check because a file changed: weights belong to the model whose name they start with."""
    if path.suffix == ".onnx":
        return [path]
    if path.name == "manifest.json":
        return [model for folder in (path.parent, path.parent / "onnx") for model in sorted(folder.glob("*.onnx"))]
    model = model_of_piece(path)
    return [model] if model is not None and model.is_file() else []


class _Artifacts:
    """Finds the manifest that lists a file: beside it, or one folder above, inside the repository."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._read = functools.cache(manifest_in)

    def record(self, path: Path) -> tuple[Manifest, Path, OnnxFileRecord | None] | None:
        """The manifest, its folder, and what it says of the file; None where no manifest is there to be read."""
        for folder in (path.parent, path.parent.parent):
            if self._repository.leads_out(folder):
                return None
            manifest, _ = self._read(folder)
            if manifest is not None:
                name = path.resolve().relative_to(folder.resolve()).as_posix()
                return manifest, folder, next((file for file in manifest.files if file.path == name), None)
        return None

    def unreadable(self, folder: Path) -> list[Finding]:
        """Why a manifest cannot be read; nothing for the manifest.json of another tool."""
        if not any((folder / place).is_dir() or list(folder.glob("*.onnx")) for place in ("onnx",)):
            return []
        return self._read(folder)[1]


class _OnnxCheck:
    """All rules on one file."""

    def __init__(self, path: Path, artifacts: _Artifacts, options: argparse.Namespace) -> None:
        self._path = path
        self._options = options
        found = artifacts.record(path)
        self._folder = path.parent if found is None else found[1]
        self._record = None if found is None else found[2]
        self._is_unlisted = found is not None and found[2] is None

    def findings(self) -> Iterator[Finding]:
        if self._is_unlisted:
            yield self._finding("manifest", "the manifest does not list this file", "export again, or remove the file")
        pointer = read_pointer(self._path)
        if pointer is not None:
            yield from pointer_findings(self._path, pointer)
            yield from self._pointed_hash(pointer)
            return
        yield from self._size()
        try:
            model = read_onnx(self._path)
        except OnnxError as error:
            yield self._finding("onnx-unreadable", f"not an ONNX model: {error}")
            return
        yield from self._opsets(model)
        yield from self._operators(model)
        yield from self._graph(model.graph)
        yield from self._external_data(model.graph)
        if self._record is not None:
            yield from self._against(self._record, model)
        if self._options.full_check:
            yield from self._full_check()

    def _pointed_hash(self, pointer: Pointer) -> Iterator[Finding]:
        if self._record is not None and pointer.sha256 is not None and pointer.sha256 != self._record.sha256:
            yield self._changed()

    def _changed(self) -> Finding:
        hint = "export again with `onnx-export run`, and commit the file with its manifest"
        return self._finding("onnx-hash", "the file is not the one that its manifest describes", hint)

    def _size(self) -> Iterator[Finding]:
        size = self._path.stat().st_size
        if size > MAX_PROTOBUF_BYTES:
            yield self._finding("onnx-size", f"{size >> 20} MiB: protobuf reads no file above 2 GiB")
        elif size > self._options.max_size * 2**20 and not is_lfs_managed(self._path):
            hint = f"run `git lfs track '*{self._path.suffix}'` and add the file again"
            message = f"{size >> 20} MiB outside Git LFS, more than {self._options.max_size} MiB"
            yield self._finding("onnx-size", message, hint)

    def _opsets(self, model: OnnxFile) -> Iterator[Finding]:
        version = model.opsets.get("")
        lowest, highest = self._options.min_opset, self._options.max_opset
        uses_default = any(node.domain == "" for graph in _all_graphs(model.graph) for node in graph.nodes)
        if version is None:
            if uses_default:
                yield self._finding("onnx-opset", "the file states no operator set of ai.onnx, but uses it")
        elif not lowest <= version <= highest:
            yield self._finding("onnx-opset", f"operator set {version} is not among {lowest} to {highest}")

    def _operators(self, model: OnnxFile) -> Iterator[Finding]:
        allowed = {*DOMAINS, *self._options.allow_domain}
        own = {name for name, _ in model.functions}
        used: dict[str, str] = {}
        for graph in _all_graphs(model.graph):
            for node in graph.nodes:
                if (node.domain, node.operator) not in model.functions:
                    used.setdefault(node.domain, node.operator)
        for domain, operator in used.items():
            if domain not in allowed:
                words = "the file defines other operators of it" if domain in own else "users need a library of its own"
                message = f"operator {quoted(operator)} is of the domain {quoted(domain)}"
                yield self._finding("onnx-domain", message, f"{words}; --allow-domain allows it")
            elif domain and domain not in model.opsets:
                message = f"the file states no operator set of {quoted(domain)}, but uses {quoted(operator)} of it"
                yield self._finding("onnx-opset", message)

    def _graph(self, graph: Graph) -> Iterator[Finding]:
        if not graph.outputs:
            yield self._finding("onnx-graph", "the graph has no outputs")
        for number, message in enumerate(_graph_mistakes(graph, ())):
            if number == MAX_GRAPH_FINDINGS:
                return
            yield self._finding("onnx-graph", message)

    def _external_data(self, graph: Graph) -> Iterator[Finding]:
        sizes: dict[str, int | None] = {}
        for inner in _all_graphs(graph):
            for tensor in inner.weights:
                if tensor.external is not None:
                    yield from self._external_tensor(tensor, tensor.external, sizes)

    def _external_tensor(
        self, tensor: Tensor, external: dict[str, str], sizes: dict[str, int | None]
    ) -> Iterator[Finding]:
        location = external.get("location", "")
        if location not in sizes:
            sizes[location], message = self._external_file(location)
            if message is not None:
                yield self._finding("onnx-external-data", message)
        size = sizes[location]
        if size is None:
            return
        try:
            offset = int(external.get("offset") or 0)
            length = int(external.get("length") or tensor.expected_bytes() or 0)
        except ValueError:
            yield self._finding("onnx-external-data", f"{quoted(tensor.name)} has no valid place in {quoted(location)}")
            return
        if offset < 0 or length < 0 or offset + length > size:
            message = (
                f"{quoted(tensor.name)} would end at byte {offset + length} of {quoted(location)}, which has {size}"
            )
            yield self._finding("onnx-external-data", message)

    def _external_file(self, location: str) -> tuple[int | None, str | None]:
        """Size of a file of weights, or what is wrong with it."""
        parts = PurePosixPath(location).parts
        is_inside = bool(parts) and not location.startswith("/") and ".." not in parts and "\\" not in location
        path = self._path.parent / location
        if not is_inside or "\0" in location or not _is_below(path, self._path.parent):
            return None, f"its weights would be in {quoted(location)}, outside its folder"
        if not path.is_file():
            return None, f"its weights in {quoted(location)} are missing"
        pointer = read_pointer(path)
        return (path.stat().st_size if pointer is None else pointer.size), None

    def _against(self, record: OnnxFileRecord, model: OnnxFile) -> Iterator[Finding]:
        if model.opsets.get("") != record.opset:
            message = f"operator set {model.opsets.get('')}, but the manifest says {record.opset}"
            yield self._finding("onnx-opset", message)
        weights = {tensor.name for tensor in model.graph.weights}
        inputs = [value for value in model.graph.inputs if value.name not in weights]
        yield from self._signature("input", inputs, record.inputs)
        yield from self._signature("output", model.graph.outputs, record.outputs)
        if content_sha256(self._path) != record.sha256:
            yield self._changed()
        for data in record.external_data:
            yield from self._recorded_data(data)

    def _signature(self, what: str, values: list[Value], records: dict[str, TensorRecord]) -> Iterator[Finding]:
        present = {value.name: value for value in values}
        for name, record in records.items():
            value = present.get(name)
            if value is None:
                yield self._finding("onnx-signature", f"there is no {what} {quoted(name)}, which the manifest lists")
                continue
            if value.element_type != record.dtype:
                message = f"the {what} {quoted(name)} is {value.element_type}, the manifest says {record.dtype}"
                yield self._finding("onnx-signature", message)
            shape = list(value.shape or ())
            if shape != record.shape:
                message = f"the {what} {quoted(name)} is {_shown(shape)}, the manifest says {_shown(record.shape)}"
                yield self._finding("onnx-signature", message)
        for name in present.keys() - records.keys():
            yield self._finding("onnx-signature", f"the {what} {quoted(name)} is not in the manifest")

    def _recorded_data(self, data: FileRecord) -> Iterator[Finding]:
        path = self._folder / data.path
        if not path.is_file() or not _is_below(path, self._folder):
            yield self._finding("onnx-external-data", f"{quoted(data.path)} is missing, which the manifest lists")
        elif content_sha256(path) != data.sha256:
            yield self._finding(
                "onnx-external-data", f"{quoted(data.path)} is not the file that the manifest describes"
            )

    def _full_check(self) -> Iterator[Finding]:
        import onnx

        try:
            onnx.checker.check_model(str(self._path))
        except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
            words = " ".join(str(error).split())[:300]
            yield self._finding("onnx-operator", f"onnx's checker refuses the file: {words}")

    def _finding(self, rule: str, message: str, hint: str | None = None) -> Finding:
        return finding(self._path, START, rule, message, hint)


def _graph_mistakes(graph: Graph, outer: tuple[set[str], ...]) -> Iterator[str]:
    """What no runtime would load: values without a source, values with two, weights of the wrong length."""
    given = {value.name for value in graph.inputs}
    given.update(tensor.name for tensor in graph.weights)
    given.update(graph.sparse_weights)
    scopes = (*outer, given)
    yield from _weight_mistakes(graph.weights)
    for node in graph.nodes:
        yield from _node_mistakes(node, scopes)
        given.update(name for name in node.outputs if name)
    for value in graph.outputs:
        if not _is_given(value.name, scopes):
            yield f"nothing gives the output {quoted(value.name)}"


def _weight_mistakes(weights: list[Tensor]) -> Iterator[str]:
    for tensor in weights:
        expected = tensor.expected_bytes()
        if tensor.data_bytes is not None and expected is not None and tensor.data_bytes != expected:
            yield f"the weight {quoted(tensor.name)} has {tensor.data_bytes} bytes, its shape needs {expected}"


def _node_mistakes(node: OnnxNode, scopes: tuple[set[str], ...]) -> Iterator[str]:
    words = f"the {quoted(node.operator)} node {quoted(node.name)}"
    for name in node.inputs:
        if name and not _is_given(name, scopes):
            yield f"{words} reads {quoted(name)}, which nothing gives"
    for inner in node.graphs:
        yield from _graph_mistakes(inner, scopes)
    for name in node.outputs:
        if name in scopes[-1]:
            yield f"{words} gives {quoted(name)}, which is given already"


def _is_given(name: str, scopes: tuple[set[str], ...]) -> bool:
    return any(name in scope for scope in scopes)


def _all_graphs(graph: Graph) -> Iterator[Graph]:
    yield graph
    for node in graph.nodes:
        for inner in node.graphs:
            yield from _all_graphs(inner)


def _is_below(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def _shown(shape: Sequence[int | str | None]) -> str:
    return "[" + ", ".join(quoted(axis)[1:-1] if isinstance(axis, str) else str(axis) for axis in shape[:12]) + "]"


def _require_onnx() -> None:
    import importlib.util

    if importlib.util.find_spec("onnx") is None:
        raise plan_error(
            "--full-check needs the package onnx: add 'additional_dependencies: [onnx]' to the hook, or "
            "pip install 'onnx-export-action[onnx]'"
        )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--min-opset", type=int, default=FIRST_LOADED_OPSET, help="default: %(default)s")
    parser.add_argument("--max-opset", type=int, default=LAST_LOADED_OPSET, help="default: %(default)s")
    parser.add_argument("--allow-domain", action="append", default=[], metavar="DOMAIN", help="may be repeated")
    parser.add_argument(
        "--max-size", type=int, default=GITHUB_LIMIT_MIB, metavar="MIB", help="outside Git LFS; default: %(default)s"
    )
    parser.add_argument("--full-check", action="store_true", help="also run onnx's checker; needs the package onnx")


HOOK = Hook(
    name=ONNX_HOOK,
    description="Check committed ONNX files: structure, operator sets, inputs and outputs, external data, hashes.",
    accepts=lambda path: path.suffix == ".onnx" or model_of_piece(path) is not None,
    check=check,
    add_options=_add_options,
)
