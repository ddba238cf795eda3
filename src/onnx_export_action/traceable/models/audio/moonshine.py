"""Moonshine, whose decoder reads from its encoder's output the mask of the sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from onnx_export_action.traceable.parts import unused_states
from onnx_export_action.traceable.private_names import Patch


def decoder(
    model: Any,
    *,
    input_ids: torch.Tensor,
    encoder_attention_mask: torch.Tensor,
    encoder_hidden_states: torch.Tensor | None = None,
    past_key_values: EncoderDecoderCache | None = None,
) -> Mapping[str, Any]:
    """A step of Moonshine's decoder, which reads from its encoder's output the mask that ``MoonshineEncoder`` makes.

    That is every 384th sample's: the product of the strides of its convolutions.
    """
    states = unused_states(model, past_key_values) if encoder_hidden_states is None else encoder_hidden_states
    encoded = BaseModelOutput(last_hidden_state=states)
    encoded.attention_mask = encoder_attention_mask[:, ::384][:, : states.shape[1]]
    outputs: Mapping[str, Any] = model(
        decoder_input_ids=input_ids, encoder_outputs=encoded, past_key_values=past_key_values, use_cache=True
    )
    return outputs


def encoded_lengths(_: object, samples: torch.Tensor) -> torch.Tensor:
    """``_get_feat_extract_output_lengths``, which goes through Python's ``int`` and so fixes the length (5.24)."""
    for kernel, stride in ((127, 64), (7, 3), (3, 2)):
        samples = (samples - kernel) // stride + 1
    return samples


PATCHES = (
    Patch(
        "transformers.models.moonshine.modeling_moonshine.MoonshinePreTrainedModel._get_feat_extract_output_lengths",
        replacement=encoded_lengths,
    ),
)
