"""How much a model computes for one token."""

from __future__ import annotations

import torch


def parameters_at_work(model: torch.nn.Module) -> int:
    """The parameters that every token is multiplied with: embeddings are only looked up.

    A tied head is multiplied with, and counts.
    """
    modules = (module for module in model.modules() if not isinstance(module, torch.nn.Embedding))
    own = (parameter for module in modules for parameter in module.parameters(recurse=False))
    return sum({id(parameter): parameter.numel() for parameter in own}.values())
