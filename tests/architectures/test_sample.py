"""A rotating sample of the catalogue: one pair of each drawn type, others on another day or in another CI run."""

from __future__ import annotations

import datetime
import os
import random

import pytest

from onnx_export_action.vocabulary.results import Verdict
from tests.architectures.expected import Pair, read_expected
from tests.architectures.proving import prove_in_full, reason_of

# In CI about four minutes on two cores; on a developer's machine a handful.
SIZE = int(os.environ.get("ARCHITECTURE_SAMPLE", "5"))
SEED = os.environ.get("GITHUB_RUN_NUMBER") or datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def drawn_pairs(size: int, seed: str) -> list[Pair]:
    """One task of each of ``size`` types, always the same for a seed."""
    expected = read_expected()
    chance = random.Random(seed)
    types = chance.sample(sorted(expected.architectures), min(size, len(expected.architectures)))
    pairs = [Pair(model_type, chance.choice(expected.architectures[model_type].tasks)) for model_type in types]
    return [pair for pair in pairs if expected.known_failure(pair) is None]


@pytest.mark.parametrize("pair", drawn_pairs(SIZE, SEED), ids=str)
def test_a_tiny_model_of_the_type_exports_and_equals_pytorch(pair: Pair) -> None:
    result = prove_in_full(pair)
    assert result.verdict is Verdict.PASS, reason_of(result)
    assert all(file.cases for file in result.files)


def test_samples_of_different_runs_differ_and_one_run_can_be_repeated() -> None:
    assert drawn_pairs(40, "1") == drawn_pairs(40, "1")
    assert len(set(drawn_pairs(40, "1")) - set(drawn_pairs(40, "2"))) > 20
