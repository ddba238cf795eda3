"""A float32 model run in float64: casts, norms, LSTMs and expert products included, and nothing of it left behind."""

from __future__ import annotations

import math

import pytest
import torch

from onnx_export_action.proving.reference.float64 import run_in_float64, twin


class CastingNorm(torch.nn.Module):
    """As RMS norms of transformers do: whatever comes in is computed in float32."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        hidden = hidden.to(torch.float32)
        return hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + torch.tensor(1e-6))


class Remembering(torch.nn.Module):
    """As dynamic rotary embeddings do: a buffer is replaced, another is written, by a call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(3))
        self.register_buffer("written", torch.zeros(3))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        self.seen = hidden[0] / 3.0
        self.written.copy_(self.seen)
        return hidden + self.seen


class Experts(torch.nn.Module):
    """Rows sorted by expert, each multiplied with its expert's matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.matrices = torch.nn.Parameter(torch.randn(3, 16, 8))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        ends = torch.tensor([2, 2, 5], dtype=torch.int32)
        return torch._grouped_mm(rows, self.matrices, offs=ends)


class LastState(torch.nn.Module):
    """An LSTM whose layers compare dtypes in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(3, 4, batch_first=True)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.lstm(hidden)[0]


def exact(module: torch.nn.Module, *tensors: torch.Tensor) -> torch.Tensor:
    result, _ = run_in_float64(twin(module.eval()), tensors)
    assert isinstance(result, torch.Tensor)
    return result


def test_a_cast_to_float32_inside_the_model_does_not_round() -> None:
    hidden = torch.linspace(-1.0, 2.0, 12).reshape(4, 3)
    result = exact(CastingNorm(), hidden)
    wide = hidden.double()
    expected = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + torch.tensor(1e-6).double())
    assert result.dtype is torch.float64
    torch.testing.assert_close(result, expected, rtol=1e-15, atol=0.0)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8)),
        (torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.GELU()), (1, 3, 8, 8)),
        (LastState(), (2, 5, 3)),
    ],
    ids=["attention", "convolution", "lstm"],
)
def test_the_result_is_that_of_a_model_in_float64(module: torch.nn.Module, shape: tuple[int, ...]) -> None:
    inputs = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    result = exact(module, inputs)
    with torch.no_grad():
        torch.testing.assert_close(result, module.double()(inputs.double()), rtol=1e-12, atol=1e-14)


def test_expert_products_that_exist_in_float32_only_are_computed_too() -> None:
    module, rows = Experts(), torch.randn(5, 16)
    result = exact(module, rows)
    wide = module.matrices.detach().double()
    expected = torch.cat([rows[:2].double() @ wide[0], rows[2:].double() @ wide[2]])
    torch.testing.assert_close(result, expected, rtol=1e-14, atol=1e-14)


def test_the_model_itself_stays_as_it_was() -> None:
    module = torch.nn.Sequential(Remembering(), LastState()).eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    exact(module, torch.full((2, 3), math.pi))
    after = module.state_dict()
    assert all(
        torch.equal(after[name], tensor) and after[name].dtype is tensor.dtype for name, tensor in before.items()
    )


def test_products_are_counted() -> None:
    linear = torch.nn.Linear(16, 4)
    _, counted = run_in_float64(twin(linear), [torch.randn(2, 16)])
    assert counted.flops == 2 * 2 * 16 * 4
    assert counted.copied == 16 * 4 + 4
