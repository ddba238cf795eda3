"""What of a model's configuration clients are told, read from the model that is exported."""

from __future__ import annotations

from typing import Any

from onnx_export_action.onnx_config.normalized import NormalizedConfig
from onnx_export_action.vocabulary.outcomes import DecoderFacts


def decoder_facts(config: Any) -> DecoderFacts:
    """The facts of a model with the ``config`` of transformers, which has the defaults of its type.

    Bloom alone calls its limit ``seq_length``; it is the length of its training.
    """
    text = config.get_text_config(decoder=True)
    normalized = NormalizedConfig(text)
    lengths = (_count(normalized.get("max_position_embeddings")), _count(getattr(text, "seq_length", None)))
    ends = getattr(text, "eos_token_id", None)
    all_ends = (_count(end) for end in (ends if isinstance(ends, list) else [ends]))
    return DecoderFacts(
        context_length=next((length for length in lengths if length is not None), None),
        hidden_size=_count(normalized.get("hidden_size")),
        num_attention_heads=_count(normalized.get("num_attention_heads")),
        bos_token_id=_count(getattr(text, "bos_token_id", None)),
        eos_token_ids=[end for end in all_ends if end is not None],
        pad_token_id=_count(getattr(text, "pad_token_id", None)),
    )


def _count(value: Any) -> int | None:
    """The value where it counts something: a stranger's configuration may hold anything."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
