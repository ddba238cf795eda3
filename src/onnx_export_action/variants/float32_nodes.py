"""What of a graph could stay in float32 when a variant of it is made."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import onnx

from onnx_export_action.graphs.nodes import graph_nodes
from onnx_export_action.vocabulary.variants import VARIANTS, variant_path


def candidates(folder: Path, paths: Sequence[str], variant: str) -> list[str]:
    """Patterns of what could stay in float32: nodes whose weights the variant quantises; of others, operators.

    ``paths`` are those of the fp32 files, relative to ``folder``. A rewritten graph has operators of its own: they are
    those of its file, which must lie there already.
    """
    row = VARIANTS[variant]
    found: dict[str, None] = {}
    for path in paths:
        read = variant_path(path, variant) if row.rewritten else path
        graph = onnx.load(folder / read, load_external_data=False).graph
        weights = {tensor.name for tensor in graph.initializer}
        for node in graph_nodes(graph):
            if not row.quantised:
                found[node.op_type] = None
            elif node.op_type in row.quantised and any(name in weights for name in node.input[:2]):
                found[glob.escape(node.name)] = None
    return list(found)
