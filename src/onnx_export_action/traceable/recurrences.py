"""Recurrent layers of transformers 5.23, with their loop over the positions as a scan.

Each function stands for one of the models' own code, which it names, and computes the same. ``patches`` puts it there.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

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


def rnn_scan(
    _: object,
    hidden_states: torch.Tensor,
    recurrent_gate: torch.Tensor,
    reset: torch.Tensor,
    acc_dtype: torch.dtype = torch.float32,
    **__: Any,
) -> tuple[torch.Tensor, None]:
    """``_rnn_scan`` of RecurrentGemma, from an empty state (https://arxiv.org/abs/2402.19427, equation 4).

    All are (batch, length, channels), ``reset`` with one channel, as is the first of the answers; the last state, which
    a file does not keep, is none.
    """
    gates = (recurrent_gate * ~reset).type(acc_dtype).transpose(0, 1)
    updates = hidden_states.type(acc_dtype).transpose(0, 1)

    def step(state: torch.Tensor, gate: torch.Tensor, update: torch.Tensor) -> tuple[torch.Tensor, ...]:
        state = gate * state + update
        return state, state

    states = scan(step, [torch.zeros_like(updates[0])], [gates, updates])
    return states.transpose(0, 1).type(hidden_states.dtype), None


def rwkv_linear_attention(
    time_decay: torch.Tensor,
    time_first: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *_: Any,
    **__: Any,
) -> tuple[torch.Tensor, None]:
    """``rwkv_linear_attention`` of RWKV 4, from an empty state (https://arxiv.org/abs/2305.13048, appendix D).

    ``key`` and ``value`` are (batch, length, channels), as is the first of the answers, the others (channels,).
    """
    keys, values = key.float().transpose(0, 1), value.transpose(0, 1)
    empty = torch.zeros_like(keys[0])

    def step(
        numerator: torch.Tensor,
        denominator: torch.Tensor,
        largest: torch.Tensor,
        decay: torch.Tensor,
        first: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        top = torch.maximum(largest, key + first)
        old, new = torch.exp(largest - top), torch.exp(key + first - top)
        answer = (old * numerator + new * value) / (old * denominator + new)
        top = torch.maximum(largest + decay, key)
        old, new = torch.exp(largest + decay - top), torch.exp(key - top)
        return old * numerator + new * value, old * denominator + new, top, decay, first, answer

    states = [empty, empty, empty - 1e38, -torch.exp(time_decay), time_first]
    return scan(step, states, [keys, values]).transpose(0, 1).to(key.dtype), None


def mlstm(
    self: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    igate: torch.Tensor,
    fgate: torch.Tensor,
    *_: Any,
    **__: Any,
) -> tuple[torch.Tensor, None]:
    """``xLSTMBackend.forward`` of xLSTM, from an empty state (https://arxiv.org/abs/2405.04517, equations 19 to 27).

    ``query``, ``key`` and ``value`` are (batch, heads, length, size), as is the first of the answers, the gates (batch,
    heads, length).
    """
    from transformers.models.xlstm.modeling_xlstm import mlstm_recurrent_step_native

    def step(  # states first, then what the position has
        memory: torch.Tensor, normalizer: torch.Tensor, largest: torch.Tensor, *position: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        answer, states = mlstm_recurrent_step_native(*position, memory, normalizer, largest, eps=self.config.eps)
        return (*states, answer)

    sequences = [values.permute(2, 0, 1, 3) for values in (query, key, value)]
    sequences += [gates.permute(2, 0, 1).unsqueeze(-1) for gates in (igate, fgate)]
    normalizer, largest = torch.zeros_like(sequences[1][0]), torch.zeros_like(sequences[3][0])
    memory = torch.zeros_like(sequences[1][0].unsqueeze(-1) * sequences[2][0].unsqueeze(-2))
    return scan(step, [memory, normalizer, largest], sequences).permute(1, 2, 0, 3), None


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
