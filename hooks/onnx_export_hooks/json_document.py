"""JSON from an untrusted file: its value, and the line and column of any place in it.

The json module's own C scanner reads the value, as transformers does. Places are looked up only for a finding: the way
to a place is walked, and what lies beside it is skipped by the same scanner, so a tokenizer of many megabytes is no
burden.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onnx_export_action.vocabulary.problems import quoted
from onnx_export_hooks.findings import Finding, finding

MAX_BYTES = 64 * 1024 * 1024
MAX_DUPLICATES = 20
MAX_WALKED = 128 * 1024 * 1024  # characters to go through in search of duplicate keys, counted at every depth
MAX_REPAIRED = 1024 * 1024
MAX_REPAIRS = 100

Step = str | int
Place = tuple[int, int]

_SPACE = re.compile(r"[ \t\n\r]*")
_BYTE_ORDER_MARK = "\ufeff"
_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7})(?: |$)", re.MULTILINE)
_TRAILING_COMMA = re.compile(r",[ \t\n\r]*\Z")
_skipping = json.JSONDecoder()


class JsonDocument:
    """A JSON file that could be read. ``value`` is plain data; of duplicate keys it has the last, as Python reads."""

    def __init__(self, path: Path, text: str, value: Any) -> None:
        self.path = path
        self.value = value
        self._text = text

    def place(self, *steps: Step) -> Place:
        """Where a key of an object stands, or an item of a list; the nearest place above where there is none."""
        position = _after_space(self._text, 0)
        start = position
        for step in steps:
            found = next((child for child in _children(self._text, start) if child[0] == step), None)
            if found is None:
                break
            _, position, start = found
        return _line_and_column(self._text, position)

    def finding(self, rule: str, steps: tuple[Step, ...], message: str, hint: str | None = None) -> Finding:
        """A finding at the place that the steps lead to."""
        return finding(self.path, self.place(*steps), rule, message, hint)


class _Observer:
    """Notes what Python's reader lets pass: duplicate keys, and NaN and the infinities."""

    def __init__(self) -> None:
        self.has_duplicates = False
        self.constants: list[str] = []

    def pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        read = dict(pairs)
        self.has_duplicates = self.has_duplicates or len(read) != len(pairs)
        return read

    def constant(self, word: str) -> float:
        self.constants.append(word)
        return float(word.replace("Infinity", "inf"))


def read_json(path: Path) -> tuple[JsonDocument | None, list[Finding]]:
    """Read one JSON file; None when it cannot be read. The findings are those of the reading itself."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return None, [finding(path, (1, 1), "json-syntax", f"the file cannot be read: {error.strerror}")]
    if len(raw) > MAX_BYTES:
        return None, [finding(path, (1, 1), "json-syntax", f"larger than {MAX_BYTES >> 20} MiB")]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", errors="replace")
        place = _line_and_column(before, len(before))
        return None, [finding(path, place, "json-syntax", "the file is not UTF-8 text", "save it as UTF-8")]
    return parse_json(path, text)


def parse_json(path: Path, text: str) -> tuple[JsonDocument | None, list[Finding]]:
    """As :func:`read_json`, of a text at hand."""
    observer = _Observer()
    decoder = json.JSONDecoder(object_pairs_hook=observer.pairs, parse_constant=observer.constant)
    try:
        if text.startswith(_BYTE_ORDER_MARK):
            return None, [_syntax(path, text, 0, "the file starts with a byte order mark", "save it without")]
        document = JsonDocument(path, text, decoder.decode(text))
    except json.JSONDecodeError as error:
        return None, [_syntax(path, text, *_in_plain_words(text, error))]
    except RecursionError:
        return None, [_syntax(path, text, 0, "nested too deeply", None)]
    except ValueError:  # Python reads no whole number of more than 4300 digits
        limit = sys.get_int_max_str_digits()
        return None, [_syntax(path, text, 0, f"a number has more than {limit} digits", None)]
    findings: list[Finding] = []
    if observer.has_duplicates:
        findings += _duplicates(document, text)
    if observer.constants:
        findings.append(_not_finite(path, text, observer.constants[0]))
    return document, findings


def repaired(text: str) -> str | None:
    """The text without byte order mark and trailing commas; None where that does not make it JSON."""
    candidate = text.removeprefix(_BYTE_ORDER_MARK)
    if len(candidate) > MAX_REPAIRED:
        return None
    for _ in range(MAX_REPAIRS):
        try:
            json.loads(candidate)
        except json.JSONDecodeError as error:
            comma = _trailing_comma(candidate, error)
            if comma is None:
                return None
            candidate = candidate[:comma] + candidate[comma + 1 :]
        except (RecursionError, ValueError):
            return None
        else:
            return candidate if candidate != text else None
    return None


def _trailing_comma(text: str, error: json.JSONDecodeError) -> int | None:
    """Position of the comma before the closing bracket at which reading stopped; Python 3.13 stops at the comma."""
    end = error.pos
    if text[end : end + 1] == ",":
        end = _after_space(text, end + 1)
    if text[end : end + 1] not in {"}", "]"}:
        return None
    comma = _TRAILING_COMMA.search(text, max(0, end - 10_000), end)
    # After another comma or an opening bracket a value is missing: nobody knows which.
    if comma is None or text[: comma.start()].rstrip()[-1:] in {",", "[", "{", ":", ""}:
        return None
    return comma.start()


def _in_plain_words(text: str, error: json.JSONDecodeError) -> tuple[int, str, str | None]:
    """Position, message and hint for what the json module says."""
    comma = _trailing_comma(text, error)
    if comma is not None:
        return comma, "a comma before a closing bracket", "remove it"
    conflict = _CONFLICT.search(text)
    if conflict is not None:
        return conflict.start(), "a conflict of a merge was left in the file", "resolve it"
    rest = text[error.pos : error.pos + 2]
    if not text.strip():
        return 0, "the file is empty", None
    if rest.startswith(("//", "/*", "#")):
        return error.pos, "JSON has no comments", "remove it"
    if rest.startswith("'"):
        return error.pos, "JSON has no text in single quotes", 'write "..."'
    if text.startswith(("True", "False", "None"), error.pos):
        return error.pos, "a word of Python, not of JSON", "write true, false or null"
    if error.msg == "Expecting ',' delimiter":  # missed where the text before it ends
        return len(text[: error.pos].rstrip()), "a comma is missing here", None
    message = error.msg.replace("Expecting", "expected").replace("Unterminated", "unterminated")
    return error.pos, message[:1].lower() + message[1:], None


def _syntax(path: Path, text: str, position: int, message: str, hint: str | None) -> Finding:
    return finding(path, _line_and_column(text, position), "json-syntax", f"not valid JSON: {message}", hint)


def _not_finite(path: Path, text: str, word: str) -> Finding:
    # Outside of text, which may hold the word too.
    found = next((match for match in re.finditer(rf'"(?:[^"\\]|\\.)*"|({word})', text) if match[1]), None)
    place = _line_and_column(text, 0 if found is None else found.start(1))
    message = f"{word} is no number of JSON: Python reads it, other readers such as transformers.js refuse the file"
    return finding(path, place, "json-not-finite", message)


def _duplicates(document: JsonDocument, text: str) -> list[Finding]:
    found: list[Finding] = []
    # Iterative: reading was bounded by the interpreter's recursion limit, this walk has frames of its own.
    waiting = [_after_space(text, 0)]
    walked = 0
    while waiting and len(found) < MAX_DUPLICATES and walked < MAX_WALKED:
        children = list(_children(text, waiting.pop()))
        walked += children[-1][2] - children[0][1] if children else 0
        counts = Counter(step for step, _, _ in children)
        first: dict[Step, int] = {}
        for step, position, start in children:
            if counts[step] > 1 and first.setdefault(step, position) != position:
                line, _ = _line_and_column(text, first[step])
                place = _line_and_column(text, position)
                message = f"the key {quoted(step)} was already given on line {line}; this one counts"
                found.append(finding(document.path, place, "duplicate-key", message, "remove one of the two"))
            if text[start] in "{[":
                waiting.append(start)
    unplaced = finding(document.path, (1, 1), "duplicate-key", "an object holds a key twice")
    return sorted(found) or [unplaced]


def _children(text: str, start: int) -> Iterator[tuple[Step, int, int]]:
    """Key or index, its position, and the value's position, of each child of the object or list at ``start``."""
    opening = text[start]
    position = _after_space(text, start + 1)
    index = 0
    while opening in "{[" and text[position] not in "}]":
        step: Step = index
        value = position
        if opening == "{":
            step, end = _skipping.raw_decode(text, position)
            value = _after_space(text, _after_space(text, end) + 1)
        yield step, position, value
        _, end = _skipping.raw_decode(text, value)
        position = _after_space(text, end)
        if text[position] == ",":
            position = _after_space(text, position + 1)
        index += 1


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return position if match is None else match.end()


def _line_and_column(text: str, position: int) -> Place:
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
