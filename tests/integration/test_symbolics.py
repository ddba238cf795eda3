"""Operators that the tracer is taught: traced at one size, right at others."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from onnx_export_action.exporting.engines.tracer import record
from onnx_export_action.graphs.writing import write_graph
from onnx_export_action.proving.candidate.session import open_session
from onnx_export_action.traceable.calling import ModelCall


class Computing(torch.nn.Module):
    def __init__(self, compute: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self._compute = compute

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor]:
        return (self._compute(*values),)


@pytest.mark.parametrize(("axis", "size", "step"), [(1, 4, 2), (-2, 4, 3), (-1, 2, 1), (2, 5, 5)])
def test_windows_of_an_axis_however_it_is_counted(axis: int, size: int, step: int, tmp_path: Path) -> None:
    module = Computing(lambda values: values.unfold(axis, size, step) * 2).eval()
    path = tmp_path / "windows.onnx"
    axes = {"values": {0: "batch", 1: "length"}, "windows": {number: f"axis_{number}" for number in range(4)}}
    call = ModelCall(module, ["values"], ["windows"], {"values": torch.randn(2, 9, 5)}, axes)
    write_graph(record(call, 18).graph, path)
    session = open_session(path)
    for shape in ((2, 9, 5), (1, 4, 5), (3, 17, 5)):
        values = torch.randn(shape)
        (found,) = session.run(None, {"values": values.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), module(values)[0])


Inputs = tuple[torch.Tensor, ...]


def assert_traced_right(
    compute: Callable[..., torch.Tensor], traced: Inputs, *others: Inputs, path: Path, axes: tuple[int, ...], opset: int
) -> None:
    """Trace at one size; PyTorch's answer there and at others."""
    module = Computing(compute).eval()
    names = [f"input_{number}" for number in range(len(traced))]
    dynamic = {name: {axis: f"{name}_{axis}" for axis in axes} for name in names}
    call = ModelCall(module, names, ["output"], dict(zip(names, traced, strict=True)), dynamic)
    write_graph(record(call, opset).graph, path)
    session = open_session(path)
    for inputs in (traced, *others):
        (found,) = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
        torch.testing.assert_close(torch.from_numpy(found), module(*inputs)[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("opset", [14, 18])
@pytest.mark.parametrize("scale", [1e-4, 3.0])
def test_expm1_keeps_its_digits_near_zero(opset: int, scale: float, tmp_path: Path) -> None:
    def compute(values: torch.Tensor) -> torch.Tensor:
        return torch.expm1(values) / scale

    inputs = (scale * torch.randn(3, 4),), (scale * torch.randn(5, 4),)
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0,), opset=opset)


@pytest.mark.parametrize("opset", [14, 18])
@pytest.mark.parametrize("invert", [False, True])
def test_which_elements_are_wanted(opset: int, invert: bool, tmp_path: Path) -> None:
    def compute(values: torch.Tensor) -> torch.Tensor:
        return torch.isin(values, torch.tensor([1, 2, 7]), invert=invert)

    inputs = (torch.randint(0, 9, (3, 4)),), (torch.randint(0, 9, (6, 4)),)
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0,), opset=opset)


@pytest.mark.parametrize("kind", [torch.bool, torch.int64])
def test_or_in_place_of_truth_values_and_of_bits(kind: torch.dtype, tmp_path: Path) -> None:
    def compute(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        both = one.clone()
        both |= other
        return both

    def inputs(rows: int) -> Inputs:
        return torch.randint(0, 2, (rows, 4)).to(kind), torch.randint(0, 2, (rows, 4)).to(kind)

    assert_traced_right(compute, inputs(3), inputs(5), path=tmp_path / "file.onnx", axes=(0,), opset=18)


@pytest.mark.parametrize("opset", [14, 18])
@pytest.mark.parametrize(("size", "upper", "unitriangular"), [(1, False, False), (16, False, False), (7, True, True)])
def test_a_triangle_is_solved(opset: int, size: int, upper: bool, unitriangular: bool, tmp_path: Path) -> None:
    def compute(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return torch.linalg.solve_triangular(matrix, right, upper=upper, unitriangular=unitriangular)

    def inputs(batch: int) -> Inputs:
        matrix = 0.3 * torch.randn(batch, 3, size, size)
        return (matrix.triu() if upper else matrix.tril()) + 2 * torch.eye(size), torch.randn(batch, 3, size, 5)

    assert_traced_right(compute, inputs(2), inputs(4), path=tmp_path / "file.onnx", axes=(0,), opset=opset)


def test_a_triangle_of_any_size_is_solved(tmp_path: Path) -> None:
    def inputs(size: int) -> Inputs:
        return (0.3 * torch.randn(2, size, size)).tril() + 2 * torch.eye(size), torch.randn(2, size, 5)

    def compute(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return torch.linalg.solve_triangular(matrix, right, upper=False)

    path = tmp_path / "file.onnx"
    assert_traced_right(compute, inputs(5), inputs(1), inputs(33), path=path, axes=(1, 2), opset=18)


@pytest.mark.parametrize("opset", [14, 18])
@pytest.mark.parametrize("sizes", [(8,), (4, 8)])
def test_root_mean_square_norms(opset: int, sizes: tuple[int, ...], tmp_path: Path) -> None:
    weight = torch.rand(sizes)

    def compute(values: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.rms_norm(values, sizes, weight, 1e-5)

    inputs = (torch.randn(3, 4, 8),), (torch.randn(5, 4, 8),)
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0,), opset=opset)


@pytest.mark.parametrize("opset", [14, 18])
@pytest.mark.parametrize("is_causal", [False, True])
def test_attention_with_fewer_heads_of_keys(opset: int, is_causal: bool, tmp_path: Path) -> None:
    def compute(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        attention = torch.nn.functional.scaled_dot_product_attention
        return attention(query, key, value, is_causal=is_causal, enable_gqa=True)

    def inputs(batch: int, length: int) -> Inputs:
        return torch.randn(batch, 4, length, 8), *(torch.randn(batch, 2, length, 8) for _ in range(2))

    assert_traced_right(compute, inputs(2, 5), inputs(3, 9), path=tmp_path / "file.onnx", axes=(0, 2), opset=opset)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_images_are_resized_smoothly_to_any_size(mode: str, tmp_path: Path) -> None:
    def compute(image: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(image, size=like.shape[2:], mode=mode, antialias=True)

    def inputs(before: tuple[int, int], after: tuple[int, int]) -> Inputs:
        return torch.randn(2, 3, *before), torch.randn(1, 1, *after)

    others = inputs((16, 12), (3, 30)), inputs((9, 21), (20, 20))
    path = tmp_path / "file.onnx"
    assert_traced_right(compute, inputs((16, 12), (7, 9)), *others, path=path, axes=(0, 2, 3), opset=18)
