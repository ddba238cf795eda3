"""What the engines of ONNX record: a graph, its weights left where the model holds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnx_export_action.graphs.passes.defaults_given import give_defaults
from onnx_export_action.graphs.passes.metadata_set import set_metadata
from onnx_export_action.graphs.passes.transposes_folded import fold_weight_transposes
from onnx_export_action.graphs.passes.weights_named import strip_weight_prefix
from onnx_export_action.graphs.tensor_records import tensor_records
from onnx_export_action.graphs.weightless import TRANSPOSED, WeightlessGraph
from onnx_export_action.graphs.writing import write_graph
from onnx_export_action.traceable.calling import ModelCall
from onnx_export_action.vocabulary.manifest import OnnxFileRecord
from onnx_export_action.vocabulary.names.external_data import SHARD_BYTES
from onnx_export_action.vocabulary.supported.version import VERSION
from onnx_export_action.vocabulary.variants import REFERENCE_VARIANT


@dataclass(frozen=True)
class GraphRecording:
    """A graph, and the engines that made it: one, or two with ``+`` between where it was merged of two."""

    graph: WeightlessGraph
    engine: str
    suffix = ".onnx"

    @property
    def weights(self) -> set[str]:
        """The weights that it reads, as the model names them."""
        return {name.removesuffix(TRANSPOSED) for name in self.graph.weights}

    def write(
        self, path: Path, components: list[str], *, task: str, model_type: str, shard_bytes: int = SHARD_BYTES
    ) -> OnnxFileRecord:
        """Write the file, which says what it computes and what made it."""
        model = self.graph.model
        set_metadata(model, {"task": task, "model_type": model_type, "engine": self.engine})
        model.producer_name, model.producer_version = "onnx-export-action", VERSION
        main, *external = write_graph(self.graph, path, shard_bytes=shard_bytes)
        return OnnxFileRecord(
            path=main.path,
            bytes=main.bytes,
            sha256=main.sha256,
            components=components,
            variant=REFERENCE_VARIANT,
            engine=self.engine,
            opset=next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
            inputs=tensor_records(model.graph.input),
            outputs=tensor_records(model.graph.output),
            external_data=external,
        )


def finished(graph: WeightlessGraph, call: ModelCall, engine: str, prefix: str) -> GraphRecording:
    """The recording of a traced graph, whose weights have the model's own names after ``prefix``."""
    strip_weight_prefix(graph, prefix)
    fold_weight_transposes(graph)
    give_defaults(graph.model, call.defaults)
    return GraphRecording(graph, engine)
