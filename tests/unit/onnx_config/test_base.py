"""Names and axes of the files: what other tools read, and what the seeds of the project print."""

from collections import OrderedDict
from collections.abc import Mapping

import pytest

from onnx_export_action.onnx_config import (
    BartOnnxConfig,
    BertOnnxConfig,
    CLIPOnnxConfig,
    ComponentKind,
    DistilBertOnnxConfig,
    DummyTextInputGenerator,
    GPT2OnnxConfig,
    NormalizedTextConfig,
    OnnxConfig,
    OnnxConfigWithPast,
    PatchingSpec,
    ResNetOnnxConfig,
    T5OnnxConfig,
    TextEncoderOnnxConfig,
    TextSeq2SeqOnnxConfig,
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


class BatchAndSequence(OnnxConfig):
    """The class of the documentation's section on unsupported architectures."""

    @property
    def inputs(self) -> Mapping[str, Mapping[int, str]]:
        return OrderedDict(
            [("input_ids", {0: "batch", 1: "sequence"}), ("attention_mask", {0: "batch", 1: "sequence"})]
        )


def test_outputs_print_as_the_documentation_shows() -> None:
    assert str(BertOnnxConfig(text_config()).outputs) == (
        "OrderedDict([('last_hidden_state', {0: 'batch_size', 1: 'sequence_length'})])"
    )
    classifier = BertOnnxConfig(text_config(), task="text-classification")
    assert str(classifier.outputs) == "OrderedDict([('logits', {0: 'batch_size'})])"


def test_outputs_take_the_names_that_the_users_inputs_have() -> None:
    assert BatchAndSequence(text_config()).outputs == {"last_hidden_state": {0: "batch", 1: "sequence"}}
    assert str(BatchAndSequence(text_config(), task="sequence-classification").outputs) == (
        "OrderedDict([('logits', {0: 'batch'})])"
    )


def test_the_bert_class_of_the_documentation() -> None:
    class DocumentedBertOnnxConfig(TextEncoderOnnxConfig):
        NORMALIZED_CONFIG_CLASS = NormalizedTextConfig
        DUMMY_INPUT_GENERATOR_CLASSES = (DummyTextInputGenerator,)
        ATOL_FOR_VALIDATION = 1e-4

        @property
        def inputs(self) -> dict[str, dict[int, str]]:
            if self.task == "multiple-choice":
                dynamic_axis = {0: "batch_size", 1: "num_choices", 2: "sequence_length"}
            else:
                dynamic_axis = {0: "batch_size", 1: "sequence_length"}
            return {"input_ids": dynamic_axis, "attention_mask": dynamic_axis, "token_type_ids": dynamic_axis}

    for task in ("default", "multiple-choice", "question-answering"):
        documented, ours = DocumentedBertOnnxConfig(text_config(), task=task), BertOnnxConfig(text_config(), task=task)
        assert documented.inputs == ours.inputs
        assert documented.outputs == ours.outputs
        shapes = {name: value.shape for name, value in documented.generate_dummy_inputs("np").items()}
        assert set(shapes.values()) == ({(2, 4, 16)} if task == "multiple-choice" else {(2, 16)})


def test_an_axis_that_no_input_varies_varies_in_no_output() -> None:
    class FixedLength(OnnxConfig):
        @property
        def inputs(self) -> Mapping[str, Mapping[int, str]]:
            return {"input_ids": {0: "batch_size"}}

    assert FixedLength(text_config()).outputs == {"last_hidden_state": {0: "batch_size"}}


def test_legacy_task_names_mean_the_same() -> None:
    assert BertOnnxConfig(text_config(), task="default").task == "feature-extraction"
    assert (
        BertOnnxConfig(text_config(), task="masked-lm").outputs
        == BertOnnxConfig(text_config(), task="fill-mask").outputs
    )
    legacy = GPT2OnnxConfig(gpt2_config(), task="causal-lm-with-past")
    assert legacy.task == "text-generation"
    assert legacy.use_past


def test_a_misspelt_task_names_the_nearest() -> None:
    with pytest.raises(ExportError, match="text-clasification") as error:
        BertOnnxConfig(text_config(), task="text-clasification")
    assert "'text-classification'" in (error.value.hint or "")


def test_an_encoder_has_no_task_with_past() -> None:
    with pytest.raises(ExportError, match="keeps no past"):
        BertOnnxConfig(text_config(), task="feature-extraction-with-past")


def test_multiple_choice_has_an_axis_of_choices() -> None:
    config = DistilBertOnnxConfig(text_config(), task="multiple-choice")
    assert config.inputs["input_ids"] == {0: "batch_size", 1: "num_choices", 2: "sequence_length"}
    assert config.outputs == {"logits": {0: "batch_size", 1: "num_choices"}}
    assert list(config.inputs) == ["input_ids", "attention_mask"]


def test_a_decoder_with_past_is_one_file_that_takes_and_gives_the_cache() -> None:
    config = GPT2OnnxConfig.with_past(gpt2_config(), task="text-generation")
    assert [name for name, _ in config.components()] == ["model"]
    assert list(config.inputs)[:3] == ["input_ids", "attention_mask", "position_ids"]
    assert config.inputs["attention_mask"] == {0: "batch_size", 1: "past_sequence_length + sequence_length"}
    assert config.inputs["past_key_values.1.value"] == {0: "batch_size", 2: "past_sequence_length"}
    assert config.outputs["present.0.key"] == {0: "batch_size", 2: "past_sequence_length + sequence_length"}
    assert len(config.outputs) == 1 + 2 * 2


def test_a_decoder_without_past_shows_no_cache() -> None:
    config = GPT2OnnxConfig(gpt2_config(), task="text-generation")
    assert list(config.inputs) == ["input_ids", "attention_mask", "position_ids"]
    assert list(config.outputs) == ["logits"]


def test_a_users_decoder_names_the_cache_after_its_own_axes() -> None:
    class OwnNames(OnnxConfigWithPast):
        @property
        def inputs(self) -> Mapping[str, Mapping[int, str]]:
            inputs = OrderedDict(input_ids={0: "batch", 1: "sequence"})
            if self.use_past:
                self.add_past_key_values(inputs, direction="inputs")
            return inputs

    config = OwnNames.with_past(gpt2_config(), task="causal-lm")
    assert config.inputs["past_key_values.0.key"] == {0: "batch", 2: "past_sequence_length"}
    assert config.outputs["present.0.key"] == {0: "batch", 2: "past_sequence_length + sequence"}
    with pytest.raises(ValueError, match="sideways"):
        config.add_past_key_values({}, direction="sideways")


def test_a_classifier_without_padding_token_takes_one_row() -> None:
    # transformers raises for more rows: it could not tell where each ends.
    config = GPT2OnnxConfig(gpt2_config(pad_token_id=None), task="text-classification")
    assert config.inputs == {"input_ids": {1: "sequence_length"}, "attention_mask": {1: "sequence_length"}}
    assert config.outputs == {"logits": {}}
    assert config.generate_dummy_inputs("np")["input_ids"].shape == (1, 16)
    with pytest.raises(ExportError) as error:
        config.generate_dummy_inputs("np", batch_size=2)
    assert "pad_token_id" in (error.value.hint or "")


@pytest.mark.parametrize("config_class", [T5OnnxConfig, BartOnnxConfig])
def test_an_encoder_decoder_with_past_is_three_files(config_class: type[TextSeq2SeqOnnxConfig]) -> None:
    parts = dict(config_class(bart_config(), task="text2text-generation-with-past").components())
    assert list(parts) == ["encoder_model", "decoder_model", "decoder_with_past_model"]
    encoder, decoder, with_past = parts.values()
    assert [part.kind for part in parts.values()] == [
        ComponentKind.ENCODER,
        ComponentKind.DECODER,
        ComponentKind.DECODER_WITH_PAST,
    ]
    text = {0: "batch_size", 1: "encoder_sequence_length"}
    assert encoder.inputs == {"input_ids": text, "attention_mask": text}
    assert encoder.outputs == {"last_hidden_state": text}
    assert list(decoder.inputs) == ["input_ids", "encoder_hidden_states", "encoder_attention_mask"]
    assert decoder.outputs["logits"] == {0: "batch_size", 1: "decoder_sequence_length"}
    assert decoder.outputs["present.2.encoder.key"] == {0: "batch_size", 2: "encoder_sequence_length"}
    assert list(with_past.inputs)[:3] == ["input_ids", "encoder_attention_mask", "past_key_values.0.decoder.key"]
    assert with_past.inputs["past_key_values.0.decoder.key"] == {0: "batch_size", 2: "past_decoder_sequence_length"}
    assert with_past.inputs["past_key_values.0.encoder.value"] == {0: "batch_size", 2: "encoder_sequence_length"}
    assert not any(".encoder." in name for name in with_past.outputs)
    assert len(with_past.outputs) == 1 + 2 * 3


def test_an_encoder_decoder_without_past_is_two_files_without_cache() -> None:
    parts = dict(T5OnnxConfig(bart_config(), task="text2text-generation").components())
    assert list(parts) == ["encoder_model", "decoder_model"]
    assert list(parts["decoder_model"].outputs) == ["logits"]


@pytest.mark.parametrize(
    ("task", "inputs", "first_output"),
    [
        ("feature-extraction", ["input_ids", "attention_mask", "decoder_input_ids"], "last_hidden_state"),
        ("text-classification", ["input_ids", "attention_mask"], "logits"),
        ("question-answering", ["input_ids", "attention_mask"], "start_logits"),
        ("text-generation", ["input_ids", "attention_mask"], "logits"),
    ],
)
def test_bart_tasks_that_are_one_file(task: str, inputs: list[str], first_output: str) -> None:
    config = BartOnnxConfig(bart_config(), task=task)
    assert [part for _, part in config.components()] == [config]
    assert list(config.inputs) == inputs
    assert next(iter(config.outputs)) == first_output


def test_bart_as_generator_caches_the_decoders_layers() -> None:
    config = BartOnnxConfig(bart_config(), task="text-generation-with-past")
    assert [name for name, _ in config.components()] == ["model"]
    assert [name for name in config.inputs if name.startswith("past")][-1] == "past_key_values.2.value"
    assert config.generate_dummy_inputs("np")["past_key_values.0.key"].shape == (2, 4, 16, 6)


def test_images_vary_in_size_only_where_the_model_lets_them() -> None:
    assert ViTOnnxConfig(vit_config()).inputs == {"pixel_values": {0: "batch_size"}}
    assert ViTOnnxConfig(vit_config()).outputs == {"last_hidden_state": {0: "batch_size"}}
    resnet = ResNetOnnxConfig(vit_config(image_size=None))
    assert resnet.inputs == {"pixel_values": {0: "batch_size", 2: "height", 3: "width"}}
    assert set(resnet.outputs["last_hidden_state"]) == {0, 2, 3}
    assert not {"height", "width"} & set(resnet.outputs["last_hidden_state"].values())


def test_sound_has_frames_of_its_own_length() -> None:
    config = Wav2Vec2OnnxConfig(wav2vec2_config(), task="automatic-speech-recognition")
    assert config.inputs == {"input_values": {0: "batch_size", 1: "sequence_length"}}
    assert config.outputs["logits"][1] != config.inputs["input_values"][1]
    assert Wav2Vec2OnnxConfig(wav2vec2_config(), task="audio-xvector").outputs == {
        "logits": {0: "batch_size"},
        "embeddings": {0: "batch_size"},
    }


def test_wav2vec2_takes_a_mask_where_it_was_trained_with_one() -> None:
    assert list(Wav2Vec2OnnxConfig(wav2vec2_config(feat_extract_norm="layer")).inputs) == [
        "input_values",
        "attention_mask",
    ]


def test_an_x_vector_takes_no_mask_that_would_fix_the_batch() -> None:
    config = Wav2Vec2OnnxConfig(wav2vec2_config(feat_extract_norm="layer"), task="audio-xvector")
    assert list(config.inputs) == ["input_values"]


def test_whisper_takes_sound_of_one_length() -> None:
    parts = dict(WhisperOnnxConfig(whisper_config(), task="speech2seq-lm-with-past").components())
    assert parts["encoder_model"].inputs == {"input_features": {0: "batch_size"}}
    assert parts["encoder_model"].outputs == {"last_hidden_state": {0: "batch_size"}}
    assert list(parts["decoder_model"].inputs) == ["input_ids", "encoder_hidden_states"]
    assert "encoder_attention_mask" not in parts["decoder_with_past_model"].inputs
    assert WhisperOnnxConfig(whisper_config(), task="audio-classification").outputs == {"logits": {0: "batch_size"}}


def test_clip_has_a_batch_of_texts_and_a_batch_of_images() -> None:
    config = CLIPOnnxConfig(clip_config())
    assert config.outputs["logits_per_image"] == {0: "image_batch_size", 1: "text_batch_size"}
    assert config.outputs == CLIPOnnxConfig(clip_config(), task="zero-shot-image-classification").outputs
    classifier = CLIPOnnxConfig(clip_config(), task="image-classification")
    assert (classifier.inputs, classifier.outputs) == (
        {"pixel_values": {0: "batch_size"}},
        {"logits": {0: "batch_size"}},
    )


def test_legacy_spellings_of_tolerance_and_operator_set() -> None:
    class Loose(BatchAndSequence):
        ATOL_FOR_VALIDATION = 1e-3
        DEFAULT_ONNX_OPSET = 17

    assert (Loose(text_config()).atol_for_validation, Loose(text_config()).default_onnx_opset) == (1e-3, 17)


def test_patching_specs_are_kept() -> None:
    spec = PatchingSpec(str, "upper", custom_op=str.lower)
    assert BertOnnxConfig(text_config(), patching_specs=[spec]).patching_specs == [spec]
    assert spec.orig_op is None
