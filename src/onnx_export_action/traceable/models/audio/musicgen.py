"""Musicgen, as files: its texts, its decoder, and the first and the last step around that."""

from __future__ import annotations

from typing import Any

import torch


def text_encoder(model: Any, *, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """What is computed once a text."""
    return {"last_hidden_state": model.text_encoder(input_ids=input_ids, attention_mask=attention_mask)[0]}


def encodec_decode(model: Any, *, audio_codes: torch.Tensor) -> dict[str, torch.Tensor]:
    """Sound, (batch, channels, samples), from words that lie side by side: without the delay of the codebooks."""
    return {"audio_values": model.audio_encoder.decode(audio_codes, audio_scales=[None]).audio_values}


def build_delay_pattern_mask(
    model: Any, *, input_ids: torch.Tensor, pad_token_id: torch.Tensor, max_length: torch.Tensor
) -> dict[str, torch.Tensor]:
    """``MusicgenForCausalLM.build_delay_pattern_mask``; for a graph, the same without a step that Python decides.

    The reference runs the model's own.
    """
    decoder = model.decoder
    if not (torch.jit.is_tracing() or torch.compiler.is_exporting()):
        edited, mask = decoder.build_delay_pattern_mask(input_ids, int(pad_token_id), int(max_length))
        return {"input_ids_edited": edited, "delay_pattern_mask": mask}
    channels = decoder.config.audio_channels
    delays = (torch.arange(decoder.num_codebooks) // channels)[:, None]
    length = torch.tensor(input_ids.shape[-1])
    places = torch.arange(torch.maximum(length, max_length))[None]
    prompt = input_ids.reshape(-1, decoder.num_codebooks, input_ids.shape[-1])
    words = prompt.gather(-1, (places - delays).clamp(min=0).minimum(length - 1).expand(prompt.shape[0], -1, -1))
    in_prompt = (places >= delays) & (places < delays + length)
    codebooks = decoder.num_codebooks // channels
    padded = (places <= delays) | (places - delays >= max_length - codebooks + 1)
    pattern = torch.where(padded, pad_token_id, torch.where(in_prompt, words, -1))
    too_short = max_length < 2 * codebooks - 1
    edited = torch.where(too_short, prompt, pattern[..., : input_ids.shape[-1]])
    mask = torch.where(too_short, -1, pattern)[..., :max_length]
    return {
        "input_ids_edited": edited.reshape(-1, input_ids.shape[-1]),
        "delay_pattern_mask": mask.reshape(input_ids.shape[0], -1),
    }
