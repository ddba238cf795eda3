"""Greedy generation of encoder-decoders: a file that goes on wrongly from its cache is caught at the first token."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.generation.decoder_only import GreedyChoices
from onnx_export_action.proving.generation.encoder_decoder import check_generation_from_encoder
from onnx_export_action.proving.measures.tolerance import Tolerance
from onnx_export_action.proving.records import ComponentRecord, GenerationRecord
from onnx_export_action.vocabulary.results import ToleranceSource

VOCABULARY = 11
STEPS = 6
PAST = "past_key_values.0.decoder.key"
TOLERANCE = Tolerance(1e-4, 1e-4, ToleranceSource.DEFAULT)


def following(read: int, seen: int, hidden: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The next token of a model that counts on from the last token, what it saw before and the encoder's text."""
    return (read + seen + hidden[:, 0, 0].astype(np.int64)) % VOCABULARY


def record(name: str, *inputs: str) -> ComponentRecord:
    return ComponentRecord(name=name, inputs={one: {} for one in inputs}, outputs={}, cases=[])


DECODERS = [
    record("decoder_model", "input_ids", "encoder_hidden_states"),
    record("decoder_with_past_model", "input_ids", "encoder_hidden_states", PAST),
]


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    tokens = [[1], [1]]
    for step in range(STEPS):
        for row in range(2):
            tokens[row].append((tokens[row][-1] + step + row) % VOCABULARY)
    hidden = np.arange(2, dtype=np.float32).reshape(2, 1, 1)
    save_file({"encoder:input_ids": hidden, "tokens": np.array(tokens)}, tmp_path / "generation.safetensors")
    return tmp_path / "generation.safetensors"


def run(record: ComponentRecord, feeds: Mapping[str, np.ndarray[Any, Any]], *, forgets: bool = False) -> Arrays:
    past = feeds.get(PAST, np.zeros((2, 0)))
    seen = past.shape[1] + feeds["input_ids"].shape[1] - 1
    chosen = following(feeds["input_ids"][:, -1], 0 if forgets else seen, feeds["encoder_hidden_states"])
    kept = np.zeros((2, seen + 1))
    return {"logits": np.eye(VOCABULARY)[chosen][:, None], PAST.replace("past_key_values", "present"): kept}


@pytest.mark.parametrize("count", [1, 2], ids=["anew", "with cache"])
def test_a_right_file_gives_the_reference_s_tokens(count: int, reference: Path) -> None:
    generation = GenerationRecord(file="x", prompts=2, tokens=STEPS)
    result = check_generation_from_encoder(
        run, lambda inputs: inputs["input_ids"], DECODERS[:count], generation, TOLERANCE, reference
    ).result
    assert (result.equal, result.first_difference, result.tokens) == (True, None, STEPS)
    assert result.token_agreement == 1.0


def test_a_file_that_forgets_its_cache_is_caught_at_the_first_token_that_depends_on_it(reference: Path) -> None:
    generation = GenerationRecord(file="x", prompts=2, tokens=STEPS)
    result = check_generation_from_encoder(
        lambda record, feeds: run(record, feeds, forgets=True),
        lambda inputs: inputs["input_ids"],
        DECODERS,
        generation,
        TOLERANCE,
        reference,
    ).result
    assert not result.equal
    assert "prompt 1, token 2" in str(result.first_difference)
    assert result.token_agreement == pytest.approx(1 / STEPS)


def test_an_encoder_that_encodes_something_else_is_caught(reference: Path) -> None:
    generation = GenerationRecord(file="x", prompts=2, tokens=STEPS)
    result = check_generation_from_encoder(
        run, lambda inputs: inputs["input_ids"] + 1, DECODERS, generation, TOLERANCE, reference
    ).result
    assert not result.equal


@pytest.mark.parametrize(("gap", "equal", "ties"), [(1e-5, True, 1), (1.0, False, 0)], ids=["a tie", "a difference"])
def test_only_logits_within_the_tolerance_of_each_other_are_a_tie(gap: float, equal: bool, ties: int) -> None:
    choices = GreedyChoices(TOLERANCE)
    choices.add(np.array([[1.0, 1.0 + gap, 0.0], [0.0, 0.0, 1.0]]), np.array([0, 2]))
    choices.add(np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]), np.array([2, 1]))
    result = choices.generated(GenerationRecord(file="x", prompts=2, tokens=2)).result
    assert (result.equal, result.ties, result.token_agreement) == (equal, ties, 0.75)
    assert ("tie between 0, ONNX says 1" in str(result.first_difference)) == equal
    assert "prompt 1, token 1" in str(result.first_difference)
