"""From PyYAML's node graph to our own nodes. No constructor of PyYAML runs, so no tag can make an object."""

from __future__ import annotations

import math
import re
from pathlib import Path

import yaml

from onnx_export_action.project.document.nodes import Entry, Node, describe, quote_hint
from onnx_export_action.project.document.text import (
    MAX_DEPTH,
    Account,
    UnreadableError,
    check_bounds,
    compose,
    read_text,
    start_of,
)
from onnx_export_action.vocabulary.problems import Problem, quoted

_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,17})")
_EXPONENT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")
_STANDARD_TAG = "tag:yaml.org,2002:"
_TRUE = frozenset({"yes", "true", "on"})
_FALSE = frozenset({"no", "false", "off"})


def read_document(path: Path) -> tuple[Node | None, list[Problem]]:
    """Read one YAML document; None when nothing of it can be understood.

    Keys are text (whole numbers as keys become their digits), values are what JSON can hold, dates stay text,
    ``1e-4`` is a number although YAML 1.1 wants ``1.0e-4``. Merge keys (``<<``) are applied.
    """
    account = Account(str(path))
    try:
        text = read_text(path, account)
        if account.problems:
            return None, account.problems
        check_bounds(text, account)
        return _Reader(account).node(compose(text, account), depth=0), account.problems
    except UnreadableError as refusal:
        return None, [*account.problems, refusal.problem]


class _Reader:
    def __init__(self, account: Account) -> None:
        self._account = account

    def node(self, source: yaml.Node, depth: int) -> Node:
        line, column = start_of(source)
        self._account.count(line, column)
        if depth > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels, or an alias that holds itself"
            raise self._account.unreadable(line, column, message)
        if isinstance(source, yaml.MappingNode) and source.tag == _STANDARD_TAG + "map":
            return Node(line, column, self._mapping(source, depth))
        if isinstance(source, yaml.SequenceNode) and source.tag == _STANDARD_TAG + "seq":
            return Node(line, column, [self.node(item, depth + 1) for item in source.value])
        if isinstance(source, yaml.ScalarNode):
            return self._scalar(source, line, column)
        return self._foreign(source, line, column)

    def _mapping(self, source: yaml.MappingNode, depth: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        merged: list[tuple[str, Entry]] = []
        for key_source, value_source in source.value:
            line, column = start_of(key_source)
            value = self.node(value_source, depth + 1)
            if key_source.tag == _STANDARD_TAG + "merge":
                merged += self._merged(value)
                continue
            key = self._key(key_source, line, column)
            if key is None:
                continue
            if key in entries:
                message = f"the key {quoted(key)} was already given on line {entries[key].line}"
                self._account.report(line, column, message, "remove one of the two")
                continue
            entries[key] = Entry(line, column, value)
        for key, entry in merged:
            entries.setdefault(key, entry)
        return entries

    def _merged(self, value: Node) -> list[tuple[str, Entry]]:
        parts = value.value if isinstance(value.value, list) else [value]
        found: list[tuple[str, Entry]] = []
        for part in parts:
            if isinstance(part.value, dict):
                found += part.value.items()
            elif not part.broken:
                self._account.report(part.line, part.column, "'<<' merges mappings only")
        return found

    def _key(self, source: yaml.Node, line: int, column: int) -> str | None:
        if not isinstance(source, yaml.ScalarNode):
            self._account.report(line, column, "a key must be text, not a list or a mapping")
            return None
        key = self._scalar(source, line, column)
        if isinstance(key.value, str):
            return key.value
        if isinstance(key.value, int) and not isinstance(key.value, bool):
            return str(key.value)
        if not key.broken:
            self._account.report(line, column, f"a key must be text, not {describe(key)}", quote_hint(key))
        return None

    def _scalar(self, source: yaml.ScalarNode, line: int, column: int) -> Node:
        text = source.value
        kind = source.tag.removeprefix(_STANDARD_TAG)
        if kind in {"int", "float"} or (kind == "str" and not source.style and _EXPONENT.fullmatch(text)):
            return self._number(text, line, column)
        if kind in {"str", "timestamp", "value", "merge"}:
            return Node(line, column, text, text)
        if kind == "null":
            return Node(line, column, None, text)
        if kind == "bool" and text.lower() in _TRUE | _FALSE:
            return Node(line, column, text.lower() in _TRUE, text)
        return self._foreign(source, line, column)

    def _number(self, text: str, line: int, column: int) -> Node:
        if _DECIMAL.fullmatch(text):
            return Node(line, column, int(text.replace("_", "")), text)  # ``1_`` is 1 to YAML, and no int to Python
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        # Digits alone are too long or start with zero, which YAML 1.1 reads in base 8.
        if math.isfinite(number) and not text.lstrip("+-").isdigit():
            return Node(line, column, number, text)
        message = f"{quoted(text)} is not a plain decimal number"
        self._account.report(line, column, message, "write it in decimal digits, or in quotes where it is text")
        return Node(line, column, None, text, broken=True)

    def _foreign(self, source: yaml.Node, line: int, column: int) -> Node:
        tag = str(source.tag)
        shown = "!!" + tag.removeprefix(_STANDARD_TAG) if tag.startswith(_STANDARD_TAG) else tag
        message = f"the tag {quoted(shown)} is not allowed here"
        self._account.report(line, column, message, "write plain text, numbers, lists and mappings")
        return Node(line, column, None, broken=True)
