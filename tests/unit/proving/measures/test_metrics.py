"""What counts as the same: values, shapes, NaN in place, padded positions apart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from onnx_export_action.proving.measures.metrics import OtherKind, OutputMetrics
from onnx_export_action.proving.measures.positions import valid_positions
from onnx_export_action.proving.measures.tolerance import Tolerance
from onnx_export_action.vocabulary.results import CaseProblem, ToleranceSource

TOLERANCE = Tolerance(atol=1e-3, rtol=1e-2, source=ToleranceSource.DECLARED)


def metrics(*, counts_argmax: bool = False) -> OutputMetrics:
    return OutputMetrics(TOLERANCE, counts_argmax=counts_argmax)


def test_margin_is_the_worst_error_over_what_is_allowed_there() -> None:
    collected = metrics()
    reference = np.array([[1.0, 10.0]], np.float32)
    comparison = collected.add(reference, reference + np.array([[0.0, 0.05]], np.float32), None)
    assert comparison.margin == pytest.approx(0.05 / (1e-3 + 1e-2 * 10.0), rel=1e-3)
    assert comparison.passed
    assert not collected.add(reference, reference * 1.02, None).passed
    assert collected.margin == pytest.approx(0.2 / 0.101, rel=1e-3)


def test_an_element_just_beyond_its_tolerance_fails() -> None:
    reference = np.zeros((1, 4), np.float32)
    assert metrics().add(reference, reference + np.float32(0.9e-3), None).passed
    assert not metrics().add(reference, reference + np.float32(1.1e-3), None).passed


@pytest.mark.parametrize(
    ("candidate", "other"),
    [
        (np.zeros((2, 4), np.float32), OtherKind(CaseProblem.SHAPE, "(2, 3)", "(2, 4)")),
        (np.zeros((1, 3), np.float32), OtherKind(CaseProblem.SHAPE, "(2, 3)", "(1, 3)")),
        (np.zeros((2, 3), np.int64), OtherKind(CaseProblem.DTYPE, "float32", "int64")),
    ],
)
def test_another_shape_or_kind_of_number_is_no_match(candidate: np.ndarray, other: OtherKind) -> None:
    comparison = metrics().add(np.zeros((2, 3), np.float32), candidate, None)
    assert not comparison.passed
    assert comparison.other_kind == other
    assert comparison.problem is other.problem
    assert math.isinf(comparison.margin)


@pytest.mark.parametrize(
    ("reference", "candidate", "mismatches"),
    [
        ([np.nan, 1.0], [np.nan, 1.0], 0),
        ([np.inf, 1.0], [np.inf, 1.0], 0),
        ([np.inf, 1.0], [-np.inf, 1.0], 1),
        ([0.0, 1.0], [np.nan, 1.0], 1),
        ([np.nan, np.nan], [0.0, np.inf], 2),
    ],
)
def test_nan_and_infinity_agree_in_place(reference: list[float], candidate: list[float], mismatches: int) -> None:
    comparison = metrics().add(np.array(reference, np.float32), np.array(candidate, np.float32), None)
    assert comparison.nan_mismatch == mismatches
    assert comparison.passed == (mismatches == 0)


def test_padded_positions_are_scored_apart_but_may_not_be_nan() -> None:
    reference = np.zeros((1, 3, 2), np.float32)
    valid = np.array([True, True, False]).reshape(1, 3, 1)
    wrong_in_padding = reference.copy()
    wrong_in_padding[0, 2] = 5.0
    collected = metrics()
    comparison = collected.add(reference, wrong_in_padding, valid)
    assert comparison.passed
    assert collected.padded_max_abs == 5.0
    assert collected.max_abs == 0.0

    wrong_in_padding[0, 2, 0] = np.nan
    assert metrics().add(reference, wrong_in_padding, valid).nan_mismatch == 1


MASK = np.array([[1, 1, 0, 0], [1, 1, 1, 1]])
TOKENS = {"input_ids": {0: "batch", 1: "sequence"}, "attention_mask": {0: "batch", 1: "sequence"}}
CACHED = {
    "input_ids": {0: "batch_size", 1: "sequence_length"},
    "attention_mask": {0: "batch_size", 1: "past_sequence_length + sequence_length"},
}


class TestValidPositions:
    """Which positions of an output are read by nobody."""

    def test_an_output_along_the_tokens_follows_the_mask_whatever_the_axes_are_called(self) -> None:
        valid = valid_positions({"attention_mask": MASK}, np.zeros((2, 4, 8)), {0: "batch", 1: "sequence"}, TOKENS)
        assert valid is not None
        assert valid.shape == (2, 4, 1)
        np.testing.assert_array_equal(valid[..., 0], MASK != 0)

    def test_an_output_of_new_tokens_follows_the_end_of_the_mask(self) -> None:
        mask = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 0]])
        valid = valid_positions(
            {"attention_mask": mask}, np.zeros((2, 2, 8)), {0: "batch_size", 1: "sequence_length"}, CACHED
        )
        assert valid is not None
        np.testing.assert_array_equal(valid[..., 0], [[True, True], [True, False]])

    def test_cached_keys_follow_the_whole_mask_along_their_own_axis(self) -> None:
        mask = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 0]])
        axes = {0: "batch_size", 2: "past_sequence_length + sequence_length"}
        valid = valid_positions({"attention_mask": mask}, np.zeros((2, 4, 5, 8)), axes, CACHED)
        assert valid is not None
        assert valid.shape == (2, 1, 5, 1)

    def test_pooled_outputs_and_full_masks_have_no_padding(self) -> None:
        pooled = valid_positions({"attention_mask": MASK}, np.zeros((2, 3)), {0: "batch"}, TOKENS)
        full = valid_positions(
            {"attention_mask": np.ones((2, 4), np.int64)}, np.zeros((2, 4, 8)), {0: "batch", 1: "sequence"}, TOKENS
        )
        assert pooled is None
        assert full is None


def test_metrics_over_cases_match_their_definitions() -> None:
    random = np.random.default_rng(0)
    cases = [random.normal(size=(2, length, 5)).astype(np.float32) for length in (3, 7)]
    noise = [1e-4 * random.normal(size=case.shape).astype(np.float32) for case in cases]
    collected = metrics(counts_argmax=True)
    for case, error in zip(cases, noise, strict=True):
        collected.add(case, case + error, None)
    reference = np.concatenate([case.reshape(-1) for case in cases]).astype(np.float64)
    candidate = np.concatenate([(a + b).reshape(-1) for a, b in zip(cases, noise, strict=True)]).astype(np.float64)
    error = candidate - reference
    assert collected.mean_abs == pytest.approx(np.abs(error).mean(), rel=1e-3)
    assert collected.max_abs == pytest.approx(np.abs(error).max(), rel=1e-3)
    assert collected.sqnr_db == pytest.approx(10 * np.log10((reference**2).sum() / (error**2).sum()), abs=0.01)
    assert collected.cosine == pytest.approx(1.0, abs=1e-6)
    assert collected.argmax_agreement == 1.0


def test_argmax_agreement_counts_valid_rows_only() -> None:
    reference = np.array([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]], np.float32)
    candidate = np.array([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]], np.float32)
    valid = np.array([True, True, False]).reshape(1, 3, 1)
    collected = metrics(counts_argmax=True)
    collected.add(reference, candidate, valid)
    assert collected.argmax_agreement == 0.5


def test_the_worst_element_is_named_with_both_values_wherever_it_stands() -> None:
    reference = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    candidate = reference.copy()
    candidate[1, 1, 2] += 0.5
    candidate[1, 2, 3] += 9.0  # padding
    valid = np.array([[True, True, True], [True, True, False]]).reshape(2, 3, 1)
    collected = metrics()
    comparison = collected.add(reference, candidate, valid, "base")
    assert comparison.worst is not None
    assert comparison.worst.index == (1, 1, 2)
    assert (comparison.worst.reference, comparison.worst.candidate) == (18.0, 18.5)
    collected.add(reference, reference, None, "other")
    assert collected.worst is not None
    assert collected.worst.case == "base"


def test_places_of_nan_are_told() -> None:
    reference = np.zeros((2, 3), np.float32)
    candidate = reference.copy()
    candidate[1, 2] = np.nan
    comparison = metrics().add(reference, candidate, None)
    assert comparison.nan_places == ((1, 2),)
    assert not comparison.passed


def test_each_case_has_its_own_figures() -> None:
    collected = metrics()
    reference = np.full((1, 4), 2.0, np.float32)
    first = collected.add(reference, reference + np.float32(1e-4), None)
    second = collected.add(reference, reference, None)
    assert first.mean_abs == pytest.approx(1e-4, rel=1e-2)
    assert first.max_rel == pytest.approx(5e-5, rel=1e-2)
    assert (second.mean_abs, second.sqnr_db, second.cosine) == (0.0, None, 1.0)
    assert collected.mean_abs == pytest.approx(5e-5, rel=1e-2)


def test_the_five_best_agree_whatever_their_order() -> None:
    reference = np.arange(8, dtype=np.float32)[None]
    swapped, replaced = reference.copy(), reference.copy()
    swapped[0, [6, 7]] = [7.0, 6.0]
    replaced[0, 0] = 100.0
    for candidate, argmax, five in ((swapped, 0.0, 1.0), (replaced, 0.0, 0.8)):
        collected = metrics(counts_argmax=True)
        collected.add(reference, candidate, None)
        assert (collected.argmax_agreement, collected.top5_agreement) == (argmax, pytest.approx(five))


def test_an_error_in_all_values_fails_though_each_is_within_its_own_tolerance() -> None:
    tolerance = Tolerance(atol=1e-3, rtol=0.0, source=ToleranceSource.CALIBRATED, rms=1e-4)
    reference = np.zeros((1, 100), np.float32)
    comparison = OutputMetrics(tolerance, counts_argmax=False).add(reference, reference + np.float32(2e-4), None)
    assert comparison.element_margin == pytest.approx(0.2, rel=1e-3)
    assert comparison.margin == pytest.approx(2.0, rel=1e-3)
    assert not comparison.passed


def test_an_answer_without_a_token_is_padding_of_a_multiple_choice() -> None:
    axes = {"attention_mask": {0: "batch", 1: "choices", 2: "length"}}
    mask = np.array([[[1, 1], [1, 0]], [[0, 0], [1, 1]]])
    valid = valid_positions({"attention_mask": mask}, np.zeros((2, 2)), {0: "batch", 1: "choices"}, axes)
    assert valid is not None
    assert valid.tolist() == [[True, True], [False, True]]
    assert valid_positions({"attention_mask": mask}, np.zeros((2, 3)), {0: "batch"}, axes) is None


def test_a_text_without_a_token_is_padding_where_texts_are_columns() -> None:
    axes = {"attention_mask": {0: "text_batch", 1: "length"}}
    mask = np.array([[1, 1], [0, 0]])
    valid = valid_positions({"attention_mask": mask}, np.zeros((3, 2)), {0: "image_batch", 1: "text_batch"}, axes)
    assert valid is not None
    assert valid.tolist() == [[True, False]]
