"""The fp32 file that a variant is made from."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import onnx

from onnx_export_action.graphs.nodes import graph_nodes


@dataclass(frozen=True)
class Fp32File:
    """A proven fp32 file, and patterns of its nodes that stay as they are, as :mod:`fnmatch` reads them.

    A pattern fits a node's name or its operator: ``LayerNormalization``, ``/encoder/layer.0/*``.
    """

    path: Path
    patterns: tuple[str, ...] = ()

    @cached_property
    def model(self) -> onnx.ModelProto:
        """The file's graph with its weights, which a maker may change."""
        return onnx.load(self.path)

    @cached_property
    def kept(self) -> list[str]:
        """The names of the nodes that stay as they are; asked for before a tool renames nodes of ``model``."""
        return matching(self.model, self.patterns)


def matching(model: onnx.ModelProto, patterns: Iterable[str]) -> list[str]:
    """Names of the nodes that fit one of the patterns."""
    wanted = list(patterns)
    found = [
        node.name
        for node in graph_nodes(model.graph)
        if any(fnmatch.fnmatchcase(name, pattern) for name in (node.name, node.op_type) for pattern in wanted)
    ]
    # The tools call so the product that they make of a Gemm.
    return [*found, *(f"{name}_MatMul" for name in found)]
