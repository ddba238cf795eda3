"""MobileNet V2, which pads as MobileNet V1 does."""

from __future__ import annotations

from onnx_export_action.traceable.models.vision.mobilenet_v1 import same_padding
from onnx_export_action.traceable.private_names import Patch

PATCHES = (Patch("transformers.models.mobilenet_v2.modeling_mobilenet_v2.apply_tf_padding", replacement=same_padding),)
