"""What files compute that no ``forward`` of the model computes alone: most often a part of it.

A configuration class names one of these functions in ``CALLS``. Each takes the model and the file's inputs by name,
and returns the file's outputs by name. What they do is cut out of the whole model's own code; a test puts the parts
together again and compares them with the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from transformers import EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

Part = Callable[..., Mapping[str, Any]]

PARTS: dict[str, Part] = {}


def part(function: Part) -> Part:
    """Make a function known under its own name."""
    PARTS[function.__name__] = function
    return function


@part
def sam_vision_encoder(model: Any, *, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
    """The first half of ``SamModel.forward``: all that does not depend on the prompt."""
    positions = model.get_image_wide_positional_embeddings()
    return {
        "image_embeddings": model.vision_encoder(pixel_values).last_hidden_state,
        "image_positional_embeddings": positions.repeat(pixel_values.shape[0], 1, 1, 1),
    }


@part
def sam_prompt_encoder_mask_decoder(
    model: Any,
    *,
    input_points: torch.Tensor,
    input_labels: torch.Tensor,
    image_embeddings: torch.Tensor,
    image_positional_embeddings: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """The second half of ``SamModel.forward``, for points and with three masks for each set, its default."""
    sparse, dense = model.prompt_encoder(
        input_points=input_points, input_labels=input_labels, input_boxes=None, input_masks=None
    )
    masks, scores = model.mask_decoder(
        image_embeddings=image_embeddings,
        image_positional_embeddings=image_positional_embeddings,
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    return {"iou_scores": scores, "pred_masks": masks}


@part
def colpali_page(
    model: Any, *, input_ids: torch.Tensor, attention_mask: torch.Tensor, pixel_values: torch.Tensor
) -> Mapping[str, Any]:
    """The embeddings of pages, whose tokens are all of the kind that ``ColPaliProcessor`` says: 0.

    Left to itself, transformers 5.23 lets the tokens of an unpadded batch see all others and those of a padded batch
    only the earlier ones (``PaliGemmaModel`` asks for a causal mask, which is left out where nothing is padded, and
    ``GemmaAttention.is_causal`` is False). Told the kinds it lets all see all, as it was trained.
    """
    outputs: Mapping[str, Any] = model(
        input_ids=input_ids,
        attention_mask=attention_mask,
        pixel_values=pixel_values,
        token_type_ids=torch.zeros_like(input_ids),
        use_cache=False,
    )
    return outputs


@part
def moonshine_decoder(
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


@part
def vits(
    model: Any,
    *,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    speaking_rate: torch.Tensor,
    **noise: torch.Tensor,
) -> Mapping[str, Any]:
    """``VitsModel.forward`` with what else decides how it speaks, which the model keeps in attributes.

    ``noise`` is ``noise_scale`` and, for models that draw durations, ``noise_scale_duration``.
    """
    with _replaced(model, **noise):
        outputs: Mapping[str, Any] = model(
            input_ids=input_ids, attention_mask=attention_mask, speaking_rate=speaking_rate
        )
        return outputs


@part
def speecht5_encoder(model: Any, *, input_ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """The first lines of ``_generate_speech`` in transformers' ``modeling_speecht5``: one text, and where it ends."""
    mask = (input_ids != model.config.pad_token_id).long()
    encoded = model.speecht5.encoder(input_values=input_ids, attention_mask=mask, return_dict=True)
    return {"encoder_outputs": encoded.last_hidden_state, "encoder_attention_mask": mask}


@part
def speecht5_decoder(
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
    with _replaced(type(prenet), _consistent_dropout=dropout):
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


@part
def speecht5_postnet(model: Any, *, spectrogram: torch.Tensor) -> dict[str, torch.Tensor]:
    """What ``_generate_speech`` does to the whole spectrogram, (frames, mel bins)."""
    return {"postnet_spectrogram": model.speech_decoder_postnet.postnet(spectrogram[None])[0]}


@part
def speecht5_postnet_and_vocoder(model: Any, *, spectrogram: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same, and the waveform of it, (samples,), by the vocoder that lies beside the model."""
    return {"waveform": model.vocoder(model.speech_decoder_postnet.postnet(spectrogram[None])[0])}


@part
def musicgen_text_encoder(
    model: Any, *, input_ids: torch.Tensor, attention_mask: torch.Tensor
) -> dict[str, torch.Tensor]:
    """What is computed once a text."""
    return {"last_hidden_state": model.text_encoder(input_ids=input_ids, attention_mask=attention_mask)[0]}


@part
def musicgen_encodec_decode(model: Any, *, audio_codes: torch.Tensor) -> dict[str, torch.Tensor]:
    """Sound, (batch, channels, samples), from words that lie side by side: without the delay of the codebooks."""
    return {"audio_values": model.audio_encoder.decode(audio_codes, audio_scales=[None]).audio_values}


@part
def musicgen_build_delay_pattern_mask(
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


@contextmanager
def _replaced(target: Any, **attributes: Any) -> Iterator[None]:
    """Give an object other attributes for a while."""
    before = {name: getattr(target, name) for name in attributes}
    try:
        for name, value in attributes.items():
            setattr(target, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(target, name, value)


def unused_states(model: Any, cache: EncoderDecoderCache | None) -> torch.Tensor:
    """States of the encoder for a decoder that has a filled cache of cross-attention: zeros.

    With it the layers read only the cache, but skip cross-attention altogether when no encoder states are given.

    Raises:
        ValueError: there is no cache either.
    """
    if cache is None:
        message = "a decoder needs the encoder's states or a cache"
        raise ValueError(message)
    keys = cache.cross_attention_cache.layers[0].keys
    config = model.get_encoder().config
    hidden_size = getattr(config, "output_hidden_size", None) or config.hidden_size
    return keys.new_zeros((keys.shape[0], keys.shape[2], hidden_size))


@part
def unet_with_sizes(
    model: Any, *, text_embeds: torch.Tensor, time_ids: torch.Tensor, **inputs: torch.Tensor
) -> Mapping[str, Any]:
    """``UNet2DConditionModel.forward`` of diffusers for Stable Diffusion XL, which takes two inputs as one mapping."""
    outputs: Mapping[str, Any] = model(**inputs, added_cond_kwargs={"text_embeds": text_embeds, "time_ids": time_ids})
    return outputs


@part
def vae_encoder(model: Any, *, sample: torch.Tensor) -> dict[str, torch.Tensor]:
    """``AutoencoderKL.encode`` of diffusers, up to the distribution that a pipeline then draws from."""
    return {"latent_parameters": model.encode(sample).latent_dist.parameters}


@part
def vae_decoder(model: Any, *, latent_sample: torch.Tensor) -> dict[str, torch.Tensor]:
    """``AutoencoderKL.decode`` of diffusers."""
    return {"sample": model.decode(latent_sample).sample}
