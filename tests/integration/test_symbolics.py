"""Operators that the tracer is taught: traced at one size, right at others."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from onnx_export_action.export.calling import ModelCall
from onnx_export_action.export.graph import write_graph
from onnx_export_action.export.tracer import trace
from onnx_export_action.validation.candidate import open_session


class Computing(torch.nn.Module):
    def __init__(self, compute: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self._compute = compute

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor]:
        return (self._compute(values),)


@pytest.mark.parametrize(("axis", "size", "step"), [(1, 4, 2), (-2, 4, 3), (-1, 2, 1), (2, 5, 5)])
def test_windows_of_an_axis_however_it_is_counted(axis: int, size: int, step: int, tmp_path: Path) -> None:
    module = Computing(lambda values: values.unfold(axis, size, step) * 2).eval()
    path = tmp_path / "windows.onnx"
    axes = {"values": {0: "batch", 1: "length"}, "windows": {number: f"axis_{number}" for number in range(4)}}
    call = ModelCall(module, ["values"], ["windows"], {"values": torch.randn(2, 9, 5)}, axes)
    write_graph(trace(call, opset=18), path)
    session = open_session(path)
    for shape in ((2, 9, 5), (1, 4, 5), (3, 17, 5)):
        values = torch.randn(shape)
        (found,) = session.run(None, {"values": values.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), module(values)[0])
