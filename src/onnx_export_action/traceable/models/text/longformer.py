"""Longformer's attention as a graph can hold it: of any length, with any number of global tokens.

The same sums as ``LongformerSelfAttention`` of transformers 5.23 (Beltagy et al. 2020,
https://arxiv.org/abs/2004.05150): every token sees a window around itself and the global tokens, and those see all.
Memory grows with length times window, as there.

Shapes below: batch B, length N, heads H, size of a head D, half a window W, blocks C = ceil(N / W), global tokens of
the row that has most G.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from onnx_export_action.traceable.private_names import Patch


def without_padding(_: Any, *, pad_token_id: int, **inputs: Any) -> tuple[Any, ...]:  # noqa: ARG001 - nothing is padded
    """What ``_pad_to_window_size`` answers for inputs as they are: the attention below takes any length."""
    return 0, *inputs.values()


def window_attention(
    attention: Any,
    hidden_states: torch.Tensor,
    attention_mask: torch.Tensor,
    is_index_masked: torch.Tensor,
    is_index_global_attn: torch.Tensor,
    **_: Any,
) -> tuple[torch.Tensor]:
    """What ``LongformerSelfAttention.forward`` answers; ``hidden_states`` is (B, N, H * D), the masks are (B, N)."""
    query = _heads(attention, attention.query(hidden_states)) / math.sqrt(attention.head_dim)
    key = _heads(attention, attention.key(hidden_states))
    value = _heads(attention, attention.value(hidden_states))
    places, exists = _global_places(is_index_global_attn)

    half = attention.one_sided_attn_window_size
    near, window = _window_scores(query, key, attention_mask != 0, half)
    far = query @ _at(key, places).transpose(2, 3)
    far = far.masked_fill(~exists[:, None, None, :], torch.finfo(far.dtype).min)
    probabilities = torch.cat((near, far), dim=-1).softmax(dim=-1)
    probabilities = probabilities.masked_fill(is_index_masked[:, None, :, None], 0.0)

    answer = _weighted_windows(probabilities[..., : 3 * half], value, window, half)
    answer = answer + probabilities[..., 3 * half :] @ _at(value, places)
    answer = _with_global_rows(attention, hidden_states, answer, is_index_masked, places, exists)
    return (answer.transpose(1, 2).flatten(2),)


def _heads(attention: Any, states: torch.Tensor) -> torch.Tensor:
    """(B, N, H * D) -> (B, H, N, D)."""
    # Not `unflatten`, of which the tracer keeps the sizes of all axes.
    return states.view(states.shape[0], states.shape[1], attention.num_heads, attention.head_dim).transpose(1, 2)


def _global_places(is_global: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where each row's global tokens are, and which of those places are real: two of (B, G).

    The places of a row differ from each other, also those that are not real.
    """
    length = is_global.shape[1]
    order = torch.arange(length, device=is_global.device).expand_as(is_global)
    ranks, places = torch.sort(torch.where(is_global, order, order + length), dim=1)
    most = is_global.sum(dim=1).max()
    return places[:, :most], ranks[:, :most] < length


def _at(states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """(B, H, N, D) at the places (B, G) -> (B, H, G, D)."""
    index = places[:, None, :, None].expand(-1, states.shape[1], -1, states.shape[3])
    return states.gather(2, index)


def _windows(length: int, more: int, half: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The places of each block and of ``more`` on both sides, (C, W + 2 more); the same moved inside the text."""
    places = torch.arange(0, length, half).unsqueeze(1) + torch.arange(-more, half + more)
    return places, places.clamp(0, length - 1)


def _window_scores(
    query: torch.Tensor, key: torch.Tensor, hidden: torch.Tensor, half: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of each token for the three blocks around it, (B, H, N, 3 W), and the places of those blocks, (C, 3 W).

    ``hidden``: (B, N), keys that no window shows: padding, and global tokens, which are seen from everywhere.
    """
    length = query.shape[2]
    rows, within_rows = _windows(length, 0, half)
    columns, within = _windows(length, half, half)
    scores = query[:, :, within_rows] @ key[:, :, within].transpose(3, 4)
    lowest = torch.finfo(scores.dtype).min
    scores = scores + torch.where(hidden, lowest, 0.0)[:, within][:, None, :, None, :]
    visible = (rows[:, :, None] - columns[:, None, :]).abs() <= half
    visible = visible & (columns == within)[:, None, :]
    scores = scores.masked_fill(~visible, -math.inf)
    return scores.flatten(2, 3)[:, :, :length], within


def _weighted_windows(
    probabilities: torch.Tensor, value: torch.Tensor, window: torch.Tensor, half: int
) -> torch.Tensor:
    """The sum of the values (B, H, N, D) in each token's window, weighted by ``probabilities`` (B, H, N, 3 W)."""
    length = value.shape[2]
    _, rows = _windows(length, 0, half)
    blocks = probabilities[:, :, rows]
    return (blocks @ value[:, :, window]).flatten(2, 3)[:, :, :length]


def _with_global_rows(
    attention: Any,
    hidden_states: torch.Tensor,
    answer: torch.Tensor,
    is_masked: torch.Tensor,
    places: torch.Tensor,
    exists: torch.Tensor,
) -> torch.Tensor:
    """``answer`` (B, H, N, D) where global tokens see all the text, with projections of their own."""
    query = _at(_heads(attention, attention.query_global(hidden_states)), places) / math.sqrt(attention.head_dim)
    key = _heads(attention, attention.key_global(hidden_states))
    value = _heads(attention, attention.value_global(hidden_states))
    scores = query @ key.transpose(2, 3)
    scores = scores.masked_fill(is_masked[:, None, None, :], torch.finfo(scores.dtype).min)
    seen = torch.where(exists[:, None, :, None], scores.softmax(dim=-1) @ value, _at(answer, places))
    return answer.scatter(2, places[:, None, :, None].expand_as(seen), seen)


PATCHES = (
    # Windows cut out of a text at steps, and as many places for global tokens as one batch has: `forward` reads both as
    # Python numbers, and so keeps those of the traced input.
    Patch(
        "transformers.models.longformer.modeling_longformer.LongformerSelfAttention.forward",
        replacement=window_attention,
    ),
    # Texts padded to a whole number of windows, by a branch that a trace takes or leaves for good.
    Patch(
        "transformers.models.longformer.modeling_longformer.LongformerModel._pad_to_window_size",
        replacement=without_padding,
    ),
)
