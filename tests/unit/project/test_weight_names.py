"""Which files of a repository are fetched and hashed as weights."""

import pytest

from onnx_export_action.project.weight_names import weights_and_parts


@pytest.mark.parametrize(
    ("names", "weights"),
    [
        (["config.json", "model.safetensors", "pytorch_model.bin"], ["model.safetensors"]),
        (["model.safetensors", "vocoder/pytorch_model.bin"], ["model.safetensors", "vocoder/pytorch_model.bin"]),
        (["pytorch_model.bin", "other/model.safetensors"], ["pytorch_model.bin"]),
        (
            ["model.safetensors.index.json", "model-2.safetensors", "vocoder/model.safetensors", "vocoder/x.bin"],
            ["model.safetensors.index.json", "model-2.safetensors", "vocoder/model.safetensors"],
        ),
        (["vocoder/config.json"], []),
    ],
)
def test_one_set_of_weights_for_a_model_and_one_for_a_model_inside_it(names: list[str], weights: list[str]) -> None:
    assert weights_and_parts(names) == weights
