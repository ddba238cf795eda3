"""What a user of each task notices, on small answers whose figures can be counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_export_action.proving.measures.task_metrics import (
    Answer,
    WordErrors,
    edit_distance,
    intersection_over_union,
    task_metrics_of,
    words_of,
)
from onnx_export_action.proving.records import ComponentRecord, OutputRecord

TOKENS = {0: "batch_size", 1: "sequence_length"}


def record(task: str, outputs: dict[str, dict[int, str]], **more: Any) -> ComponentRecord:
    return ComponentRecord(
        name="model",
        task=task,
        inputs={"input_ids": TOKENS, "attention_mask": TOKENS},
        outputs={name: OutputRecord(axes=axes, class_atol=1e-4) for name, axes in outputs.items()},
        cases=[],
        **more,
    )


def figures(
    of: ComponentRecord, expected: dict[str, Any], found: dict[str, Any], mask: Any = None
) -> dict[str, tuple[float | None, int]]:
    sides = [{name: np.array(values, np.float32) for name, values in side.items()} for side in (expected, found)]
    inputs = {} if mask is None else {"attention_mask": np.array(mask)}
    metrics = task_metrics_of(of)
    for metric in metrics:
        metric.add(Answer(of, inputs, *sides))
    return {one.name: (one.value, one.count) for metric in metrics for one in metric.results()}


def test_an_answer_is_its_best_span_that_is_no_padding_and_does_not_run_backwards() -> None:
    of = record("question-answering", {"start_logits": TOKENS, "end_logits": TOKENS})
    # Alone, the best start of the first row is behind its best end; the best of the second row are padding.
    expected = {"start_logits": [[1, 0, 5], [0, 1, 9]], "end_logits": [[1, 6, 0], [0, 1, 9]]}
    mask = [[1, 1, 1], [1, 1, 0]]
    assert figures(of, expected, expected, mask) == {"span_match": (1.0, 2)}
    moved = {"start_logits": [[1, 3, 5], [0, 1, 7]], "end_logits": [[1, 6, 0], [0, 1, 7]]}
    assert figures(of, expected, moved, mask) == {"span_match": (0.5, 2)}


def test_boxes_overlap_as_their_areas_do() -> None:
    of = record("object-detection", {"pred_boxes": {0: "batch_size"}})
    expected = {"pred_boxes": [[[0.5, 0.5, 0.2, 0.2], [0.2, 0.2, 0.1, 0.1]]]}
    found = {"pred_boxes": [[[0.6, 0.5, 0.2, 0.2], [0.2, 0.2, 0.1, 0.1]]]}
    assert figures(of, expected, expected)["box_iou_min"] == (pytest.approx(1.0), 2)
    measured = figures(of, expected, found)
    assert measured["box_iou_min"] == (pytest.approx(1 / 3, abs=1e-5), 2)
    assert measured["box_iou_mean"] == (pytest.approx(2 / 3, abs=1e-5), 2)


def test_boxes_without_area_overlap_only_when_they_are_equal() -> None:
    point = np.array([0.5, 0.5, 0.0, 0.0])
    assert intersection_over_union(point, point) == 1.0
    assert intersection_over_union(point, point + np.array([0.1, 0, 0, 0])) == 0.0


@pytest.mark.parametrize(
    ("task", "axes", "shape", "count"),
    [
        ("text-classification", {0: "batch_size"}, (3, 4), 3),
        ("token-classification", TOKENS, (1, 3, 4), 3),
        ("semantic-segmentation", {0: "batch_size", 2: "output_height", 3: "output_width"}, (1, 4, 3, 1), 3),
    ],
)
def test_labels_flip_by_row_token_or_pixel(task: str, axes: dict[int, str], shape: tuple[int, ...], count: int) -> None:
    scores = np.eye(4)[[0, 1, 2]].astype(np.float32)
    flipped = scores.copy()
    flipped[1, 3] = 2.0
    shaped = [array.T if task == "semantic-segmentation" else array for array in (scores, flipped)]
    expected, found = ({"logits": array.reshape(shape)} for array in shaped)
    assert figures(record(task, {"logits": axes}), expected, expected) == {"label_flips": (0.0, count)}
    assert figures(record(task, {"logits": axes}), expected, found) == {"label_flips": (1.0, count)}


def test_padded_tokens_have_no_label_to_flip() -> None:
    of = record("token-classification", {"logits": TOKENS})
    expected = {"logits": [[[1, 0], [1, 0], [1, 0]]]}
    found = {"logits": [[[1, 0], [1, 0], [0, 1]]]}
    assert figures(of, expected, found, [[1, 1, 0]]) == {"label_flips": (0.0, 2)}


def test_embeddings_keep_their_direction_and_the_order_of_their_neighbours() -> None:
    of = record("feature-extraction", {"sentence_embedding": {0: "batch_size"}}, is_whole_model=True)
    expected = {"sentence_embedding": [[1, 0], [0.9, 0.1], [0, 1]]}
    measured = figures(of, expected, {"sentence_embedding": [[2, 0], [1.8, 0.2], [0, 2]]})
    assert measured["sentence_embedding.embedding_cosine_min"] == (pytest.approx(1.0), 3)
    assert measured["sentence_embedding.rank_order"] == (1.0, 3)
    swapped = figures(of, expected, {"sentence_embedding": [[1, 0], [0, 1], [0.9, 0.1]]})
    assert swapped["sentence_embedding.embedding_cosine_min"][0] == pytest.approx(0.11, abs=0.01)
    assert (swapped["sentence_embedding.rank_order"][0] or 0.0) < 1.0


def test_a_row_of_padding_has_no_direction_to_keep() -> None:
    of = record("feature-extraction", {"sentence_embedding": {0: "batch_size"}}, is_whole_model=True)
    rows = {"sentence_embedding": [[1, 0], [0, 0]]}
    assert figures(of, rows, rows) == {"sentence_embedding.embedding_cosine_min": (1.0, 1)}
    assert (
        figures(of, rows, {"sentence_embedding": [[1, 0], [0, 1]]})["sentence_embedding.embedding_cosine_min"][0] == 0
    )


def test_the_parts_of_a_model_give_no_embeddings() -> None:
    of = record("feature-extraction", {"last_hidden_state": TOKENS})
    assert figures(of, {"last_hidden_state": [[[1, 0]]]}, {"last_hidden_state": [[[0, 1]]]}) == {}


PIECES = ["<pad>", "|", "c", "a", "t", "s"]


def ctc_logits(text: list[int]) -> list[list[list[float]]]:
    return [np.eye(len(PIECES))[text].tolist()]


def test_speech_is_compared_by_words_without_repeats_and_blanks() -> None:
    of = record("automatic-speech-recognition", {"logits": TOKENS}, pieces=PIECES, blank=0)
    of.inputs = {"input_values": {0: "batch_size"}}
    said = {"logits": ctc_logits([2, 2, 3, 0, 4, 1, 3, 4, 0])}  # cc a _ t | a t _
    same = {"logits": ctc_logits([0, 2, 3, 4, 4, 1, 1, 3, 4])}
    other = {"logits": ctc_logits([2, 2, 3, 0, 4, 5, 1, 3, 4])}  # cats at
    assert figures(of, said, same) == {"word_error_rate": (0.0, 2)}
    assert figures(of, said, other) == {"word_error_rate": (0.5, 2)}


def test_without_a_vocabulary_tokens_stand_for_words() -> None:
    errors = WordErrors([], -1)
    errors.add_tokens([1, 2, 3, 4], [1, 3, 4])
    (result,) = errors.results()
    assert (result.name, result.value, result.count) == ("token_error_rate", 0.25, 4)


def test_pieces_of_every_kind_of_vocabulary_make_words() -> None:
    assert words_of([0, 1, 2], ["Ġhello", "Ġwor", "ld"]) == ["hello", "world"]
    assert words_of([0, 1, 2], ["▁hello", "▁wor", "ld"]) == ["hello", "world"]
    assert words_of([0, 9], ["▁hello"]) == ["hello\ufffd"]


@pytest.mark.parametrize(
    ("first", "second", "edits"), [("", "", 0), ("abc", "abc", 0), ("abc", "ac", 1), ("abc", "xbcd", 2), ("", "ab", 2)]
)
def test_edits_are_counted(first: str, second: str, edits: int) -> None:
    assert edit_distance(first, second) == edits
