"""A model's folder is described only where nothing in it leads out, and only as what its configuration says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onnx_export_action.project.model_folder import described_model
from onnx_export_action.vocabulary.errors import ExportError


def folder(tmp_path: Path, **config: object) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_a_model_type_and_its_own_code_are_read(tmp_path: Path) -> None:
    model = described_model(folder(tmp_path, model_type="mine", auto_map={"AutoModel": "code.Mine"}), "auto")
    assert (model.model_type, model.has_own_code) == ("mine", True)
    assert not described_model(folder(tmp_path, model_type="bert"), "auto").has_own_code


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "has no model_type"),
        ({"model_type": 7}, "has no model_type"),
        ({"_class_name": "UNet3DConditionModel"}, "UNet3DConditionModel of diffusers has no configuration class"),
    ],
)
def test_a_folder_of_no_known_kind_is_refused(config: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=words):
        described_model(folder(tmp_path, **config), "auto")


def test_a_folder_that_leads_out_is_refused_before_it_is_read(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (tmp_path / "elsewhere.json").write_text('{"model_type": "bert"}')
    (model / "config.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ExportError, match="link out of the model's folder"):
        described_model(model, "auto")
