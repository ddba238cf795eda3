"""Models of types without a configuration class: what runs of them show is what their files take and give."""

from pathlib import Path
from typing import Any

import pytest
import torch

from onnx_export_action.configuring.configuration import INFERRED_NOTE
from onnx_export_action.configuring.inference import infer_onnx_config
from onnx_export_action.loading.model import spread_random_weights
from onnx_export_action.onnx_config import TasksManager
from onnx_export_action.pipeline.running import export_and_check
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.options import ExportOptions
from onnx_export_action.vocabulary.results import TargetResult, Verdict
from tests.architectures.tiny import tiny_config, write_tiny_config
from tests.unit.onnx_config.signatures import signature


def tiny_model(model_type: str, task: str, **changes: Any) -> Any:
    config = tiny_config(model_type, **changes)
    torch.manual_seed(0)
    return TasksManager.get_model_class_for_task(task, model_type=model_type).from_config(config).eval()


def test_an_encoder_of_text_without_a_mask() -> None:
    config = infer_onnx_config(tiny_model("fnet", "fill-mask"), "fill-mask")
    assert signature(config) == "input_ids[batch_size, sequence_length] -> logits[batch_size, sequence_length]"
    assert config.shape_limits()["sequence_length"].maximum == 96


def test_images_of_the_size_that_the_model_was_made_for() -> None:
    config = infer_onnx_config(tiny_model("vit", "image-classification"), "image-classification")
    assert signature(config) == "pixel_values[batch_size] -> logits[batch_size]"
    assert config.shape_limits()["image_height"].maximum == 32


def test_images_of_any_size_move_the_features_under_names_of_their_own() -> None:
    config = infer_onnx_config(tiny_model("resnet", "feature-extraction"), "feature-extraction")
    assert config.inputs == {"pixel_values": {0: "batch_size", 2: "height", 3: "width"}}
    features = config.outputs["last_hidden_state"]
    assert features[0] == "batch_size"
    assert not {features[2], features[3]} & {"height", "width"}


def test_a_decoder_keeps_its_past_as_any_other() -> None:
    config = infer_onnx_config(tiny_model("biogpt", "text-generation"), "text-generation-with-past")
    assert config.inputs["past_key_values.0.key"] == {0: "batch_size", 2: "past_sequence_length"}
    assert config.outputs["present.1.value"] == {0: "batch_size", 2: "past_sequence_length + sequence_length"}


def test_a_state_that_is_no_cache_of_keys_is_refused_with_the_way_out() -> None:
    with pytest.raises(ExportError, match="keeps no past") as error:
        infer_onnx_config(tiny_model("mamba", "text-generation"), "text-generation-with-past")
    assert "use the task text-generation" in (error.value.hint or "")


class Unusual(torch.nn.Module):
    config = None

    def forward(self, graph: torch.Tensor) -> torch.Tensor:
        return graph


def test_a_model_of_unknown_inputs_says_what_was_tried() -> None:
    with pytest.raises(ExportError, match="no call of Unusual was found") as error:
        infer_onnx_config(Unusual(), "feature-extraction")
    assert "pixel_values" in (error.value.hint or "")


@pytest.mark.parametrize(
    ("model_type", "inputs"),
    [
        ("siglip2_vision_model", "pixel_values"),
        ("mimi_encoder", "input_values[0: batch_size, 2: sequence_length]"),
        ("lxmert", "input_ids[batch_size, sequence_length] attention_mask[batch_size, sequence_length] visual_feats"),
        ("blip_2_qformer", "query_embeds[batch_size, sequence_length] encoder_hidden_states[batch_size]"),
        ("canine", "input_ids[batch_size] attention_mask[batch_size]"),
        ("clap", "input_ids[batch_size, sequence_length] attention_mask[batch_size, sequence_length] input_features"),
        ("granite_speech5_encoder", "input_features[batch_size] attention_mask[batch_size]"),
        ("muse_spark_audio", "input_values[batch_size, sequence_length]"),
        ("wav2vec2-bert", "input_features[batch_size, num_frames] attention_mask[batch_size, num_frames]"),
        (
            "muse_glimmer_assistant",
            "noise_embeds[batch_size] context_hidden_states[batch_size, context_hidden_states_1]",
        ),
        ("pocket_tts_audio_tokenizer_decoder", "latents[0: batch_size, 2: sequence_length]"),
    ],
)
def test_inputs_of_their_own(model_type: str, inputs: str) -> None:
    config = infer_onnx_config(tiny_model(model_type, "feature-extraction"), "feature-extraction")
    assert signature(config).startswith(inputs)


@pytest.mark.parametrize(
    ("model_type", "mask"), [("kosmos-2", "image_embeds_position_mask"), ("idefics", "image_attention_mask")]
)
def test_a_text_says_where_its_image_stands(model_type: str, mask: str) -> None:
    model = tiny_model(model_type, "image-to-text")
    spread_random_weights(model, seed=0)  # fresh ones let no image through
    config = infer_onnx_config(model, "image-to-text")
    assert {"input_ids", "pixel_values", mask} <= set(config.inputs)
    assert config.inputs[mask] == {0: "batch_size", 1: "sequence_length"}


def test_inputs_of_different_lengths_have_axes_of_different_names() -> None:
    config = infer_onnx_config(tiny_model("voxtral_realtime", "text2text-generation"), "text2text-generation")
    assert config.inputs["input_ids"][1] != config.inputs["input_features"][2] == "num_frames"


def test_what_is_drawn_at_random_is_no_output() -> None:
    config = infer_onnx_config(tiny_model("univnet", "feature-extraction"), "feature-extraction")
    assert set(config.inputs) == {"input_features", "noise_sequence"}


def test_an_image_is_as_large_as_a_model_needs_that_cuts_it_up() -> None:
    config = infer_onnx_config(tiny_model("depth_pro", "depth-estimation"), "depth-estimation")
    assert config.generate_dummy_inputs("np")["pixel_values"].shape[2:] == (128, 128)


def test_sound_of_any_length_is_made_in_few_frames() -> None:
    config = infer_onnx_config(tiny_model("cohere_asr", "automatic-speech-recognition"), "automatic-speech-recognition")
    assert config.inputs["input_features"][1] == "num_frames"
    assert config.generate_dummy_inputs("np")["input_features"].shape[1] == 600
    assert config.generate_dummy_inputs("np", nb_max_frames=700)["input_features"].shape[1] == 700


def test_patches_of_an_image_are_proven_for_one_grid_and_the_report_says_so(tmp_path: Path) -> None:
    result = exported("qwen2_5_vl_vision", "feature-extraction", tmp_path)
    assert result.verdict is Verdict.PASS
    assert [note for note in result.notes if "grid_thw fixed" in note]


def exported(model_type: str, task: str, folder: Path) -> TargetResult:
    model = write_tiny_config(model_type, folder / "model")
    random = ExportOptions(weights=Weights.RANDOM)
    request = Request(name="it", model=str(model), destination=folder / "onnx", task=task, options=random)
    return export_and_check(request, progress=lambda _: None)


def test_an_inferred_export_is_proven_and_says_that_it_was_inferred(tmp_path: Path) -> None:
    result = exported("biogpt", "text-generation-with-past", tmp_path)
    assert result.verdict is Verdict.PASS
    assert INFERRED_NOTE in result.notes
    assert result.files[0].generation is not None
    assert result.files[0].generation.equal


def test_a_registered_type_is_not_inferred(tmp_path: Path) -> None:
    result = exported("bert", "feature-extraction", tmp_path)
    assert result.verdict is Verdict.PASS
    assert INFERRED_NOTE not in result.notes


def test_the_lengths_of_an_encoder_and_a_decoder_in_one_file_are_two() -> None:
    config = infer_onnx_config(tiny_model("led", "feature-extraction"), "feature-extraction")
    assert config.inputs["input_ids"] == {0: "batch_size", 1: "sequence_length"}
    assert config.inputs["decoder_input_ids"] == {0: "batch_size", 1: "decoder_sequence_length"}
    assert config.outputs["last_hidden_state"] == config.inputs["decoder_input_ids"]


def test_an_encoder_decoder_becomes_the_files_of_its_kind() -> None:
    config = infer_onnx_config(tiny_model("umt5", "text2text-generation"), "text2text-generation-with-past")
    assert [name for name, _ in config.components()] == ["encoder_model", "decoder_model", "decoder_with_past_model"]


def test_an_input_that_the_model_takes_and_does_not_read_is_none_of_the_files() -> None:
    config = infer_onnx_config(tiny_model("rwkv", "feature-extraction"), "feature-extraction")
    assert list(config.inputs) == ["input_ids"]
