"""Experts one after the other: the sum that the model's own loop over the chosen ones gives."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from onnx_export_action.traceable.experts import one_after_another

EXPERTS, SIZE, WIDTH = 3, 4, 6


def experts(**flags: Any) -> SimpleNamespace:
    generator = torch.Generator().manual_seed(0)
    made = SimpleNamespace(num_experts=EXPERTS, has_gate=False, has_bias=False, is_transposed=False, act_fn=torch.relu)
    made.up_proj = torch.randn(EXPERTS, WIDTH, SIZE, generator=generator)
    made.down_proj = torch.randn(EXPERTS, SIZE, WIDTH, generator=generator)
    vars(made).update(flags)
    return made


def expected(of: SimpleNamespace, states: torch.Tensor, chosen: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    answer = torch.zeros_like(states)
    norm = getattr(of, "post_expert_norm", lambda value: value)
    for token in range(states.shape[0]):
        for place, number in enumerate(chosen[token].tolist()):
            one = of.down_proj[number] @ torch.relu(of.up_proj[number] @ states[token])
            answer[token] += weights[token, place] * norm(one)
    return answer


@pytest.mark.parametrize(
    "flags",
    [
        {},  # as transformers before 5.20 has them
        {"has_post_expert_norm": False},
        {"has_post_expert_norm": True, "post_expert_norm": lambda value: value * 3},
    ],
)
def test_each_token_gets_its_chosen_experts(flags: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(1)
    states, weights = torch.randn(5, SIZE, generator=generator), torch.rand(5, 2, generator=generator)
    chosen = torch.tensor([[0, 1], [1, 2], [2, 0], [0, 1], [1, 0]])
    made = experts(**flags)
    found = one_after_another(made, states, chosen, weights)
    torch.testing.assert_close(found, expected(made, states, chosen, weights))


def test_an_expert_that_no_token_chose_adds_nothing() -> None:
    made = experts()
    states, chosen = torch.ones(2, SIZE), torch.tensor([[1], [1]])
    found = one_after_another(made, states, chosen, torch.ones(2, 1))
    torch.testing.assert_close(found, expected(made, states, chosen, torch.ones(2, 1)))
