"""A fact stands in one file: no constant is written down twice, and what the outside world must repeat is the same."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnx_export_action.vocabulary.supported import opsets
from onnx_export_action.vocabulary.supported.engines import ENGINES_OF_ONNX

ROOT = Path(__file__).parents[2]
SOURCES = [path for folder in ("src", "hooks", "tools") for path in sorted((ROOT / folder).rglob("*.py"))]

# Names and values that are alike by chance: facts of different things.
CHANCE = {
    "ATTEMPTS",  # of GitHub's API, and of the Hub's
    "MAX_BYTES",  # of files of several kinds
    "MAX_DEPTH",  # of YAML, and of ONNX graphs
    "MAX_FINDINGS",  # of a schema, and of a hook
    "MOST_CALLS",  # to time a variant, and to measure latency
    "SCHEMA_VERSION",  # of manifests, and of results
    "TYPE_CHECKING",  # where typing is not imported, for speed
}


def constants(path: Path) -> Iterator[tuple[str, str]]:
    """Name and value of each constant of a module that is written out: a number, a text, a collection of them."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        several = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
        pairs = zip(target.elts, value.elts, strict=True) if several else [(target, value)]
        for name, written in pairs:
            if isinstance(name, ast.Name) and name.id.strip("_").isupper() and _is_written_out(written):
                yield name.id.strip("_"), ast.unparse(written)


def _is_written_out(value: ast.expr) -> bool:
    """Not empty, and made of constants alone, so that reading it is enough."""
    return not any(isinstance(node, ast.Name | ast.Call | ast.Lambda) for node in ast.walk(value)) and any(
        isinstance(node, ast.Constant) for node in ast.walk(value)
    )


def test_no_constant_is_written_twice() -> None:
    places: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for path in SOURCES:
        for found in constants(path):
            places[found].append(path.relative_to(ROOT).as_posix())
    assert len(places) > 300
    twice = {found: where for found, where in places.items() if len(where) > 1 and found[0] not in CHANCE}
    assert twice == {}


@pytest.mark.parametrize("name", ["onnx-export.yaml", "config.json", "use_cache_branch"])
def test_a_shared_name_is_written_once(name: str) -> None:
    places = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value == name
    ]
    assert len(places) == 1, places


def test_opsets_are_numbers_in_the_vocabulary_alone() -> None:
    """No option, field or default of a name with opset in it has a number of its own."""
    found = [
        f"{path.relative_to(ROOT)}: {ast.unparse(node)}"
        for path in SOURCES
        if path.stem not in ("opsets", "engines")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if _gives_an_opset(node)
    ]
    assert found == []


def _gives_an_opset(node: ast.AST) -> bool:
    values: list[ast.expr | None] = []
    if isinstance(node, ast.AnnAssign) and "opset" in ast.unparse(node.target).lower():
        values = [node.value]
    if isinstance(node, ast.Assign) and "opset" in ast.unparse(node.targets[0]).lower():
        values = [node.value]
    if isinstance(node, ast.Call) and any("opset" in ast.unparse(argument) for argument in node.args[:1]):
        values = [keyword.value for keyword in node.keywords] + list(node.args[1:])
    if isinstance(node, ast.arguments):
        named = [*node.posonlyargs, *node.args][len(node.posonlyargs) + len(node.args) - len(node.defaults) :]
        pairs = [*zip(named, node.defaults, strict=True), *zip(node.kwonlyargs, node.kw_defaults, strict=True)]
        values = [value for argument, value in pairs if "opset" in argument.arg]
    numbers = (part.value for value in values if value is not None for part in ast.walk(value) if _is_number(part))
    return any(number > 1 for number in numbers)


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def test_the_readme_says_the_opsets_and_engines() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"| `opset` | `{opsets.DEFAULT_OPSET}` | {opsets.MIN_OPSET} to {opsets.MAX_OPSET} |" in readme
    row = re.search(r"^\| `engine` \|.*$", readme, re.MULTILINE)
    assert row is not None
    assert all(f"`{engine}`" in row[0] for engine in ENGINES_OF_ONNX)
