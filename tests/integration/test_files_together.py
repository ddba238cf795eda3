"""Models that become several files: the files of one export, run one after the other, do what the whole model does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from onnx_export_action.export.loading import spread_random_weights
from onnx_export_action.results import Verdict
from onnx_export_action.stages import Request, export_and_check
from tests.architectures.proving import reason_of
from tests.architectures.tiny import tiny_config

Arrays = dict[str, np.ndarray[Any, Any]]
Run = Callable[..., Arrays]


class Exported:
    """A tiny model, and the ONNX files that were made of it."""

    def __init__(self, model: Any, folder: Path) -> None:
        self.model = model
        self.names = {path.stem for path in folder.glob("*.onnx")}
        self._folder = folder

    def run(self, name: str, **inputs: Any) -> Arrays:
        """One file's outputs by name."""
        session = onnxruntime.InferenceSession(str(self._folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        feeds = {key: value.numpy() if isinstance(value, torch.Tensor) else value for key, value in inputs.items()}
        return dict(zip(names, session.run(names, feeds), strict=True))


def exported(model_class: Any, task: str, folder: Path, **changes: Any) -> Exported:
    """Save a tiny model, export it and have every file proven."""
    config = tiny_config(model_class.config_class.model_type, **changes)
    model = model_class(config).eval()
    spread_random_weights(model, seed=3)
    model.save_pretrained(folder / "model")
    request = Request(name="tiny", model=str(folder / "model"), destination=folder / "made", task=task)
    result = export_and_check(request, progress=lambda _: None)
    assert result.verdict is Verdict.PASS, reason_of(result)
    return Exported(model, folder / "made" / "onnx")


@pytest.fixture(autouse=True)
def repeatable() -> None:
    torch.manual_seed(0)


def assert_close(found: np.ndarray[Any, Any], expected: torch.Tensor) -> None:
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-4, rtol=1e-4)


def test_sam_masks_an_image_for_several_prompts(tmp_path: Path) -> None:
    from transformers import SamModel

    sam = exported(SamModel, "feature-extraction", tmp_path)
    assert sam.names == {"vision_encoder", "prompt_encoder_mask_decoder"}
    pixels = torch.randn(2, 3, 32, 32)
    encoded = sam.run("vision_encoder", pixel_values=pixels)
    for masks, points in ((1, 3), (4, 1)):
        places, labels = torch.rand(2, masks, points, 2) * 32, torch.randint(0, 2, (2, masks, points))
        found = sam.run("prompt_encoder_mask_decoder", input_points=places, input_labels=labels, **encoded)
        with torch.inference_mode():
            whole = sam.model(pixel_values=pixels, input_points=places, input_labels=labels)
        assert_close(found["pred_masks"], whole.pred_masks)
        assert_close(found["iou_scores"], whole.iou_scores)
