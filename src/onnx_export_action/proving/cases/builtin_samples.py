"""Samples that come with the project, for models that have a tokenizer or processor beside them: made, not copied.

Random numbers never look like text, photographs or speech: these do, a little. All are the same in every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from onnx_export_action.project.sample_files import Sample
from onnx_export_action.proving.cases.media import SAMPLING_RATE

_ORIGIN = "built in"
TEXTS = (
    "The film was far better than I had expected.",
    "No, never again: two hours that I will not get back!",
    "Prices rose by 3.5 % in March 2024, the bank's report says.",
    "日本語の文, naïve café, Ω ≈ 3·10⁻⁷, and a smile 🙂 …",
)
QUESTIONS = (
    ("Who wrote the letter?", "The letter was written by Anna in 1912, two years before she left for Vienna."),
    ("How long is the river?", "From its source in the hills it flows for 346 kilometres to the sea."),
)


@dataclass(frozen=True)
class BuiltinCase:
    """Samples that are one case: rows of one batch."""

    id: str
    samples: list[Sample]


def text_cases(task: str, special_tokens: list[str]) -> list[BuiltinCase]:
    """Real sentences, or pairs of them where the task reads pairs; special tokens inside a text; an empty text."""
    pairs = task in ("question-answering", "multiple-choice")
    rows = [Sample(_ORIGIN, *pair) for pair in QUESTIONS] if pairs else [Sample(_ORIGIN, text) for text in TEXTS]
    marked = f"{TEXTS[0]} {' '.join(special_tokens[:8])} {TEXTS[2]}"
    second = "" if pairs else None
    return [
        BuiltinCase("built-in texts", rows),
        BuiltinCase("special tokens", [Sample(_ORIGIN, marked, second)]),
        BuiltinCase("empty text", [Sample(_ORIGIN, "", second)]),
    ]


def image_cases() -> list[BuiltinCase]:
    """A landscape and a portrait."""
    return [BuiltinCase("built-in images", [Sample(_ORIGIN, image=landscape()), Sample(_ORIGIN, image=portrait())])]


def image_and_text_cases() -> list[BuiltinCase]:
    """Each image with a text."""
    rows = [Sample(_ORIGIN, TEXTS[0], image=landscape()), Sample(_ORIGIN, TEXTS[2], image=portrait())]
    return [BuiltinCase("built-in images and texts", rows)]


def audio_cases() -> list[BuiltinCase]:
    """Two voices of different length."""
    return [BuiltinCase("built-in sounds", [Sample(_ORIGIN, audio=voice(1.0)), Sample(_ORIGIN, audio=voice(0.6))])]


def landscape() -> np.ndarray[Any, Any]:
    """Sky over hills with a sun, and grain: (240, 320, 3), uint8."""
    rows, columns = np.mgrid[0:240, 0:320].astype(np.float64)
    hills = rows > 150 + 25 * np.sin(columns / 40) + 10 * np.sin(columns / 13)
    sun = (rows - 60) ** 2 + (columns - 230) ** 2 < 30**2
    sky = np.stack([90 + rows / 3, 140 + rows / 4, 235 - rows / 5], axis=-1)
    ground = np.stack([60 + columns / 8, 120 - rows / 6, 40 + rows / 8], axis=-1)
    picture = np.where(hills[..., None], ground, sky)
    picture[sun] = (250, 230, 120)
    return _grainy(picture, seed=1)


def portrait() -> np.ndarray[Any, Any]:
    """A face of ellipses before stripes: (300, 200, 3), uint8."""
    rows, columns = np.mgrid[0:300, 0:200].astype(np.float64)
    stripes = (np.floor(columns / 12) % 2)[..., None]
    picture = np.where(stripes > 0, (190.0, 60.0, 70.0), (230.0, 220.0, 200.0))
    picture[((rows - 150) / 110) ** 2 + ((columns - 100) / 70) ** 2 < 1] = (224, 172, 130)
    for centre in (75, 125):
        picture[((rows - 130) / 9) ** 2 + ((columns - centre) / 14) ** 2 < 1] = (40, 40, 60)
    picture[((rows - 200) / 8) ** 2 + ((columns - 100) / 30) ** 2 < 1] = (170, 50, 60)
    return _grainy(picture, seed=2)


def _grainy(picture: np.ndarray[Any, Any], seed: int) -> np.ndarray[Any, Any]:
    grain = np.random.default_rng(seed).normal(0.0, 6.0, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def voice(seconds: float) -> np.ndarray[Any, Any]:
    """A hummed tone that glides, in syllables, with breath: (seconds * 16,000,), float32."""
    time = np.arange(int(seconds * SAMPLING_RATE)) / SAMPLING_RATE
    phase = 2 * np.pi * (140 * time + 15 * np.sin(2 * np.pi * 0.8 * time))
    tone = sum(np.sin(number * phase) / number**1.2 for number in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 3.5 * time), 0.0, 1.0) ** 0.5
    breath = np.random.default_rng(3).normal(0.0, 0.02, time.shape)
    return np.asarray(0.2 * syllables * tone + breath * (0.3 + syllables), np.float32)
