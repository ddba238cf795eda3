"""No decision reads a sentence: what decides is an enum or a number, and words are made from it at the edge.

The source is searched for the ways in which a program can decide by words: a text for people (a message, a hint, a
case's id, the text of an exception) that is compared, searched or taken apart, and a field that holds an enum that is
compared with a string.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("src", "hooks") for path in (ROOT / folder).rglob("*.py"))

# Fields whose words are for people.
TEXTS = frozenset(
    ("message", "hint", "id", "what", "words", "reason", "description", "first_difference", "trigger", "strerror")
)
SEARCHES = frozenset(("startswith", "endswith", "find", "rfind", "index", "count", "__contains__"))
PATTERN_SEARCHES = frozenset(("search", "match", "fullmatch", "findall", "finditer"))
CLEANING = frozenset(("lower", "upper", "casefold", "strip", "lstrip", "rstrip", "splitlines"))

# Texts of other programs, which have no other way to say it. Each is read in one place and leaves it as a value.
FOREIGN = frozenset(
    (
        # ONNX Runtime raises one class for all that a node may meet, and has no field but its text.
        "src/onnx_export_action/proving/candidate/stopping.py",
        # libtorch has no class for a full disk: its word for the writer that failed stands in the text alone.
        "src/onnx_export_action/exporting/engines/torchscript.py",
        # torch.load names what a pickle must not hold in its text alone; only what is said depends on it.
        "src/onnx_export_action/loading/model.py",
    )
)


@dataclass(frozen=True)
class Decision:
    """A place that decides by words."""

    path: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.code}"


def enum_fields(trees: list[ast.Module]) -> set[str]:
    """Names of the fields that are declared to hold an enum, over all classes."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    enums = {one.name for one in classes if any("Enum" in ast.unparse(base) for base in one.bases)}
    return {
        field.target.id
        for one in classes
        for field in one.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if enums & {name.id for name in ast.walk(field.annotation) if isinstance(name, ast.Name)}
    }


def decisions(tree: ast.Module, path: str, enums: set[str]) -> Iterator[Decision]:
    """The places of one module that decide by words."""
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name is not None}
    for node in ast.walk(tree):
        if _compares(node, caught, enums) or _searches(node, caught) or _matches(node, enums):
            line = getattr(node, "lineno", 0)
            yield Decision(path, line, ast.unparse(node).splitlines()[0])


def _compares(node: ast.AST, caught: set[str], enums: set[str]) -> bool:
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    if any(isinstance(operator, (ast.Is, ast.IsNot)) for operator in node.ops):
        return False
    by_text = any(_is_text(side, caught) for side in sides) and any(_is_words(side) for side in sides)
    # Of `a in b` it is a that is compared: whether b holds a string says nothing of an enum.
    compared = sides[:1] if isinstance(node.ops[0], (ast.In, ast.NotIn)) else sides
    by_enum = any(_holds_enum(side, enums) for side in compared) and any(_is_literal(side) for side in sides)
    return by_text or by_enum


def _searches(node: ast.AST, caught: set[str]) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    if node.func.attr in SEARCHES and _is_text(node.func.value, caught):
        return True
    return node.func.attr in PATTERN_SEARCHES and any(_is_text(argument, caught) for argument in node.args)


def _matches(node: ast.AST, enums: set[str]) -> bool:
    if not (isinstance(node, ast.Match) and _holds_enum(node.subject, enums)):
        return False
    return any(isinstance(inner, ast.MatchValue) and _is_literal(inner.value) for inner in ast.walk(node))


def _is_text(node: ast.AST, caught: set[str]) -> bool:
    """A field of words, or what an exception says; also in another case, without its ends, or with a default."""
    if isinstance(node, ast.BoolOp):
        return any(_is_text(value, caught) for value in node.values)
    if isinstance(node, ast.Subscript):
        return _is_text(node.value, caught)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in CLEANING:
            return _is_text(node.func.value, caught)
        return isinstance(node.func, ast.Name) and node.func.id == "str" and _names(node.args, caught)
    return isinstance(node, ast.Attribute) and node.attr in TEXTS


def _names(arguments: list[ast.expr], caught: set[str]) -> bool:
    return len(arguments) == 1 and isinstance(arguments[0], ast.Name) and arguments[0].id in caught | {"error"}


def _is_words(node: ast.AST) -> bool:
    """A string, several of them, or a constant of the module."""
    return _is_literal(node) or (isinstance(node, ast.Name) and node.id.strip("_").isupper())


def _is_literal(node: ast.AST) -> bool:
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return bool(node.elts) and any(_is_literal(element) for element in node.elts)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _holds_enum(node: ast.AST, enums: set[str]) -> bool:
    of_numpy = isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("dtype")  # dtype.kind: its letters
    return isinstance(node, ast.Attribute) and node.attr in enums and not of_numpy


def test_no_decision_reads_a_sentence() -> None:
    trees = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in SOURCES}
    enums = enum_fields(list(trees.values()))
    assert {"cause", "verdict", "stage", "tolerance_source", "mask", "problem"} <= enums
    found = [one for path, tree in trees.items() for one in decisions(tree, path, enums)]
    assert not [str(one) for one in found if one.path not in FOREIGN]
    assert {one.path for one in found} >= FOREIGN, "a foreign text that nothing reads any more"


@pytest.mark.parametrize(
    "code",
    [
        'if error.message.startswith("x"): pass',
        'if "shape" in (case.message or "").lower(): pass',
        "if any(case.message and case.message.startswith(STOPPED) for case in cases): pass",
        'base = next(case for case in cases if case.id == "base")',
        "if spec.id.startswith(USER_SHAPES): pass",
        'try: run()\nexcept Exception as error:\n    full = "No space" in str(error)',
        'if tolerance.tolerance_source == "calibrated": pass',
        'if file.verdict in ("pass", "fail"): pass',
        'match file.verdict:\n    case "pass": done()',
        "if _PATTERN.search(failure.hint): pass",
    ],
)
def test_the_search_finds_the_ways_to_decide_by_words(code: str) -> None:
    assert list(decisions(ast.parse(code), "code", {"tolerance_source", "verdict"}))


@pytest.mark.parametrize(
    "code",
    [
        "if file.verdict is Verdict.PASS: pass",
        "if one.id == other.id: pass",
        'text = f"{error.message}; {error.hint}"',
        'if array.dtype.kind == "f": pass',
        'if node.name.startswith("/layer"): pass',
    ],
)
def test_the_search_passes_over_what_decides_by_values(code: str) -> None:
    assert not list(decisions(ast.parse(code), "code", {"kind", "verdict"}))
