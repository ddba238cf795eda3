"""Ensures that a file's metadata is what this project says, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import onnx


def set_metadata(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Replace the file's metadata; intermediate shapes of the traced batch are dropped, as they mislead readers."""
    del model.graph.value_info[:]
    del model.metadata_props[:]
    for key, value in sorted(metadata.items()):
        model.metadata_props.add(key=key, value=value)
