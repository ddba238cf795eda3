"""The variants of the fp32 files of an artifact folder, each made as its row says, and written beside them.

A merged decoder is merged anew from the two variants of its parts, whose graphs have no branches, so that a weight of
both is stored once here too. The makers are named in :mod:`onnx_export_action.vocabulary.variants`; each takes the fp32
file and the row, and gives a model. Most use ONNX Runtime's own tools, with the choices of transformers.js' script
(https://github.com/huggingface/transformers.js/blob/main/scripts/quantize.py), but where said.
"""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import msgspec
import onnx

from onnx_export_action.graphs.merging import merge_decoders
from onnx_export_action.graphs.passes.metadata_set import set_metadata
from onnx_export_action.graphs.separating import weightless
from onnx_export_action.graphs.tensor_records import tensor_records
from onnx_export_action.graphs.weightless import WeightlessGraph
from onnx_export_action.graphs.writing import write_graph
from onnx_export_action.variants.source import Fp32File
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.manifest import OnnxFileRecord
from onnx_export_action.vocabulary.names.external_data import SHARD_BYTES, pieces_beside
from onnx_export_action.vocabulary.results import Stage
from onnx_export_action.vocabulary.supported.version import VERSION
from onnx_export_action.vocabulary.variants import VARIANTS, Variant, variant_path

Maker = Callable[[Fp32File, Variant], onnx.ModelProto]


def make_variant(path: Path, variant: str, kept: Iterable[str] = ()) -> WeightlessGraph:
    """The ``variant`` of the fp32 file at ``path``; nodes that fit a pattern of ``kept`` stay in float32.

    Raises:
        ExportError: ONNX Runtime's tool cannot make it.
    """
    row = VARIANTS[variant]
    if row.maker is None:
        message = f"{variant} files are exported, not made from others"
        raise ValueError(message)
    make: Maker = pkgutil.resolve_name(f"onnx_export_action.variants.{row.maker}")
    try:
        with _quiet():
            made = make(Fp32File(path, tuple(kept)), row)
    except Exception as error:  # the tools raise whatever meets them: assertions, KeyError, protobuf's own
        text = (str(error).strip().splitlines() or [""])[0][:300]
        raise ExportError(
            f"{path.name}: the variant {variant} cannot be made: {type(error).__name__}: {text}", stage=Stage.EXPORT
        ) from error
    return weightless(made)


def write_variants(
    folder: Path,
    files: Sequence[OnnxFileRecord],
    variant: str,
    kept: Sequence[str],
    shard_bytes: int = SHARD_BYTES,
) -> list[OnnxFileRecord]:
    """Write the ``variant`` of every fp32 file of the artifact ``folder`` beside it, and describe them.

    No file is larger than ``shard_bytes``, as of :func:`write_graph`.

    Raises:
        ExportError: one of them cannot be made; what was written of the variant is removed again.
    """
    written: list[OnnxFileRecord] = []
    graphs: dict[str, WeightlessGraph] = {}
    try:
        for file in files:
            graph = _variant_of(folder, file, variant, kept, graphs)
            graphs[file.components[0] if len(file.components) == 1 else ""] = graph
            written.append(_write(folder, file, variant, graph, shard_bytes))
    except BaseException:
        for file in files:
            path = folder / variant_path(file.path, variant)
            for left in (path, *pieces_beside(path)):
                left.unlink(missing_ok=True)
        raise
    return written


def _variant_of(
    folder: Path, file: OnnxFileRecord, variant: str, kept: Sequence[str], graphs: Mapping[str, WeightlessGraph]
) -> WeightlessGraph:
    if len(file.components) == 1:
        return make_variant(folder / file.path, variant, kept)
    first, second = file.components
    return merge_decoders(graphs[first], graphs[second])


def _write(
    folder: Path, file: OnnxFileRecord, variant: str, graph: WeightlessGraph, shard_bytes: int
) -> OnnxFileRecord:
    metadata = {prop.key: prop.value for prop in onnx.load(folder / file.path, load_external_data=False).metadata_props}
    set_metadata(graph.model, metadata | {"variant": variant})
    graph.model.producer_name = "onnx-export-action"
    graph.model.producer_version = VERSION
    path = variant_path(file.path, variant)
    main, *external = write_graph(graph, folder / path, shard_bytes=shard_bytes)
    return msgspec.structs.replace(
        file,
        path=path,
        bytes=main.bytes,
        sha256=main.sha256,
        variant=variant,
        opset=next(o.version for o in graph.model.opset_import if o.domain in ("", "ai.onnx")),
        inputs=tensor_records(graph.model.graph.input),
        outputs=tensor_records(graph.model.graph.output),
        external_data=[
            msgspec.structs.replace(one, path=PurePosixPath(path).with_name(one.path).as_posix()) for one in external
        ],
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """The tools warn through the root logger of what is done here on purpose."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
