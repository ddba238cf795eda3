"""YAML from an untrusted file as plain values that remember their line and column.

In order: bytes to text, bounds on the parser's events, PyYAML's node graph, our own nodes. Only PyYAML's parser,
composer and tag resolver are used: no constructor runs, so no tag can make an object.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import msgspec
import yaml

from onnx_export_action.vocabulary.problems import Problem, quoted

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 100_000  # counted with every alias written out
MAX_ALIASES = 100

Scalar: TypeAlias = bool | int | float | str | None
Plain: TypeAlias = "Scalar | list[Plain] | dict[str, Plain]"

# libyaml parses about ten times faster; both give the same events.
_LOADER: type[yaml.CSafeLoader] | type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_INDENTED_BY_TAB = re.compile(r"[ ]*(\t)[ \t]*\S")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,17})")
_EXPONENT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")
_STANDARD_TAG = "tag:yaml.org,2002:"
_TRUE = frozenset({"yes", "true", "on"})
_FALSE = frozenset({"no", "false", "off"})
_SYNTAX_HINTS = {
    "mapping values are not allowed": "quote text that holds ': ', and check the indentation",
    "cannot start any token": "quote text that starts with a special character",
    "did not find expected '-' indicator": "check the indentation",
    "did not find expected key": "check the indentation",
    "found undefined alias": "quote text that starts with '*'",
}


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


def read_document(path: Path) -> tuple[Node | None, list[Problem]]:
    """Read one YAML document; None when nothing of it can be understood.

    Keys are text (whole numbers as keys become their digits), values are what JSON can hold, dates stay text,
    ``1e-4`` is a number although YAML 1.1 wants ``1.0e-4``. Merge keys (``<<``) are applied.
    """
    reader = _Reader(str(path))
    try:
        text = reader.text(path)
        if reader.problems:
            return None, reader.problems
        reader.check_bounds(text)
        return reader.node(reader.compose(text), depth=0), reader.problems
    except _UnreadableError as refusal:
        return None, [*reader.problems, refusal.problem]


class _UnreadableError(Exception):
    """Nothing further can be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class _Reader:
    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._nodes = 0

    def text(self, path: Path) -> str:
        try:
            if not path.is_file():
                what = "is not a file" if path.exists() else "does not exist"
                raise self._unreadable(1, 1, f"the file {what}")
            with path.open("rb") as stream:
                raw = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise self._unreadable(1, 1, f"the file cannot be read: {error.strerror}") from error
        if len(raw) > MAX_BYTES:
            raise self._unreadable(1, 1, "the file is larger than 1 MiB")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line, column = _place(raw[: error.start].decode("utf-8-sig", errors="replace"))
            raise self._unreadable(line, column, "the file is not UTF-8 text", "save it as UTF-8") from error
        self._check_characters(text)
        return text

    def _check_characters(self, text: str) -> None:
        unprintable = _UNPRINTABLE.search(text)
        if unprintable is not None:
            line, column = _place(text[: unprintable.start()])
            raise self._unreadable(line, column, f"the character {quoted(unprintable.group())} is not allowed")
        if "\t" not in text:
            return
        for number, line_text in enumerate(_LINE_BREAK.split(text), start=1):
            tab = _INDENTED_BY_TAB.match(line_text)
            if tab is not None:
                self._report(number, tab.start(1) + 1, "a tab cannot indent YAML", "use spaces")

    def check_bounds(self, text: str) -> None:
        """Refuse deep nesting, many aliases and several documents before anything is built from them."""
        depth = aliases = documents = 0
        try:
            for event in yaml.parse(text, Loader=_LOADER):
                line, column = _start(event)
                depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
                aliases += isinstance(event, yaml.AliasEvent)
                documents += isinstance(event, yaml.DocumentStartEvent)
                if depth > MAX_DEPTH:
                    raise self._unreadable(line, column, f"nested deeper than {MAX_DEPTH} levels")
                if aliases > MAX_ALIASES:
                    raise self._unreadable(line, column, f"more than {MAX_ALIASES} aliases")
                if documents > 1:
                    raise self._unreadable(line, column, "a second document starts here", "keep one, remove '---'")
                self._count_node(line, column)
        except yaml.YAMLError as error:
            raise self._syntax_error(error) from error
        self._nodes = 0

    def compose(self, text: str) -> yaml.Node:
        try:
            root = yaml.compose(text, Loader=_LOADER)
        except yaml.YAMLError as error:
            raise self._syntax_error(error) from error
        if root is None:
            raise self._unreadable(1, 1, "the file is empty", "start with 'version: 1'")
        return root

    def node(self, source: yaml.Node, depth: int) -> Node:
        line, column = _start(source)
        self._count_node(line, column)
        if depth > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels, or an alias that holds itself"
            raise self._unreadable(line, column, message)
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
            line, column = _start(key_source)
            value = self.node(value_source, depth + 1)
            if key_source.tag == _STANDARD_TAG + "merge":
                merged += self._merged(value)
                continue
            key = self._key(key_source, line, column)
            if key is None:
                continue
            if key in entries:
                message = f"the key {quoted(key)} was already given on line {entries[key].line}"
                self._report(line, column, message, "remove one of the two")
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
                self._report(part.line, part.column, "'<<' merges mappings only")
        return found

    def _key(self, source: yaml.Node, line: int, column: int) -> str | None:
        if not isinstance(source, yaml.ScalarNode):
            self._report(line, column, "a key must be text, not a list or a mapping")
            return None
        key = self._scalar(source, line, column)
        if isinstance(key.value, str):
            return key.value
        if isinstance(key.value, int) and not isinstance(key.value, bool):
            return str(key.value)
        if not key.broken:
            self._report(line, column, f"a key must be text, not {describe(key)}", quote_hint(key))
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
            return Node(line, column, int(text), text)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        # Digits alone are too long or start with zero, which YAML 1.1 reads in base 8.
        if math.isfinite(number) and not text.lstrip("+-").isdigit():
            return Node(line, column, number, text)
        message = f"{quoted(text)} is not a plain decimal number"
        self._report(line, column, message, "write it in decimal digits, or in quotes where it is text")
        return Node(line, column, None, text, broken=True)

    def _foreign(self, source: yaml.Node, line: int, column: int) -> Node:
        tag = str(source.tag)
        shown = "!!" + tag.removeprefix(_STANDARD_TAG) if tag.startswith(_STANDARD_TAG) else tag
        message = f"the tag {quoted(shown)} is not allowed here"
        self._report(line, column, message, "write plain text, numbers, lists and mappings")
        return Node(line, column, None, broken=True)

    def _count_node(self, line: int, column: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._unreadable(line, column, f"more than {MAX_NODES} values, aliases written out")

    def _syntax_error(self, error: yaml.YAMLError) -> _UnreadableError:
        mark = getattr(error, "problem_mark", None)
        line, column = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
        words = str(getattr(error, "problem", None) or "not YAML")
        context = getattr(error, "context", None)
        hint = next((hint for start, hint in _SYNTAX_HINTS.items() if start in words), None)
        message = f"not valid YAML: {words}" + (f" {context}" if context else "")
        return self._unreadable(line, column, message, hint)

    def _report(self, line: int, column: int, message: str, hint: str | None = None) -> None:
        self.problems.append(Problem(self.path, line, column, message, hint))

    def _unreadable(self, line: int, column: int, message: str, hint: str | None = None) -> _UnreadableError:
        return _UnreadableError(Problem(self.path, line, column, message, hint))


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


def _start(source: yaml.Event | yaml.Node) -> tuple[int, int]:
    """Line and column, from 1, where an event or a node starts; the file's start for those without a mark."""
    mark = source.start_mark
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def _place(before: str) -> tuple[int, int]:
    """Line and column, from 1, of the character after ``before``."""
    lines = _LINE_BREAK.split(before)
    return len(lines), len(lines[-1]) + 1
