"""Names of the weights beside a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnx_export_action.vocabulary.names.external_data import model_of_piece, piece_path, pieces_beside


def test_pieces_have_the_names_that_transformers_js_fetches() -> None:
    names = [piece_path(Path("onnx/model_q4.onnx"), number).as_posix() for number in range(3)]
    assert names == ["onnx/model_q4.onnx_data", "onnx/model_q4.onnx_data_1", "onnx/model_q4.onnx_data_2"]


@pytest.mark.parametrize("number", [0, 1, 99])
def test_a_piece_belongs_to_its_model(number: int) -> None:
    model = Path("a/model.onnx")
    assert model_of_piece(piece_path(model, number)) == model


@pytest.mark.parametrize(
    "name", ["model.onnx", "model.onnx_data_", "model.onnx_data_x", "model.onnx_database", ".onnx_data"]
)
def test_other_files_are_no_pieces(name: str) -> None:
    assert model_of_piece(Path(name)) is None


def test_pieces_beside_a_model_are_its_own_alone(tmp_path: Path) -> None:
    for name in (
        "model.onnx_data",
        "model.onnx_data_1",
        "model.onnx.data",
        "model_q4.onnx_data",
        "model.onnx",
        "x.json",
    ):
        (tmp_path / name).touch()
    found = {path.name for path in pieces_beside(tmp_path / "model.onnx")}
    assert found == {"model.onnx_data", "model.onnx_data_1", "model.onnx.data"}
