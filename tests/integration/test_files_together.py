"""Models that become several files: the files of one export, run one after the other, do what the whole model does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from onnx_export_action.loading.model import spread_random_weights
from onnx_export_action.pipeline.running import export_and_check
from onnx_export_action.proving.candidate.session import open_session
from onnx_export_action.vocabulary.jobs import Request
from onnx_export_action.vocabulary.results import Verdict
from tests.architectures.proving import reason_of
from tests.architectures.tiny import tiny_config

Arrays = dict[str, np.ndarray[Any, Any]]
Run = Callable[..., Arrays]


class Exported:
    """A tiny model, and the ONNX files that were made of it."""

    def __init__(self, model: Any, folder: Path, notes: list[str]) -> None:
        self.model = model
        self.notes = notes
        self.names = {path.stem for path in folder.glob("*.onnx")}
        self._folder = folder
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    def run(self, name: str, **inputs: Any) -> Arrays:
        """One file's outputs by name."""
        if name not in self._sessions:
            self._sessions[name] = open_session(self._folder / f"{name}.onnx")
        session = self._sessions[name]
        names = [output.name for output in session.get_outputs()]
        feeds = {key: value.numpy() if isinstance(value, torch.Tensor) else value for key, value in inputs.items()}
        return dict(zip(names, session.run(names, feeds), strict=True))


def tiny_model(model_class: Any, folder: Path, **changes: Any) -> Any:
    """A tiny model with weights that carry signals, saved."""
    model = model_class(tiny_config(model_class.config_class.model_type, **changes)).eval()
    spread_random_weights(model, seed=3)
    model.save_pretrained(folder)
    return model


def exported(model_class: Any, task: str, folder: Path, **changes: Any) -> Exported:
    """Save a tiny model, export it and have every file proven."""
    model = tiny_model(model_class, folder / "model", **changes)
    request = Request(name="tiny", model=str(folder / "model"), destination=folder / "made", task=task)
    result = export_and_check(request, progress=lambda _: None)
    assert result.verdict is Verdict.PASS, reason_of(result)
    return Exported(model, folder / "made" / "onnx", result.notes)


@pytest.fixture(autouse=True)
def repeatable() -> None:
    torch.manual_seed(0)


def assert_close(found: np.ndarray[Any, Any], expected: torch.Tensor) -> None:
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-4, rtol=1e-4)


def test_sam_masks_an_image_for_several_prompts(tmp_path: Path) -> None:
    from transformers import SamModel

    sam = exported(SamModel, "feature-extraction", tmp_path)
    assert sam.names == {"vision_encoder", "prompt_encoder_mask_decoder"}
    pixels = torch.randn(2, 3, 32, 32)
    encoded = sam.run("vision_encoder", pixel_values=pixels)
    for masks, points in ((1, 3), (4, 1)):
        places, labels = torch.rand(2, masks, points, 2) * 32, torch.randint(0, 2, (2, masks, points))
        found = sam.run("prompt_encoder_mask_decoder", input_points=places, input_labels=labels, **encoded)
        with torch.inference_mode():
            whole = sam.model(pixel_values=pixels, input_points=places, input_labels=labels)
        assert_close(found["pred_masks"], whole.pred_masks)
        assert_close(found["iou_scores"], whole.iou_scores)


def greedy(files: Exported, encoder_inputs: dict[str, torch.Tensor], steps: int) -> list[list[int]]:
    """Tokens by way of the encoder once and the merged decoder step by step, its cache handed on."""
    encoded = files.run("encoder_model", **encoder_inputs)["last_hidden_state"]
    mask = encoder_inputs["attention_mask"]
    start = files.model.generation_config.decoder_start_token_id
    tokens = [torch.full((len(mask), 1), start)]
    config = files.model.config.get_text_config(decoder=True)
    heads, size = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    layers = range(config.num_hidden_layers)
    empty = {
        f"past_key_values.{layer}.{side}.{part}": np.zeros((len(mask), heads, 0, size), np.float32)
        for layer in layers
        for side in ("decoder", "encoder")
        for part in ("key", "value")
    }
    cache: Arrays = empty
    for step in range(steps):
        extra = {"decoder_attention_mask": torch.ones(len(mask), step + 1, dtype=torch.int64)}
        found = files.run(
            "decoder_model_merged",
            input_ids=tokens[-1],
            encoder_hidden_states=encoded,
            encoder_attention_mask=mask,
            use_cache_branch=np.array([step > 0]),
            **(extra if "flattened_patches" in encoder_inputs else {}),
            **cache,
        )
        tokens.append(torch.from_numpy(found["logits"][:, -1].argmax(-1))[:, None])
        given = {
            name.replace("present", "past_key_values"): array for name, array in found.items() if "present" in name
        }
        cache |= given if step == 0 else {name: array for name, array in given.items() if ".decoder." in name}
    return torch.cat(tokens, dim=1).tolist()


def speech(name: str) -> dict[str, torch.Tensor]:
    """Two inputs of different length, padded together; one of random noise, one a tone."""
    if name == "moonshine":
        sound = torch.stack([torch.randn(4000), torch.sin(torch.arange(4000) * 0.05)])
        mask = torch.ones(2, 4000, dtype=torch.int64)
        mask[1, 2500:] = 0
        return {"input_values": sound * mask, "attention_mask": mask}
    width = {"speech_to_text": 80, "pix2struct": 2 + 768}[name]
    mask = torch.ones(2, 60, dtype=torch.int64)
    mask[1, 33:] = 0
    values = torch.randn(2, 60, width)
    if name == "pix2struct":
        values[..., :2] = torch.randint(0, 40, (2, 60, 2)).float()
    return {
        "flattened_patches" if name == "pix2struct" else "input_features": values * mask[..., None],
        "attention_mask": mask,
    }


@pytest.mark.parametrize(
    ("class_name", "task"),
    [
        ("MoonshineForConditionalGeneration", "automatic-speech-recognition-with-past"),
        ("Speech2TextForConditionalGeneration", "automatic-speech-recognition-with-past"),
        ("Pix2StructForConditionalGeneration", "image-to-text-with-past"),
    ],
)
def test_the_files_of_an_encoder_decoder_generate_what_the_model_generates(
    class_name: str, task: str, tmp_path: Path
) -> None:
    import transformers

    model_class = getattr(transformers, class_name)
    # With the embeddings' own weights a random model repeats the first token for ever.
    files = exported(model_class, task, tmp_path, tie_word_embeddings=False)
    inputs = speech(model_class.config_class.model_type)
    files.model.generation_config.eos_token_id = None
    with torch.inference_mode():
        expected = files.model.generate(**inputs, max_new_tokens=6, do_sample=False, num_beams=1)
    assert greedy(files, inputs, steps=6) == expected[:, :7].tolist()
    assert len(set(expected.flatten().tolist())) > 3


def test_vits_leaves_to_chance_what_the_caller_does_not_fix(tmp_path: Path) -> None:
    from transformers import VitsModel

    files = exported(VitsModel, "text-to-audio", tmp_path)
    assert any("noise_scale" in note and "chance" in note for note in files.notes)
    ids = torch.randint(2, 30, (2, 9))
    text = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    silent = {name: np.array(0, np.float32) for name in ("noise_scale", "noise_scale_duration")}
    files.model.noise_scale = files.model.noise_scale_duration = 0.0
    for rate in (None, 0.03):
        given = {} if rate is None else {"speaking_rate": np.array(rate, np.float32)}
        with torch.inference_mode():
            expected = files.model(**text, speaking_rate=rate)
        assert_close(files.run("model", **text, **silent, **given)["waveform"], expected.waveform)
    once, again = (files.run("model", **text, noise_scale_duration=silent["noise_scale"]) for _ in range(2))
    assert once["waveform"].shape == again["waveform"].shape
    assert np.abs(once["waveform"] - again["waveform"]).max() > 1e-3


def say(files: Exported, ids: torch.Tensor, speaker: torch.Tensor, steps: int, **fixed: Any) -> Arrays:
    """SpeechT5 by its files, as transformers.js calls them: the merged decoder frame by frame, then the vocoder."""
    encoded = files.run("encoder_model", input_ids=ids)
    frames: Any = np.zeros((1, 1, files.model.config.num_mel_bins), np.float32)
    cache: Arrays = {}
    spectrum = []
    for _ in range(steps):
        name = "decoder_with_past_model" if cache else "decoder_model"
        states = {} if cache else {"encoder_hidden_states": encoded["encoder_outputs"]}
        found = files.run(
            name,
            output_sequence=frames,
            speaker_embeddings=speaker,
            encoder_attention_mask=encoded["encoder_attention_mask"],
            **states,
            **cache,
            **fixed,
        )
        frames = found["output_sequence_out"]
        spectrum.append(found["spectrum"])
        cache |= {key.replace("present", "past_key_values"): found[key] for key in found if "present" in key}
    return files.run("decoder_postnet_and_vocoder", spectrogram=np.concatenate(spectrum))


def test_speecht5_says_what_generate_speech_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import SpeechT5ForTextToSpeech, SpeechT5HifiGan

    vocoder = tiny_model(SpeechT5HifiGan, tmp_path / "model" / "vocoder")
    files = exported(SpeechT5ForTextToSpeech, "text-to-audio", tmp_path)
    assert files.names == {
        "encoder_model",
        "decoder_model",
        "decoder_with_past_model",
        "decoder_model_merged",
        "decoder_postnet_and_vocoder",
    }
    ids, speaker = torch.randint(4, 30, (1, 7)), torch.randn(1, 32)
    # Nothing is dropped: the draws of both sides are made equal.
    monkeypatch.setattr(torch, "bernoulli", lambda values, p: torch.ones_like(values))
    with torch.inference_mode():
        expected = files.model.generate_speech(ids, speaker, threshold=1e9, maxlenratio=2.0, vocoder=vocoder)
    keep_all = np.array(1, np.float32)
    assert_close(say(files, ids, speaker, steps=7, prenet_keep_probability=keep_all)["waveform"], expected)
    once, again = (say(files, ids, speaker, steps=2)["waveform"] for _ in range(2))
    assert np.abs(once - again).max() > 1e-4


def compose(files: Exported, text: dict[str, torch.Tensor], length: int) -> np.ndarray[Any, Any]:
    """Musicgen by its files: the pattern, the words under it one after the other, then the sound of them."""
    decoder = files.model.config.decoder
    states = files.run("text_encoder", **text)["last_hidden_state"]
    start = np.full((len(states) * decoder.num_codebooks, 1), decoder.pad_token_id, np.int64)
    numbers = {"pad_token_id": np.array(decoder.pad_token_id), "max_length": np.array(length)}
    found = files.run("build_delay_pattern_mask", input_ids=start, **numbers)
    words, mask = found["input_ids_edited"], found["delay_pattern_mask"]
    cache: Arrays = {}
    while words.shape[1] < length:
        under_mask = np.where(mask[:, : words.shape[1]] == -1, words, mask[:, : words.shape[1]])
        found = files.run(
            "decoder_with_past_model" if cache else "decoder_model",
            input_ids=under_mask[:, -1:],
            encoder_attention_mask=text["attention_mask"],
            **({} if cache else {"encoder_hidden_states": states}),
            **cache,
        )
        cache |= {name.replace("present", "past_key_values"): found[name] for name in found if "present" in name}
        words = np.concatenate([words, found["logits"][:, -1:].argmax(-1)], axis=1)
    words = np.where(mask == -1, words, mask)
    codes = words[words != decoder.pad_token_id].reshape(1, len(states), decoder.num_codebooks, -1)
    return files.run("encodec_decode", audio_codes=codes)["audio_values"]


def test_musicgen_composes_what_generate_composes(tmp_path: Path) -> None:
    from transformers import MusicgenForConditionalGeneration

    # A word that no codebook has, as in published models, so that it can be told from the words.
    decoder = {"pad_token_id": 128, "bos_token_id": 128}
    files = exported(MusicgenForConditionalGeneration, "text-to-audio", tmp_path, decoder=decoder)
    assert {"text_encoder", "decoder_model_merged", "encodec_decode", "build_delay_pattern_mask"} < files.names
    ids = torch.randint(4, 100, (2, 6))
    text = {"input_ids": ids, "attention_mask": torch.tensor([[1] * 6, [1] * 4 + [0] * 2])}
    settings = files.model.generation_config
    settings.pad_token_id = settings.decoder_start_token_id = settings.bos_token_id = 128
    with torch.inference_mode():
        expected = files.model.generate(**text, do_sample=False, guidance_scale=1.0, max_new_tokens=14)
    assert_close(compose(files, text, length=15), expected)
    assert expected.std() > 1e-2
