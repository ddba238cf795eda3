"""Values of a YAML document that remember where they stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from onnx_export_action.vocabulary.problems import quoted

Scalar: TypeAlias = bool | int | float | str | None
Plain: TypeAlias = "Scalar | list[Plain] | dict[str, Plain]"


class Entry(msgspec.Struct, frozen=True):
    """A value in a mapping, with the place of its key."""

    line: int
    column: int
    node: Node


class Node(msgspec.Struct, frozen=True):
    """A YAML value and its place, lines and columns from 1.

    ``text`` is a scalar as written. ``broken`` marks a value that was already reported and has no meaning.
    """

    line: int
    column: int
    value: Scalar | list[Node] | dict[str, Entry]
    text: str = ""
    broken: bool = False

    def plain(self) -> Plain:
        """The value alone: what JSON could hold."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def at(self, path: Iterable[str | int]) -> Node:
        """The node that a JSON path leads to.

        Raises:
            KeyError, IndexError: no such place.
        """
        node = self
        for step in path:
            node = node.value[step] if isinstance(node.value, list) and isinstance(step, int) else node.entry(step).node
        return node

    def entry(self, key: str | int) -> Entry:
        """The entry of a mapping.

        Raises:
            KeyError: no such key, or no mapping.
        """
        if not isinstance(self.value, dict) or not isinstance(key, str):
            raise KeyError(key)
        return self.value[key]


def describe(node: Node) -> str:
    """A value in words, for "must be text, not ..."."""
    value = node.value
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"{node.text}, which YAML reads as {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {quoted(node.text)[1:-1]}"
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    return "a list" if isinstance(value, list) else "a mapping"


def quote_hint(node: Node) -> str | None:
    """How to write a scalar so that YAML reads it as text; None for what is not one."""
    if node.value is None or isinstance(node.value, str | list | dict):
        return None
    return f"quote it: {quoted(node.text)}"
