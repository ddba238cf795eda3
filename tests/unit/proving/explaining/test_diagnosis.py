"""Which kind of cause the failing cases show, from small graphs that are wrong in one way each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx_export_action.proving.arrays import Array, Arrays
from onnx_export_action.proving.candidate.check import check_file
from onnx_export_action.vocabulary.results import Cause, Failure, Padding
from tests.unit.proving.references import NO_TOLERANCE, HandMade, asked, save_graph, value

TABLE = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
ROWS = {0: "batch_size", 1: "sequence_length"}
BATCH, LENGTH = "batch_size", "sequence_length"
IDS = [value("input_ids", ["batch", "length"], TensorProto.INT64)]
MASKED = [*IDS, value("attention_mask", ["batch", "length"], TensorProto.INT64)]
MEAN = [value("mean", ["batch", 4])]
WEIGHTS = {"table": TABLE, "axes": np.array([1]), "last": np.array([-1]), "one": np.ones(1, np.float32)}


def _ids(batch: int, length: int) -> Array:
    return np.random.default_rng(100 * batch + length).integers(0, 50, (batch, length))


def _mask(batch: int, length: int, side: Padding) -> Array:
    mask = np.ones((batch, length), np.int64)
    if side is Padding.RIGHT:
        mask[-1, length - length // 2 :] = 0
    elif side is Padding.LEFT:
        mask[-1, : length // 2] = 0
    return mask


def _mean(inputs: Arrays) -> Arrays:
    weights = inputs["attention_mask"][..., None].astype(np.float32)
    return {"mean": (TABLE[inputs["input_ids"]] * weights).sum(axis=1) / weights.sum(axis=1)}


_SIZES = [
    ("base", 2, 6, Padding.RIGHT, None),
    ("batch 1", 1, 6, Padding.NONE, BATCH),
    ("batch 3", 3, 6, Padding.RIGHT, BATCH),
    ("length 1", 2, 1, Padding.NONE, LENGTH),
    ("length 9", 2, 9, Padding.RIGHT, LENGTH),
    ("left", 3, 7, Padding.LEFT, None),
    ("none", 2, 8, Padding.NONE, None),
]
POOLED = HandMade(
    model=_mean,
    inputs={"input_ids": ROWS, "attention_mask": ROWS},
    outputs={"mean": {0: "batch_size"}},
    cases={
        name: ({"input_ids": _ids(batch, length), "attention_mask": _mask(batch, length, side)}, varied)
        for name, batch, length, side, varied in _SIZES
    },
    masks={name: side for name, _, _, side, _ in _SIZES},
)


def _pooling(weights_of_positions: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Mean of the tokens' embeddings, over weights that the given nodes make as ``weights``."""
    return [
        helper.make_node("Gather", ["table", "input_ids"], ["states"]),
        *weights_of_positions,
        helper.make_node("Unsqueeze", ["weights", "last"], ["wide"]),
        helper.make_node("Mul", ["states", "wide"], ["weighed"]),
        helper.make_node("ReduceSum", ["weighed", "axes"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["wide", "axes"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
    ]


TRUE_WEIGHTS = [helper.make_node("Cast", ["attention_mask"], ["weights"], to=TensorProto.FLOAT)]


def diagnosed(reference: HandMade, path: Path) -> Failure:
    reference.record(path.parent / "references")
    failure = check_file(NO_TOLERANCE, asked(path), path.parent / "references").result.failure
    assert failure is not None
    return failure


def test_the_right_graph_passes(tmp_path: Path) -> None:
    POOLED.record(tmp_path / "references")
    path = save_graph(tmp_path / "model.onnx", _pooling(TRUE_WEIGHTS), MASKED, MEAN, WEIGHTS)
    assert check_file(NO_TOLERANCE, asked(path), tmp_path / "references").result.failure is None


def test_a_mask_that_is_ignored(tmp_path: Path) -> None:
    ones = [
        helper.make_node("Cast", ["attention_mask"], ["read"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["read", "nothing"], ["zeros"]),
        helper.make_node("Add", ["zeros", "one"], ["weights"]),
    ]
    weights = {**WEIGHTS, "nothing": np.zeros(1, np.float32)}
    failure = diagnosed(POOLED, save_graph(tmp_path / "model.onnx", _pooling(ones), MASKED, MEAN, weights))
    assert failure.cause is Cause.MASK
    assert failure.hint == "just the cases that fail have padding: the mask is ignored or misread"


def test_a_mask_that_is_read_from_its_beginning_alone(tmp_path: Path) -> None:
    """As many positions as the mask counts, from the first on: right where padding stands at the end."""
    counted = [
        helper.make_node("Cast", ["attention_mask"], ["read"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["read", "axes"], ["long"]),
        helper.make_node("Mul", ["read", "nothing"], ["zeros"]),
        helper.make_node("Add", ["zeros", "one"], ["ones"]),
        helper.make_node("CumSum", ["ones", "first_axis"], ["places"]),
        helper.make_node("LessOrEqual", ["places", "long"], ["inside"]),
        helper.make_node("Cast", ["inside"], ["weights"], to=TensorProto.FLOAT),
    ]
    weights = {**WEIGHTS, "nothing": np.zeros(1, np.float32), "first_axis": np.array(1)}
    failure = diagnosed(POOLED, save_graph(tmp_path / "model.onnx", _pooling(counted), MASKED, MEAN, weights))
    assert failure.cause is Cause.MASK
    assert "padding before a token" in (failure.hint or "")


def test_a_weight_that_is_wrong(tmp_path: Path) -> None:
    weights = {**WEIGHTS, "table": TABLE * 1.01}
    failure = diagnosed(POOLED, save_graph(tmp_path / "model.onnx", _pooling(TRUE_WEIGHTS), MASKED, MEAN, weights))
    assert failure.cause is Cause.VALUES
    assert failure.hint == "every case fails: the values are wrong, whatever the shape"


def test_rows_that_are_mixed(tmp_path: Path) -> None:
    """Each row gets a hundredth of the mean over all rows: wrong even in the batch of one that it is tried with."""
    nodes = _pooling(TRUE_WEIGHTS)
    nodes[-1].output[0] = "alone"
    nodes += [
        helper.make_node("ReduceMean", ["alone", "rows"], ["common"]),
        helper.make_node("Mul", ["common", "hundredth"], ["little"]),
        helper.make_node("Add", ["alone", "little"], ["mean"]),
    ]
    weights = {**WEIGHTS, "rows": np.array([0]), "hundredth": np.full(1, 0.01, np.float32)}
    failure = diagnosed(POOLED, save_graph(tmp_path / "model.onnx", nodes, MASKED, MEAN, weights))
    assert failure.cause is Cause.AXIS
    assert "the other rows of its batch" in (failure.hint or "")


def test_a_random_operator(tmp_path: Path) -> None:
    nodes = _pooling(TRUE_WEIGHTS)
    nodes[-1].output[0] = "exact"
    nodes += [
        helper.make_node("RandomNormalLike", ["exact"], ["noise"], scale=0.01, name="/drop"),
        helper.make_node("Add", ["exact", "noise"], ["mean"]),
    ]
    failure = diagnosed(POOLED, save_graph(tmp_path / "model.onnx", nodes, MASKED, MEAN, WEIGHTS))
    assert failure.cause is Cause.VALUES
    assert "two runs on the same inputs give different values" in (failure.hint or "")
    assert "RandomNormalLike /drop" in (failure.hint or "")


def _two(inputs: Arrays) -> Arrays:
    states = TABLE[inputs["input_ids"]]
    return {"start_logits": states[..., 0] - 1, "end_logits": 3 * states[..., 1]}


TWO = HandMade(
    model=_two,
    inputs={"input_ids": ROWS},
    outputs={"start_logits": ROWS, "end_logits": ROWS},
    cases={name: ({"input_ids": _ids(batch, length)}, varied) for name, batch, length, _, varied in _SIZES},
)


def _pair(start: str, end: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Gather", ["table", "input_ids"], ["states"]),
        helper.make_node("Gather", ["states", "first"], ["a"], axis=2),
        helper.make_node("Gather", ["states", "second"], ["b"], axis=2),
        helper.make_node("Sub", ["a", "one"], [start]),
        helper.make_node("Mul", ["b", "three"], [end]),
    ]


@pytest.mark.parametrize("exchanged", [False, True])
def test_outputs_that_are_exchanged(exchanged: bool, tmp_path: Path) -> None:
    weights = {"table": TABLE, "first": np.array(0), "second": np.array(1), "three": np.full(1, 3, np.float32)}
    weights["one"] = np.ones(1, np.float32)
    outputs = [value(name, ["batch", "length"]) for name in ("start_logits", "end_logits")]
    names = ("end_logits", "start_logits") if exchanged else ("start_logits", "end_logits")
    path = save_graph(tmp_path / "model.onnx", _pair(*names), IDS, outputs, weights)
    TWO.record(tmp_path / "references")
    failure = check_file(NO_TOLERANCE, asked(path), tmp_path / "references").result.failure
    assert (failure is not None) is exchanged
    if failure is not None:
        assert failure.cause is Cause.NAMES
        assert "holds what PyTorch gives as" in (failure.hint or "")


def test_a_size_that_is_fixed_inside(tmp_path: Path) -> None:
    """Positions beyond the sixth are cut off: right up to the length of the export."""
    nodes = [
        helper.make_node("Slice", ["attention_mask", "start", "end", "axes"], ["cut"]),
        helper.make_node("Slice", ["input_ids", "start", "end", "axes"], ["ids"]),
        *_pooling([helper.make_node("Cast", ["cut"], ["weights"], to=TensorProto.FLOAT)]),
    ]
    nodes[2].input[1] = "ids"
    weights = {**WEIGHTS, "start": np.array([0]), "end": np.array([6])}
    failure = diagnosed(POOLED, save_graph(tmp_path / "model.onnx", nodes, MASKED, MEAN, weights))
    assert failure.cause is Cause.AXIS
    assert failure.hint == "just the cases that fail have sequence_length of 7 or more"
