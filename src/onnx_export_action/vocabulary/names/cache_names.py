"""Names of what a decoder remembers: inputs with its past, and outputs with the same, later.

Keys and values are ``past_key_values.N.key`` and ``present.N.key``, as optimum names them; states of convolutions and
recurrences ``past_conv.N`` and ``present_conv.N``, as transformers.js 4 does (packages/transformers/src/configs.js in
https://github.com/huggingface/transformers.js).
"""

from __future__ import annotations

KEYS_AND_VALUES, PRESENT = "past_key_values.", "present."

_STATES = ("conv", "ssm", "recurrent")
_PAST_OF = {PRESENT: KEYS_AND_VALUES, **{f"present_{state}.": f"past_{state}." for state in _STATES}}
_PAST, _PRESENT = tuple(_PAST_OF.values()), tuple(_PAST_OF)


def is_past(name: str) -> bool:
    """Whether an input of this name is a part of a cache."""
    return name.startswith(_PAST)


def is_present(name: str) -> bool:
    """Whether an output of this name is a part of a cache."""
    return name.startswith(_PRESENT)


def is_cache(name: str) -> bool:
    """Whether an input or output of this name is a part of a cache."""
    return is_past(name) or is_present(name)


def past_name(present: str) -> str:
    """The input that takes what the output ``present`` gives."""
    prefix = next(prefix for prefix in _PRESENT if present.startswith(prefix))
    return _PAST_OF[prefix] + present.removeprefix(prefix)
