"""SpeechT5, as files: the steps of ``generate_speech`` of transformers, and the loop left to the caller."""

from __future__ import annotations

from typing import Any

import torch
from transformers import EncoderDecoderCache

from onnx_export_action.traceable.parts import replaced, unused_states


def encoder(model: Any, *, input_ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """The first lines of ``_generate_speech`` in transformers' ``modeling_speecht5``: one text, and where it ends."""
    mask = (input_ids != model.config.pad_token_id).long()
    encoded = model.speecht5.encoder(input_values=input_ids, attention_mask=mask, return_dict=True)
    return {"encoder_outputs": encoded.last_hidden_state, "encoder_attention_mask": mask}


def decoder(
    model: Any,
    *,
    output_sequence: torch.Tensor,
    speaker_embeddings: torch.Tensor,
    encoder_attention_mask: torch.Tensor,
    prenet_keep_probability: torch.Tensor,
    encoder_hidden_states: torch.Tensor | None = None,
    past_key_values: EncoderDecoderCache | None = None,
) -> dict[str, Any]:
    """One step of the loop of ``_generate_speech``.

    The prenet drops at random at all times, with the same draws for the whole batch. ``torch.bernoulli`` becomes a
    comparison with the probability, so that a caller of the file can set it.
    """

    def dropout(_: object, embeddings: torch.Tensor, p: float) -> torch.Tensor:
        kept = torch.rand_like(embeddings[0]) < prenet_keep_probability
        return torch.where(kept, embeddings, torch.zeros_like(embeddings)) / (1 - p)

    states = unused_states(model, past_key_values) if encoder_hidden_states is None else encoder_hidden_states
    prenet = model.speecht5.decoder.prenet
    with replaced(type(prenet), _consistent_dropout=dropout):
        hidden_states = prenet(output_sequence, speaker_embeddings)
    decoded = model.speecht5.decoder.wrapped_decoder(
        hidden_states=hidden_states[:, -1:],
        attention_mask=None,
        encoder_hidden_states=states,
        encoder_attention_mask=encoder_attention_mask,
        past_key_values=past_key_values,
        use_cache=True,
        return_dict=True,
    )
    last = decoded.last_hidden_state[0, -1]
    postnet = model.speech_decoder_postnet
    spectrum = postnet.feat_out(last).view(model.config.reduction_factor, model.config.num_mel_bins)
    return {
        "output_sequence_out": torch.cat([output_sequence, spectrum[-1:][None]], dim=1),
        "spectrum": spectrum,
        "prob": torch.sigmoid(postnet.prob_out(last)),
        "past_key_values": decoded.past_key_values,
    }


def postnet(model: Any, *, spectrogram: torch.Tensor) -> dict[str, torch.Tensor]:
    """What ``_generate_speech`` does to the whole spectrogram, (frames, mel bins)."""
    return {"postnet_spectrogram": model.speech_decoder_postnet.postnet(spectrogram[None])[0]}


def postnet_and_vocoder(model: Any, *, spectrogram: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same, and the waveform of it, (samples,), by the vocoder that lies beside the model."""
    return {"waveform": model.vocoder(model.speech_decoder_postnet.postnet(spectrogram[None])[0])}
