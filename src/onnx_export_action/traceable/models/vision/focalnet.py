"""FocalNet, which has the patches of Swin V2 alone."""

from __future__ import annotations

from onnx_export_action.traceable.models.vision.swinv2 import pad_patches
from onnx_export_action.traceable.private_names import Patch

PATCHES = (
    Patch("transformers.models.focalnet.modeling_focalnet.FocalNetPatchEmbeddings.maybe_pad", replacement=pad_patches),
)
