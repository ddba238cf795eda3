"""How a model type is exported: the configuration classes, one short class per architecture, and their register.

Every public name of the modules below can be imported from here; the module that holds it is loaded on first use, so
that a hook that needs one short function does not wait for every class.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from onnx_export_action.onnx_config.registry import CLASS_MODULES
from onnx_export_action.vocabulary.names.components import ComponentKind as ComponentKind

if TYPE_CHECKING:
    from onnx_export_action.onnx_config.architectures.audio import *
    from onnx_export_action.onnx_config.architectures.audio_generation import *
    from onnx_export_action.onnx_config.architectures.diffusion import *
    from onnx_export_action.onnx_config.architectures.multimodal import *
    from onnx_export_action.onnx_config.architectures.sentence import *
    from onnx_export_action.onnx_config.architectures.seq2seq import *
    from onnx_export_action.onnx_config.architectures.text_decoders import *
    from onnx_export_action.onnx_config.architectures.text_encoders import *
    from onnx_export_action.onnx_config.architectures.time_series import *
    from onnx_export_action.onnx_config.architectures.vision import *
    from onnx_export_action.onnx_config.base import *
    from onnx_export_action.onnx_config.dummy_inputs.audio import *
    from onnx_export_action.onnx_config.dummy_inputs.base import *
    from onnx_export_action.onnx_config.dummy_inputs.cache import *
    from onnx_export_action.onnx_config.dummy_inputs.diffusion import *
    from onnx_export_action.onnx_config.dummy_inputs.series import *
    from onnx_export_action.onnx_config.dummy_inputs.text import *
    from onnx_export_action.onnx_config.dummy_inputs.usual import *
    from onnx_export_action.onnx_config.dummy_inputs.vision import *
    from onnx_export_action.onnx_config.encoder_decoder import *
    from onnx_export_action.onnx_config.features import *
    from onnx_export_action.onnx_config.modalities import *
    from onnx_export_action.onnx_config.model_inputs import *
    from onnx_export_action.onnx_config.normalized import *
    from onnx_export_action.onnx_config.outputs import *
    from onnx_export_action.onnx_config.registry import *
    from onnx_export_action.onnx_config.registry.architecture_tasks import *
    from onnx_export_action.onnx_config.registry.auto_classes import *
    from onnx_export_action.onnx_config.registry.model_types import *
    from onnx_export_action.onnx_config.shapes import *
    from onnx_export_action.onnx_config.with_past import *

_BASE_MODULES = (
    "base",
    "dummy_inputs.audio",
    "dummy_inputs.base",
    "dummy_inputs.cache",
    "dummy_inputs.diffusion",
    "dummy_inputs.series",
    "dummy_inputs.text",
    "dummy_inputs.usual",
    "dummy_inputs.vision",
    "encoder_decoder",
    "features",
    "modalities",
    "model_inputs",
    "normalized",
    "outputs",
    "registry",
    "registry.architecture_tasks",
    "registry.auto_classes",
    "registry.model_types",
    "shapes",
    "with_past",
)
_MODULES = tuple(f"{__name__}.{module}" for module in _BASE_MODULES) + CLASS_MODULES


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        for module in _MODULES:
            if name in _public_names(module):
                return getattr(importlib.import_module(module), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *(name for module in _MODULES for name in _public_names(module))})


def _public_names(module: str) -> list[str]:
    """What the module itself defines, not what it imports."""
    names = vars(importlib.import_module(module)).items()
    return [
        name for name, value in names if not name.startswith("_") and getattr(value, "__module__", module) == module
    ]
