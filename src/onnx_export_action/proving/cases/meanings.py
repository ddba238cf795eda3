"""Cases that ask what inputs mean: the same names and shapes, other things said by them.

PyTorch is given the same inputs, so what it answers is right, whatever they say. A case that it does not take (a text
with two ends, positions it does not have) is passed over.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.records import Meaning

_SPECIAL_TOKENS = ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "mask_token_id")

_OFFSET = 5
_FLOAT_INPUTS = ("pixel_values", "input_values", "input_features")


def meanings_of(arrays: Arrays) -> list[Meaning]:
    """What inputs like these can mean."""
    return [meaning for meaning in Meaning if _APPLIES[meaning](arrays)]


def with_meaning(meaning: Meaning, arrays: Arrays, onnx_config: OnnxConfig, seed: int) -> Arrays:
    """The inputs, saying what ``meaning`` is; of the same shapes and types."""
    changed = {name: array.copy() for name, array in arrays.items()}
    _CHANGES[meaning](changed, onnx_config, np.random.default_rng([seed, len(meaning.value)]))
    return changed


def _punch_holes(arrays: Arrays, _: OnnxConfig, random: np.random.Generator) -> None:
    """Every row loses some positions between its first and its last."""
    mask = arrays["attention_mask"]
    for row in mask.reshape(-1, mask.shape[-1]):
        inner = np.flatnonzero(row)[1:-1]
        row[random.choice(inner, size=-(-inner.size // 3), replace=False)] = 0


def _say_special_tokens(arrays: Arrays, onnx_config: OnnxConfig, random: np.random.Generator) -> None:
    """The special tokens of the model, and its last words, stand inside the text and count."""
    config = onnx_config.normalized_config
    special = [config.get(name) for name in _SPECIAL_TOKENS]
    ids = [one for one in special if isinstance(one, int) and one >= 0]
    vocabulary = config.get("vocab_size")
    ids += [vocabulary - 1, vocabulary - 2] if isinstance(vocabulary, int) and vocabulary > 1 else []
    tokens = arrays["input_ids"]
    for row in tokens.reshape(-1, tokens.shape[-1]):
        places = random.permutation(row.size - 1)[: len(ids)]
        row[places] = ids[: places.size]


def _shift_positions(arrays: Arrays, _: OnnxConfig, __: np.random.Generator) -> None:
    arrays["position_ids"] += _OFFSET


def _pack_positions(arrays: Arrays, _: OnnxConfig, __: np.random.Generator) -> None:
    """Two texts in a row: positions begin anew in the middle."""
    positions = arrays["position_ids"]
    half = positions.shape[-1] // 2
    positions[..., half:] -= positions[..., half : half + 1]


def _silence(arrays: Arrays, _: OnnxConfig, __: np.random.Generator) -> None:
    for name in _FLOAT_INPUTS:
        if name in arrays:
            arrays[name][:] = 0


def _clip(arrays: Arrays, _: OnnxConfig, random: np.random.Generator) -> None:
    for name in _FLOAT_INPUTS:
        if name in arrays:
            signs = random.integers(0, 2, arrays[name].shape).astype(arrays[name].dtype)
            arrays[name][:] = 2 * signs - 1


def _has_text(arrays: Arrays) -> bool:
    return "input_ids" in arrays and arrays["input_ids"].shape[-1] > 2  # noqa: PLR2004 - a beginning and an end


def _has_holes(arrays: Arrays) -> bool:
    mask = arrays.get("attention_mask")
    return mask is not None and mask.ndim == 2 and mask.dtype == np.int64 and mask.shape[-1] > 3  # noqa: PLR2004


def _has_positions(arrays: Arrays) -> bool:
    return "position_ids" in arrays and arrays["position_ids"].ndim == 2  # noqa: PLR2004 - not of several kinds


def _has_numbers(arrays: Arrays) -> bool:
    return any(name in arrays and arrays[name].dtype == np.float32 for name in _FLOAT_INPUTS)


_APPLIES: dict[Meaning, Callable[[Arrays], bool]] = {
    Meaning.HOLES: _has_holes,
    Meaning.SPECIAL_TOKENS: _has_text,
    Meaning.SHIFTED_POSITIONS: _has_positions,
    Meaning.PACKED_POSITIONS: _has_positions,
    Meaning.SILENCE: _has_numbers,
    Meaning.EXTREMES: _has_numbers,
}
_CHANGES: dict[Meaning, Callable[[Arrays, OnnxConfig, np.random.Generator], None]] = {
    Meaning.HOLES: _punch_holes,
    Meaning.SPECIAL_TOKENS: _say_special_tokens,
    Meaning.SHIFTED_POSITIONS: _shift_positions,
    Meaning.PACKED_POSITIONS: _pack_positions,
    Meaning.SILENCE: _silence,
    Meaning.EXTREMES: _clip,
}
