"""Images and sounds of strangers: decoded, scaled and resampled, or refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from onnx_export_action.proving.cases.builtin_samples import landscape, voice
from onnx_export_action.proving.cases.media import image_array, sound_array
from onnx_export_action.vocabulary.errors import ExportError


def tone(rate: int, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1"])
def test_any_image_becomes_three_channels(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(landscape()).convert(mode).save(path)
    assert image_array(path, "a.jsonl:1").shape == (240, 320, 3)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n broken", b"GIF89a"])
def test_a_broken_image_is_named_with_its_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ExportError, match=r"a.jsonl:7: a.png is no image"):
        image_array(tmp_path / "a.png", "a.jsonl:7")


def test_an_image_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(landscape()).save(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ExportError, match="is no image"):
        image_array(path, "a.jsonl:1")


def test_an_image_of_too_many_pixels_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (9000, 9000)).save(path)
    with pytest.raises(ExportError, match="more than 40 million pixels"):
        image_array(path, "a.jsonl:1")


@pytest.mark.parametrize(
    ("dtype", "whole"), [(np.int16, 2**15 - 1), (np.int32, 2**31 - 1), (np.float32, 1), (np.uint8, None)]
)
def test_every_width_of_wav_is_scaled_to_one(tmp_path: Path, dtype: type, whole: float | None) -> None:
    samples = tone(16_000)
    scaled = samples * whole if whole is not None else samples * 127 + 128
    wavfile.write(tmp_path / "a.wav", 16_000, scaled.astype(dtype))
    np.testing.assert_allclose(sound_array(tmp_path / "a.wav", 16_000, "x"), samples, atol=2e-2)


def test_a_sound_is_resampled_and_its_channels_averaged(tmp_path: Path) -> None:
    both = np.stack([tone(44_100), np.zeros(22_050)], axis=1).astype(np.float32)
    wavfile.write(tmp_path / "a.wav", 44_100, both)
    sound = sound_array(tmp_path / "a.wav", 16_000, "x")
    assert sound.shape == (8_000,)
    assert sound.dtype == np.float32
    np.testing.assert_allclose(sound[1000:7000], tone(16_000)[1000:7000] / 2, atol=5e-3)


def test_what_is_no_sound_or_too_long_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(ExportError, match=r"a.csv:2: a.wav is no WAV file"):
        sound_array(tmp_path / "a.wav", 16_000, "a.csv:2")
    wavfile.write(tmp_path / "b.wav", 8_000, np.zeros(61 * 8_000, np.int16))
    with pytest.raises(ExportError, match=r"a.csv:3: b.wav is longer than 60 seconds"):
        sound_array(tmp_path / "b.wav", 16_000, "a.csv:3")


def test_built_in_sounds_and_images_are_the_same_in_every_run() -> None:
    assert np.array_equal(voice(0.5), voice(0.5))
    assert np.array_equal(landscape(), landscape())
    assert np.abs(voice(1.0)).max() <= 1.0
