"""Functions of transformers that a graph cannot be made of, and what stands in for them while it is made.

Each names the version it is needed for. The reference never sees them: it runs the untouched model.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from onnx_export_action.onnx_config.base import PatchingSpec

_PATCHES: dict[str, Callable[[], list[PatchingSpec]]] = {}


def patches_for(model: torch.nn.Module) -> list[PatchingSpec]:
    """The patches that a model's type needs."""
    model_type = getattr(getattr(model, "config", None), "model_type", None)
    return _PATCHES[model_type]() if model_type in _PATCHES else []


def _for_type(model_type: str) -> Callable[[Callable[[], list[PatchingSpec]]], Callable[[], list[PatchingSpec]]]:
    def register(make: Callable[[], list[PatchingSpec]]) -> Callable[[], list[PatchingSpec]]:
        _PATCHES[model_type] = make
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
