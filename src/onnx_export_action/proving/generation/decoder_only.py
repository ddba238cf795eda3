"""Greedy generation: ``model.generate`` against the ONNX file through its own cache, step by step.

The file is fed the reference's tokens, so that every step is compared even after a difference; up to the first
difference that is exactly what free generation would do. Prompts are batched with left padding.
Imports torch only where the reference runs; the candidate's half needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.measures.tolerance import Tolerance
from onnx_export_action.proving.records import GenerationRecord
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.results import GenerationResult

NEW_TOKENS = 32
_PROMPT_LENGTHS = (8, 5, 3)

Run = Callable[[Mapping[str, np.ndarray[Any, Any]]], Arrays]


def can_generate(onnx_config: OnnxConfig) -> bool:
    """Whether the component is a decoder-only generator with its cache in one file."""
    return "past_key_values.0.key" in onnx_config.inputs and {"input_ids", "logits"} <= (
        set(onnx_config.inputs) | set(onnx_config.outputs)
    )


def generate_reference(model: Any, job: Job, folder: Path, name: str) -> tuple[GenerationRecord, str | None]:
    """Generate with PyTorch; the text says why PyTorch itself cannot."""
    import torch
    from transformers import GenerationConfig

    text_config = model.config.get_text_config()
    room = _positions(text_config) - max(_PROMPT_LENGTHS)
    new_tokens = min(NEW_TOKENS, room)
    if new_tokens < 1 or not model.can_generate():
        return (
            GenerationRecord(),
            "generation was not compared: the model has no room for new tokens, or cannot generate",
        )
    ids, mask = _prompts(text_config, job.options.seed)
    settings = GenerationConfig(
        do_sample=False, num_beams=1, max_new_tokens=new_tokens, use_cache=True, pad_token_id=int(ids[-1, 0])
    )
    # Without an end token every row runs to the full length; the checkpoint's own sampling settings stay out.
    model.generation_config = settings
    try:
        with torch.inference_mode():
            generated = model.generate(
                input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask), generation_config=settings
            )
    except Exception as error:  # generate has paths that fail for some types, whatever their forward does
        return GenerationRecord(), why_generate_fails(error)
    tokens = generated.numpy()[:, ids.shape[1] :]
    file = f"{name}.generation.safetensors"
    save_file({"ids": ids, "mask": mask, "tokens": np.ascontiguousarray(tokens)}, folder / file)
    return GenerationRecord(file=file, prompts=len(ids), tokens=int(tokens.shape[1])), None


def why_generate_fails(error: Exception) -> str:
    """The note on a reference that does not generate."""
    text = (str(error).strip().splitlines() or [""])[0][:200]
    return f"generation was not compared: PyTorch's own generate fails ({type(error).__name__}: {text})"


def _positions(text_config: Any) -> int:
    """How many tokens a text may have that one cache sees through to its end.

    Past the length of its first training a model with ``longrope`` turns to other frequencies, and ``generate`` then
    computes the cache anew (``Phi3ForCausalLM.prepare_inputs_for_generation`` of transformers 5.23), as every caller
    of the file must; a single call of any length is in the grid.
    """
    positions = getattr(text_config, "max_position_embeddings", None) or 10_000
    rotary = getattr(text_config, "rope_parameters", None) or {}
    first_trained = rotary.get("original_max_position_embeddings") if rotary.get("rope_type") == "longrope" else None
    return int(first_trained or positions)


def _prompts(text_config: Any, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    pad = getattr(text_config, "pad_token_id", None)
    pad = pad if isinstance(pad, int) and 0 <= pad < text_config.vocab_size else 0
    ids = random.integers(0, text_config.vocab_size, (len(_PROMPT_LENGTHS), max(_PROMPT_LENGTHS)), dtype=np.int64)
    mask = np.ones_like(ids)
    for row, length in enumerate(_PROMPT_LENGTHS):
        mask[row, : mask.shape[1] - length] = 0
    ids[ids == pad] = (pad + 1) % text_config.vocab_size
    ids[mask == 0] = pad
    return ids, mask


def check_generation(
    run: Run, empty_past: Arrays, inputs: Iterable[str], generation: GenerationRecord, tolerance: Tolerance, file: Path
) -> Generated:
    """Feed the reference's tokens through the file's cache and compare the greedy choice at every step.

    ``empty_past`` holds ``past_key_values.*`` of length 0 for the prompts' batch, ``inputs`` names what the file takes,
    ``file`` holds the reference's arrays. A difference between logits that lie within twice the tolerance of each other
    is a tie: rounding decides it, and both choices are right. As each step reads PyTorch's tokens, all are compared.
    """
    arrays = load_file(file)
    names = list(inputs)
    ids, mask, tokens = arrays["ids"], arrays["mask"], arrays["tokens"]
    positions = np.clip(np.cumsum(mask, axis=1) - 1, 0, None).astype(np.int64)
    past = empty_past
    choices = GreedyChoices(tolerance)
    for step in range(tokens.shape[1]):
        feeds = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, **past}
        outputs = run({name: feeds[name] for name in names})
        choices.add(outputs["logits"][:, -1], tokens[:, step])
        past = {
            name.replace("present", "past_key_values", 1): array
            for name, array in outputs.items()
            if name.startswith("present.")
        }
        ids = tokens[:, step : step + 1]
        mask = np.concatenate([mask, np.ones_like(ids)], axis=1)
        positions = positions[:, -1:] + 1
    return choices.generated(generation)


@dataclass(frozen=True)
class Generated:
    """What became of a generation. Tokens have shape (rows, steps): PyTorch's, and the file's choice at each step."""

    result: GenerationResult
    expected: np.ndarray[Any, Any]
    chosen: np.ndarray[Any, Any]


class GreedyChoices:
    """Compares the greedy choice of every step; two logits that lie within the tolerance of each other are a tie."""

    def __init__(self, tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        self._expected: list[np.ndarray[Any, Any]] = []
        self._chosen: list[np.ndarray[Any, Any]] = []
        self._ties: list[str] = []
        self._differences: list[str] = []

    def add(self, logits: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
        """One step: logits (rows, vocabulary), and PyTorch's tokens (rows,)."""
        chosen = logits.argmax(axis=-1)
        step = len(self._chosen) + 1
        for row in np.flatnonzero(chosen != expected):
            best, wanted = float(logits[row, chosen[row]]), float(logits[row, expected[row]])
            tie = best - wanted <= 2 * (self._tolerance.atol + self._tolerance.rtol * abs(wanted))
            (self._ties if tie else self._differences).append(
                f"prompt {row + 1}, token {step}: {'tie between' if tie else 'PyTorch says'} {expected[row]}, "
                f"ONNX says {chosen[row]} (logits {best - wanted:.2e} apart)"
            )
        self._expected.append(expected)
        self._chosen.append(chosen)

    def generated(self, generation: GenerationRecord) -> Generated:
        """The result over all steps."""
        expected, chosen = (np.stack(steps, axis=1) for steps in (self._expected, self._chosen))
        result = GenerationResult(
            prompts=generation.prompts,
            tokens=generation.tokens,
            equal=not self._differences,
            first_difference=next(iter((*self._differences, *self._ties)), None),
            token_agreement=float((expected == chosen).mean()),
            ties=len(self._ties),
        )
        return Generated(result, expected, chosen)
