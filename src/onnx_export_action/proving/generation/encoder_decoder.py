"""Greedy generation of encoder-decoders (text, speech, images): ``model.generate`` against the ONNX files.

The encoder's own file encodes, the decoder's file goes on with its cache, as a user's program does. A decoder without
a cache reads the whole text again at each step. Like :mod:`.generation`, it is fed the reference's tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.proving.arrays import Arrays
from onnx_export_action.proving.cases.grid import plan_cases
from onnx_export_action.proving.generation.decoder_only import (
    NEW_TOKENS,
    Generated,
    GreedyChoices,
    why_generate_fails,
)
from onnx_export_action.proving.measures.tolerance import Tolerance
from onnx_export_action.proving.records import ComponentRecord, GenerationRecord
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.names.components import ComponentKind
from onnx_export_action.vocabulary.results import Padding

ENCODER, DECODER, DECODER_WITH_PAST = (kind.value for kind in list(ComponentKind)[1:])
_ENCODER_INPUT = "encoder:"
_HIDDEN, _MASK = "encoder_hidden_states", "encoder_attention_mask"
_KNOWN_INPUTS = {"input_ids", _HIDDEN, _MASK, "decoder_attention_mask"}

# Component, its inputs -> its outputs.
Run = Callable[[ComponentRecord, Mapping[str, np.ndarray[Any, Any]]], Arrays]


def can_generate_from_encoder(components: Mapping[str, OnnxConfig]) -> bool:
    """Whether the components are an encoder, and a decoder of tokens whose inputs are all known here."""
    if not {ENCODER, DECODER} <= set(components):
        return False
    decoders = [components[name] for name in (DECODER, DECODER_WITH_PAST) if name in components]
    named = {name for decoder in decoders for name in decoder.inputs if not name.startswith("past_key_values.")}
    return "logits" in components[DECODER].outputs and {"input_ids", _HIDDEN} <= named <= _KNOWN_INPUTS


def generate_from_encoder(
    model: Any, components: Mapping[str, OnnxConfig], job: Job, folder: Path
) -> tuple[GenerationRecord, str | None]:
    """Generate with PyTorch from one case of the encoder's grid; the text says why PyTorch itself cannot."""
    import torch
    from transformers import GenerationConfig, GenerationMixin

    start = _start_token(model)
    if start is None or not model.can_generate():
        return GenerationRecord(), "generation was not compared: the model does not say with which token it begins"
    encoder, decoder = components[ENCODER], components[DECODER]
    inputs = _encoder_inputs(encoder, job)
    positions = decoder.max_sequence_length
    settings = GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=min(NEW_TOKENS, (positions or 10_000) - 1),
        use_cache=True,
        decoder_start_token_id=start,
        pad_token_id=0,
    )
    model.generation_config = settings
    try:
        with torch.inference_mode():
            # Whisper's own generate looks for languages and times first; what it calls in the end is this.
            generated = GenerationMixin.generate(
                model, **{name: torch.from_numpy(array) for name, array in inputs.items()}, generation_config=settings
            )
    except Exception as error:  # generate has paths that fail for some types, whatever their forward does
        return GenerationRecord(), why_generate_fails(error)
    tokens = np.ascontiguousarray(generated.numpy())
    arrays = {f"{_ENCODER_INPUT}{name}": array for name, array in inputs.items()} | {"tokens": tokens}
    if "attention_mask" in inputs and _reads_the_encoders_mask(encoder, decoder):
        arrays[_MASK] = inputs["attention_mask"]
    file = f"{DECODER}.generation.safetensors"
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / file)
    return GenerationRecord(file=file, prompts=len(tokens), tokens=int(tokens.shape[1]) - 1), None


def _start_token(model: Any) -> int | None:
    config = model.config.get_text_config(decoder=True)
    for owner in (model.generation_config, model.config, config):
        for name in ("decoder_start_token_id", "bos_token_id"):
            found = getattr(owner, name, None)
            if isinstance(found, int) and 0 <= found < config.vocab_size:
                return found
    return None


def _encoder_inputs(encoder: OnnxConfig, job: Job) -> Arrays:
    """A batch for the encoder: padded text; for sound and images, whose masks decoders read in other units, none."""
    specs = plan_cases(encoder, seed=job.options.seed)
    is_text = "input_ids" in encoder.inputs
    chosen = next((spec for spec in specs if is_text or spec.padding is Padding.NONE), specs[0])
    return chosen.arrays(encoder)


def _reads_the_encoders_mask(encoder: OnnxConfig, decoder: OnnxConfig) -> bool:
    return encoder.inputs.get("attention_mask", {}).get(1) == decoder.inputs.get(_MASK, {}).get(1)


def check_generation_from_encoder(
    run: Run,
    encode: Callable[[Arrays], np.ndarray[Any, Any]],
    decoders: Sequence[ComponentRecord],
    generation: GenerationRecord,
    tolerance: Tolerance,
    file: Path,
) -> Generated:
    """Feed the reference's tokens through the decoder's file and compare the greedy choice at every step.

    ``encode`` turns the encoder's inputs into its hidden states, ``decoders`` are the components of the file: one that
    reads everything anew, or with it the one that goes on from the cache.
    """
    arrays = load_file(file)
    tokens = arrays.pop("tokens")
    given = {name.removeprefix(_ENCODER_INPUT): a for name, a in arrays.items() if name.startswith(_ENCODER_INPUT)}
    hidden = encode(given)
    feeds = {_HIDDEN: hidden, _MASK: arrays.get(_MASK, np.ones(hidden.shape[:2], np.int64))}
    cached: Arrays = {}
    choices = GreedyChoices(tolerance)
    for step in range(tokens.shape[1] - 1):
        goes_on = step > 0 and len(decoders) > 1
        record = decoders[1] if goes_on else decoders[0]
        feeds["input_ids"] = tokens[:, step : step + 1] if goes_on else tokens[:, : step + 1]
        feeds["decoder_attention_mask"] = np.ones((len(tokens), step + 1), np.int64)
        outputs = run(record, {name: (feeds | cached)[name] for name in record.inputs})
        choices.add(outputs["logits"][:, -1], tokens[:, step + 1])
        # The encoder's part of the cache is made once; later steps give the decoder's part alone.
        cached |= {
            name.replace("present", "past_key_values", 1): array
            for name, array in outputs.items()
            if name.startswith("present.")
        }
    return choices.generated(generation)
