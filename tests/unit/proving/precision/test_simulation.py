"""PyTorch rounds where a variant's file does and nowhere else; beside what ONNX Runtime makes of one product."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from onnx_export_action.proving.precision.simulation import Convolutions, SimulatedPrecision
from onnx_export_action.vocabulary.variants import VARIANTS
from tests.unit.proving.references import save_graph, value

IMITATED = [name for name, variant in VARIANTS.items() if not variant.exact]


class Product(torch.nn.Module):
    """One product, and an activation after it."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.linear = torch.nn.Linear(width, 32, bias=False)
        self.linear.weight.data = torch.randn(32, width, generator=generator)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.gelu(self.linear(states))


STATES = torch.randn(5, 64, generator=torch.Generator().manual_seed(1))


def decibels(exact: torch.Tensor, found: torch.Tensor) -> float:
    return float(10 * torch.log10(exact.square().sum() / (exact - found).square().sum()))


def simulated(model: torch.nn.Module, variant: str, states: torch.Tensor, *, convolves: bool = False) -> torch.Tensor:
    with torch.inference_mode(), SimulatedPrecision(model, VARIANTS[variant], convolves=convolves):
        return torch.Tensor(model(states))


@pytest.mark.parametrize("variant", IMITATED)
def test_every_precision_costs_what_its_bits_do(variant: str) -> None:
    model = Product().eval()
    with torch.inference_mode():
        exact = model(STATES)
    kept = decibels(exact, simulated(model, variant, STATES))
    least, most = {"fp16": (55, 80), "O4": (40, 75), "O3": (45, 100), "bf16": (45, 65)}.get(
        variant, (28, 50) if "8" in variant else (12, 30)
    )
    assert least < kept < most


@pytest.mark.parametrize("variant", ["fp16", "bf16", "q8", "q4"])
def test_what_is_no_weight_of_the_model_is_left_alone(variant: str) -> None:
    """A product of two inputs has no weight to round; float16 rounds its result all the same."""
    model = Product().eval()
    other = torch.randn(64, 3, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode(), SimulatedPrecision(model, VARIANTS[variant], convolves=False):
        found = torch.matmul(STATES, other)
    exact = torch.matmul(STATES, other)
    assert torch.equal(exact, found) is (variant != "fp16")


def test_convolutions_are_noticed() -> None:
    with Convolutions() as without:
        Product()(STATES)
    with Convolutions() as within:
        torch.nn.Conv1d(1, 1, 3)(torch.ones(1, 1, 5))
    assert (without.called, within.called) == (False, True)


def test_a_model_that_convolves_is_rounded_as_unsigned_bytes() -> None:
    model = torch.nn.Sequential(torch.nn.Conv1d(4, 8, 3))
    states = torch.randn(2, 4, 9, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        exact = model(states)
    assert torch.equal(exact, simulated(model, "int8", states))
    assert torch.equal(simulated(model, "q8", states, convolves=True), simulated(model, "uint8", states))
    assert not torch.equal(exact, simulated(model, "uint8", states))


def _product_file(path: Path, weight: np.ndarray) -> Path:
    node = helper.make_node("MatMul", ["states", "weight"], ["product"], name="product")
    inputs, outputs = [value("states", ["rows", weight.shape[0]])], [value("product", ["rows", weight.shape[1]])]
    return save_graph(path, [node], inputs, outputs, {"weight": weight})


def _run(path: Path, states: torch.Tensor) -> torch.Tensor:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"states": states.numpy()})[0])


def test_the_4_bit_imitation_gives_what_onnxruntime_makes_of_the_weight(tmp_path: Path) -> None:
    """Each block of 32 shares a scale: both sides agree to float32 rounding, far below what 4 bits cost."""
    model = torch.nn.Linear(64, 32, bias=False)
    path = _product_file(tmp_path / "model.onnx", model.weight.detach().numpy().T.copy())
    quantiser = MatMulNBitsQuantizer(onnx.load(path), block_size=VARIANTS["q4"].block_size, is_symmetric=True)
    quantiser.process()
    onnx.save(quantiser.model.model, tmp_path / "quantised.onnx")
    theirs, ours = _run(tmp_path / "quantised.onnx", STATES), simulated(model, "q4", STATES)
    assert decibels(theirs, ours) > 100


def test_the_8_bit_imitation_costs_what_onnxruntimes_does(tmp_path: Path) -> None:
    model = torch.nn.Linear(64, 32, bias=False)
    path = _product_file(tmp_path / "model.onnx", model.weight.detach().numpy().T.copy())
    quantize_dynamic(
        path, tmp_path / "quantised.onnx", weight_type=QuantType.QInt8, per_channel=True, reduce_range=True
    )
    with torch.inference_mode():
        exact = model(STATES)
    theirs, ours = (
        decibels(exact, _run(tmp_path / "quantised.onnx", STATES)),
        decibels(exact, simulated(model, "q8", STATES)),
    )
    assert abs(theirs - ours) < 3.0
