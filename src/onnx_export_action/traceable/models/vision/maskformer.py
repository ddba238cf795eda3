"""MaskFormer, which copies the layers of Swin V2."""

from __future__ import annotations

from onnx_export_action.traceable.models.vision.swinv2 import pad_pairs, pad_patches, pad_windows
from onnx_export_action.traceable.private_names import Patch

_FILE = "transformers.models.maskformer.modeling_maskformer_swin"

PATCHES = (
    Patch(f"{_FILE}.MaskFormerSwinPatchEmbeddings.maybe_pad", replacement=pad_patches),
    Patch(f"{_FILE}.MaskFormerSwinPatchMerging.maybe_pad", replacement=pad_pairs),
    Patch(f"{_FILE}.MaskFormerSwinLayer.maybe_pad", replacement=pad_windows),
)
