"""No false alarm: files that other tools changed without changing an answer are accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnx_export_action.vocabulary.results import Verdict
from tests.faults.checking import Exports
from tests.faults.variations import VARIATIONS, Change


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    return Exports(tmp_path_factory.mktemp("exports"))


@pytest.mark.parametrize("export", ["encoder", "decoder"])
@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in VARIATIONS.items()])
def test_what_changes_no_answer_is_accepted(change: Change, export: str, exports: Exports, tmp_path: Path) -> None:
    change(exports[export].model(), tmp_path / "model.onnx")
    result = exports[export].check(tmp_path / "model.onnx")
    assert result.verdict is Verdict.PASS, result.failure
