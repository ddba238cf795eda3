"""What the schema finds in ``onnx-export.yaml``, at its line and column and in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeAlias

import jsonschema_rs
import msgspec

from onnx_export_action.project.document import Node, describe, quote_hint
from onnx_export_action.project.settings.schema import OF_VARIANTS, Schema, settings_schema
from onnx_export_action.vocabulary.problems import Problem, did_you_mean, quoted
from onnx_export_action.vocabulary.variants import VARIANTS, variant_meant

DocumentPath: TypeAlias = tuple[str | int, ...]

_MAX_FINDINGS = 1000
_TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "object": "a mapping",
    "array": "a list",
    "boolean": "true or false",
}
_BOUNDS = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "greater than"}
_MISSING = {"version": "version: 1", "targets": "targets: [...]", "name": "name: ...", "model": "model: ..."}
_NUMBER = re.compile(r"[-+]?[0-9]{1,15}(\.[0-9]{1,15})?([eE][-+]?[0-9]{1,3})?")


class Finding(msgspec.Struct, frozen=True):
    """A mistake and the place in the document that it spoils; no problem where reading reported it before."""

    place: DocumentPath
    problem: Problem | None


def schema_findings(root: Node, path: str) -> list[Finding]:
    """All that the schema refuses, at most 1,000 of it."""
    schema = settings_schema()
    wording = _Wording(root, path, schema)
    errors = list(islice(jsonschema_rs.validator_for(schema).iter_errors(root.plain()), _MAX_FINDINGS))
    of_wrong_type = {wording.place(error) for error in errors if error.kind.name == "type"}
    worded = (
        finding
        for error in errors
        if error.kind.name == "type" or wording.place(error) not in of_wrong_type
        for finding in wording.findings(error)
    )
    findings = list(islice(worded, _MAX_FINDINGS))
    spoiled = {finding.place for finding in findings}
    return findings + [finding for finding in wording.integral_floats(root, ()) if finding.place not in spoiled]


def subject(place: DocumentPath) -> str:
    """What a place holds, as the reader would call it: ``shapes.batch_size``."""
    if len(place) == 2 and place[0] == "targets":  # noqa: PLR2004 - the list and the position in it
        return "a target"
    skipped = {"targets": 2, "defaults": 1}.get(str(place[0]), 0) if len(place) > 1 else 0
    keys = [quoted(step)[1:-1] for step in place[skipped:] if isinstance(step, str)]
    return ".".join(keys) if keys else "the file"


class _Wording:
    """Turns the validator's errors into findings. ``error.kind`` carries each keyword's own facts."""

    def __init__(self, root: Node, path: str, schema: Schema) -> None:
        self._root = root
        self._path = path
        self._schema = schema

    def place(self, error: Any) -> DocumentPath:
        """The path to the value; the validator gives a key that is digits alone as a number."""
        place: DocumentPath = ()
        for step in error.instance_path:
            place = (*place, str(step) if isinstance(self._root.at(place).value, dict) else step)
        return place

    def findings(self, error: Any) -> Iterator[Finding]:
        place = self.place(error)
        node = self._root.at(place)
        if node.broken:
            yield Finding(place, None)
            return
        match error.kind.name:
            case "additionalProperties":
                for key in error.kind.unexpected:
                    entry = node.entry(key)
                    yield self._finding(place, entry.line, entry.column, *self._unknown_key(key, place))
            case "propertyNames":
                refused = error.kind.error
                entry = node.entry(refused.instance)
                message = f"{quoted(refused.instance)} cannot be a key of {subject(place)}"
                yield self._finding(place, entry.line, entry.column, message, self._pattern_words(refused))
            case "pattern":
                message = f"{subject(place)} cannot be {quoted(node.value)}"
                yield self._finding(place, node.line, node.column, message, self._pattern_words(error))
            case _:
                yield self._finding(place, node.line, node.column, *_about_value(error.kind, node, subject(place)))

    def integral_floats(self, node: Node, place: DocumentPath) -> Iterator[Finding]:
        """Findings for ``18.0``: an integer to JSON Schema, not to a reader. A number may be written either way."""
        if isinstance(node.value, float) and node.value.is_integer():
            if "number" not in self._types_at(place):
                message = f"{subject(place)} must be a whole number, not {describe(node)}"
                yield self._finding(place, node.line, node.column, message, f"write {int(node.value)}")
        elif isinstance(node.value, list):
            for index, item in enumerate(node.value):
                yield from self.integral_floats(item, (*place, index))
        elif isinstance(node.value, dict):
            for key, entry in node.value.items():
                yield from self.integral_floats(entry.node, (*place, key))

    def _finding(self, place: DocumentPath, line: int, column: int, message: str, hint: str | None) -> Finding:
        return Finding(place, Problem(self._path, line, column, message, hint))

    def _unknown_key(self, key: str, place: DocumentPath) -> tuple[str, str | None]:
        is_target_key = key in self._keys_at(("targets", 0))
        if place == ("defaults",) and is_target_key:
            return f"{key} cannot have a default", "give it in every target"
        if not place and is_target_key:
            return f"{key} belongs to a target", "move it into a target, or under defaults"
        valid = self._keys_at(place)
        meant = variant_meant(key) if place[-1:] and place[-1] in OF_VARIANTS else None
        near = f"did you mean {quoted(meant)}?" if meant in valid else did_you_mean(key, valid)
        hint = near or f"valid keys are {', '.join(valid)}"
        return f"unknown key {quoted(key)}", hint

    def _keys_at(self, place: DocumentPath) -> list[str]:
        return list(self._schema_at(place)["properties"])

    def _types_at(self, place: DocumentPath) -> list[str]:
        types = self._schema_at(place).get("type", [])
        return types if isinstance(types, list) else [types]

    def _schema_at(self, place: DocumentPath) -> Schema:
        """What the schema says of a place; nothing where it knows no such place."""
        schema = self._schema
        for step in place:
            named = schema.get("properties", {})
            inner = (
                schema.get("items") if isinstance(step, int) else named.get(step) or schema.get("additionalProperties")
            )
            schema = inner or {}
        return schema

    def _pattern_words(self, error: Any) -> str:
        schema: Any = self._schema
        for step in error.schema_path[:-1]:
            schema = schema[step]
        return f"it must be {schema['patternErrorMessage']}"


def _about_value(kind: Any, node: Node, name: str) -> tuple[str, str | None]:
    match kind.name:
        case "type":
            return _wrong_type(kind.types, node, name)
        case "enum":
            return _wrong_word(kind.options, node, name)
        case "const":
            return f"{name} must be {kind.expected_value}, not {describe(node)}", None
        case "required":
            return f"{name} has no {quoted(kind.property)}", f"add '{_MISSING.get(kind.property, kind.property)}'"
        case "minItems" | "minProperties":
            return f"{name} is empty", "give at least one entry"
        case "maxItems" | "maxProperties":
            return f"{name} has more than {kind.limit} entries", None
        case "uniqueItems":
            return f"{name} names the same twice", None
        case bound:
            return f"{name} must be {_BOUNDS[bound]} {kind.limit}, not {describe(node)}", None


def _wrong_type(types: list[str], node: Node, name: str) -> tuple[str, str | None]:
    wanted = " or ".join(_TYPE_WORDS[type_name] for type_name in types)
    message = f"{name} must be {wanted}, not {describe(node)}"
    if types == ["string"]:
        return message, quote_hint(node)
    if isinstance(node.value, str) and _NUMBER.fullmatch(node.value):
        return message, f"write {node.value} without quotes"
    if types == ["array"] and isinstance(node.value, str) and node.value.isidentifier():
        return message, f"write [{node.value}]"
    return message, None


def _wrong_word(options: list[str], node: Node, name: str) -> tuple[str, str | None]:
    if isinstance(node.value, str) and options == list(VARIANTS):
        meant = variant_meant(node.value)
        message = f"unknown variant {quoted(node.value)}"
        return message, f"did you mean {quoted(meant)}?" if meant else f"variants are {', '.join(VARIANTS)}"
    nearest = did_you_mean(node.value, options) if isinstance(node.value, str) else None
    if name != "task":
        return f"{name} must be {' or '.join(options)}, not {describe(node)}", nearest
    if isinstance(node.value, str):
        return f"unknown task {quoted(node.value)}", nearest or "`onnx-export tasks` lists the tasks"
    return f"task must be text, not {describe(node)}", quote_hint(node)
