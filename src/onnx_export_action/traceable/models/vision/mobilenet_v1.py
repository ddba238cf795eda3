"""MobileNet V1, which chooses its padding in Python by the size of the features, and so fixes it (5.24)."""

from __future__ import annotations

from typing import Any

import torch

from onnx_export_action.traceable.private_names import Patch


def same_padding(features: torch.Tensor, convolution: torch.nn.Conv2d) -> torch.Tensor:
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


PATCHES = (Patch("transformers.models.mobilenet_v1.modeling_mobilenet_v1.apply_tf_padding", replacement=same_padding),)
