"""Opens images and sounds that a stranger may have made: formats, sizes and durations are limited."""

from __future__ import annotations

import warnings
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx_export_action.vocabulary.errors import plan_error

if TYPE_CHECKING:
    from onnx_export_action.project.sample_files import Medium

SAMPLING_RATE = 16_000
MAX_PIXELS = 40_000_000
MAX_SECONDS = 60
_IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
_SLOWEST, _FASTEST = 1_000, 384_000


def image_array(medium: Medium, origin: str) -> np.ndarray[Any, Any]:
    """An image as (height, width, 3), uint8.

    Raises:
        ExportError: it cannot be decoded, or has more than 40 million pixels; names the ``origin``.
    """
    if isinstance(medium, np.ndarray):
        return medium
    from PIL import Image

    try:
        with Image.open(medium, formats=_IMAGE_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise plan_error(f"{origin}: {medium.name} has more than {MAX_PIXELS // 10**6} million pixels")
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow's decoders raise
        raise plan_error(f"{origin}: {medium.name} is no image that can be read: {error}") from error


def sound_array(medium: Medium, sampling_rate: int, origin: str) -> np.ndarray[Any, Any]:
    """A sound as one channel at ``sampling_rate``, (samples,), float32 between -1 and 1.

    Raises:
        ExportError: it is no WAV file that can be decoded, or is longer than a minute; names the ``origin``.
    """
    from scipy.signal import resample_poly

    samples, rate = (medium, SAMPLING_RATE) if isinstance(medium, np.ndarray) else _decoded(medium, origin)
    if rate == sampling_rate:
        return samples
    common = gcd(rate, sampling_rate)
    return np.asarray(resample_poly(samples, sampling_rate // common, rate // common), np.float32)


def _decoded(path: Path, origin: str) -> tuple[np.ndarray[Any, Any], int]:
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():  # chunks that it does not know are no concern of ours
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, samples = wavfile.read(path)
    except Exception as error:  # the decoder meets broken headers with errors of many classes
        raise plan_error(f"{origin}: {path.name} is no WAV file that can be read: {error}") from error
    if not _SLOWEST <= rate <= _FASTEST or samples.size == 0:
        raise plan_error(f"{origin}: {path.name} holds no sound ({samples.size} samples at {rate} Hz)")
    if len(samples) > MAX_SECONDS * rate:
        raise plan_error(f"{origin}: {path.name} is longer than {MAX_SECONDS} seconds", "cut it")
    return _one_channel(samples), rate


def _one_channel(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if samples.dtype == np.uint8:  # 8-bit WAV counts from 0 to 255
        samples, whole = samples.astype(np.float32) - 128, 128.0
    else:
        whole = -float(np.iinfo(samples.dtype).min) if samples.dtype.kind == "i" else 1.0
    scaled = np.asarray(samples / whole, np.float32)
    return scaled if scaled.ndim == 1 else np.asarray(scaled.mean(axis=1), np.float32)
