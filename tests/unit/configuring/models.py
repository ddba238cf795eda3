"""Small models of no known type, to find a configuration for."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

Outputs = dict[str, torch.Tensor]


class Texts(torch.nn.Module):
    """Token ids in; what comes out says ``compute``, which is given states (batch, length, 8) and the mask."""

    def __init__(self, compute: Callable[[torch.Tensor, torch.Tensor], Outputs], **config: Any) -> None:
        super().__init__()
        self.config = SimpleNamespace(vocab_size=50, hidden_size=8, **config)
        self.embedding = torch.nn.Embedding(50, 8)
        self.compute = compute

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Outputs:
        return self.compute(self.embedding(input_ids), attention_mask)


def masked(states: torch.Tensor, mask: torch.Tensor) -> Outputs:
    """States of tokens that count, and their sum."""
    kept = states * mask[..., None]
    return {"last_hidden_state": kept, "total": kept.sum(dim=1)}
