"""LED, whose encoder copies the attention of Longformer."""

from __future__ import annotations

from onnx_export_action.traceable.models.text.longformer import window_attention, without_padding
from onnx_export_action.traceable.private_names import Patch

_FILE = "transformers.models.led.modeling_led"

PATCHES = (
    Patch(f"{_FILE}.LEDEncoderSelfAttention.forward", replacement=window_attention),
    Patch(f"{_FILE}.LEDEncoder._pad_to_window_size", replacement=without_padding),
)
