"""YAML from an untrusted file as plain values that remember their line and column.

In order: bytes to text, bounds on the parser's events, PyYAML's node graph, our own nodes. Only PyYAML's parser,
composer and tag resolver are used.
"""

from onnx_export_action.project.document.nodes import Entry, Node, Plain, describe, quote_hint
from onnx_export_action.project.document.reading import read_document

__all__ = ["Entry", "Node", "Plain", "describe", "quote_hint", "read_document"]
