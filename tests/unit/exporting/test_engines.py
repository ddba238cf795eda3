"""The engines behind one interface: which is tried, and what is said where none can."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

from onnx_export_action.exporting.engines import engine_of, record
from onnx_export_action.traceable.calling import ModelCall
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.supported.engines import AUTO_ORDER, Engine


class Sum(torch.nn.Module):
    """Adds a weight, under the name that wrapped models have."""

    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.Module()
        self.model.bias = torch.nn.Parameter(torch.ones(3))
        self.model.unused = torch.nn.Parameter(torch.ones(3))

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor]:
        return (rows + self.model.bias,)


class Neither(torch.nn.Module):
    """What no engine can record."""

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor]:
        raise RuntimeError("no way")


def call_of(module: torch.nn.Module) -> ModelCall:
    rows = {0: "batch_size"}
    return ModelCall(module.eval(), ["rows"], ["sum"], {"rows": torch.ones(2, 3)}, {"rows": rows, "sum": rows})


@pytest.mark.parametrize("engine", [Engine.TRACER, Engine.TORCH_EXPORT, Engine.TORCHSCRIPT])
def test_every_engine_records_and_writes_in_the_same_way(engine: Engine, tmp_path: Path) -> None:
    recording = engine_of(engine).record(call_of(Sum()), 18)
    path = tmp_path / f"model{recording.suffix}"
    written = recording.write(path, ["model"], task="unknown", model_type="sum")
    assert set(recording.weights) == {"bias"}
    assert (written.path, written.engine, written.components) == (path.name, engine, ["model"])
    assert written.bytes == path.stat().st_size
    assert written.inputs["rows"].shape == written.outputs["sum"].shape == ["batch_size", 3]


def test_auto_takes_the_first_that_can_and_says_why_the_others_could_not() -> None:
    taken = record(call_of(Sum()), 18, Engine.AUTO)
    assert (taken.recording.engine, taken.failures) == (AUTO_ORDER[0], {})
    newer = record(call_of(Sum()), 21, Engine.AUTO)
    assert newer.recording.engine == AUTO_ORDER[1]
    assert "opset 20 at most" in newer.failures[Engine.TRACER].message


def test_a_single_engine_is_not_replaced_by_another() -> None:
    with pytest.raises(ExportError, match="opset 20 at most"):
        record(call_of(Sum()), 21, Engine.TRACER)


def test_where_none_can_the_reasons_of_all_are_said() -> None:
    with pytest.raises(ExportError) as caught:
        record(call_of(Neither()), 18, Engine.AUTO)
    assert caught.value.message.startswith("the tracer failed: RuntimeError: no way; torch.export failed: RuntimeError")


def test_a_file_says_what_it_computes_and_what_made_it(tmp_path: Path) -> None:
    recording = engine_of(Engine.TRACER).record(call_of(Sum()), 18)
    recording.write(tmp_path / "model.onnx", ["model"], task="feature-extraction", model_type="sum")
    model = onnx.load(tmp_path / "model.onnx")
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said == {"engine": "tracer", "model_type": "sum", "task": "feature-extraction"}
    assert model.producer_name == "onnx-export-action"
