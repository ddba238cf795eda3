"""One decoder out of two: chosen by ``use_cache_branch``, weights that both read stored once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from onnx_export_action.graphs.merging import USE_CACHE_BRANCH, merge_decoders
from onnx_export_action.graphs.tensor_records import tensor_records
from onnx_export_action.graphs.weightless import Weight, WeightlessGraph
from onnx_export_action.graphs.writing import write_graph

FACTOR, OFFSET = torch.tensor([2.0, 3.0]), torch.tensor([10.0, 20.0])
CACHE = {
    "past_key_values.0.decoder.key": "present.0.decoder.key",
    "past_key_values.0.encoder.key": "present.0.encoder.key",
}


def decoder(*, with_past: bool, factor: torch.Tensor = FACTOR) -> WeightlessGraph:
    """Logits of ids, and a cache that grows by them; with past, one input is only handed on by the caller."""
    nodes = [helper.make_node("Mul", ["ids", "factor"], ["logits"])]
    inputs, outputs = {"ids": ["length", 2]}, {"logits": ["length", 2]}
    own = CACHE["past_key_values.0.decoder.key"]
    if with_past:
        nodes.append(helper.make_node("Concat", ["past_key_values.0.decoder.key", "logits"], [own], axis=0))
        inputs |= {"past_key_values.0.decoder.key": ["past", 2], "past_key_values.0.encoder.key": ["encoded", 2]}
        outputs |= {own: ["past + length", 2]}
        weights = {"factor": Weight(factor)}
    else:
        nodes.append(helper.make_node("Identity", ["logits"], [own]))
        nodes.append(helper.make_node("Add", ["states", "offset"], ["present.0.encoder.key"]))
        inputs |= {"states": ["encoded", 2]}
        outputs |= {own: ["length", 2], "present.0.encoder.key": ["encoded", 2]}
        weights = {"factor": Weight(factor), "offset": Weight(OFFSET)}
    infos = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values.items()]
        for values in (inputs, outputs)
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "decoder", *infos), opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    )
    return WeightlessGraph(model, weights)


def run(graph: WeightlessGraph, folder: Path, *, cached: bool) -> dict[str, np.ndarray]:
    write_graph(graph, folder / "model.onnx")
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    ones = np.ones((1, 2), dtype=np.float32)
    names = [output.name for output in session.get_outputs()]
    inputs = {
        "ids": ones,
        "states": 5 * ones,
        **dict.fromkeys(CACHE, 7 * ones),
        USE_CACHE_BRANCH: np.array([cached]),
    }
    return dict(zip(names, session.run(None, inputs), strict=True))


def test_each_branch_computes_what_its_decoder_does(tmp_path: Path) -> None:
    merged = merge_decoders(decoder(with_past=False), decoder(with_past=True))
    first = run(merged, tmp_path, cached=False)
    later = run(merged, tmp_path, cached=True)
    assert first["logits"].tolist() == later["logits"].tolist() == [[2.0, 3.0]]
    assert first["present.0.decoder.key"].tolist() == [[2.0, 3.0]]
    assert later["present.0.decoder.key"].tolist() == [[7.0, 7.0], [2.0, 3.0]]
    assert first["present.0.encoder.key"].tolist() == [[15.0, 25.0]]
    assert later["present.0.encoder.key"].tolist() == [[7.0, 7.0]]


def test_a_weight_of_both_is_stored_once_and_one_that_differs_twice(tmp_path: Path) -> None:
    assert set(merge_decoders(decoder(with_past=False), decoder(with_past=True)).weights) == {"factor", "offset"}
    other = merge_decoders(decoder(with_past=False), decoder(with_past=True, factor=FACTOR + 1))
    assert set(other.weights) == {"factor", "offset", "factor.with_past"}
    assert run(other, tmp_path, cached=True)["logits"].tolist() == [[3.0, 4.0]]


def test_an_axis_that_varies_in_either_varies() -> None:
    first = decoder(with_past=False)
    first.model.graph.output[1].type.tensor_type.shape.dim[0].dim_value = 1  # the first step leaves one frame
    merged = merge_decoders(first, decoder(with_past=True)).model.graph
    shapes = {name: record.shape for name, record in tensor_records(merged.output).items()}
    assert shapes["present.0.decoder.key"] == ["past + length", 2]
    assert shapes["present.0.encoder.key"] == ["encoded", 2]


def test_it_takes_what_either_takes_and_the_flag_last() -> None:
    merged = merge_decoders(decoder(with_past=False), decoder(with_past=True)).model.graph
    assert [value.name for value in merged.input] == ["ids", "states", *CACHE, USE_CACHE_BRANCH]
    assert [value.name for value in merged.output] == ["logits", *CACHE.values()]


def test_graphs_that_do_not_belong_together_are_refused() -> None:
    second = decoder(with_past=True)
    del second.model.graph.input[-1]
    with pytest.raises(ValueError, match=r"past_key_values\.0\.encoder\.key"):
        merge_decoders(decoder(with_past=False), second)
