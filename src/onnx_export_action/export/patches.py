"""Functions of transformers that a graph cannot be made of, and what stands in for them while it is made.

Each names the version it is needed for. The reference never sees them: it runs the untouched model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from onnx_export_action.onnx_config.base import PatchingSpec

_PATCHES: dict[str, Callable[[], list[PatchingSpec]]] = {}


def patches_for(model: torch.nn.Module) -> list[PatchingSpec]:
    """The patches that the types of a model and of its parts need."""
    configs = (getattr(module, "config", None) for module in model.modules())
    types = dict.fromkeys(getattr(config, "model_type", None) for config in configs)
    return [spec for model_type in types if model_type in _PATCHES for spec in _PATCHES[model_type]()]


def _for_type(*model_types: str) -> Callable[[Callable[[], list[PatchingSpec]]], Callable[[], list[PatchingSpec]]]:
    def register(make: Callable[[], list[PatchingSpec]]) -> Callable[[], list[PatchingSpec]]:
        _PATCHES.update(dict.fromkeys(model_types, make))
        return make

    return register


@_for_type("moonshine")
def _moonshine() -> list[PatchingSpec]:
    """``_get_feat_extract_output_lengths`` goes through Python's ``int``, which fixes the traced length (5.23)."""
    from transformers.models.moonshine.modeling_moonshine import MoonshinePreTrainedModel

    def lengths(_: object, samples: torch.Tensor) -> torch.Tensor:
        for kernel, stride in ((127, 64), (7, 3), (3, 2)):
            samples = (samples - kernel) // stride + 1
        return samples

    return [PatchingSpec(MoonshinePreTrainedModel, "_get_feat_extract_output_lengths", lengths)]


@_for_type("mobilenet_v1")
def _mobilenet_v1() -> list[PatchingSpec]:
    """``apply_tf_padding`` chooses in Python by the size of the features, which fixes it (5.23)."""
    from transformers.models.mobilenet_v1 import modeling_mobilenet_v1

    return [PatchingSpec(modeling_mobilenet_v1, "apply_tf_padding", _same_padding)]


@_for_type("mobilenet_v2")
def _mobilenet_v2() -> list[PatchingSpec]:
    """As MobileNet V1."""
    from transformers.models.mobilenet_v2 import modeling_mobilenet_v2

    return [PatchingSpec(modeling_mobilenet_v2, "apply_tf_padding", _same_padding)]


def _same_padding(features: torch.Tensor, convolution: torch.nn.Conv2d) -> torch.Tensor:
    """Pad (batch, channels, height, width) as TensorFlow's SAME does, by arithmetic alone.

    Of n pixels at stride s the last window begins at the largest multiple of s below n and needs as many as the
    kernel has: https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    padding: list[Any] = []
    for axis in (1, 0):
        kernel, stride = convolution.kernel_size[axis], convolution.stride[axis]
        missing = kernel - 1 - (features.shape[axis - 2] - 1) % stride
        padding += [missing // 2, missing - missing // 2] if kernel > stride else [0, 0]
    return torch.nn.functional.pad(features, padding)


@_for_type("maskformer", "maskformer-swin")
def _maskformer() -> list[PatchingSpec]:
    """As Swin V2, whose layers are copied there."""
    from transformers.models.maskformer import modeling_maskformer_swin as swin

    return _padding_of_any_size(
        swin.MaskFormerSwinPatchEmbeddings, swin.MaskFormerSwinPatchMerging, swin.MaskFormerSwinLayer
    )


@_for_type("swinv2")
def _swinv2() -> list[PatchingSpec]:
    """Patches, pairs and windows are padded only if they must be, which Python decides (``maybe_pad``, 5.23)."""
    from transformers.models.swinv2 import modeling_swinv2 as swin

    return _padding_of_any_size(swin.Swinv2PatchEmbeddings, swin.Swinv2PatchMerging, swin.Swinv2Layer)


def _padding_of_any_size(patches: type, pairs: type, windows: type) -> list[PatchingSpec]:
    """Functions that always pad, by as much as is missing, if that is nothing; ``windows`` then always cut it off."""

    def pad_patches(self: Any, pixels: torch.Tensor, height: Any, width: Any) -> torch.Tensor:
        missing = (-width % self.patch_size[1], -height % self.patch_size[0])
        return torch.nn.functional.pad(pixels, (0, missing[0], 0, missing[1]))

    def pad_pairs(_: Any, features: torch.Tensor, height: Any, width: Any) -> torch.Tensor:
        return torch.nn.functional.pad(features, (0, 0, 0, width % 2, 0, height % 2))

    def pad_windows(self: Any, features: torch.Tensor, height: Any, width: Any) -> tuple[torch.Tensor, tuple[int, ...]]:
        padding = (0, 0, 0, -width % self.window_size, 0, -height % self.window_size)
        return torch.nn.functional.pad(features, padding), (0, 0, 0, 1, 0, 1)

    return [
        PatchingSpec(patches, "maybe_pad", pad_patches),
        PatchingSpec(pairs, "maybe_pad", pad_pairs),
        PatchingSpec(windows, "maybe_pad", pad_windows),
    ]


@_for_type("longformer")
def _longformer() -> list[PatchingSpec]:
    """Windows cut out of a text at steps, and as many places for global tokens as one batch has (5.23).

    ``LongformerSelfAttention`` reads both as Python numbers, and so keeps those of the traced input; it also needs
    texts padded to a whole number of windows, by a branch that a trace takes or leaves for good.
    """
    from transformers.models.longformer.modeling_longformer import LongformerModel, LongformerSelfAttention

    from onnx_export_action.export.longformer import window_attention, without_padding

    return [
        PatchingSpec(LongformerSelfAttention, "forward", window_attention),
        PatchingSpec(LongformerModel, "_pad_to_window_size", without_padding),
    ]


@_for_type("led")
def _led() -> list[PatchingSpec]:
    """As Longformer, whose attention LED's encoder copies."""
    from transformers.models.led.modeling_led import LEDEncoder, LEDEncoderSelfAttention

    from onnx_export_action.export.longformer import window_attention, without_padding

    return [
        PatchingSpec(LEDEncoderSelfAttention, "forward", window_attention),
        PatchingSpec(LEDEncoder, "_pad_to_window_size", without_padding),
    ]


@_for_type("mamba", "falcon_mamba", "jamba", "zamba")
def _selective_scan() -> list[PatchingSpec]:
    """The loop over the positions, which a trace keeps as long as it was (5.23)."""
    from transformers.models.falcon_mamba import modeling_falcon_mamba
    from transformers.models.jamba import modeling_jamba
    from transformers.models.mamba import modeling_mamba
    from transformers.models.zamba import modeling_zamba

    from onnx_export_action.export.recurrences import selective_scan

    modules = (modeling_falcon_mamba, modeling_jamba, modeling_mamba, modeling_zamba)
    return [PatchingSpec(module, "mamba_selective_scan", selective_scan) for module in modules]


@_for_type("recurrent_gemma")
def _recurrent_gemma() -> list[PatchingSpec]:
    """As Mamba."""
    from transformers.models.recurrent_gemma.modeling_recurrent_gemma import RecurrentGemmaRglru

    from onnx_export_action.export.recurrences import rnn_scan

    return [PatchingSpec(RecurrentGemmaRglru, "_rnn_scan", rnn_scan)]


@_for_type("rwkv")
def _rwkv() -> list[PatchingSpec]:
    """As Mamba."""
    from transformers.models.rwkv import modeling_rwkv

    from onnx_export_action.export.recurrences import rwkv_linear_attention

    return [PatchingSpec(modeling_rwkv, "rwkv_linear_attention", rwkv_linear_attention)]
