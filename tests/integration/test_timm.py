"""Models of timm, saved as timm saves them for the Hub: the product finds out what they are and proves them."""

from pathlib import Path

import pytest

from onnx_export_action.pipeline.running import export_and_check
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.options import ExportOptions
from onnx_export_action.vocabulary.results import Stage, Verdict
from tests.architectures.proving import reason_of


def saved(architecture: str, folder: Path) -> Path:
    """The folder of a small random model of seven classes."""
    timm = pytest.importorskip("timm", reason="timm needs a torchvision of the same build as torch", exc_type=Exception)
    from timm.models import save_for_hf

    folder.mkdir()
    model = timm.create_model(architecture, num_classes=7)
    save_for_hf(model, str(folder), model_config={"label_names": list("abcdefg")}, safe_serialization=True)
    return folder


@pytest.mark.parametrize(
    ("architecture", "axes"),
    [("resnet10t", ["batch_size", "height", "width"]), ("vit_tiny_patch16_224", ["batch_size"])],
)
def test_a_timm_checkpoint_is_recognised_and_proven(architecture: str, axes: list[str], tmp_path: Path) -> None:
    folder = saved(architecture, tmp_path / "model")
    request = Request(name="timm", model=str(folder), destination=tmp_path / "onnx", task="auto")
    result = export_and_check(request, progress=lambda _: None)
    assert result.verdict is Verdict.PASS, reason_of(result)
    assert result.model is not None
    assert (result.model.model_type, result.model.task) == ("timm_wrapper", "image-classification")
    assert [axis.name for axis in result.files[0].axes if axis.proven] == axes


def test_without_timm_the_user_is_told_what_to_install(tmp_path: Path) -> None:
    try:
        import timm  # noqa: F401 - whether it can be imported
    except Exception:  # without torchvision, or with one of another build, it raises what they raise
        pass
    else:
        pytest.skip("timm is here")
    (tmp_path / "config.json").write_text('{"architecture": "resnet18", "num_classes": 2, "pretrained_cfg": {}}')
    random = ExportOptions(weights=Weights.RANDOM)
    request = Request(name="timm", model=str(tmp_path), destination=tmp_path / "onnx", options=random)
    result = export_and_check(request, progress=lambda _: None)
    assert result.verdict is Verdict.ERROR
    assert result.failure is not None
    assert result.failure.stage is Stage.LOAD
    assert "requires the timm library" in result.failure.message
    assert result.failure.hint == "install what the model is made of: pip install timm"
