"""VITS, with what else decides how it speaks as inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from onnx_export_action.traceable.parts import replaced


def speech(
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
    with replaced(model, **noise):
        outputs: Mapping[str, Any] = model(
            input_ids=input_ids, attention_mask=attention_mask, speaking_rate=speaking_rate
        )
        return outputs
