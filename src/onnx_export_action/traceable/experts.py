"""Mixtures of experts as the tracer can follow them: which expert gets which token is decided by the graph.

What transformers 5.24 does on a CPU (``grouped_mm``) sorts the tokens by expert and cuts them at offsets that it reads
as Python numbers; a trace would keep those of the traced input. Its alternatives are a Python loop over the experts
that the input happens to hit (``eager``), and a copy of the expert's weights for every token (``batched_mm``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

from onnx_export_action.traceable.private_names import PrivateName

_FUNCTIONS = PrivateName("transformers.integrations.moe.ALL_EXPERTS_FUNCTIONS")


@contextmanager
def traceable_experts(_: torch.nn.Module) -> Iterator[None]:
    """Let every model compute its experts one after the other, each for the tokens that chose it."""
    functions = _FUNCTIONS.find()
    before = dict(functions)
    for name in before:
        functions[name] = one_after_another
    try:
        yield
    finally:
        for name, function in before.items():
            functions[name] = function


def one_after_another(
    experts: Any, hidden_states: torch.Tensor, top_k_index: torch.Tensor, top_k_weights: torch.Tensor
) -> torch.Tensor:
    """What ``experts`` make of ``hidden_states`` (tokens, size), each token's chosen ones (tokens, k) weighted.

    ``experts`` is a module under transformers' ``use_experts_implementation``, which says how its weights lie.
    """
    total = torch.zeros_like(hidden_states)
    for number in range(experts.num_experts):
        chosen = top_k_index == number
        tokens = chosen.any(dim=-1).nonzero().squeeze(-1)
        weights = (top_k_weights * chosen).sum(dim=-1)[tokens].unsqueeze(-1)
        answer = _expert(experts, number, hidden_states[tokens]) * weights
        total = total.index_put((tokens,), answer.to(total.dtype), accumulate=True)
    return total


def _expert(experts: Any, number: int, hidden_states: torch.Tensor) -> torch.Tensor:
    if experts.has_gate:
        opened = experts._apply_gate(_project(experts, "gate_up_proj", number, hidden_states))
    else:
        opened = experts.act_fn(_project(experts, "up_proj", number, hidden_states))
    answer = _project(experts, "down_proj", number, opened)
    has_norm = getattr(experts, "has_post_expert_norm", False)  # transformers before 5.20 knows of none
    return experts.post_expert_norm(answer) if has_norm else answer


def _project(experts: Any, name: str, number: int, hidden_states: torch.Tensor) -> torch.Tensor:
    weight = getattr(experts, name)[number]
    bias = getattr(experts, f"{name}_bias")[number] if experts.has_bias else None
    return functional.linear(hidden_states, weight.T if experts.is_transposed else weight, bias)
