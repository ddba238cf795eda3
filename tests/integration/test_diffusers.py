"""Components of diffusers' pipelines, saved as diffusers saves them: found out, exported and proven."""

from pathlib import Path
from typing import Any

import pytest

from onnx_export_action.pipeline.running import check_folder, export_and_check
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.results import Verdict
from tests.architectures.proving import reason_of

TINY = {"block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4}
DENOISER = TINY | {
    "sample_size": 8,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 16,
    "attention_head_dim": 4,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 60,
}
AUTOENCODER = TINY | {
    "sample_size": 16,
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
}


@pytest.mark.parametrize(
    ("class_name", "settings", "files"),
    [
        ("UNet2DConditionModel", DENOISER, ["onnx/model.onnx"]),
        ("AutoencoderKL", AUTOENCODER, ["onnx/vae_encoder.onnx", "onnx/vae_decoder.onnx"]),
    ],
)
def test_a_component_is_exported_and_proven(
    class_name: str, settings: dict[str, Any], files: list[str], tmp_path: Path
) -> None:
    diffusers = pytest.importorskip("diffusers")
    getattr(diffusers, class_name)(**settings).save_pretrained(tmp_path / "model")
    request = Request(name="part", model=str(tmp_path / "model"), destination=tmp_path / "onnx", task="auto")
    result = export_and_check(request, progress=lambda _: None)
    assert result.verdict is Verdict.PASS, reason_of(result)
    assert [file.path for file in result.files] == files
    assert all(axis.proven for file in result.files for axis in file.axes)
    again = check_folder(request, progress=lambda _: None)
    assert again.verdict is Verdict.PASS, reason_of(again)
    assert [file.path for file in again.files] == files
