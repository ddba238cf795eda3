"""The grid: what every model meets, and that it follows from the declared axes alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from onnx_export_action.onnx_config import BertOnnxConfig, GPT2OnnxConfig, OnnxConfig, ResNetOnnxConfig, ViTOnnxConfig
from onnx_export_action.proving.cases.grid import plan_cases
from onnx_export_action.proving.cases.specs import CaseSpec, axis_sizes
from onnx_export_action.vocabulary.errors import ExportError


def bert(**changes: Any) -> BertOnnxConfig:
    attributes = {
        "model_type": "bert",
        "vocab_size": 100,
        "hidden_size": 32,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "pad_token_id": 0,
    }
    return BertOnnxConfig(SimpleNamespace(**(attributes | changes)), task="text-classification")


def gpt2() -> GPT2OnnxConfig:
    config = SimpleNamespace(
        model_type="gpt2", vocab_size=100, n_embd=32, n_head=4, n_layer=2, n_positions=512, pad_token_id=0
    )
    return GPT2OnnxConfig(config, task="text-generation-with-past")


def sizes(onnx_config: OnnxConfig, specs: list[CaseSpec], axis: str) -> set[int]:
    return {axis_sizes(onnx_config.inputs, spec.arrays(onnx_config))[axis] for spec in specs}


def test_a_text_model_meets_every_batch_length_and_padding() -> None:
    onnx_config = bert()
    specs = plan_cases(onnx_config, seed=0)
    assert len(specs) >= 8
    assert {1, 2, 3} <= sizes(onnx_config, specs, "batch_size")
    lengths = sizes(onnx_config, specs, "sequence_length")
    assert {1, 2, 7} <= lengths
    assert max(lengths) > 16
    assert {"none", "left", "right", "mixed"} <= {spec.padding for spec in specs}
    assert len({spec.id for spec in specs}) == len(specs)


def test_a_decoder_meets_an_empty_past_one_token_and_many() -> None:
    onnx_config = gpt2()
    specs = plan_cases(onnx_config, seed=0)
    assert {0, 1} <= sizes(onnx_config, specs, "past_sequence_length")
    assert max(sizes(onnx_config, specs, "past_sequence_length")) > 16


def test_every_declared_axis_is_varied_alone() -> None:
    onnx_config = gpt2()
    varied = {spec.varied for spec in plan_cases(onnx_config, seed=0)}
    assert {"batch_size", "sequence_length", "past_sequence_length"} <= varied


def test_sizes_stay_within_the_positions_of_the_model() -> None:
    onnx_config = bert(max_position_embeddings=10)
    specs = plan_cases(onnx_config, seed=0)
    assert max(sizes(onnx_config, specs, "sequence_length")) == 10
    assert len(specs) >= 8


def test_a_model_of_one_image_size_meets_other_values_instead_of_other_sizes() -> None:
    config = SimpleNamespace(model_type="vit", image_size=32, num_channels=3, hidden_size=32, patch_size=8)
    onnx_config = ViTOnnxConfig(config, task="image-classification")
    specs = plan_cases(onnx_config, seed=0)
    assert len(specs) >= 8
    assert {spec.arrays(onnx_config)["pixel_values"].shape[1:] for spec in specs} == {(3, 32, 32)}
    values = {
        (spec.arrays(onnx_config)["pixel_values"].shape[0], spec.arrays(onnx_config)["pixel_values"].tobytes())
        for spec in specs
    }
    assert len(values) == len(specs)


def test_a_convolutional_model_meets_other_image_sizes() -> None:
    config = SimpleNamespace(model_type="resnet", num_channels=3, hidden_sizes=[8, 16])
    onnx_config = ResNetOnnxConfig(config, task="image-classification")
    specs = plan_cases(onnx_config, seed=0)
    heights = {spec.arrays(onnx_config)["pixel_values"].shape[2] for spec in specs}
    assert len(heights) >= 3
    assert {"image_height", "image_width"} <= {spec.varied for spec in specs}


def test_the_users_own_sizes_come_alone_and_together() -> None:
    onnx_config = bert()
    specs = plan_cases(onnx_config, seed=0, extra={"batch_size": [5], "sequence_length": [64, 128]})
    shapes = {tuple(spec.arrays(onnx_config)["input_ids"].shape) for spec in specs}
    assert {(5, 16), (2, 64), (2, 128), (5, 64), (5, 128)} <= shapes


def test_a_size_that_the_model_cannot_take_is_the_users_to_know() -> None:
    with pytest.raises(ExportError, match="sequence_length"):
        plan_cases(bert(max_position_embeddings=32), seed=0, extra={"sequence_length": [64]})


def test_the_same_seed_gives_the_same_inputs_and_another_seed_others() -> None:
    onnx_config = bert()

    def inputs(seed: int) -> list[bytes]:
        return [spec.arrays(onnx_config)["input_ids"].tobytes() for spec in plan_cases(onnx_config, seed=seed)]

    assert inputs(0) == inputs(0)
    assert inputs(0) != inputs(100)
