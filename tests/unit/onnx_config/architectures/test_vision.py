"""Names and axes of the files of models that read images, and which sizes of images they take."""

from types import SimpleNamespace

import pytest

from onnx_export_action.onnx_config import OnnxConfig, TasksManager
from onnx_export_action.vocabulary.errors import ExportError
from tests.unit.onnx_config.configs import gpt2_config, text_config, vit_config
from tests.unit.onnx_config.signatures import signature

ONE_SIZE = "pixel_values[batch_size]"
ANY_SIZE = "pixel_values[0: batch_size, 2: height, 3: width]"
MAP = "last_hidden_state[0: batch_size, 2: feature_height, 3: feature_width]"
PATCHES = "last_hidden_state[batch_size, num_patches]"
VECTORS = "last_hidden_state[batch_size]"
CLASSES = "logits[batch_size]"
DETECTIONS = "logits[batch_size] pred_boxes[batch_size]"
SEGMENTS = "logits[0: batch_size, 2: output_height, 3: output_width]"
MASKS = "pred_masks[0: batch_size, 2: output_height, 3: output_width]"
QUERY_MASKS = "masks_queries_logits[0: batch_size, 2: output_height, 3: output_width]"
PICTURE = "reconstruction[0: batch_size, 2: output_height, 3: output_width]"
WORDS = "char_logits[batch_size] bpe_logits[batch_size] wp_logits[batch_size]"

CLASSIFIERS_OF_ONE_SIZE = (
    *("beit", "data2vec-vision", "deit", "hiera", "levit", "mobilevit", "pvt", "swin"),
    *("vit", "vit_msn"),
)
CLASSIFIERS_OF_ANY_SIZE = (
    *("convnext", "convnextv2", "cvt", "efficientnet", "mobilenet_v1", "mobilenet_v2", "poolformer", "regnet"),
    *("resnet", "segformer"),
)


def config_of(model_type: str, task: str, config: object | None = None) -> OnnxConfig:
    return TasksManager.get_exporter_config_constructor(model_type=model_type, task=task)(config or image_config())


def image_config(**attributes: object) -> SimpleNamespace:
    stages = {"depths": [1, 1, 1, 1], "strides": [1, 2, 2, 2, 1, 2, 1], "window_size": 8}
    return vit_config(**(stages | attributes))


@pytest.mark.parametrize("model_type", CLASSIFIERS_OF_ONE_SIZE)
def test_classifiers_with_positions_take_images_of_one_size(model_type: str) -> None:
    assert signature(config_of(model_type, "feature-extraction")) == f"{ONE_SIZE} -> {VECTORS}"
    assert signature(config_of(model_type, "image-classification")) == f"{ONE_SIZE} -> {CLASSES}"


@pytest.mark.parametrize("model_type", CLASSIFIERS_OF_ANY_SIZE)
def test_classifiers_without_positions_take_images_of_any_size(model_type: str) -> None:
    assert signature(config_of(model_type, "feature-extraction")) == f"{ANY_SIZE} -> {MAP}"
    assert signature(config_of(model_type, "image-classification")) == f"{ANY_SIZE} -> {CLASSES}"


@pytest.mark.parametrize(
    ("model_type", "task", "expected"),
    [
        ("dinov2", "feature-extraction", f"{ANY_SIZE} -> {PATCHES}"),
        ("dinov2", "image-classification", f"{ANY_SIZE} -> {CLASSES}"),
        ("yolos", "feature-extraction", f"{ANY_SIZE} -> {PATCHES}"),
        ("yolos", "object-detection", f"{ANY_SIZE} -> {DETECTIONS}"),
        ("detr", "feature-extraction", f"{ANY_SIZE} -> {VECTORS}"),
        ("detr", "object-detection", f"{ANY_SIZE} -> {DETECTIONS}"),
        ("detr", "image-segmentation", f"{ANY_SIZE} -> {DETECTIONS} {MASKS}"),
        ("conditional_detr", "feature-extraction", f"{ANY_SIZE} -> {VECTORS}"),
        ("conditional_detr", "object-detection", f"{ANY_SIZE} -> {DETECTIONS}"),
        ("conditional_detr", "image-segmentation", f"{ANY_SIZE} -> {DETECTIONS} {MASKS}"),
        ("table-transformer", "feature-extraction", f"{ANY_SIZE} -> {VECTORS}"),
        ("table-transformer", "object-detection", f"{ANY_SIZE} -> {DETECTIONS}"),
        ("rt_detr", "object-detection", f"{ANY_SIZE} -> {DETECTIONS}"),
        ("rt_detr_v2", "object-detection", f"{ANY_SIZE} -> {DETECTIONS}"),
        ("d_fine", "object-detection", f"{ANY_SIZE} -> {DETECTIONS}"),
        ("segformer", "image-segmentation", f"{ANY_SIZE} -> {SEGMENTS}"),
        ("segformer", "semantic-segmentation", f"{ANY_SIZE} -> {SEGMENTS}"),
        ("mobilevit", "image-segmentation", f"{ONE_SIZE} -> {CLASSES}"),
        ("swinv2", "feature-extraction", f"{ANY_SIZE} -> {PATCHES}"),
        ("swinv2", "image-classification", f"{ANY_SIZE} -> {CLASSES}"),
        ("dpt", "feature-extraction", f"{ANY_SIZE} -> {PATCHES}"),
        ("dpt", "depth-estimation", f"{ONE_SIZE} -> predicted_depth[batch_size]"),
        ("dpt", "image-segmentation", f"{ONE_SIZE} -> {CLASSES}"),
        ("dpt", "semantic-segmentation", f"{ONE_SIZE} -> {CLASSES}"),
        ("glpn", "feature-extraction", f"{ANY_SIZE} -> {MAP}"),
        (
            "glpn",
            "depth-estimation",
            f"{ANY_SIZE} -> predicted_depth[batch_size, output_height, output_width]",
        ),
        ("maskformer", "feature-extraction", f"{ANY_SIZE} -> {VECTORS}"),
        ("maskformer", "image-segmentation", f"{ANY_SIZE} -> class_queries_logits[batch_size] {QUERY_MASKS}"),
        ("donut-swin", "feature-extraction", f"{ONE_SIZE} -> {VECTORS}"),
        ("swin2sr", "feature-extraction", f"{ANY_SIZE} -> {MAP}"),
        ("swin2sr", "image-to-image", f"{ANY_SIZE} -> {PICTURE}"),
        ("vitpose", "keypoint-detection", f"{ONE_SIZE} -> heatmaps[batch_size]"),
        (
            "mgp-str",
            "feature-extraction",
            f"{ONE_SIZE} -> char_logits[batch_size] bpe_logits[batch_size] wp_logits[batch_size]",
        ),
        ("clip_vision_model", "feature-extraction", f"{ONE_SIZE} -> {VECTORS} pooler_output[batch_size]"),
        ("siglip_vision_model", "feature-extraction", f"{ONE_SIZE} -> {VECTORS} pooler_output[batch_size]"),
        ("vit_mae", "feature-extraction", f"{ONE_SIZE} noise[batch_size] -> {VECTORS}"),
    ],
)
def test_files_of_image_models(model_type: str, task: str, expected: str) -> None:
    assert signature(config_of(model_type, task)) == expected


@pytest.mark.parametrize("model_type", ["deit", "swin", "swinv2", "vit"])
def test_masked_images_are_told_which_patches_are_hidden(model_type: str) -> None:
    config = config_of(model_type, "masked-im")
    assert signature(config) == f"{ONE_SIZE} bool_masked_pos[batch_size] -> reconstruction[batch_size]"
    hidden = config.generate_dummy_inputs("np", batch_size=3)["bool_masked_pos"]
    assert (hidden.dtype, hidden.shape) == (bool, (3, 16))
    assert 0 < hidden.sum() < hidden.size


@pytest.mark.parametrize("task", ["fill-mask", "text-classification"])
def test_a_perceiver_answers_at_all_its_positions_whatever_the_text(task: str) -> None:
    config = config_of("perceiver", task, text_config(d_model=24))
    text = "input_ids[batch_size, sequence_length] attention_mask[batch_size, sequence_length]"
    assert signature(config) == f"{text} -> {CLASSES}"
    with pytest.raises(ExportError, match="sequence_length cannot be 65"):
        config.generate_dummy_inputs("np", sequence_length=65)


def test_a_perceiver_of_images_reads_images() -> None:
    config = config_of("perceiver", "image-classification", text_config(image_size=20))
    assert signature(config) == f"{ONE_SIZE} -> {CLASSES}"
    assert config.generate_dummy_inputs("np")["pixel_values"].shape == (2, 3, 20, 20)


def test_imagegpt_reads_colours_as_tokens() -> None:
    text = "input_ids[batch_size, sequence_length] attention_mask[batch_size, sequence_length]"
    features = config_of("imagegpt", "feature-extraction", gpt2_config())
    assert signature(features) == (
        f"{text} position_ids[batch_size, sequence_length] -> last_hidden_state[batch_size, sequence_length]"
    )
    assert signature(config_of("imagegpt", "image-classification", gpt2_config())) == f"{text} -> {CLASSES}"


@pytest.mark.parametrize(
    ("model_type", "config", "smallest"),
    [
        ("convnext", image_config(patch_size=4), 32),
        ("convnextv2", image_config(patch_size=2, depths=[1, 1]), 4),
        ("efficientnet", image_config(), 32),
        ("efficientnet", image_config(strides=[1, 2]), 4),
        ("rt_detr", image_config(), 64),
    ],
)
def test_images_that_a_stage_would_make_nothing_of_are_refused(
    model_type: str, config: SimpleNamespace, smallest: int
) -> None:
    task = TasksManager.get_supported_tasks_for_model_type(model_type)
    taken = config_of(model_type, next(iter(task)), config)
    assert taken.generate_dummy_inputs("np", image_height=smallest)["pixel_values"].shape[2] == smallest
    with pytest.raises(ExportError, match=f"image_height cannot be {smallest - 1}"):
        taken.generate_dummy_inputs("np", image_height=smallest - 1)


@pytest.mark.parametrize(
    ("model_type", "task", "config", "step"),
    [
        ("rt_detr", "object-detection", SimpleNamespace(num_channels=3), 32),
        ("swin2sr", "image-to-image", image_config(), 8),
    ],
)
def test_images_come_in_steps_where_their_parts_must_fit(
    model_type: str, task: str, config: SimpleNamespace, step: int
) -> None:
    taken = config_of(model_type, task, config)
    assert taken.generate_dummy_inputs("np", image_width=64 + step)["pixel_values"].shape[3] == 64 + step
    with pytest.raises(ExportError, match=f"image_width cannot be {65 + step}") as error:
        taken.generate_dummy_inputs("np", image_width=65 + step)
    assert f"in steps of {step}" in (error.value.hint or "")


@pytest.mark.parametrize(
    ("described", "size", "classes"),
    [
        ({"input_size": [3, 288, 256], "fixed_input_size": False}, (3, 288, 256), f"{ANY_SIZE} -> {CLASSES}"),
        ({"input_size": [1, 240, 240], "fixed_input_size": True}, (1, 240, 240), f"{ONE_SIZE} -> {CLASSES}"),
        ({}, (3, 224, 224), f"{ONE_SIZE} -> {CLASSES}"),
        (None, (3, 224, 224), f"{ONE_SIZE} -> {CLASSES}"),
    ],
)
def test_a_timm_model_takes_the_images_that_timm_describes(
    described: dict[str, object] | None, size: tuple[int, ...], classes: str
) -> None:
    config = SimpleNamespace(architecture="resnet18", pretrained_cfg=described)
    classifier = config_of("timm_wrapper", "image-classification", config)
    assert signature(classifier) == classes
    assert classifier.generate_dummy_inputs("np")["pixel_values"].shape == (2, *size)
    assert signature(config_of("timm_wrapper", "feature-extraction", config)) == f"{ONE_SIZE} -> {VECTORS}"
