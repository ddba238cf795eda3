"""What a model's folder says of it, read without torch."""

import json
from pathlib import Path

from onnx_export_action.onnx_config import TasksManager
from onnx_export_action.project.model_folder import read_model_config


def test_a_configuration_that_timm_wrote_names_a_type_and_a_task(tmp_path: Path) -> None:
    written = {"architecture": "resnet18", "num_classes": 7, "pretrained_cfg": {"input_size": [3, 224, 224]}}
    (tmp_path / "config.json").write_text(json.dumps(written))
    config = read_model_config(tmp_path)
    assert config["model_type"] == "timm_wrapper"
    assert config["architecture"] == "resnet18"
    assert TasksManager.infer_task_from_config(config) == "image-classification"
