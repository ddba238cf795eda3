"""Files of image models, run on images that nobody traced: sizes, detections, segments, hidden patches, batch norms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from onnx_export_action.exporting.engines import tracer
from onnx_export_action.graphs.writing import write_graph
from onnx_export_action.loading.calibrating import calibrate_batch_norms
from onnx_export_action.loading.model import spread_random_weights
from onnx_export_action.onnx_config import OnnxConfig, TasksManager
from onnx_export_action.proving.candidate.session import open_session
from onnx_export_action.traceable.calling import model_call
from tests.architectures.tiny import tiny_config


class Exported:
    """A tiny model, its configuration, and a session of the file that the tracer makes of it."""

    def __init__(self, model_type: str, task: str, folder: Path) -> None:
        config = tiny_config(model_type)
        config.architectures = []
        torch.manual_seed(0)
        self.model = TasksManager.get_model_class_for_task(task, model_type=model_type).from_config(config).eval()
        spread_random_weights(self.model, seed=1)
        self.config: OnnxConfig = TasksManager.get_exporter_config_constructor(model_type=model_type, task=task)(config)
        call = model_call(self.model, self.config, self.config.generate_dummy_inputs("pt"))
        calibrate_batch_norms(self.model, lambda: call.module(*call.dummy_inputs.values()))
        write_graph(tracer.record(call, 18).graph, folder / "model.onnx")
        self.session = open_session(folder / "model.onnx")

    def run(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """The file's outputs by name, which are those of the model."""
        names = [output.name for output in self.session.get_outputs()]
        found: dict[str, Any] = dict(zip(names, self.session.run(names, inputs), strict=True))
        with torch.inference_mode():
            expected = self.model(**{name: torch.from_numpy(array) for name, array in inputs.items()})
        for name, array in found.items():
            np.testing.assert_allclose(array, expected[name].numpy(), atol=1e-4, rtol=1e-4, err_msg=name)
        return found


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("model_type", ["yolos", "detr"])
def test_detections_are_boxes_of_any_image(model_type: str, tmp_path: Path) -> None:
    detector = Exported(model_type, "object-detection", tmp_path)
    for height, width in ((48, 40), (67, 101)):
        found = detector.run(pixel_values=image(2, 3, height, width))
        queries = found["pred_boxes"].shape[1]
        assert found["pred_boxes"].shape == (2, queries, 4)
        assert found["logits"].shape[:2] == (2, queries)
        assert 0 <= found["pred_boxes"].min() < found["pred_boxes"].max() <= 1


def test_segments_are_a_quarter_of_the_image(tmp_path: Path) -> None:
    segmenter = Exported("segformer", "semantic-segmentation", tmp_path)
    assert segmenter.run(pixel_values=image(1, 3, 64, 96))["logits"].shape[2:] == (16, 24)
    assert segmenter.run(pixel_values=image(3, 3, 85, 66))["logits"].shape[2:] == (22, 17)


def test_an_enlarged_image_has_twice_its_size(tmp_path: Path) -> None:
    enlarger = Exported("swin2sr", "image-to-image", tmp_path)
    assert enlarger.run(pixel_values=image(1, 3, 20, 36))["reconstruction"].shape == (1, 3, 40, 72)


@pytest.mark.parametrize(
    ("model_type", "task"),
    [
        ("mobilenet_v1", "image-classification"),
        ("mobilenet_v2", "image-classification"),
        ("swinv2", "feature-extraction"),
        ("maskformer", "image-segmentation"),
    ],
)
def test_padding_follows_the_size_of_the_image(model_type: str, task: str, tmp_path: Path) -> None:
    model = Exported(model_type, task, tmp_path)
    for size in ((96, 96), (97, 96), (78, 103), (100, 131)):
        model.run(pixel_values=image(1, 3, *size))


@pytest.mark.parametrize("model_type", ["vit", "deit", "swin"])
def test_hidden_patches_are_filled_in_by_what_is_seen(model_type: str, tmp_path: Path) -> None:
    filler = Exported(model_type, "masked-im", tmp_path)
    inputs = filler.config.generate_dummy_inputs("np")
    filled = filler.run(**inputs)["reconstruction"]
    assert filled.shape == inputs["pixel_values"].shape
    all_seen = filler.run(**inputs | {"bool_masked_pos": np.zeros_like(inputs["bool_masked_pos"])})["reconstruction"]
    assert np.abs(filled - all_seen).max() > 0.01


def test_random_batch_norms_let_a_deep_network_tell_images_apart() -> None:
    torch.manual_seed(0)
    stages = [
        torch.nn.Sequential(torch.nn.Conv2d(8, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.SiLU())
        for _ in range(40)
    ]
    network = torch.nn.Sequential(*stages).eval()
    spread_random_weights(network, seed=0)
    pixels = torch.from_numpy(image(2, 8, 16, 16))

    def difference() -> float:
        with torch.inference_mode():
            features = network(pixels)
        return float((features[0] - features[1]).square().mean() / features.square().mean())

    before = difference()
    calibrate_batch_norms(network, lambda: network(pixels))
    assert difference() > 1000 * before
    statistics = [buffer.clone() for buffer in network.buffers()]
    difference()
    assert all(torch.equal(old, new) for old, new in zip(statistics, network.buffers(), strict=True))
