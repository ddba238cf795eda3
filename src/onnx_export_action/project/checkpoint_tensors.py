"""What the tensors of a checkpoint are, by their names and number formats alone: shared by the hook and the loader.

Formats are named as safetensors names them: https://huggingface.co/docs/safetensors#format
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable

_SHOWN = 3

WHOLE_FORMATS = frozenset({"I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "BOOL"})
# Numbers that mean nothing without a scale.
SCALED_FORMATS = frozenset(
    {
        *("F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"),
        *("F4", "F4_E2M1", "F6_E2M3", "F6_E3M2"),
    }
)


class TensorKind(enum.Enum):
    """What a tensor is that a plain model has no place for."""

    SCALE = enum.auto()
    ADAPTER = enum.auto()
    OTHER = enum.auto()


# As compressed-tensors, fine-grained FP8, GPTQ and AWQ, bitsandbytes, MXFP4 and torchao name what they store.
_SCALE = re.compile(
    r"(?:^|[.:])(?:weight_scale(?:_inv|_2)?|weight_zero_point|weight_packed|weight_shape|weight_g_idx|weight_format"
    r"|input_scale|output_scale|qdata|qweight|qzeros|g_idx|absmax|nested_absmax|quant_map|nested_quant_map|SCB)$"
    r"|\.quant_state\.|_(?:blocks|scales)$"
)
# As peft names what it adds to a layer.
_ADAPTER = re.compile(
    r"(?:^|\.)(?:lora_(?:A|B|embedding_A|embedding_B|magnitude_vector)|hada_w\d_[ab]|ia3_l|base_layer)\b"
)


def kind_of(name: str) -> TensorKind:
    """What the name of a tensor says of it."""
    if _ADAPTER.search(name):
        return TensorKind.ADAPTER
    return TensorKind.SCALE if _SCALE.search(name) else TensorKind.OTHER


def listed(names: Iterable[str], separator: str = ", ") -> str:
    """The first few names, and how many more there are."""
    found = sorted(names)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return separator.join(found[:_SHOWN]) + more
