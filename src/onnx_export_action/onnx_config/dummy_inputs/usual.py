"""The generators that a configuration class asks unless it names its own, in the order in which they are asked."""

from __future__ import annotations

from onnx_export_action.onnx_config.dummy_inputs.audio import DummyAudioInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.cache import (
    DummyEncoderOutputGenerator,
    DummyPastKeyValuesGenerator,
)
from onnx_export_action.onnx_config.dummy_inputs.text import DummyDecoderTextInputGenerator, DummyTextInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.vision import DummyVisionInputGenerator

# For a configuration class that does not say which it needs; the first that supports an input makes it.
ALL_GENERATORS: tuple[type[DummyInputGenerator], ...] = (
    DummyAudioInputGenerator,
    DummyVisionInputGenerator,
    DummyTextInputGenerator,
    DummyDecoderTextInputGenerator,
    DummyEncoderOutputGenerator,
    DummyPastKeyValuesGenerator,
)
