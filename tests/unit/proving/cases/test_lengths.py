"""Lengths at which a model does something else are found in its configuration, and crossed within the budgets."""

from __future__ import annotations

from typing import Any

import pytest
import transformers

from onnx_export_action.onnx_config import OnnxConfig, TasksManager
from onnx_export_action.proving.cases.grid import plan_cases
from onnx_export_action.proving.cases.lengths import PAST_BUDGET, Threshold, positions, thresholds, unreached
from onnx_export_action.proving.cases.specs import CaseSpec
from onnx_export_action.vocabulary.results import Padding

GENERATION = "text-generation-with-past"


def configured(model_type: str, task: str, **sizes: Any) -> OnnxConfig:
    config = transformers.AutoConfig.for_model(model_type, **sizes)
    (component,) = TasksManager.get_exporter_config_constructor(model_type=model_type, task=task)(config).components()
    return component[1]


def long_ones(onnx_config: OnnxConfig, parameters: int) -> list[CaseSpec]:
    return [spec for spec in plan_cases(onnx_config, seed=0, parameters=parameters) if spec.is_extra]


def total(spec: CaseSpec) -> int:
    return spec.shapes.get("past_sequence_length", 0) + spec.shapes.get("sequence_length", 0)


@pytest.mark.parametrize(
    ("model_type", "sizes", "names"),
    [
        ("gemma3_text", {"sliding_window": 512}, {"sliding_window": 512}),
        ("mistral", {"sliding_window": 4096, "max_position_embeddings": 32768}, {"sliding_window": 4096}),
        ("gpt_oss", {"sliding_window": 128}, {"sliding_window": 128}),
        ("longformer", {"attention_window": [64, 64], "num_hidden_layers": 2}, {"attention_window": 64}),
        ("big_bird", {"block_size": 32, "max_position_embeddings": 1024}, {"block_size": 32}),
        ("modernbert", {"local_attention": 128}, {"local_attention": 128}),
        ("phi3", {"original_max_position_embeddings": 1024}, {"original_max_position_embeddings": 1024}),
    ],
)
def test_the_configurations_own_words_are_found(model_type: str, sizes: dict[str, Any], names: dict[str, int]) -> None:
    task = GENERATION if model_type in ("gemma3_text", "mistral", "gpt_oss", "phi3") else "feature-extraction"
    found = {one.name: one.length for one in thresholds(configured(model_type, task, **sizes))}
    assert names.items() <= found.items()


@pytest.mark.parametrize("model_type", ["bert", "gpt2", "llama", "vit", "wav2vec2"])
def test_numbers_of_layers_and_of_other_things_are_no_lengths(model_type: str) -> None:
    task = {"gpt2": GENERATION, "llama": GENERATION, "vit": "image-classification"}.get(
        model_type, "feature-extraction"
    )
    assert thresholds(configured(model_type, task)) == []


def test_every_window_is_crossed_by_a_past_and_the_longest_past_has_no_text_of_its_size() -> None:
    onnx_config = configured(
        "gemma3_text",
        GENERATION,
        num_hidden_layers=26,
        hidden_size=1152,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=256,
        sliding_window=512,
        max_position_embeddings=32768,
    )
    specs = long_ones(onnx_config, 1_000_000_000)
    crossing = [one for one in specs if one.shapes.get("past_sequence_length", 0) < 512 < total(one)]
    assert crossing
    assert max(total(one) for one in specs) > 2000
    assert max(one.shapes.get("sequence_length", 0) for one in specs) < 100


@pytest.mark.parametrize(("model_type", "parameters"), [("gpt2", 124_000_000), ("llama", 1_100_000_000)])
def test_more_than_half_of_the_positions_meet_padding_in_a_batch(model_type: str, parameters: int) -> None:
    sizes = {"num_hidden_layers": 22, "num_key_value_heads": 4} if model_type == "llama" else {}
    onnx_config = configured(model_type, GENERATION, **sizes)
    end = onnx_config.normalized_config.max_position_embeddings
    padded = [one for one in long_ones(onnx_config, parameters) if one.padding is Padding.LEFT]
    assert max(total(one) for one in padded) > 0.55 * end
    assert {one.shapes["batch_size"] for one in padded} == {2}
    assert all(one.shapes["past_sequence_length"] % 2 or one.shapes["sequence_length"] % 2 for one in padded)


def test_a_block_is_not_only_filled() -> None:
    onnx_config = configured("longformer", "feature-extraction", attention_window=512, max_position_embeddings=4098)
    lengths = [total(one) for one in long_ones(onnx_config, 10_000_000)]
    assert any(length > 512 and length % 512 for length in lengths)


def test_a_past_stays_within_its_budget() -> None:
    onnx_config = configured("phi3", GENERATION, num_hidden_layers=32)
    specs = long_ones(onnx_config, 3_800_000_000)
    per_token = 8 * 32 * 3072
    assert all(
        one.shapes.get("past_sequence_length", 0) * one.shapes.get("batch_size", 2) * per_token
        <= PAST_BUDGET + 3_800_000_000 // 8
        for one in specs
    )


def test_what_is_not_reached_is_named_with_the_models_own_end() -> None:
    onnx_config = configured("gemma3_text", GENERATION, sliding_window=512, max_position_embeddings=32768)
    assert unreached(onnx_config, 400) == [
        Threshold("sliding_window", 512),
        Threshold("max_position_embeddings", 32768),
    ]
    assert unreached(onnx_config, 600) == [Threshold("max_position_embeddings", 32768)]
    assert unreached(onnx_config, 32768) == []


def test_positions_are_counted_over_past_and_new_tokens() -> None:
    shape = {
        "batch_size": 2,
        "sequence_length": 3,
        "past_sequence_length": 9,
        "past_sequence_length + sequence_length": 12,
    }
    assert positions(shape) == 12
    assert positions({"batch_size": 2, "audio_sequence_length": 16000}) == 0
