"""Recurrent layers that many types share, with their loop over the positions as a scan.

Each function stands for one of the models' own code, which it names, and computes the same. A trace of the loop keeps
it as long as it was (transformers 5.24).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

from onnx_export_action.onnx_config.base import PatchingSpec
from onnx_export_action.traceable.private_names import patched
from onnx_export_action.traceable.scanning import scan


def selective_scan(
    hidden_states: torch.Tensor,
    dt: torch.Tensor,
    A: torch.Tensor,  # noqa: N803 - as the paper names them
    B: torch.Tensor,  # noqa: N803
    C: torch.Tensor,  # noqa: N803
    D: torch.Tensor | None = None,  # noqa: N803
    z: torch.Tensor | None = None,
    delta_bias: torch.Tensor | None = None,
    delta_softplus: bool = False,
    **_: Any,
) -> torch.Tensor:
    """``mamba_selective_scan`` of Mamba's family, from an empty state (https://arxiv.org/abs/2312.00752, algorithm 2).

    ``hidden_states``, ``dt`` and ``z`` are (batch, channels, length), ``A`` (channels, size), ``B`` and ``C`` (batch,
    size, length), ``D`` and ``delta_bias`` (channels,); the answer is as ``hidden_states``.
    """
    if delta_bias is not None:
        dt = dt + delta_bias.to(dt.dtype)[..., None]
    if delta_softplus:
        dt = functional.softplus(dt)
    # The positions first.
    steps, values = dt.permute(2, 0, 1), hidden_states.permute(2, 0, 1)
    decay = torch.exp(A * steps[..., None])
    update = steps[..., None] * B.permute(2, 0, 1)[:, :, None, :].float() * values[..., None].float()

    def step(
        state: torch.Tensor, decay: torch.Tensor, update: torch.Tensor, reading: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        state = decay * state + update
        return state, torch.matmul(state, reading.unsqueeze(-1)).squeeze(-1)

    answer = scan(step, [torch.zeros_like(update[0])], [decay, update, C.permute(2, 0, 1)]).permute(1, 2, 0)
    if D is not None:
        answer = answer + hidden_states * D[None, :, None]
    return answer if z is None else answer * functional.silu(z)


def gated_delta_rule(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    g: torch.Tensor,
    beta: torch.Tensor,
    use_qk_l2norm_in_kernel: bool = False,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """``torch_chunk_gated_delta_rule`` and ``chunk_kimi_delta_attention``, a position at a time, from an empty state.

    (https://arxiv.org/abs/2412.06464, equation 10; the chunks of 64 are the same sum in another order.) ``query`` and
    ``key`` are (batch, length, heads, size), ``value`` and the first of the answers (batch, length, value heads, value
    size), ``beta`` (batch, length, value heads), as is ``g``, or with a decay for each of the key's numbers.
    """
    shared = value.shape[2] // key.shape[2]
    queries, keys, values, decays, rates = (part.float().transpose(0, 1) for part in (query, key, value, g.exp(), beta))
    if use_qk_l2norm_in_kernel:
        queries, keys = (x * torch.rsqrt((x * x).sum(dim=-1, keepdim=True) + 1e-6) for x in (queries, keys))
    queries = queries * query.shape[-1] ** -0.5
    if shared > 1:
        queries, keys = (x.repeat_interleave(shared, dim=2) for x in (queries, keys))
    decays = decays.reshape(*decays.shape[:3], -1, 1)

    def step(
        state: torch.Tensor,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        decay: torch.Tensor,
        rate: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        state = state * decay
        correction = (value - (state * key.unsqueeze(-1)).sum(dim=-2)) * rate.unsqueeze(-1)
        state = state + key.unsqueeze(-1) * correction.unsqueeze(-2)
        return state, (state * query.unsqueeze(-1)).sum(dim=-2)

    empty = torch.zeros_like(keys[0].unsqueeze(-1) * values[0].unsqueeze(-2))
    answer = scan(step, [empty], [queries, keys, values, decays, rates])
    return answer.transpose(0, 1).to(query.dtype), None


def state_space_duality(
    hidden_states: torch.Tensor,
    dt: torch.Tensor,
    A: torch.Tensor,  # noqa: N803 - as the paper names them
    B: torch.Tensor,  # noqa: N803
    C: torch.Tensor,  # noqa: N803
    D: torch.Tensor | None = None,  # noqa: N803
    dt_bias: torch.Tensor | None = None,
    dt_softplus: bool = False,
    dt_limit: tuple[float, float] = (0.0, math.inf),
    return_final_states: bool = False,
    **_: Any,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """``mamba2_chunk_scan`` of Mamba 2's family, a position at a time, from an empty state.

    (https://arxiv.org/abs/2405.21060, equation 2; the chunks are the same sum in another order.) ``hidden_states`` and
    the answer are (batch, length, heads, head size), ``dt`` (batch, length, heads), ``A`` and ``D`` (heads,), ``B`` and
    ``C`` (batch, length, groups, size), the last state (batch, heads, head size, size).
    """
    if dt_bias is not None:
        dt = dt + dt_bias.to(dt.dtype)
    dt = torch.clamp(functional.softplus(dt) if dt_softplus else dt, min=dt_limit[0], max=dt_limit[1])
    steps, values = dt.float().transpose(0, 1), hidden_states.float().transpose(0, 1)
    shared = values.shape[2] // B.shape[2]
    writing, reading = (part.float().transpose(0, 1).repeat_interleave(shared, dim=2) for part in (B, C))
    decays = torch.exp(A.float() * steps)[..., None, None]
    weighted = values * steps[..., None]

    def step(
        state: torch.Tensor, decay: torch.Tensor, value: torch.Tensor, writing: torch.Tensor, reading: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        state = state * decay + value.unsqueeze(-1) * writing.unsqueeze(-2)
        return state, (state * reading.unsqueeze(-2)).sum(dim=-1)

    empty = torch.zeros_like(weighted[0].unsqueeze(-1) * writing[0].unsqueeze(-2))
    answer = scan(step, [empty], [decays, weighted, writing, reading])
    if D is not None:
        answer = answer + D[..., None] * values
    answer = answer.transpose(0, 1)
    if not return_final_states:
        return answer
    logarithms = A.float() * steps
    remaining = torch.exp(logarithms.flip(0).cumsum(0).flip(0) - logarithms)[..., None, None]
    return answer, (remaining * weighted.unsqueeze(-1) * writing.unsqueeze(-2)).sum(dim=0)


SCANS: Mapping[str, Callable[..., Any]] = {
    "mamba_selective_scan": selective_scan,
    "mamba2_chunk_scan": state_space_duality,
    "torch_chunk_gated_delta_rule": gated_delta_rule,
    "chunk_kimi_delta_attention": gated_delta_rule,
}
"""By the name that every model's file of transformers has for its own copy of the function.

The first two exist since 5.15: https://github.com/huggingface/transformers/releases/tag/v5.15.0; before, the loop stood
in the models' own ``forward``.
"""


@contextmanager
def scanned_recurrences(model: torch.nn.Module) -> Iterator[None]:
    """Put the scans in the files of transformers that the model's parts come from, whatever their types."""
    names = dict.fromkeys(type(part).__module__ for part in model.modules())
    files = [sys.modules[name] for name in names if name.startswith("transformers.models.")]
    with patched(
        PatchingSpec(file, name, scan) for file in files for name, scan in SCANS.items() if hasattr(file, name)
    ):
        yield
