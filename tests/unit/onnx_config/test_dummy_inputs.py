"""Dummy inputs are inputs that a user could send: seeded, padded like a tokenizer's, consistent with each other."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnx_export_action.onnx_config import (
    BartOnnxConfig,
    BertOnnxConfig,
    CLIPOnnxConfig,
    DummyInputGenerator,
    GPT2OnnxConfig,
    LlamaOnnxConfig,
    NormalizedTextConfig,
    OnnxConfig,
    ResNetOnnxConfig,
    RobertaOnnxConfig,
    ViTOnnxConfig,
    Wav2Vec2OnnxConfig,
    WhisperOnnxConfig,
)
from onnx_export_action.vocabulary.errors import ExportError
from tests.unit.onnx_config.configs import (
    bart_config,
    clip_config,
    gpt2_config,
    text_config,
    vit_config,
    wav2vec2_config,
    whisper_config,
)

PADDINGS = ["none", "left", "right", "mixed"]
SOURCE = Path(__file__).parents[3] / "src"


def plain(**declared: Mapping[int, str]) -> type[OnnxConfig]:
    """A user's class that says its inputs and nothing else."""

    class Plain(OnnxConfig):
        @property
        def inputs(self) -> Mapping[str, Mapping[int, str]]:
            return declared

    return Plain


def last_real(mask: Any) -> Any:
    return mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("rows", "length"), [(1, 1), (1, 2), (1, 7), (2, 16), (3, 5), (5, 33)])
def test_ids_are_padding_exactly_where_the_mask_is_zero(padding: str, rows: int, length: int) -> None:
    inputs = BertOnnxConfig(text_config(pad_token_id=7)).generate_dummy_inputs(
        "np", batch_size=rows, sequence_length=length, padding=padding
    )
    mask = inputs["attention_mask"]
    assert mask.shape == (rows, length)
    assert ((inputs["input_ids"] == 7) == (mask == 0)).all()
    assert (mask.sum(axis=1) >= 1).all()
    assert not inputs["token_type_ids"][mask == 0].any()
    assert (mask == 1).all() == (padding == "none" or length == 1)


def test_padding_is_on_the_side_that_was_asked_for() -> None:
    def masks(padding: str) -> Any:
        return BertOnnxConfig(text_config()).generate_dummy_inputs(
            "np", batch_size=6, sequence_length=12, padding=padding
        )["attention_mask"]

    assert masks("right")[:, 0].all()
    assert masks("left")[:, -1].all()
    assert (np.diff(masks("right"), axis=1) <= 0).all()
    assert (np.diff(masks("left"), axis=1) >= 0).all()
    mixed = masks("mixed")
    assert not mixed[:, 0].all()
    assert not mixed[:, -1].all()
    assert len({tuple(row) for row in masks("right")}) > 2
    assert masks("right")[0].all(), "a tokenizer pads to the longest row, which has no padding"


def test_the_default_is_a_padded_batch_of_two() -> None:
    mask = BertOnnxConfig(text_config()).generate_dummy_inputs("np")["attention_mask"]
    assert mask.shape == (2, 16)
    assert 0 < mask.sum() < mask.size


def test_the_same_arguments_give_the_same_values_in_another_process() -> None:
    program = (
        "from types import SimpleNamespace as N\n"
        "from onnx_export_action.onnx_config import GPT2OnnxConfig\n"
        "c = N(vocab_size=100, n_embd=32, n_layer=1, n_head=4, n_positions=64)\n"
        "d = GPT2OnnxConfig(c, 'text-generation-with-past').generate_dummy_inputs('np', seed=3, padding='mixed')\n"
        "print(sum(float(v.astype('float64').sum()) for v in d.values()), d['input_ids'].tolist())\n"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": str(SOURCE), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


def test_another_seed_gives_other_values() -> None:
    config = GPT2OnnxConfig(gpt2_config(), task="text-generation-with-past")
    first, again, other = (config.generate_dummy_inputs("np", seed=seed) for seed in (0, 0, 1))
    for name in ("input_ids", "past_key_values.0.key"):
        assert (first[name] == again[name]).all()
        assert (first[name] != other[name]).any()
    assert (first["past_key_values.0.key"] != first["past_key_values.0.value"]).any()
    assert (first["past_key_values.0.key"] != first["past_key_values.1.key"]).any()


def test_text_holds_no_special_tokens() -> None:
    config = text_config(vocab_size=12, pad_token_id=0, bos_token_id=1, eos_token_id=[2, 3], mask_token_id=4)
    ids = plain(input_ids={0: "b", 1: "s"})(config, task="text-generation").generate_dummy_inputs(
        "np", batch_size=8, sequence_length=40
    )["input_ids"]
    assert set(np.unique(ids)) == set(range(5, 12))
    only_special = text_config(vocab_size=2, pad_token_id=0, eos_token_id=1)
    assert BertOnnxConfig(only_special).generate_dummy_inputs("np")["input_ids"].max() < 2


@pytest.mark.parametrize("padding", PADDINGS)
def test_bart_finds_one_end_per_row_at_the_last_real_token(padding: str) -> None:
    inputs = BartOnnxConfig(bart_config(), task="text-classification").generate_dummy_inputs(
        "np", batch_size=4, sequence_length=9, padding=padding
    )
    is_end = inputs["input_ids"] == 2
    assert (is_end.sum(axis=1) == 1).all()
    assert (is_end.argmax(axis=1) == last_real(inputs["attention_mask"])).all()


@pytest.mark.parametrize(("eos", "expected"), [(99, 99), (2, 99), (50, 50), (49407, None)])
def test_clip_finds_the_end_where_it_looks(eos: int, expected: int | None) -> None:
    # A configuration that says 2 makes CLIP read at the highest id instead.
    inputs = CLIPOnnxConfig(clip_config(eos_token_id=eos)).generate_dummy_inputs("np", batch_size=3, padding="mixed")
    ids = inputs["input_ids"]
    assert ids.max() < 100
    if expected is not None:
        assert ((ids == expected).argmax(axis=1) == last_real(inputs["attention_mask"])).all()
        assert ((ids == expected).sum(axis=1) == 1).all()


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("past", "new"), [(0, 1), (0, 6), (1, 1), (5, 1), (5, 4)])
def test_positions_count_the_mask_over_past_and_new_tokens(padding: str, past: int, new: int) -> None:
    inputs = GPT2OnnxConfig(gpt2_config(), task="text-generation-with-past").generate_dummy_inputs(
        "np", batch_size=4, sequence_length=new, past_sequence_length=past, padding=padding
    )
    mask = inputs["attention_mask"]
    assert mask.shape == (4, past + new)
    assert inputs["input_ids"].shape == inputs["position_ids"].shape == (4, new)
    for row in range(4):
        seen = 0
        for column in range(past + new):
            if column >= past:
                expected = seen if mask[row, column] else 0
                assert inputs["position_ids"][row, column - past] == expected
                assert (inputs["input_ids"][row, column - past] == 99) == (mask[row, column] == 0)
            seen += mask[row, column]
    assert inputs["past_key_values.0.key"].shape == (4, 4, past, 8)
    assert mask[:, past:].any(axis=1).all(), "every row has a real new token"
    if padding != "none" and past + new > 2:
        assert not mask.all()


def test_keys_and_values_have_the_heads_and_sizes_that_the_configuration_names() -> None:
    grouped = text_config(num_key_value_heads=2, head_dim=10)
    inputs = LlamaOnnxConfig(grouped, task="text-generation-with-past").generate_dummy_inputs("np")
    assert inputs["past_key_values.1.value"].shape == (2, 2, 16, 10)
    assert inputs["past_key_values.1.value"].dtype == np.float32


def test_each_part_of_an_encoder_decoder_gets_its_own_lengths() -> None:
    parts = dict(BartOnnxConfig(bart_config(), task="text2text-generation-with-past").components())
    lengths = {"encoder_sequence_length": 7, "decoder_sequence_length": 3, "past_sequence_length": 5}
    shapes = {
        part: {name: value.shape for name, value in config.generate_dummy_inputs("np", **lengths).items()}
        for part, config in parts.items()
    }
    assert shapes["encoder_model"] == {"input_ids": (2, 7), "attention_mask": (2, 7)}
    assert shapes["decoder_model"] == {
        "input_ids": (2, 3),
        "encoder_hidden_states": (2, 7, 24),
        "encoder_attention_mask": (2, 7),
    }
    with_past = shapes["decoder_with_past_model"]
    assert with_past["input_ids"] == (2, 3)
    assert with_past["past_key_values.0.decoder.key"] == (2, 4, 5, 6)
    assert with_past["past_key_values.0.encoder.key"] == (2, 4, 7, 6)


def test_tokens_without_a_mask_are_never_padding() -> None:
    decoder = dict(BartOnnxConfig(bart_config(), task="text2text-generation").components())["decoder_model"]
    inputs = decoder.generate_dummy_inputs("np", padding="mixed", batch_size=4)
    assert not (inputs["input_ids"] == 1).any()
    assert (inputs["encoder_attention_mask"] == 0).any()


def test_a_mask_of_the_decoder_goes_with_its_ids() -> None:
    axes = {0: "batch_size", 1: "decoder_sequence_length"}
    config = plain(decoder_input_ids=axes, decoder_attention_mask=axes)(bart_config())
    inputs = config.generate_dummy_inputs("np", batch_size=3, decoder_sequence_length=6, padding="left")
    assert inputs["decoder_input_ids"].shape == (3, 6)
    assert ((inputs["decoder_input_ids"] == 1) == (inputs["decoder_attention_mask"] == 0)).all()
    assert not inputs["decoder_attention_mask"].all()


def test_every_documented_shape_argument_is_taken() -> None:
    documented = {
        "batch_size": 3,
        "sequence_length": 5,
        "num_choices": 2,
        "image_width": 40,
        "image_height": 48,
        "num_channels": 1,
        "feature_size": 12,
        "nb_max_frames": 60,
        "audio_sequence_length": 500,
    }
    config = plain(input_ids={0: "b", 1: "c", 2: "s"}, pixel_values={0: "b"}, input_features={0: "b"})(
        text_config(), task="multiple-choice"
    )
    shapes = {name: value.shape for name, value in config.generate_dummy_inputs("np", **documented).items()}
    assert shapes == {"input_ids": (3, 2, 5), "pixel_values": (3, 1, 48, 40), "input_features": (3, 12, 60)}
    sound = plain(input_values={0: "b"})(text_config()).generate_dummy_inputs("np", **documented)
    assert sound["input_values"].shape == (3, 500)


def test_documented_defaults() -> None:
    config = plain(pixel_values={0: "b"}, input_features={0: "b"})(text_config())
    shapes = {name: value.shape for name, value in config.generate_dummy_inputs("np").items()}
    assert shapes == {"pixel_values": (2, 3, 224, 224), "input_features": (2, 80, 3000)}
    assert plain(input_values={0: "b"})(text_config()).generate_dummy_inputs("np")["input_values"].shape == (2, 16000)


@pytest.mark.parametrize(
    ("image_size", "expected"),
    [(32, (32, 32)), ((24, 40), (24, 40)), ([24], (24, 24)), ({"height": 24, "width": 40}, (24, 40))],
)
def test_images_have_the_size_that_the_configuration_names(image_size: object, expected: tuple[int, int]) -> None:
    config = ViTOnnxConfig(vit_config(image_size=image_size, num_channels=1))
    assert config.generate_dummy_inputs("np")["pixel_values"].shape == (2, 1, *expected)


@pytest.mark.parametrize("image_size", ["32", -1, {"shortest_edge": 32}, 3.5])
def test_an_image_size_that_is_none_is_named(image_size: object) -> None:
    with pytest.raises(ExportError, match="image"):
        ViTOnnxConfig(vit_config(image_size=image_size)).generate_dummy_inputs("np")


def test_a_size_that_the_model_fixes_cannot_be_asked_for() -> None:
    with pytest.raises(ExportError, match="image_height cannot be 64") as error:
        ViTOnnxConfig(vit_config()).generate_dummy_inputs("np", image_height=64)
    assert "fixed at 32" in (error.value.hint or "")
    resnet = ResNetOnnxConfig(vit_config(image_size=None)).generate_dummy_inputs("np", image_height=64, image_width=33)
    assert resnet["pixel_values"].shape == (2, 3, 64, 33)
    with pytest.raises(ExportError, match="nb_max_frames"):
        WhisperOnnxConfig(whisper_config(), task="audio-classification").generate_dummy_inputs("np", nb_max_frames=50)


def test_whisper_takes_as_many_frames_as_its_encoder_has_positions() -> None:
    inputs = WhisperOnnxConfig(whisper_config(), task="audio-classification").generate_dummy_inputs("np")
    assert inputs["input_features"].shape == (2, 8, 40)


def test_masked_sound_is_silent_and_no_row_is_shorter_than_the_convolutions() -> None:
    config = Wav2Vec2OnnxConfig(wav2vec2_config(feat_extract_norm="layer"))
    inputs = config.generate_dummy_inputs("np", batch_size=5, audio_sequence_length=60, padding="mixed")
    assert ((inputs["input_values"] == 0) == (inputs["attention_mask"] == 0)).all()
    assert not inputs["attention_mask"].all()
    assert (inputs["attention_mask"].sum(axis=1) >= 20).all()  # (1 frame - 1) * 2 + 3 = 3; (3 - 1) * 5 + 10 = 20
    with pytest.raises(ExportError) as error:
        config.generate_dummy_inputs("np", audio_sequence_length=19)
    assert "at least 20" in (error.value.hint or "")


def test_masked_pixels_are_black_at_the_bottom_and_right() -> None:
    config = plain(pixel_values={0: "b"}, pixel_mask={0: "b"}, bool_masked_pos={0: "b"})(vit_config())
    inputs = config.generate_dummy_inputs("np", batch_size=3, padding="left")
    mask = inputs["pixel_mask"]
    assert mask.shape == (3, 32, 32)
    assert mask[:, 0, 0].all()
    assert not mask[1, -1].any()
    assert ((inputs["pixel_values"] == 0).all(axis=1) == (mask == 0)).all()
    assert inputs["bool_masked_pos"].shape == (3, 16)
    assert inputs["bool_masked_pos"].dtype == bool


def test_texts_and_images_of_clip_are_counted_apart() -> None:
    inputs = CLIPOnnxConfig(clip_config()).generate_dummy_inputs("np", text_batch_size=3, image_batch_size=4)
    assert (inputs["input_ids"].shape, inputs["pixel_values"].shape) == ((3, 16), (4, 3, 32, 32))
    with pytest.raises(ExportError, match="text_batch_size"):
        BertOnnxConfig(text_config()).generate_dummy_inputs("np", text_batch_size=3)


def test_lengths_stay_within_the_models_positions() -> None:
    short = BertOnnxConfig(text_config(max_position_embeddings=10))
    assert short.generate_dummy_inputs("np")["input_ids"].shape == (2, 10)
    with pytest.raises(ExportError, match="sequence_length cannot be 11"):
        short.generate_dummy_inputs("np", sequence_length=11)
    roberta = RobertaOnnxConfig(text_config(max_position_embeddings=12, pad_token_id=1))
    assert roberta.max_sequence_length == 10
    rotary = LlamaOnnxConfig(text_config(max_position_embeddings=10), task="text-generation")
    assert rotary.generate_dummy_inputs("np", sequence_length=30)["input_ids"].shape == (2, 30)


def test_past_and_new_tokens_share_the_positions() -> None:
    config = GPT2OnnxConfig(gpt2_config(n_positions=20), task="text-generation-with-past")
    inputs = config.generate_dummy_inputs("np")
    assert inputs["attention_mask"].shape[1] <= 20
    assert inputs["input_ids"].shape[1] > 1
    assert config.generate_dummy_inputs("np", sequence_length=15)["attention_mask"].shape == (2, 20)
    assert config.generate_dummy_inputs("np", past_sequence_length=19)["input_ids"].shape == (2, 1)
    with pytest.raises(ExportError, match="too long"):
        config.generate_dummy_inputs("np", sequence_length=15, past_sequence_length=6)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ({"sequence_lenght": 4}, "sequence_lenght", "'sequence_length'"),
        ({"batch_size": 0}, "batch_size cannot be 0", "at least 1"),
        ({"batch_size": 2.5}, "whole number", ""),
        ({"batch_size": True}, "whole number", ""),
        ({"padding": "rihgt"}, "rihgt", "'right'"),
        ({"framework": "tf"}, "tf", "pt"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ExportError, match=message) as error:
        BertOnnxConfig(text_config()).generate_dummy_inputs(**({"framework": "np"} | arguments))
    assert hint in (error.value.hint or "")


def test_a_configuration_without_vocabulary_says_so() -> None:
    config = text_config()
    del config.vocab_size
    with pytest.raises(ExportError, match="no vocab_size"):
        BertOnnxConfig(config).generate_dummy_inputs("np")


def test_an_input_that_nobody_makes_is_named() -> None:
    with pytest.raises(ExportError, match="'timesteps'"):
        plain(timesteps={0: "b"})(text_config()).generate_dummy_inputs("np")


def test_a_users_generator_makes_its_inputs() -> None:
    class Timesteps(DummyInputGenerator):
        SUPPORTED_INPUT_NAMES = ("timesteps",)

        def array(self, input_name: str) -> Any:
            return self.random_int_array(input_name, (self.batch_size, self.sequence_length), 9)

    class Config(plain(timesteps={0: "b", 1: "s"})):
        DUMMY_INPUT_GENERATOR_CLASSES = (Timesteps,)

    steps = Config(text_config()).generate_dummy_inputs("np", batch_size=3)["timesteps"]
    assert steps.shape == (3, 16)
    assert steps.max() < 9


def test_other_spellings_of_a_configuration_can_be_named() -> None:
    normalized = NormalizedTextConfig.with_args(vocab_size="words", num_layers="depth")
    config = normalized(text_config(words=17, depth=3))
    assert (config.vocab_size, config.num_layers, config.hidden_size) == (17, 3, 32)
    assert config.head_dim == 8
    assert not config.has_attribute("no_such_thing")
    with pytest.raises(AttributeError, match="no attribute 'wrods'"):
        NormalizedTextConfig.with_args(wrods="words")(text_config())


def test_torch_tensors_are_the_same_inputs() -> None:
    torch = pytest.importorskip("torch")
    config = BertOnnxConfig(text_config())
    arrays, tensors = config.generate_dummy_inputs("np", seed=5), config.generate_dummy_inputs("pt", seed=5)
    assert list(arrays) == list(tensors) == list(config.inputs)
    assert all(tensors[name].dtype == torch.int64 for name in tensors)
    assert all((tensors[name].numpy() == arrays[name]).all() for name in arrays)
