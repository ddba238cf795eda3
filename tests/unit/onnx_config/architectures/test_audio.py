"""Names and axes of the files of models that read sound, text with images, and numbers over time."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from onnx_export_action.onnx_config import OnnxConfig, TasksManager
from onnx_export_action.vocabulary.errors import ExportError
from tests.unit.onnx_config.configs import bart_config, clip_config, text_config, vit_config, wav2vec2_config
from tests.unit.onnx_config.signatures import signature

SOUND = "input_values[batch_size, sequence_length]"
MASKED_SOUND = f"{SOUND} attention_mask[batch_size, sequence_length]"
SPEECH = {
    "feature-extraction": "last_hidden_state[batch_size, num_frames]",
    "automatic-speech-recognition": "logits[batch_size, num_frames]",
    "audio-classification": "logits[batch_size]",
}
SPEAKERS = {
    "audio-frame-classification": "logits[batch_size, num_frames]",
    "audio-xvector": "logits[batch_size] embeddings[batch_size]",
}
SPEECH_TYPES = ("hubert", "sew", "sew-d", "unispeech")
SPEAKER_TYPES = ("unispeech-sat", "wav2vec2", "wav2vec2-conformer", "wavlm")

TEXTS = "input_ids[text_batch_size, sequence_length]"
TEXT_MASK = "attention_mask[text_batch_size, sequence_length]"
IMAGES = "pixel_values[image_batch_size]"
SIMILARITIES = (
    "logits_per_image[image_batch_size, text_batch_size] logits_per_text[text_batch_size, image_batch_size] "
    "text_embeds[text_batch_size] image_embeds[image_batch_size]"
)
PAGE = (
    "input_ids[batch_size, sequence_length] attention_mask[batch_size, sequence_length] "
    "bbox[batch_size, sequence_length] pixel_values[batch_size]"
)
STEPS = " ".join(
    f"{name}[batch_size, sequence_length]"
    for name in ("states", "actions", "timesteps", "returns_to_go", "attention_mask")
)
PREDICTIONS = " ".join(
    f"{name}[batch_size, sequence_length]" for name in ("state_preds", "action_preds", "return_preds")
)


def config_of(model_type: str, task: str, config: object) -> OnnxConfig:
    return TasksManager.get_exporter_config_constructor(model_type=model_type, task=task)(config)


def page_config() -> SimpleNamespace:
    return text_config(input_size=32, patch_size=8, num_channels=3, max_2d_position_embeddings=64)


def colpali_config() -> SimpleNamespace:
    vision = vit_config()
    return SimpleNamespace(
        vlm_config=SimpleNamespace(text_config=text_config(), vision_config=vision, image_token_index=7)
    )


def sam_config() -> SimpleNamespace:
    prompts = SimpleNamespace(image_embedding_size=4, hidden_size=12)
    return SimpleNamespace(vision_config=vit_config(), prompt_encoder_config=prompts)


def series_config(**attributes: object) -> SimpleNamespace:
    values: dict[str, object] = {"context_length": 12, "num_input_channels": 3, "loss": "mse"}
    return SimpleNamespace(**(values | attributes))


def speech_config() -> SimpleNamespace:
    sizes = {"input_feat_per_channel": 5, "input_channels": 2, "num_conv_layers": 2}
    return bart_config(max_source_positions=20, max_target_positions=30, **sizes)


def pix2struct_config() -> SimpleNamespace:
    text = SimpleNamespace(num_layers=3, num_heads=4, hidden_size=24, d_kv=6, vocab_size=100, pad_token_id=0)
    vision = SimpleNamespace(hidden_size=12, patch_embed_hidden_size=27, seq_len=50)
    return SimpleNamespace(text_config=text, vision_config=vision)


def without_values(line: str) -> str:
    """The cache by its keys: values have the same axes, and so have the layers after the first."""
    parts = re.findall(r"[\w.]+\[[^]]*\]|->", line)
    return " ".join(part for part in parts if not re.match(r"(past_key_values|present)\.(\d+\.\w+\.value|[1-9])", part))


@pytest.mark.parametrize(
    ("model_type", "task"),
    [(name, task) for name in (*SPEECH_TYPES, *SPEAKER_TYPES) for task in SPEECH]
    + [(name, task) for name in SPEAKER_TYPES for task in SPEAKERS],
)
def test_speech_has_samples_and_frames(model_type: str, task: str) -> None:
    outputs = (SPEECH | SPEAKERS)[task]
    assert signature(config_of(model_type, task, wav2vec2_config())) == f"{SOUND} -> {outputs}"
    masked = MASKED_SOUND if task != "audio-xvector" else SOUND
    trained_with_masks = wav2vec2_config(feat_extract_norm="layer")
    assert signature(config_of(model_type, task, trained_with_masks)) == f"{masked} -> {outputs}"


@pytest.mark.parametrize("task", [*SPEECH, *SPEAKERS])
def test_data2vec_always_takes_a_mask(task: str) -> None:
    config = wav2vec2_config()
    del config.feat_extract_norm
    taken = MASKED_SOUND if task != "audio-xvector" else SOUND
    assert signature(config_of("data2vec-audio", task, config)) == f"{taken} -> {(SPEECH | SPEAKERS)[task]}"


def test_a_spectrogram_transformer_takes_spectrograms_of_one_size() -> None:
    config = SimpleNamespace(max_length=100, num_mel_bins=16)
    features = config_of("audio-spectrogram-transformer", "feature-extraction", config)
    assert signature(features) == "input_values[batch_size] -> last_hidden_state[batch_size]"
    assert features.generate_dummy_inputs("np", batch_size=3)["input_values"].shape == (3, 100, 16)
    classes = config_of("audio-spectrogram-transformer", "audio-classification", config)
    assert signature(classes) == "input_values[batch_size] -> logits[batch_size]"


def files_of(model_type: str, task: str, config: object) -> dict[str, str]:
    return {name: signature(part) for name, part in config_of(model_type, task, config).components()}


# A decoder with past of one layer; the signature leaves out the further layers.
CROSS = "{0}.0.encoder.key[0: batch_size, 2: encoder_sequence_length]"
OWN = "{0}.0.decoder.key[0: batch_size, 2: {1}]"
PAST = "past_decoder_sequence_length"
BOTH = f"{PAST} + decoder_sequence_length"
TOKENS = "input_ids[batch_size, decoder_sequence_length]"
ENCODED = "[batch_size, encoder_sequence_length]"
LOGITS = "logits[batch_size, decoder_sequence_length]"


@pytest.mark.parametrize(
    ("model_type", "config", "sound", "mask"),
    [
        ("moonshine", bart_config(), "input_values", "[batch_size, audio_sequence_length]"),
        ("speech_to_text", speech_config(), "input_features", "[batch_size, num_frames]"),
        ("pix2struct", pix2struct_config(), "flattened_patches", ENCODED),
    ],
)
def test_every_file_of_a_transcriber_takes_the_mask_of_its_input(
    model_type: str, config: SimpleNamespace, sound: str, mask: str
) -> None:
    task = "image-to-text" if model_type == "pix2struct" else "automatic-speech-recognition"
    files = files_of(model_type, f"{task}-with-past", config)
    decoder_mask = " decoder_attention_mask[batch_size, {0}]" if model_type == "pix2struct" else ""
    assert files["encoder_model"] == f"{sound}{mask} attention_mask{mask} -> last_hidden_state{ENCODED}"
    assert without_values(files["decoder_model"]) == (
        f"{TOKENS} encoder_hidden_states{ENCODED} encoder_attention_mask{mask}"
        f"{decoder_mask.format('decoder_sequence_length')} -> {LOGITS} "
        f"{OWN.format('present', BOTH)} {CROSS.format('present')}"
    )
    assert without_values(files["decoder_with_past_model"]) == (
        f"{TOKENS} encoder_attention_mask{mask} {OWN.format('past_key_values', PAST)} "
        f"{CROSS.format('past_key_values')}{decoder_mask.format(BOTH)} -> {LOGITS} {OWN.format('present', BOTH)}"
    )
    assert list(files_of(model_type, task, config)) == ["encoder_model", "decoder_model"]


def speech_encoder_decoder_config(**encoder: object) -> SimpleNamespace:
    wav2vec2 = wav2vec2_config(model_type="wav2vec2", hidden_size=12, output_hidden_size=20, **encoder)
    decoder = bart_config(model_type="bart", d_model=24)
    return SimpleNamespace(encoder=wav2vec2, decoder=decoder)


def test_a_speech_encoder_lends_its_mask_to_any_decoder() -> None:
    task = "automatic-speech-recognition-with-past"
    masked = speech_encoder_decoder_config(feat_extract_norm="layer")
    lines = files_of("speech-encoder-decoder", task, masked)
    mask = "[batch_size, sequence_length]"
    assert (
        lines["encoder_model"]
        == f"input_values{mask} attention_mask{mask} -> last_hidden_state[batch_size, num_frames]"
    )
    inputs = lines["decoder_model"].split(" -> ")[0]
    assert inputs == f"{TOKENS} encoder_hidden_states{ENCODED} encoder_attention_mask{mask}"
    unmasked = files_of("speech-encoder-decoder", task, speech_encoder_decoder_config())
    assert unmasked["decoder_model"].split(" -> ")[0] == f"{TOKENS} encoder_hidden_states{ENCODED}"


@pytest.mark.parametrize(
    ("adapter", "encoded"),
    [({}, 78), ({"add_adapter": True, "num_adapter_layers": 2, "adapter_stride": 2}, 20)],
)
def test_an_adapter_shortens_what_the_decoder_reads(adapter: dict[str, object], encoded: int) -> None:
    config = speech_encoder_decoder_config(feat_extract_norm="layer", **adapter)
    parts = dict(config_of("speech-encoder-decoder", "automatic-speech-recognition", config).components())
    # Kernels of 10 and 3, strides of 5 and 2: 790 samples make 157, then 78 frames; each adapter halves them.
    inputs = parts["decoder_model"].generate_dummy_inputs("np", audio_sequence_length=790)
    assert inputs["encoder_hidden_states"].shape == (2, encoded, 20)
    assert inputs["encoder_attention_mask"].shape == (2, 790)


@pytest.mark.parametrize(
    ("model_type", "config", "sizes", "encoded"),
    [
        ("moonshine", bart_config(), {"audio_sequence_length": 895}, 1),
        ("moonshine", bart_config(), {"audio_sequence_length": 16_000}, 40),
        ("speech_to_text", speech_config(), {"nb_max_frames": 1}, 1),
        ("speech_to_text", speech_config(), {"nb_max_frames": 21}, 6),
    ],
)
def test_the_encoders_length_follows_from_the_sounds(
    model_type: str, config: SimpleNamespace, sizes: dict[str, int], encoded: int
) -> None:
    parts = dict(config_of(model_type, "automatic-speech-recognition-with-past", config).components())
    decoder = parts["decoder_model"].generate_dummy_inputs("np", **sizes)
    assert decoder["encoder_hidden_states"].shape[1] == encoded
    assert decoder["encoder_attention_mask"].shape[1] == next(iter(sizes.values()))
    with_past = parts["decoder_with_past_model"].generate_dummy_inputs("np", **sizes)
    assert with_past["past_key_values.0.encoder.key"].shape[2] == encoded


def test_speech_that_is_too_short_or_too_long_is_refused() -> None:
    moonshine = config_of("moonshine", "feature-extraction", bart_config())
    with pytest.raises(ExportError, match="audio_sequence_length cannot be 894"):
        moonshine.generate_dummy_inputs("np", audio_sequence_length=894)
    frames = config_of("speech_to_text", "feature-extraction", speech_config())
    # 20 positions of which the padding token's id, 1, takes none: four frames each.
    assert frames.generate_dummy_inputs("np", nb_max_frames=80)["input_features"].shape == (2, 80, 10)
    with pytest.raises(ExportError, match="nb_max_frames cannot be 81"):
        frames.generate_dummy_inputs("np", nb_max_frames=81)


@pytest.mark.parametrize("model_type", ["moonshine", "speech_to_text"])
def test_features_in_one_file_are_those_of_decoder_and_encoder(model_type: str) -> None:
    config = config_of(model_type, "feature-extraction", speech_config())
    assert [name for name, _ in config.components()] == ["model"]
    assert signature(config).endswith(
        "decoder_input_ids[batch_size, decoder_sequence_length] -> "
        "last_hidden_state[batch_size, decoder_sequence_length] "
        "encoder_last_hidden_state[batch_size, encoder_sequence_length]"
    )


def vits_config() -> SimpleNamespace:
    chance = {"noise_scale": 0.5, "noise_scale_duration": 0.75, "speaking_rate": 1.25}
    return SimpleNamespace(vocab_size=30, pad_token_id=0, use_stochastic_duration_prediction=True, **chance)


def speecht5_config(**attributes: object) -> SimpleNamespace:
    positions = {"max_text_positions": 20, "max_speech_positions": 40}
    sizes = {"num_mel_bins": 8, "speaker_embedding_dim": 5, "speech_decoder_prenet_dropout": 0.5}
    return bart_config(**positions, **sizes, **attributes)


def test_what_vits_leaves_to_chance_may_be_set_and_is_silent_in_every_case() -> None:
    config = config_of("vits", "text-to-audio", vits_config())
    text = "[text_batch_size, sequence_length]"
    assert signature(config) == (
        f"input_ids{text} attention_mask{text} noise_scale[] noise_scale_duration[] speaking_rate[] -> "
        "waveform[text_batch_size, n_samples] spectrogram[0: text_batch_size, 2: num_frames]"
    )
    assert config.optional_inputs == {"noise_scale": 0.5, "noise_scale_duration": 0.75, "speaking_rate": 1.25}
    inputs = config.generate_dummy_inputs("np", seed=5)
    assert [inputs[name].shape for name in config.optional_inputs] == [(), (), ()]
    assert inputs["noise_scale"] == inputs["noise_scale_duration"] == 0
    assert inputs["speaking_rate"] > 0


def test_vits_that_computes_its_durations_draws_none() -> None:
    config = vits_config()
    config.use_stochastic_duration_prediction = False
    assert list(config_of("vits", "text-to-audio", config).optional_inputs) == ["noise_scale", "speaking_rate"]


@pytest.mark.parametrize(
    ("model_type", "architecture", "task"),
    [
        ("speecht5", "SpeechT5ForTextToSpeech", "text-to-audio"),
        ("speecht5_hifigan", "SpeechT5HifiGan", "text-to-audio"),
        ("vits", "VitsModel", "text-to-audio"),
        ("musicgen", "MusicgenForConditionalGeneration", "text-to-audio"),
        ("moonshine", "MoonshineForConditionalGeneration", "automatic-speech-recognition-with-past"),
        ("speech_to_text", "Speech2TextForConditionalGeneration", "automatic-speech-recognition-with-past"),
        ("pix2struct", "Pix2StructForConditionalGeneration", "image-to-text-with-past"),
        ("owlvit", "OwlViTForObjectDetection", "zero-shot-object-detection"),
        ("patchtst", "PatchTSTForPrediction", "time-series-forecasting"),
        ("patchtsmixer", "PatchTSMixerModel", "feature-extraction"),
        ("colpali", "ColPaliForRetrieval", "feature-extraction"),
        ("decision_transformer", "DecisionTransformerModel", "feature-extraction"),
        ("sam", "SamModel", "feature-extraction"),
        ("wavlm", "WavLMForXVector", "audio-xvector"),
        ("audio-spectrogram-transformer", "ASTForAudioClassification", "audio-classification"),
        ("layoutlmv3", "LayoutLMv3ForTokenClassification", "token-classification"),
    ],
)
def test_the_checkpoints_class_tells_the_task(model_type: str, architecture: str, task: str) -> None:
    said = {"model_type": model_type, "architectures": [architecture]}
    assert TasksManager.infer_task_from_config(said) == task


def test_speecht5_takes_one_text_and_hands_on_its_frames() -> None:
    files = {
        name: without_values(line) for name, line in files_of("speecht5", "text-to-audio", speecht5_config()).items()
    }
    mask = "encoder_attention_mask[1: encoder_sequence_length]"
    frames = "output_sequence[1: decoder_sequence_length] speaker_embeddings[]"
    given = "output_sequence_out[1: decoder_sequence_length + 1] spectrum[] prob[]"
    own, cross = "{0}.0.decoder.key[2: {1}]", "{0}.0.encoder.key[2: encoder_sequence_length]"
    assert files == {
        "encoder_model": (
            f"input_ids[1: encoder_sequence_length] -> encoder_outputs[1: encoder_sequence_length] {mask}"
        ),
        "decoder_model": (
            f"{frames} encoder_hidden_states[1: encoder_sequence_length] {mask} prenet_keep_probability[] -> {given} "
            f"present.0.decoder.key[] {cross.format('present')}"
        ),
        "decoder_with_past_model": (
            f"{frames} {mask} {own.format('past_key_values', PAST)} {cross.format('past_key_values')} "
            f"prenet_keep_probability[] -> {given} {own.format('present', f'{PAST} + 1')}"
        ),
        "decoder_postnet": "spectrogram[num_frames] -> postnet_spectrogram[num_frames]",
    }


def test_speecht5_ends_in_sound_where_a_vocoder_lies_beside_it() -> None:
    files = files_of("speecht5", "text-to-audio", speecht5_config(vocoder_config={"model_in_dim": 8}))
    assert files["decoder_postnet_and_vocoder"] == "spectrogram[num_frames] -> waveform[n_samples]"
    assert "decoder_postnet" not in files
    alone = config_of("speecht5_hifigan", "text-to-audio", SimpleNamespace(model_in_dim=8))
    assert [name for name, _ in alone.components()] == ["model"]
    assert signature(alone) == "spectrogram[num_frames] -> waveform[n_samples]"
    assert alone.generate_dummy_inputs("np")["spectrogram"].shape == (16, 8)


def test_speecht5_finds_the_end_of_its_text_by_itself() -> None:
    encoder = dict(config_of("speecht5", "text-to-audio", speecht5_config()).components())["encoder_model"]
    ids = encoder.generate_dummy_inputs("np", padding="none")["input_ids"]
    assert ids.shape == (1, 16)
    assert (ids == 1).any()
    with pytest.raises(ExportError, match="encoder_sequence_length cannot be 21"):
        encoder.generate_dummy_inputs("np", encoder_sequence_length=21)
    decoder = dict(config_of("speecht5", "text-to-audio", speecht5_config()).components())["decoder_model"]
    with pytest.raises(ExportError, match="decoder_sequence_length cannot be 41"):
        decoder.generate_dummy_inputs("np", decoder_sequence_length=41)


def musicgen_config(**audio_encoder: object) -> SimpleNamespace:
    decoder = SimpleNamespace(
        vocab_size=50,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_codebooks=6,
        audio_channels=2,
        max_position_embeddings=64,
    )
    text = SimpleNamespace(hidden_size=12, vocab_size=100, pad_token_id=0, eos_token_id=1)
    sound = {"codebook_size": 40, "kernel_size": 7, "chunk_length_s": None}
    return SimpleNamespace(decoder=decoder, text_encoder=text, audio_encoder=SimpleNamespace(**(sound | audio_encoder)))


def test_musicgen_is_a_text_encoder_decoders_and_what_comes_before_and_after() -> None:
    lines = files_of("musicgen", "text-to-audio", musicgen_config())
    words = "input_ids[total_batch_size_x_num_codebooks, decoder_sequence_length]"
    logits = "logits[total_batch_size_x_num_codebooks, decoder_sequence_length]"
    mask = f"encoder_attention_mask{ENCODED}"
    present = OWN.format("present", BOTH)
    assert {name: without_values(line) for name, line in lines.items()} == {
        "text_encoder": f"input_ids{ENCODED} attention_mask{ENCODED} -> last_hidden_state{ENCODED}",
        "decoder_model": (
            f"{words} encoder_hidden_states{ENCODED} {mask} -> {logits} {present} {CROSS.format('present')}"
        ),
        "decoder_with_past_model": (
            f"{words} {mask} {OWN.format('past_key_values', PAST)} {CROSS.format('past_key_values')} -> "
            f"{logits} {present}"
        ),
        "encodec_decode": (
            "audio_codes[1: batch_size, 3: chunk_length] -> audio_values[0: batch_size, 2: audio_length]"
        ),
        "build_delay_pattern_mask": (
            "input_ids[batch_size_x_num_codebooks, decoder_sequence_length] pad_token_id[] max_length[] -> "
            "input_ids_edited[batch_size_x_num_codebooks, decoder_sequence_length] "
            "delay_pattern_mask[batch_size_x_num_codebooks, max_length]"
        ),
    }


def test_musicgen_reads_words_of_every_codebook() -> None:
    parts = dict(config_of("musicgen", "text-to-audio", musicgen_config()).components())
    decoder = parts["decoder_with_past_model"].generate_dummy_inputs("np", batch_size=3, decoder_sequence_length=5)
    assert decoder["input_ids"].shape == (18, 5)
    assert decoder["encoder_attention_mask"].shape == (3, 16)
    assert decoder["past_key_values.0.decoder.key"].shape == (3, 4, 16, 6)
    # Stereo: the codec decodes one channel at a time.
    assert parts["encodec_decode"].generate_dummy_inputs("np")["audio_codes"].shape == (1, 2, 3, 16)
    with pytest.raises(ExportError, match="decoder_sequence_length cannot be 6"):
        parts["encodec_decode"].generate_dummy_inputs("np", decoder_sequence_length=6)
    lengths = {
        int(parts["build_delay_pattern_mask"].generate_dummy_inputs("np", seed=seed)["max_length"])
        for seed in range(20)
    }
    assert min(lengths) < 2 * 3 - 1 < 16 < max(lengths)


def test_music_that_is_encoded_in_chunks_is_refused() -> None:
    config = config_of("musicgen", "text-to-audio", musicgen_config(chunk_length_s=1.0))
    with pytest.raises(ExportError, match="chunk_length_s"):
        config.components()


@pytest.mark.parametrize("model_type", ["clip", "chinese_clip", "metaclip_2", "groupvit", "owlvit", "owlv2", "siglip"])
def test_any_texts_meet_any_images(model_type: str) -> None:
    mask = "" if model_type == "siglip" else f" {TEXT_MASK}"
    config = config_of(model_type, "feature-extraction", clip_config())
    assert signature(config) == f"{TEXTS} {IMAGES}{mask} -> {SIMILARITIES}"
    tasks = TasksManager.get_supported_tasks_for_model_type(model_type)
    if "zero-shot-image-classification" in tasks:
        zero_shot = config_of(model_type, "zero-shot-image-classification", clip_config())
        assert signature(zero_shot) == signature(config)


@pytest.mark.parametrize("model_type", ["owlvit", "owlv2"])
def test_every_image_is_searched_for_as_many_texts(model_type: str) -> None:
    config = config_of(model_type, "zero-shot-object-detection", clip_config())
    assert signature(config) == (
        f"{TEXTS} {IMAGES} {TEXT_MASK} -> logits[0: image_batch_size, 2: num_queries] pred_boxes[image_batch_size] "
        "text_embeds[image_batch_size, num_queries] image_embeds[image_batch_size]"
    )
    inputs = config.generate_dummy_inputs("np", batch_size=3, num_text_queries=5)
    assert (len(inputs["pixel_values"]), len(inputs["input_ids"])) == (3, 15)


@pytest.mark.parametrize(
    ("task", "outputs"),
    [
        ("feature-extraction", "last_hidden_state[batch_size, sequence_length + 17]"),
        (
            "question-answering",
            "start_logits[batch_size, sequence_length + 17] end_logits[batch_size, sequence_length + 17]",
        ),
        ("text-classification", "logits[batch_size]"),
        ("token-classification", "logits[batch_size, sequence_length]"),
    ],
)
def test_a_page_is_words_places_and_a_picture(task: str, outputs: str) -> None:
    assert signature(config_of("layoutlmv3", task, page_config())) == f"{PAGE} -> {outputs}"


def test_visual_bert_takes_regions_of_an_image() -> None:
    config = config_of("visual_bert", "feature-extraction", text_config(visual_embedding_dim=9))
    regions = " ".join(
        f"{name}[batch_size, visual_seq_length]"
        for name in ("visual_embeds", "visual_attention_mask", "visual_token_type_ids")
    )
    text = "input_ids[batch_size, sequence_length] attention_mask[batch_size, sequence_length]"
    assert signature(config) == (
        f"{text} {regions} -> last_hidden_state[batch_size, sequence_length + visual_seq_length]"
    )
    assert config.generate_dummy_inputs("np", visual_seq_length=5)["visual_embeds"].shape == (2, 5, 9)


@pytest.mark.parametrize("padding", ["none", "left", "right", "mixed"])
def test_the_image_of_a_colpali_page_stands_before_its_text_and_is_no_padding(padding: str) -> None:
    config = config_of("colpali", "feature-extraction", colpali_config())
    inputs = config.generate_dummy_inputs("np", padding=padding, batch_size=3, sequence_length=5)
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    assert ids.shape == mask.shape == (3, 16 + 5)
    for row, real in zip(ids, mask == 1, strict=True):
        assert list(row[real][:16]) == [7] * 16
        assert 7 not in row[real][16:]
        assert real.sum() > 16
    assert signature(config).endswith("-> embeddings[batch_size, sequence_length]")


def test_sam_encodes_an_image_once_for_any_prompts() -> None:
    whole = config_of("sam", "feature-extraction", sam_config())
    points = "[batch_size, point_batch_size, nb_points_per_image]"
    masks = "iou_scores[batch_size, point_batch_size] pred_masks[batch_size, point_batch_size]"
    embeddings = "image_positional_embeddings[batch_size] image_embeddings[batch_size]"
    assert {name: signature(part) for name, part in whole.components()} == {
        "vision_encoder": (
            "pixel_values[batch_size] -> image_embeddings[batch_size] image_positional_embeddings[batch_size]"
        ),
        "prompt_encoder_mask_decoder": f"input_points{points} input_labels{points} {embeddings} -> {masks}",
    }
    assert signature(whole) == f"pixel_values[batch_size] input_points{points} input_labels{points} -> {masks}"
    inputs = dict(whole.components())["prompt_encoder_mask_decoder"].generate_dummy_inputs("np", point_batch_size=4)
    assert inputs["input_points"].shape == (2, 4, 2, 2)
    assert inputs["image_embeddings"].shape == (2, 12, 4, 4)


@pytest.mark.parametrize("model_type", ["patchtst", "patchtsmixer"])
@pytest.mark.parametrize(
    ("loss", "outputs"),
    [
        ("mse", "prediction_outputs[batch_size]"),
        ("nll", "prediction_outputs.0[batch_size] prediction_outputs.2[batch_size]"),
    ],
)
def test_a_forecast_is_values_or_the_parameters_of_a_distribution(model_type: str, loss: str, outputs: str) -> None:
    config = series_config(loss=loss, distribution_output="student_t")
    forecast = config_of(model_type, "time-series-forecasting", config)
    assert [name.split("[")[0] for name in outputs.split()] == [name for name in forecast.outputs if ".1" not in name]
    features = config_of(model_type, "feature-extraction", config)
    assert signature(features) == "past_values[batch_size] -> last_hidden_state[batch_size]"
    assert features.generate_dummy_inputs("np")["past_values"].shape == (2, 12, 3)


@pytest.mark.parametrize("task", ["feature-extraction", "reinforcement-learning"])
def test_a_decision_is_made_at_every_step(task: str) -> None:
    config = config_of("decision_transformer", task, SimpleNamespace(state_dim=5, act_dim=3, max_ep_len=50))
    features = "last_hidden_state[batch_size, 3 * sequence_length]"
    assert signature(config) == f"{STEPS} -> {PREDICTIONS} {features}"
    inputs = config.generate_dummy_inputs("np", padding="left", sequence_length=7)
    assert {name: array.shape[2:] for name, array in inputs.items()} == {
        "states": (5,),
        "actions": (3,),
        "timesteps": (),
        "returns_to_go": (1,),
        "attention_mask": (),
    }
    assert not inputs["states"][inputs["attention_mask"] == 0].any()


def test_the_readme_names_the_files_of_models_that_are_split() -> None:
    readme = (Path(__file__).parents[4] / "README.md").read_text()
    rows = dict(re.findall(r"^\| `(sam|speecht5|musicgen)` \| (.*) \|$", readme, re.MULTILINE))
    decoders = {"decoder_model", "decoder_with_past_model"}
    vocoder = speecht5_config(vocoder_config={"model_in_dim": 8})
    for model_type, task, config in (
        ("sam", "feature-extraction", sam_config()),
        ("speecht5", "text-to-audio", vocoder),
        ("musicgen", "text-to-audio", musicgen_config()),
    ):
        files = set(files_of(model_type, task, config)) - decoders
        assert files <= set(re.findall(r"`(\w+)`", rows[model_type]))


@pytest.mark.parametrize(
    ("model_type", "task", "config", "absent"),
    [
        ("sam", "feature-extraction", sam_config(), set()),
        ("musicgen", "text-to-audio", musicgen_config(), set()),
        ("speecht5", "text-to-audio", speecht5_config(), {"decoder_postnet_and_vocoder"}),
        ("speecht5", "text-to-audio", speecht5_config(vocoder_config={"model_in_dim": 8}), {"decoder_postnet"}),
        ("speecht5_hifigan", "text-to-audio", SimpleNamespace(model_in_dim=8), set()),
        ("bart", "text2text-generation", bart_config(), set()),
        ("bart", "text2text-generation-with-past", bart_config(), set()),
        ("bart", "feature-extraction-with-past", bart_config(), set()),
        ("bart", "text-generation-with-past", bart_config(), set()),
        ("bart", "text-classification", bart_config(), set()),
    ],
)
def test_a_class_names_its_files_without_a_configuration(
    model_type: str, task: str, config: object, absent: set[str]
) -> None:
    """What no configuration is read for is what configurations give; of two that exclude each other both."""
    names = TasksManager.component_names(model_type, task)
    assert names is not None
    assert [name for name in names if name not in absent] == list(files_of(model_type, task, config))
