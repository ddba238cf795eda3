"""``genai_config.json``, by which onnxruntime-genai loads a text decoder from the artifact folder.

It holds what that runtime cannot see in the file, and the defaults of a search. Names and meanings are those of
onnxruntime-genai 0.18 (src/config.h in https://github.com/microsoft/onnxruntime-genai). Paths are relative to the
folder that holds it, so it lies at the top, beside the tokenizer, and names ``onnx/model.onnx``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onnx_export_action.vocabulary.manifest import OnnxFileRecord
from onnx_export_action.vocabulary.names.cache_names import KEYS_AND_VALUES, PRESENT, is_cache
from onnx_export_action.vocabulary.outcomes import DecoderFacts
from onnx_export_action.vocabulary.variants import VARIANTS

GENAI_CONFIG = "genai_config.json"

_LOGITS = "logits"
_ROWS_AND_POSITIONS = 2
_INPUTS = ("input_ids", "attention_mask", "position_ids")

# What it computes is said by the graph; the names of single architectures change what it feeds, as their own builder's
# files want it (src/models/model_type.h).
_TYPE = "decoder"

# What a search takes from generation_config.json, and what transformers takes where that says nothing.
_SEARCH: Mapping[str, bool | float] = {
    "diversity_penalty": 0.0,
    "do_sample": False,
    "early_stopping": False,
    "length_penalty": 1.0,
    "min_length": 0,
    "no_repeat_ngram_size": 0,
    "num_beams": 1,
    "num_return_sequences": 1,
    "repetition_penalty": 1.0,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
}


def genai_config(
    facts: DecoderFacts, generation: Mapping[str, Any], files: Sequence[OnnxFileRecord]
) -> dict[str, Any] | None:
    """Its content for the file of ``files`` that is nearest to the model; ``generation`` is generation_config.json.

    None where that runtime cannot feed the file, or where the model does not say how many positions it takes: it
    makes room for so many.
    """
    order = list(VARIANTS)
    fed = [file for file in files if _is_fed(file)]
    if not fed or facts.context_length is None:
        return None
    file = min(fed, key=lambda one: order.index(one.variant))
    vocabulary = int(file.outputs[_LOGITS].shape[-1])
    return {
        "model": {
            **_token_ids(facts, generation, vocabulary),
            "context_length": facts.context_length,
            "decoder": _decoder(facts, file),
            "type": _TYPE,
            "vocab_size": vocabulary,
        },
        "search": {
            **{name: _of_type_of(default, generation.get(name)) for name, default in _SEARCH.items()},
            "max_length": facts.context_length,
            "past_present_share_buffer": False,
        },
    }


def _is_fed(file: OnnxFileRecord) -> bool:
    """Whether it knows every input, and what to start each cache with: it takes a value to be as large as its key."""
    caches = {name: record.shape for name, record in file.inputs.items() if name.startswith(KEYS_AND_VALUES)}
    others = [name for name in file.inputs if name not in caches]
    keys, values = ({_layer(name): caches[name] for name in caches if name.endswith(end)} for end in (".key", ".value"))
    return (
        bool(keys)
        and keys == values
        and len(caches) == len(keys) + len(values)
        and "input_ids" in others
        and set(others) <= set(_INPUTS)
        and all(len(file.inputs[name].shape) == _ROWS_AND_POSITIONS for name in others)
        and _LOGITS in file.outputs
        and isinstance(file.outputs[_LOGITS].shape[-1], int)
        and all(name == _LOGITS or is_cache(name) for name in file.outputs)
    )


def _layer(name: str) -> str:
    return name.removeprefix(KEYS_AND_VALUES).rpartition(".")[0]


def _decoder(facts: DecoderFacts, file: OnnxFileRecord) -> dict[str, Any]:
    keys = [record.shape for name, record in file.inputs.items() if is_cache(name) and name.endswith(".key")]
    _, heads, _, head_size = keys[0]
    told = {"hidden_size": facts.hidden_size, "num_attention_heads": facts.num_attention_heads}
    return {
        "filename": file.path,
        "head_size": head_size,
        **{name: value for name, value in told.items() if value is not None},
        "inputs": {
            **{name: name for name in _INPUTS if name in file.inputs},
            "past_key_names": f"{KEYS_AND_VALUES}%d.key",
            "past_value_names": f"{KEYS_AND_VALUES}%d.value",
        },
        "num_hidden_layers": len(keys),
        "num_key_value_heads": heads,
        "outputs": {
            _LOGITS: _LOGITS,
            "present_key_names": f"{PRESENT}%d.key",
            "present_value_names": f"{PRESENT}%d.value",
        },
        "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
    }


def _token_ids(facts: DecoderFacts, generation: Mapping[str, Any], vocabulary: int) -> dict[str, Any]:
    """As ``generate`` of transformers takes them: a text is padded with its first end where nothing else is said.

    Ids outside the vocabulary, which tell transformers nothing, would keep this runtime from starting.
    """

    def known(value: Any) -> list[int]:
        values = value if isinstance(value, list) else [value]
        return [one for one in values if isinstance(one, int) and not isinstance(one, bool) and 0 <= one < vocabulary]

    ends = known(generation.get("eos_token_id")) or known(facts.eos_token_ids)
    told = {
        "bos_token_id": known(generation.get("bos_token_id")) or known(facts.bos_token_id),
        "pad_token_id": known(generation.get("pad_token_id")) or known(facts.pad_token_id) or ends,
    }
    ids: dict[str, Any] = {name: found[0] for name, found in told.items() if found}
    return {**ids, "eos_token_id": ends[0] if len(ends) == 1 else ends} if ends else ids


def _of_type_of(default: bool | float, value: Any) -> bool | float:
    """A value of generation_config.json, or the default where there is none of its kind."""
    if isinstance(default, bool):
        return value if isinstance(value, bool) else default
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(default)(value) if is_number else default
