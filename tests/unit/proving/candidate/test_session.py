"""A file in its runtime: what it is fed, and what is said when it stops."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper

from onnx_export_action.proving.candidate.session import Candidate, open_session
from onnx_export_action.proving.candidate.stopping import RuntimeStoppedError
from onnx_export_action.proving.records import ComponentRecord
from tests.unit.proving.candidate.graphs import PRODUCT, WEIGHT, at_export_sizes, product, rows
from tests.unit.proving.references import save_graph, value


def test_it_gives_what_its_component_gives(tmp_path: Path) -> None:
    record = PRODUCT.record(tmp_path)
    path = product(tmp_path / "model.onnx")
    candidate = Candidate(path, open_session(path), [record])
    states = rows((2, 3))
    np.testing.assert_allclose(candidate.run(record, {"states": states})["scores"], states @ WEIGHT, rtol=1e-6)


def test_a_stop_names_the_node_and_says_that_it_is_about_sizes(tmp_path: Path) -> None:
    record = PRODUCT.record(tmp_path)
    path = at_export_sizes(tmp_path / "model.onnx")
    candidate = Candidate(path, open_session(path), [record])
    with pytest.raises(RuntimeStoppedError) as stop:
        candidate.run(record, {"states": rows((3, 5))})
    assert stop.value.node == "/layer/Reshape"
    assert stop.value.over_sizes
    assert "\n" not in stop.value.words


def test_a_stop_over_something_else_is_not_about_sizes(tmp_path: Path) -> None:
    gather = helper.make_node("Gather", ["table", "ids"], ["found"], name="/pick")
    inputs, outputs = [value("ids", ["length"], TensorProto.INT64)], [value("found", ["length", 4])]
    path = save_graph(tmp_path / "model.onnx", [gather], inputs, outputs, {"table": WEIGHT})
    record = ComponentRecord(name="model", inputs={"ids": {0: "length"}}, outputs={}, cases=[])
    with pytest.raises(RuntimeStoppedError) as stop:
        Candidate(path, open_session(path), [record]).run(record, {"ids": np.array([7])}, ["found"])
    assert not stop.value.over_sizes
    assert stop.value.node == "/pick"


def test_what_is_no_model_does_not_open(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(RuntimeStoppedError):
        open_session(tmp_path / "model.onnx")


def _merged(path: Path) -> Path:
    """Two branches behind ``use_cache_branch``: with a past, and without."""
    past = value("past_key_values.0.key", ["batch", 2, "past", 4])
    branches = []
    for name, source in (("then", "past_key_values.0.key"), ("else", "states")):
        node = helper.make_node("Identity", [source], [f"{name}_out"])
        branches.append(helper.make_graph([node], name, [], [value(f"{name}_out", ["a", "b", "c", 4])]))
    node = helper.make_node(
        "If", ["use_cache_branch"], ["out"], then_branch=branches[0], else_branch=branches[1], name="choice"
    )
    inputs = [value("states", ["batch", "heads", "length", 4]), past, value("use_cache_branch", [1], TensorProto.BOOL)]
    return save_graph(path, [node], inputs, [value("out", ["a", "b", "c", 4])])


def test_a_merged_decoder_gets_the_switch_and_empty_inputs_of_the_other_branch(tmp_path: Path) -> None:
    path = _merged(tmp_path / "model.onnx")
    named = {0: "batch_size", 2: "past_sequence_length"}
    without = ComponentRecord(name="decoder_model", inputs={"states": {0: "batch_size"}}, outputs={}, cases=[])
    with_past = msgspec.structs.replace(
        without, name="decoder_with_past_model", inputs={"past_key_values.0.key": named}
    )
    candidate = Candidate(path, open_session(path), [without, with_past])
    states, past = np.ones((3, 1, 1, 4), np.float32), np.full((3, 2, 6, 4), 2.0, np.float32)
    feeds = candidate.feeds(without, {"states": states})
    assert feeds["use_cache_branch"].tolist() == [False]
    assert feeds["past_key_values.0.key"].shape == (3, 2, 0, 4)
    assert candidate.run(without, {"states": states}, ["out"])["out"].max() == 1.0
    assert candidate.run(with_past, {"past_key_values.0.key": past}, ["out"])["out"].min() == 2.0


def test_an_empty_past_has_the_rows_that_are_asked_for(tmp_path: Path) -> None:
    past = value("past_key_values.0.key", ["batch", 2, "past", 4])
    node = helper.make_node("Identity", ["past_key_values.0.key"], ["present.0.key"])
    path = save_graph(tmp_path / "model.onnx", [node], [past], [value("present.0.key", ["batch", 2, "past", 4])])
    named = {0: "batch_size", 2: "past_sequence_length"}
    record = ComponentRecord(name="model", inputs={"past_key_values.0.key": named}, outputs={}, cases=[])
    empty = Candidate(path, open_session(path), [record]).empty_past(record, 5)
    assert empty["past_key_values.0.key"].shape == (5, 2, 0, 4)
