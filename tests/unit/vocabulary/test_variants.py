"""The table of variants is the only list of them, and what its rows name exists."""

from __future__ import annotations

import ast
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnx_export_action.vocabulary.variants import (
    REFERENCE_VARIANT,
    VARIANTS,
    Variant,
    reference_path,
    variant_meant,
    variant_of,
    variant_path,
)

ROOT = Path(__file__).parents[3]
TABLE = ROOT / "src/onnx_export_action/vocabulary/variants.py"
# These words are also types of numbers.
TYPES_TOO = {"int8", "uint8"}


def words_of_variants(path: Path) -> Iterator[tuple[str, int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and node.value in VARIANTS.keys() - TYPES_TOO:
            yield path.relative_to(ROOT).as_posix(), node.lineno, node.value


def test_no_other_file_lists_variants() -> None:
    files = [path for folder in ("src", "hooks", "tools") for path in (ROOT / folder).rglob("*.py") if path != TABLE]
    assert len(files) > 200
    assert [found for path in files for found in words_of_variants(path)] == []


def test_all_but_the_first_are_made_from_it() -> None:
    assert [name for name, row in VARIANTS.items() if row.maker is None] == [REFERENCE_VARIANT]


@pytest.mark.parametrize("row", [row for row in VARIANTS.values() if row.maker], ids=lambda row: row.name)
def test_a_row_names_a_maker_and_an_imitation(row: Variant) -> None:
    assert callable(pkgutil.resolve_name(f"onnx_export_action.variants.{row.maker}"))
    if row.imitation is not None:
        assert callable(pkgutil.resolve_name(f"onnx_export_action.proving.precision.{row.imitation}"))
    assert row.exact == (row.least_db is None), "what is judged by its noise has a least signal over noise"
    assert not row.exact or row.float32


def test_names_of_files_tell_variants_apart() -> None:
    assert len({row.suffix for row in VARIANTS.values()}) == len(VARIANTS)
    for name in VARIANTS:
        path = variant_path("onnx/decoder_model_merged.onnx", name)
        assert variant_of(path) == name
        assert reference_path(path, name) == "onnx/decoder_model_merged.onnx"


def test_words_of_other_tools_mean_one_variant() -> None:
    words = [word for row in VARIANTS.values() for word in (row.name, *row.other_names)]
    assert len(words) == len(set(words))
    assert [variant_meant(word) for word in ("FP16", "half", "int4", "nf4", "quantised", "sixteen")] == [
        *("fp16", "fp16", "q4", "bnb4", "q8"),
        None,
    ]


def test_the_page_describes_every_variant() -> None:
    page = (ROOT / "docs/variants.md").read_text(encoding="utf-8")
    table = page.partition("| Variant | File |")[2].partition("\n\n")[0]
    rows = [line.split("|") for line in table.splitlines()[2:]]
    names, files = ([word for row in rows for word in re.findall(r"`([^`]+)`", row[column])] for column in (1, 2))
    assert names == list(VARIANTS)
    assert files == [variant_path("model.onnx", name) for name in VARIANTS]
