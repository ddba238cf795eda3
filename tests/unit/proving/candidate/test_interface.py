"""Names, axes and types that a file has otherwise than the model."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper

from onnx_export_action.proving.candidate.graph_facts import graph_facts
from onnx_export_action.proving.candidate.interface import interface_problem
from onnx_export_action.proving.candidate.session import Candidate, open_session
from onnx_export_action.vocabulary.results import Cause, Failure
from tests.unit.proving.candidate.graphs import PRODUCT, SCORES, STATES, WEIGHT, product
from tests.unit.proving.references import save_graph, value


def problem(path: Path, folder: Path, variant: str = "fp32") -> Failure | None:
    candidate = Candidate(path, open_session(path), [PRODUCT.record(folder)])
    return interface_problem(candidate, variant, graph_facts(path), folder)


def test_the_models_own_interface_has_none(tmp_path: Path) -> None:
    assert problem(product(tmp_path / "model.onnx"), tmp_path) is None


@pytest.mark.parametrize(
    ("given", "gives", "said"),
    [
        ("state", "scores", "no input named states"),
        ("states", "score", "no output named scores"),
    ],
)
def test_other_names(given: str, gives: str, said: str, tmp_path: Path) -> None:
    node = helper.make_node("MatMul", [given, "weight"], [gives])
    inputs, outputs = [value(given, ["batch", "length", 3])], [value(gives, ["batch", "length", 4])]
    found = problem(save_graph(tmp_path / "model.onnx", [node], inputs, outputs, {"weight": WEIGHT}), tmp_path)
    assert found is not None
    assert found.cause is Cause.NAMES
    assert said in found.message


def test_an_input_too_many(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["states", "weight"], ["product"]),
        helper.make_node("Add", ["product", "more"], ["scores"]),
    ]
    inputs = [STATES, value("more", [1])]
    found = problem(save_graph(tmp_path / "model.onnx", nodes, inputs, [SCORES], {"weight": WEIGHT}), tmp_path)
    assert found is not None
    assert found.cause is Cause.NAMES
    assert "more" in found.message


def test_an_axis_of_one_size(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["states", "weight"], ["scores"])
    inputs, outputs = [value("states", [2, "length", 3])], [value("scores", [2, "length", 4])]
    found = problem(save_graph(tmp_path / "model.onnx", [node], inputs, outputs, {"weight": WEIGHT}), tmp_path)
    assert found is not None
    assert found.cause is Cause.AXIS
    assert "axis 0 (batch_size) of input states is fixed at 2" in found.message


def test_another_type_is_a_problem_and_another_precision_one_of_fp32_alone(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["states", "weight"], ["scores"])
    inputs = [value("states", ["batch", "length", 3], TensorProto.FLOAT16)]
    outputs = [value("scores", ["batch", "length", 4], TensorProto.FLOAT16)]
    half = {"weight": WEIGHT.astype(np.float16)}
    path = save_graph(tmp_path / "model.onnx", [node], inputs, outputs, half)
    found = problem(path, tmp_path)
    assert found is not None
    assert found.cause is Cause.NAMES
    assert problem(path, tmp_path, "fp16") is None


def test_a_component_without_cases_is_asked_for_names_alone(tmp_path: Path) -> None:
    path = product(tmp_path / "model.onnx")
    record = msgspec.structs.replace(PRODUCT.record(tmp_path), cases=[])
    assert interface_problem(Candidate(path, open_session(path), [record]), "fp32", graph_facts(path), tmp_path) is None
