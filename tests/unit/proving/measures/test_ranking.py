"""Queries of a detector: rounding may swap those of equal rank, and nothing else is forgiven."""

from __future__ import annotations

import numpy as np
import pytest

from onnx_export_action.proving.measures.ranking import choice_is_certain, in_expected_order, ranked

# Six candidates of two images; the second and third of the first image are told apart by rounding alone.
SCORES = np.array([[0.1, 0.9, 0.5, 0.500001, -0.3, -0.8], [0.7, 0.2, 0.5, -0.1, -0.6, -0.9]], np.float32)
LOGITS = np.arange(2 * 4 * 3, dtype=np.float32).reshape(2, 4, 3)
BOXES = np.linspace(0, 1, 2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4)


def outputs(order: list[int]) -> dict[str, np.ndarray]:
    """What a file gives that ranks the queries of the first image in this order."""
    logits, boxes = LOGITS.copy(), BOXES.copy()
    logits[0], boxes[0] = LOGITS[0, order], BOXES[0, order]
    return {"logits": logits, "pred_boxes": boxes}


def test_queries_of_equal_rank_are_compared_in_the_order_of_pytorch() -> None:
    ordered = in_expected_order(outputs([0, 1, 2, 3]), outputs([0, 2, 1, 3]), ranked(SCORES, 4))
    assert np.array_equal(ordered["logits"], LOGITS)
    assert np.array_equal(ordered["pred_boxes"], BOXES)


@pytest.mark.parametrize("order", [[1, 0, 2, 3], [0, 1, 3, 2], [3, 1, 2, 0]])
def test_queries_of_different_rank_stay_where_they_are(order: list[int]) -> None:
    found = outputs(order)
    ordered = in_expected_order(outputs([0, 1, 2, 3]), found, ranked(SCORES, 4))
    assert np.array_equal(ordered["logits"], found["logits"])


def test_a_wrong_value_of_a_tied_query_stays_wrong() -> None:
    found = outputs([0, 2, 1, 3])
    found["pred_boxes"][0, 1, 2] += 0.5
    ordered = in_expected_order(outputs([0, 1, 2, 3]), found, ranked(SCORES, 4))
    assert np.abs(ordered["pred_boxes"] - BOXES).max() == pytest.approx(0.5)
    assert np.array_equal(ordered["logits"], LOGITS)


def test_outputs_of_another_shape_are_left_alone() -> None:
    found = {"logits": LOGITS[:, :3], "pred_boxes": BOXES}
    assert in_expected_order(outputs([0, 1, 2, 3]), found, ranked(SCORES, 4)) == found


def test_the_choice_is_certain_where_the_last_is_clearly_better_than_the_next() -> None:
    assert choice_is_certain(ranked(SCORES, 4), 4)
    assert not choice_is_certain(ranked(SCORES, 2), 2)
    assert choice_is_certain(ranked(SCORES, 6), 6)


def test_scores_are_measured_by_their_spread() -> None:
    assert not choice_is_certain(ranked(1e6 * SCORES, 2), 2)
    assert choice_is_certain(ranked(1e-6 * SCORES, 4), 4)
    assert not choice_is_certain(ranked(np.ones((1, 5), np.float32), 2), 2)
