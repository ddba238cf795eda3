"""The search for what stays in float32, on noise that is known."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx_export_action.variants.high_precision import Measure, Trial, smallest_set


def measured(noise: Mapping[str, float], allowed: float) -> Measure:
    """Noises add up, but of what stays in float32."""

    def measure(kept: list[str]) -> Trial:
        total = sum(size for node, size in noise.items() if node not in kept)
        return Trial(total <= allowed, -10 * math.log10(total) if total else math.inf)

    return measure


@pytest.mark.parametrize("count", [3, 24, 100])
def test_the_nodes_that_cost_most_are_kept_and_no_others(count: int) -> None:
    noise = {f"node {number}": 0.001 for number in range(count)} | {"node 1": 5.0, "node 2": 3.0}
    kept = smallest_set(list(noise), measured(noise, allowed=1.0))
    assert sorted(kept or []) == ["node 1", "node 2"]


def test_nothing_is_kept_where_nothing_must_be() -> None:
    noise = {"a": 0.1, "b": 0.2}
    assert smallest_set(list(noise), measured(noise, allowed=1.0)) == []


def test_there_is_no_set_where_float32_itself_is_not_enough() -> None:
    assert smallest_set(["a"], lambda _: Trial(False, 0.0)) is None


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=60), st.floats(0.01, 20))
def test_none_of_what_is_kept_could_be_given_up(sizes: list[float], allowed: float) -> None:
    noise = {str(number): size for number, size in enumerate(sizes)}
    measure = measured(noise, allowed)
    kept = smallest_set(list(noise), measure)
    assert kept is not None
    assert measure(kept).passed
    assert not any(measure([other for other in kept if other != node]).passed for node in kept)
