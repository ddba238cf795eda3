"""Recurrent layers: what stands for the models' loops gives what they give, and as a Scan at any length."""

from pathlib import Path

import pytest
import torch

from onnx_export_action.traceable.models.text.recurrent_gemma import rnn_scan
from onnx_export_action.traceable.models.text.rwkv import rwkv_linear_attention
from onnx_export_action.traceable.recurrences import gated_delta_rule, selective_scan, state_space_duality
from onnx_export_action.traceable.scanning import scan
from tests.integration.test_symbolics import Inputs, assert_traced_right

LENGTHS = (5, 1, 9)
SHAPES = ((2, 5), (1, 1), (3, 9))


def test_a_step_for_every_position(tmp_path: Path) -> None:
    def step(total: torch.Tensor, factor: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, ...]:
        total = total * factor + value
        return total, factor, total.sum(-1)

    def compute(values: torch.Tensor) -> torch.Tensor:
        first = scan(step, [values[:, 0], torch.tensor(0.5)], [values.transpose(0, 1)])
        return scan(step, [torch.zeros_like(first), torch.tensor(2.0)], [first.flip(0).expand(3, *first.shape)])

    inputs = [(torch.randn(2, length, 4),) for length in LENGTHS]
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0, 1), opset=18)


@pytest.mark.parametrize("opset", [14, 18])
def test_selective_scan_of_mamba(opset: int, tmp_path: Path) -> None:
    from transformers.models.mamba.modeling_mamba import mamba_selective_scan

    decay, skip, bias = -torch.rand(6, 4), torch.rand(6), torch.rand(6)

    def compute(values: torch.Tensor, steps: torch.Tensor, writing: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        found = selective_scan(values, steps, decay, writing, writing.flip(1), skip, gate, bias, delta_softplus=True)
        wanted = mamba_selective_scan(
            values, steps, decay, writing, writing.flip(1), skip, gate, bias, delta_softplus=True
        )
        torch.testing.assert_close(found, wanted)
        return found

    def inputs(batch: int, length: int) -> Inputs:
        return tuple(torch.randn(batch, size, length) for size in (6, 6, 4, 6))

    given = inputs(2, 5), inputs(1, 1), inputs(3, 9)
    assert_traced_right(compute, *given, path=tmp_path / "file.onnx", axes=(0, 2), opset=opset)


def test_linear_recurrence_of_recurrent_gemma(tmp_path: Path) -> None:
    from transformers.models.recurrent_gemma.modeling_recurrent_gemma import RecurrentGemmaRglru

    def compute(values: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        reset = torch.arange(values.shape[1])[None, :, None].expand(values.shape[0], -1, -1) % 4 == 0
        found, _ = rnn_scan(None, values, gates, reset)
        wanted, _ = RecurrentGemmaRglru._rnn_scan(None, values, gates, reset, None)
        torch.testing.assert_close(found, wanted)
        return found

    inputs = [(torch.randn(batch, length, 4), torch.rand(batch, length, 4)) for batch, length in SHAPES]
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0, 1), opset=18)


def test_attention_of_rwkv(tmp_path: Path) -> None:
    from transformers.models.rwkv import modeling_rwkv

    decay, first = torch.randn(4), torch.randn(4)

    def compute(keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        found, _ = rwkv_linear_attention(decay, first, keys, values)
        torch.testing.assert_close(found, modeling_rwkv.rwkv_linear_attention_cpu(decay, first, keys, values)[0])
        return found

    inputs = [(10 * torch.randn(batch, length, 4), torch.randn(batch, length, 4)) for batch, length in SHAPES]
    assert_traced_right(compute, *inputs, path=tmp_path / "file.onnx", axes=(0, 1), opset=18)


@pytest.mark.parametrize("decays_a_head", [True, False])
def test_gated_delta_rule_of_qwen_and_kimi_in_more_than_a_chunk(decays_a_head: bool, tmp_path: Path) -> None:
    from transformers.models.kimi_linear.modeling_kimi_linear import chunk_kimi_delta_attention
    from transformers.models.qwen3_next.modeling_qwen3_next import torch_chunk_gated_delta_rule

    original = torch_chunk_gated_delta_rule if decays_a_head else chunk_kimi_delta_attention
    heads = 4 if decays_a_head else 2

    def compute(
        queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, decay: torch.Tensor, rate: torch.Tensor
    ) -> torch.Tensor:
        found, _ = gated_delta_rule(queries, keys, values, g=decay, beta=rate, use_qk_l2norm_in_kernel=True)
        wanted, _ = original(queries, keys, values, g=decay, beta=rate, use_qk_l2norm_in_kernel=True)
        torch.testing.assert_close(found, wanted)
        return found

    def inputs(batch: int, length: int) -> Inputs:
        decay = -torch.rand(batch, length, heads) if decays_a_head else -torch.rand(batch, length, heads, 6)
        keys = (torch.randn(batch, length, 2, 6) for _ in range(2))
        return *keys, torch.randn(batch, length, heads, 3), decay, torch.rand(batch, length, heads)

    given = inputs(2, 5), inputs(1, 1), inputs(3, 70)
    assert_traced_right(compute, *given, path=tmp_path / "file.onnx", axes=(0, 1), opset=18)


def test_chunks_of_mamba_2_at_lengths_that_fill_them_and_do_not(tmp_path: Path) -> None:
    from transformers.models.mamba2.modeling_mamba2 import mamba2_chunk_scan

    decay, skip, bias = -torch.rand(4), torch.rand(4), torch.rand(4)

    def compute(values: torch.Tensor, steps: torch.Tensor, writing: torch.Tensor) -> torch.Tensor:
        given = (values, steps, decay, writing, writing.flip(1))
        further = {"chunk_size": 8, "D": skip, "dt_bias": bias, "dt_softplus": True, "dt_limit": (0.1, 2.0)}
        found, last = state_space_duality(*given, return_final_states=True, **further)
        torch.testing.assert_close((found, last), mamba2_chunk_scan(*given, return_final_states=True, **further))
        return found

    def inputs(batch: int, length: int) -> Inputs:
        return (
            torch.randn(batch, length, 4, 3),
            torch.randn(batch, length, 4),
            torch.randn(batch, length, 2, 5),
        )

    given = inputs(2, 8), inputs(1, 1), inputs(3, 19)
    assert_traced_right(compute, *given, path=tmp_path / "file.onnx", axes=(0, 1), opset=18)
