"""What a model's folder says of it, read without torch."""

import json
from pathlib import Path

import pytest

from onnx_export_action.loading.source import preprocessor_config
from onnx_export_action.onnx_config import TasksManager
from onnx_export_action.project.model_folder import read_model_config


def test_a_configuration_that_timm_wrote_names_a_type_and_a_task(tmp_path: Path) -> None:
    written = {"architecture": "resnet18", "num_classes": 7, "pretrained_cfg": {"input_size": [3, 224, 224]}}
    (tmp_path / "config.json").write_text(json.dumps(written))
    config = read_model_config(tmp_path)
    assert config["model_type"] == "timm_wrapper"
    assert config["architecture"] == "resnet18"
    assert TasksManager.infer_task_from_config(config) == "image-classification"


def test_a_processor_in_one_file_gives_the_file_that_javascript_reads(tmp_path: Path) -> None:
    extractor = {"feature_extractor_type": "WhisperFeatureExtractor", "n_samples": 480_000}
    saved = tmp_path / "processor_config.json"
    saved.write_text(json.dumps({"feature_extractor": extractor, "processor_class": "WhisperProcessor"}))
    assert json.loads(preprocessor_config(saved) or "") == extractor | {"processor_class": "WhisperProcessor"}


@pytest.mark.parametrize("content", [b"[", b"[]", b"\xff", b'{"feature_extractor": "x"}', b'{"processor_class": "X"}'])
def test_a_processor_s_file_without_parts_gives_none(content: bytes, tmp_path: Path) -> None:
    saved = tmp_path / "processor_config.json"
    saved.write_bytes(content)
    assert preprocessor_config(saved) is None
