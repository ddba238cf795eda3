"""DBRX, whose loop over the experts takes for granted that no token chose one too many (transformers 5.24)."""

from __future__ import annotations

from typing import Any

import torch

from onnx_export_action.traceable.private_names import Patch


def experts(
    self: Any, hidden_states: torch.Tensor, top_k_index: torch.Tensor, top_k_weights: torch.Tensor
) -> torch.Tensor:
    """``DbrxExperts.forward``, a loop over all experts: (batch, length, size), the chosen ones (tokens, k) weighted."""
    tokens = hidden_states.reshape(-1, self.hidden_size)
    total = torch.zeros_like(tokens)
    parts = [
        weight.view(-1, self.ffn_hidden_size, self.hidden_size) for weight in (self.mlp.w1, self.mlp.v1, self.mlp.w2)
    ]
    for number in range(self.num_experts):
        chosen = top_k_index == number
        places = chosen.any(dim=-1).nonzero().squeeze(-1)
        weights = (top_k_weights * chosen).sum(dim=-1)[places].unsqueeze(-1)
        answer = self.mlp(tokens[places], *(part[number] for part in parts))
        total = total.index_put((places,), answer * weights, accumulate=True)
    return total.view(hidden_states.shape[0], -1, self.hidden_size)


PATCHES = (Patch("transformers.models.dbrx.modeling_dbrx.DbrxExperts.forward", replacement=experts),)
