"""What genai_config.json says of a decoder, and of which files it says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from onnx_export_action.exporting.companions.onnxruntime_genai import genai_config
from onnx_export_action.vocabulary.manifest import OnnxFileRecord, TensorRecord
from onnx_export_action.vocabulary.outcomes import DecoderFacts
from onnx_export_action.vocabulary.variants import variant_path

FACTS = DecoderFacts(context_length=2048, hidden_size=64, num_attention_heads=8, bos_token_id=1, eos_token_ids=[2])


def int64(*shape: int | str) -> TensorRecord:
    return TensorRecord(dtype="int64", shape=list(shape))


def decoder(variant: str = "fp32", *, value_size: int = 16, **changes: Any) -> OnnxFileRecord:
    """Two layers with four heads of 16 numbers, and a vocabulary of 100 words."""
    inputs = {
        "input_ids": int64("batch_size", "sequence_length"),
        "attention_mask": int64("batch_size", "past_sequence_length + sequence_length"),
        "position_ids": int64("batch_size", "sequence_length"),
    }
    outputs = {"logits": TensorRecord(dtype="float32", shape=["batch_size", "sequence_length", 100])}
    for layer in range(2):
        for part, size in (("key", 16), ("value", value_size)):
            shape: list[int | str] = ["batch_size", 4, "past_sequence_length", size]
            inputs[f"past_key_values.{layer}.{part}"] = TensorRecord(dtype="float32", shape=shape)
            outputs[f"present.{layer}.{part}"] = TensorRecord(dtype="float32", shape=shape)
    return OnnxFileRecord(
        path=variant_path("onnx/model.onnx", variant),
        bytes=1,
        sha256="0" * 64,
        components=["model"],
        variant=variant,
        engine="tracer",
        opset=18,
        inputs=inputs | changes.get("inputs", {}),
        outputs=outputs | changes.get("outputs", {}),
    )


def config(generation: dict[str, Any] | None = None, facts: DecoderFacts = FACTS) -> dict[str, Any]:
    made = genai_config(facts, generation or {}, [decoder()])
    assert made is not None
    return made


def test_sizes_are_those_of_the_file_and_the_length_is_the_models() -> None:
    model = config()["model"]
    assert (model["context_length"], model["vocab_size"]) == (2048, 100)
    told = {name: value for name, value in model["decoder"].items() if isinstance(value, (int, str))}
    assert told == {
        "filename": "onnx/model.onnx",
        "head_size": 16,
        "hidden_size": 64,
        "num_attention_heads": 8,
        "num_hidden_layers": 2,
        "num_key_value_heads": 4,
    }
    assert model["decoder"]["inputs"]["past_key_names"] % 1 in decoder().inputs
    assert model["decoder"]["outputs"]["present_value_names"] % 1 in decoder().outputs


def test_the_file_nearest_to_the_model_is_named() -> None:
    made = genai_config(FACTS, {}, [decoder("q4"), decoder("fp16"), decoder("q8")])
    assert made is not None
    assert made["model"]["decoder"]["filename"] == "onnx/model_fp16.onnx"


def test_tokens_and_search_are_those_of_generation_config() -> None:
    generation = {"eos_token_id": [5, 6], "pad_token_id": 7, "do_sample": True, "top_k": 20, "temperature": 1}
    made = config(generation)
    assert made["model"]["eos_token_id"] == [5, 6]
    assert (made["model"]["bos_token_id"], made["model"]["pad_token_id"]) == (1, 7)
    assert (made["search"]["do_sample"], made["search"]["top_k"], made["search"]["max_length"]) == (True, 20, 2048)
    assert isinstance(made["search"]["temperature"], float)


def test_a_text_is_padded_with_its_end_where_nothing_else_is_said() -> None:
    assert config()["model"]["pad_token_id"] == 2
    assert config({"eos_token_id": [8, 9]})["model"]["pad_token_id"] == 8


@pytest.mark.parametrize("value", ["x", [], {}, True, -1, 100, None, [None, 10**9], [[3]]])
def test_what_is_no_token_of_the_vocabulary_is_passed_over(value: Any) -> None:
    ids = {"eos_token_id": value, "bos_token_id": value, "pad_token_id": value}
    model = config(ids)["model"]
    assert (model["eos_token_id"], model["bos_token_id"], model["pad_token_id"]) == (2, 1, 2)
    nothing_known = config(ids, DecoderFacts(context_length=8))["model"]
    assert not {"eos_token_id", "bos_token_id", "pad_token_id"} & set(nothing_known)


@pytest.mark.parametrize("value", ["x", [], None, "1"])
def test_what_is_no_setting_of_a_search_is_passed_over(value: Any) -> None:
    names = [name for name in config()["search"] if name not in ("max_length", "past_present_share_buffer")]
    assert config(dict.fromkeys(names, value))["search"] == config()["search"]


@pytest.mark.parametrize(
    "file",
    [
        decoder(value_size=8),
        decoder(inputs={"token_type_ids": int64("batch_size", "sequence_length")}),
        decoder(inputs={"position_ids": int64(3, "batch_size", "sequence_length")}),
        decoder(inputs={"past_conv.0": TensorRecord(dtype="float32", shape=["batch_size", 8, 3])}),
        decoder(outputs={"logits": TensorRecord(dtype="float32", shape=["batch_size", "sequence_length", "words"])}),
        decoder(outputs={"hidden_states": TensorRecord(dtype="float32", shape=["batch_size"])}),
    ],
)
def test_a_file_that_it_cannot_feed_is_not_named(file: OnnxFileRecord) -> None:
    assert genai_config(FACTS, {}, [file]) is None


def test_a_length_is_never_guessed() -> None:
    assert genai_config(DecoderFacts(hidden_size=64), {}, [decoder()]) is None
