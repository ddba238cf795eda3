"""What a user of each task would notice: another answer, another box, another order of neighbours, other words.

Each class below collects one such figure over all cases of a component; :func:`task_metrics_of` chooses them by the
task and the outputs. None of them decides the verdict: the tolerances of the outputs do.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from onnx_export_action.proving.arrays import Array, Arrays
from onnx_export_action.proving.measures.agreement import agreement_of
from onnx_export_action.proving.measures.positions import valid_positions
from onnx_export_action.proving.measures.similarity import embeddings
from onnx_export_action.proving.records import ComponentRecord
from onnx_export_action.vocabulary.results import TaskMetricResult

SPEECH = "automatic-speech-recognition"
_LABEL_TASKS = (
    "audio-classification",
    "audio-frame-classification",
    "image-classification",
    "image-segmentation",
    "multiple-choice",
    "object-detection",
    "semantic-segmentation",
    "text-classification",
    "token-classification",
    "zero-shot-image-classification",
)
_EMBEDDING_OUTPUTS = ("sentence_embedding", "text_embeds", "image_embeds", "embeddings", "last_hidden_state")
_MOST_EMBEDDINGS = 64
# Similarities closer than this are as good as equal: float32 orders them by chance.
_SAME_SIMILARITY = 1e-5


@dataclass(frozen=True)
class Answer:
    """One case: what went in, what PyTorch gave and what the file gave. ``record`` describes the axes."""

    record: ComponentRecord
    inputs: Arrays
    expected: Arrays
    found: Arrays

    def valid(self, output: str) -> Array | None:
        """The positions of an output that are no padding."""
        axes = self.record.outputs[output].axes
        return valid_positions(self.inputs, self.expected[output], axes, self.record.inputs)


class TaskMetric(ABC):
    """One figure over many answers."""

    @abstractmethod
    def add(self, answer: Answer) -> None:
        """Count one case; its outputs have the shapes that PyTorch's have, and finite numbers."""

    @abstractmethod
    def results(self) -> Iterator[TaskMetricResult]:
        """The figures; none where there was nothing to count."""


def task_metrics_of(record: ComponentRecord) -> list[TaskMetric]:
    """The figures for one component, by its task and outputs."""
    outputs = set(record.outputs)
    metrics: list[TaskMetric] = []
    if {"start_logits", "end_logits"} <= outputs:
        metrics.append(SpanMatch())
    if "pred_boxes" in outputs:
        metrics.append(BoxOverlap())
    labelled = next((name for name in ("logits", "logits_per_image") if name in outputs), None)
    if labelled is not None and record.task in _LABEL_TASKS:
        metrics.append(LabelFlips(labelled))
    if record.task == SPEECH and "logits" in outputs and "input_ids" not in record.inputs:
        metrics.append(WordErrors(record.pieces, record.blank))
    if record.is_whole_model:
        metrics += [Embeddings(name) for name in _EMBEDDING_OUTPUTS if name in outputs]
    return metrics


class SpanMatch(TaskMetric):
    """Answers of question answering whose first and last token are the same."""

    def __init__(self) -> None:
        self._same = self._count = 0

    def add(self, answer: Answer) -> None:
        """Rows of (batch, length): the span with the largest sum of scores that does not end before it starts."""
        spans = [_best_spans(side, answer.valid("start_logits")) for side in (answer.expected, answer.found)]
        self._same += int((spans[0] == spans[1]).all(axis=1).sum())
        self._count += len(spans[0])

    def results(self) -> Iterator[TaskMetricResult]:
        """``span_match``: a share."""
        if self._count:
            yield TaskMetricResult(name="span_match", value=self._same / self._count, count=self._count)


def _best_spans(outputs: Arrays, valid: Array | None) -> Array:
    """First and last token of each row's answer, (batch, 2)."""
    start, end = (outputs[name].astype(np.float64) for name in ("start_logits", "end_logits"))
    if valid is not None:
        start, end = (np.where(valid, scores, -np.inf) for scores in (start, end))
    length = start.shape[1]
    scores = np.where(np.triu(np.ones((length, length), bool)), start[:, :, None] + end[:, None, :], -np.inf)
    best = scores.reshape(len(start), -1).argmax(axis=1)
    return np.stack(np.unravel_index(best, (length, length)), axis=1)


class BoxOverlap(TaskMetric):
    """Intersection over union of the boxes of a detector's queries."""

    def __init__(self) -> None:
        self._least, self._sum, self._count = 1.0, 0.0, 0

    def add(self, answer: Answer) -> None:
        """Boxes of (batch, queries, 4): centre, width and height, as the DETR family and OWL-ViT give them."""
        overlaps = intersection_over_union(answer.expected["pred_boxes"], answer.found["pred_boxes"])
        self._least = min(self._least, float(overlaps.min(initial=1.0)))
        self._sum += float(overlaps.sum())
        self._count += overlaps.size

    def results(self) -> Iterator[TaskMetricResult]:
        """``box_iou_mean`` and ``box_iou_min``."""
        if self._count:
            yield TaskMetricResult(name="box_iou_mean", value=self._sum / self._count, count=self._count)
            yield TaskMetricResult(name="box_iou_min", value=self._least, count=self._count)


def intersection_over_union(first: Array, second: Array) -> Array:
    """Of boxes (..., 4) as centre x, centre y, width, height; boxes without any area overlap when they are equal."""
    ours, theirs = first.astype(np.float64), second.astype(np.float64)
    low = np.maximum(ours[..., :2] - ours[..., 2:] / 2, theirs[..., :2] - theirs[..., 2:] / 2)
    high = np.minimum(ours[..., :2] + ours[..., 2:] / 2, theirs[..., :2] + theirs[..., 2:] / 2)
    common = np.clip(high - low, 0.0, None).prod(axis=-1)
    union = np.abs(ours[..., 2:]).prod(axis=-1) + np.abs(theirs[..., 2:]).prod(axis=-1) - common
    same = (ours == theirs).all(axis=-1)
    return np.where(union > 0, common / np.where(union > 0, union, 1.0), same)


class LabelFlips(TaskMetric):
    """Rows (or tokens, queries, pixels) that get another label."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._flips = self._count = 0

    def add(self, answer: Answer) -> None:
        """Count the rows whose best class differs, padding left out."""
        expected, found = answer.expected[self._output], answer.found[self._output]
        agreement = agreement_of(expected, found, answer.valid(self._output))
        if agreement is not None:
            self._flips += agreement.rows - agreement.same_choice
            self._count += agreement.rows

    def results(self) -> Iterator[TaskMetricResult]:
        """``label_flips``: a number of rows."""
        if self._count:
            yield TaskMetricResult(name="label_flips", value=float(self._flips), count=self._count)


class Embeddings(TaskMetric):
    """Direction of each embedding, and whether its neighbours come in the same order."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._sides: tuple[list[Array], list[Array]] = ([], [])

    def add(self, answer: Answer) -> None:
        """Keep the rows of one case; token states are averaged as sentence-transformers does."""
        if answer.expected[self._output].ndim > 3:  # noqa: PLR2004 - maps are no embeddings
            return
        for rows, side in zip(self._sides, (answer.expected, answer.found), strict=True):
            rows.append(embeddings(side[self._output], answer.inputs))

    def results(self) -> Iterator[TaskMetricResult]:
        """``embedding_cosine_min``, and ``rank_order``: the share of pairs of neighbours that keep their order."""
        sizes = {rows.shape[-1] for rows in self._sides[0]}
        if len(sizes) != 1 or not sizes.isdisjoint({0}):
            return
        ours, theirs = (np.concatenate(rows)[:_MOST_EMBEDDINGS] for rows in self._sides)
        # A row that is padding altogether has no direction, on either side.
        directed = (np.abs(ours) + np.abs(theirs)).any(axis=1)
        ours, theirs = ours[directed], theirs[directed]
        if len(ours) == 0:
            return
        cosines = (ours * theirs).sum(axis=1)
        name = "" if self._output == "last_hidden_state" else f"{self._output}."
        least = min(1.0, float(cosines.min()))
        yield TaskMetricResult(name=f"{name}embedding_cosine_min", value=least, count=len(ours))
        kept, pairs = _kept_order(ours @ ours.T, theirs @ theirs.T)
        if pairs:
            yield TaskMetricResult(name=f"{name}rank_order", value=kept / pairs, count=pairs)


def _kept_order(ours: Array, theirs: Array) -> tuple[int, int]:
    """Of similarities (rows, rows): how many pairs of another row's neighbours keep their order, and of how many."""
    kept = pairs = 0
    for row in range(len(ours)):
        neighbours = [np.delete(side[row], row) for side in (ours, theirs)]
        before, after = (similar[:, None] - similar[None, :] for similar in neighbours)
        ordered = np.triu(np.abs(before) > _SAME_SIMILARITY)
        kept += int((ordered & (before * after > 0)).sum())
        pairs += int(ordered.sum())
    return kept, pairs


class WordErrors(TaskMetric):
    """Words (without a vocabulary: tokens) of recognised speech that differ, by the shortest edit.

    ``pieces`` are the vocabulary's tokens by id, ``blank`` is the id that CTC leaves out.
    """

    def __init__(self, pieces: Sequence[str], blank: int) -> None:
        self._pieces = pieces
        self._blank = blank
        self._errors = self._words = 0

    def add(self, answer: Answer) -> None:
        """Logits (batch, frames, vocabulary), read greedily: repeats once, blanks not at all."""
        sides = (answer.expected["logits"].argmax(axis=-1), answer.found["logits"].argmax(axis=-1))
        for ours, theirs in zip(*sides, strict=True):
            self.add_tokens(self._without_repeats(ours), self._without_repeats(theirs))

    def _without_repeats(self, ids: Array) -> list[int]:
        return [int(token) for token, _ in itertools.groupby(ids.tolist()) if token != self._blank]

    def add_tokens(self, ours: Sequence[int], theirs: Sequence[int]) -> None:
        """Count one text of PyTorch's and one of the file's, as token ids."""
        said, heard = words_of(ours, self._pieces), words_of(theirs, self._pieces)
        self._errors += edit_distance(said, heard)
        self._words += len(said)

    def results(self) -> Iterator[TaskMetricResult]:
        """``word_error_rate`` or ``token_error_rate``: edits by words of PyTorch's text."""
        if self._words:
            name = "word_error_rate" if self._pieces else "token_error_rate"
            yield TaskMetricResult(name=name, value=self._errors / self._words, count=self._words)


def words_of(ids: Sequence[int], pieces: Sequence[str]) -> list[str]:
    """The words that tokens spell; each token is a word where the pieces are not known.

    ``|`` stands between words in the vocabularies of CTC models, ``Ġ`` (byte pairs) and ``▁`` (SentencePiece) before.
    """
    if not pieces:
        return [str(token) for token in ids]
    text = "".join(pieces[token] if 0 <= token < len(pieces) else "\ufffd" for token in ids)
    return text.translate({ord(mark): " " for mark in "|Ġ▁"}).split()


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """The fewest insertions, deletions and replacements that turn one into the other (Levenshtein)."""
    row = list(range(len(second) + 1))
    for number, one in enumerate(first, start=1):
        last, row[0] = row[0], number
        for place, other in enumerate(second, start=1):
            last, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, last + (one != other))
    return row[-1]
