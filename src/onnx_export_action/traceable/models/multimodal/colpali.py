"""ColPali, whose files see pages as they were trained to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def page(
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
