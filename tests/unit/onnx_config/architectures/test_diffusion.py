"""Names and axes of the files of diffusers' components, read from what diffusers writes."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from onnx_export_action.onnx_config import OnnxConfig, TasksManager
from onnx_export_action.project.model_folder import read_model_config
from onnx_export_action.vocabulary.errors import ExportError
from tests.unit.onnx_config.configs import text_config
from tests.unit.onnx_config.signatures import signature

LATENTS = "sample[0: batch_size, 2: height, 3: width]"
TEXT = "encoder_hidden_states[batch_size, sequence_length]"
NOISE = "out_sample[0: batch_size, 2: height, 3: width]"


def config_of(model_type: str, **attributes: object) -> OnnxConfig:
    sizes = {"sample_size": 16, "in_channels": 4, "latent_channels": 5, "cross_attention_dim": 12}
    config = SimpleNamespace(**({"block_out_channels": [8, 16, 16]} | sizes | attributes))
    return TasksManager.get_exporter_config_constructor(model_type=model_type, task="semantic-segmentation")(config)


def test_a_denoiser_takes_latents_a_step_and_a_text() -> None:
    config = config_of("unet-2d-condition")
    assert signature(config) == f"{LATENTS} timestep[] {TEXT} -> {NOISE}"
    shapes = {name: array.shape for name, array in config.generate_dummy_inputs("np", sequence_length=7).items()}
    assert shapes == {"sample": (2, 4, 16, 16), "timestep": (), "encoder_hidden_states": (2, 7, 12)}


def test_the_denoiser_of_stable_diffusion_xl_is_told_of_sizes() -> None:
    sizes = {"addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 60, "time_cond_proj_dim": 5}
    config = config_of("unet-2d-condition", addition_embed_type="text_time", **sizes)
    conditions = "text_embeds[batch_size] time_ids[batch_size] timestep_cond[batch_size]"
    assert signature(config) == f"{LATENTS} timestep[] {TEXT} {conditions} -> {NOISE}"
    inputs = config.generate_dummy_inputs("np", batch_size=3)
    assert {name: inputs[name].shape for name in ("text_embeds", "time_ids", "timestep_cond")} == {
        "text_embeds": (3, 60 - 6 * 8),
        "time_ids": (3, 6),
        "timestep_cond": (3, 5),
    }


def test_an_autoencoder_is_two_files() -> None:
    parts = dict(config_of("autoencoder-kl").components())
    assert {name: signature(part) for name, part in parts.items()} == {
        "vae_encoder": f"{LATENTS} -> latent_parameters[0: batch_size, 2: latent_height, 3: latent_width]",
        "vae_decoder": "latent_sample[0: batch_size, 2: latent_height, 3: latent_width] -> " + LATENTS,
    }
    assert parts["vae_decoder"].generate_dummy_inputs("np")["latent_sample"].shape == (2, 5, 4, 4)


@pytest.mark.parametrize("model_type", ["unet-2d-condition", "autoencoder-kl"])
def test_sizes_must_survive_every_halving(model_type: str) -> None:
    taken = config_of(model_type).components()[0][1]
    assert taken.generate_dummy_inputs("np", image_height=20)["sample"].shape[2] == 20
    with pytest.raises(ExportError, match="image_height cannot be 18"):
        taken.generate_dummy_inputs("np", image_height=18)


@pytest.mark.parametrize(
    ("model_type", "whole"), [("clip_text_model", "pooler_output"), ("clip-text-with-projection", "text_embeds")]
)
def test_text_encoders_take_no_mask(model_type: str, whole: str) -> None:
    constructor = TasksManager.get_exporter_config_constructor(model_type=model_type, task="feature-extraction")
    outputs = f"last_hidden_state[batch_size, sequence_length] {whole}[batch_size]"
    assert signature(constructor(text_config())) == f"input_ids[batch_size, sequence_length] -> {outputs}"
    every_layer = constructor(text_config(output_hidden_states=True)).outputs
    assert [name for name in every_layer if name.startswith("hidden_states")] == [
        f"hidden_states.{n}" for n in range(3)
    ]


def test_a_text_encoder_with_projection_is_known_by_its_class(tmp_path: Path) -> None:
    written = {"model_type": "clip_text_model", "architectures": ["CLIPTextModelWithProjection"]}
    (tmp_path / "config.json").write_text(json.dumps(written))
    config = read_model_config(tmp_path)
    assert config["model_type"] == "clip-text-with-projection"
    assert TasksManager.infer_task_from_config(config) == "feature-extraction"


@pytest.mark.parametrize(
    ("class_name", "model_type"),
    [("UNet2DConditionModel", "unet-2d-condition"), ("AutoencoderKL", "autoencoder-kl")],
)
def test_a_component_is_known_by_its_class(class_name: str, model_type: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": class_name, "sample_size": 8}))
    config = read_model_config(tmp_path)
    assert config["model_type"] == model_type
    assert TasksManager.infer_task_from_config(config) == "feature-extraction"


def test_a_class_without_configuration_names_no_type(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "FluxTransformer2DModel"}))
    assert "model_type" not in read_model_config(tmp_path)
