"""Places in JSON: right on any valid file, and quick on large ones."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_export_hooks.json_document import parse_json, read_json

PATH = Path("config.json")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def all_steps(value: Any, steps: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [steps, *(found for step, child in children for found in all_steps(child, (*steps, step)))]


@given(value=VALUES, indent=st.sampled_from([None, 0, 2, "\t"]), escape=st.booleans())
def test_every_place_holds_what_the_steps_say(value: Any, indent: Any, escape: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=escape)
    document, findings = parse_json(PATH, text)
    assert document is not None
    assert (document.value, findings) == (value, [])
    lines = text.split("\n")
    for steps in all_steps(value):
        line, column = document.place(*steps)
        rest = "\n".join([lines[line - 1][column - 1 :], *lines[line:]])
        found = json.JSONDecoder().raw_decode(rest)[0]
        wanted = value
        for step in steps[:-1]:
            wanted = wanted[step]
        is_key = bool(steps) and isinstance(steps[-1], str)
        assert found == (steps[-1] if is_key else wanted if not steps else wanted[steps[-1]])


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('{"a": 1,}', (1, 8), "a comma before a closing bracket: remove it"),
        ('{"a": [1, 2,\n]}', (1, 12), "a comma before a closing bracket: remove it"),
        ('{"a": 1\n "b": 2}', (1, 8), "a comma is missing here"),
        ("{'a': 1}", (1, 2), "JSON has no text in single quotes"),
        ('{\n// x\n"a": 1}', (2, 1), "JSON has no comments"),
        ('{"a": None}', (1, 7), "a word of Python, not of JSON"),
        ('{"a": "b\n"}', (1, 9), "invalid control character"),
        ('{"a": 1', (1, 8), "a comma is missing here"),
        ("", (1, 1), "the file is empty"),
        ("[" * 100_000, (1, 1), "nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", (1, 1), "a number has more than 4300 digits"),
        ('{"a": 1} x', (1, 10), "extra data"),
    ],
)
def test_a_mistake_is_named_at_its_place(text: str, place: tuple[int, int], words: str) -> None:
    document, findings = parse_json(PATH, text)
    assert document is None
    assert [(found.line, found.column) for found in findings] == [place]
    assert words in findings[0].message


def test_duplicate_keys_are_found_at_every_depth() -> None:
    document, findings = parse_json(PATH, '{"a": [{"b": 1,\n "b": 2}],\n "c": {}, "a": 3}')
    assert document is not None
    assert document.value == {"a": 3, "c": {}}
    assert [(found.line, found.column) for found in findings] == [(2, 2), (3, 11)]


def test_text_that_is_not_utf8_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes('{"é":\n "'.encode() + b"\xff")
    document, findings = read_json(path)
    assert document is None
    assert [(found.line, found.column) for found in findings] == [(2, 3)]


def test_a_place_in_a_large_tokenizer_is_found_quickly() -> None:
    vocabulary = {f"token{number}": number for number in range(150_000)}
    text = json.dumps({"model": {"vocab": vocabulary, "merges": [["a", "b"]] * 100_000}, "added_tokens": []}, indent=1)
    started = time.process_time()
    document, _ = parse_json(PATH, text)
    assert document is not None
    assert document.place("added_tokens")[0] > 400_000
    assert time.process_time() - started < 3


def test_duplicates_below_many_levels_do_not_take_forever() -> None:
    depth = 400
    text = '{"a": 1, "a": 2, "x": ' + '{"x": ' * depth + '"' + "x" * 2_000_000 + '"' + "}" * depth + "}"
    started = time.process_time()
    _, findings = parse_json(PATH, text)
    assert [found.rule for found in findings] == ["duplicate-key"]
    assert time.process_time() - started < 5
