"""How a model type is exported: the configuration classes, one short class per architecture, and their register."""

from onnx_export_action.onnx_config.audio import Wav2Vec2OnnxConfig, WhisperOnnxConfig
from onnx_export_action.onnx_config.base import (
    ComponentKind,
    OnnxConfig,
    OnnxConfigWithPast,
    OnnxSeq2SeqConfigWithPast,
    PatchingSpec,
)
from onnx_export_action.onnx_config.dummy_inputs import (
    DummyAudioInputGenerator,
    DummyDecoderTextInputGenerator,
    DummyEncoderOutputGenerator,
    DummyInputGenerator,
    DummyPastKeyValuesGenerator,
    DummyTextInputGenerator,
    DummyVisionInputGenerator,
)
from onnx_export_action.onnx_config.features import FeaturesManager
from onnx_export_action.onnx_config.modalities import (
    AudioOnnxConfig,
    AudioToTextOnnxConfig,
    TextAndVisionOnnxConfig,
    TextDecoderOnnxConfig,
    TextDecoderWithPositionIdsOnnxConfig,
    TextEncoderOnnxConfig,
    TextSeq2SeqOnnxConfig,
    VisionOnnxConfig,
)
from onnx_export_action.onnx_config.multimodal import CLIPOnnxConfig, VisionEncoderDecoderOnnxConfig
from onnx_export_action.onnx_config.normalized import (
    NormalizedConfig,
    NormalizedEncoderDecoderConfig,
    NormalizedSeq2SeqConfig,
    NormalizedTextAndVisionConfig,
    NormalizedTextConfig,
    NormalizedTextConfigWithGQA,
    NormalizedVisionConfig,
)
from onnx_export_action.onnx_config.registry import TasksManager, supported_tasks_mapping
from onnx_export_action.onnx_config.seq2seq import BartOnnxConfig, T5OnnxConfig
from onnx_export_action.onnx_config.shapes import DEFAULT_DUMMY_SHAPES, DummyShapes, ShapeLimit
from onnx_export_action.onnx_config.text_decoders import GPT2OnnxConfig, LlamaOnnxConfig, Qwen2OnnxConfig
from onnx_export_action.onnx_config.text_encoders import BertOnnxConfig, DistilBertOnnxConfig, RobertaOnnxConfig
from onnx_export_action.onnx_config.vision import ResNetOnnxConfig, ViTOnnxConfig

__all__ = [
    "DEFAULT_DUMMY_SHAPES",
    "AudioOnnxConfig",
    "AudioToTextOnnxConfig",
    "BartOnnxConfig",
    "BertOnnxConfig",
    "CLIPOnnxConfig",
    "ComponentKind",
    "DistilBertOnnxConfig",
    "DummyAudioInputGenerator",
    "DummyDecoderTextInputGenerator",
    "DummyEncoderOutputGenerator",
    "DummyInputGenerator",
    "DummyPastKeyValuesGenerator",
    "DummyShapes",
    "DummyTextInputGenerator",
    "DummyVisionInputGenerator",
    "FeaturesManager",
    "GPT2OnnxConfig",
    "LlamaOnnxConfig",
    "NormalizedConfig",
    "NormalizedEncoderDecoderConfig",
    "NormalizedSeq2SeqConfig",
    "NormalizedTextAndVisionConfig",
    "NormalizedTextConfig",
    "NormalizedTextConfigWithGQA",
    "NormalizedVisionConfig",
    "OnnxConfig",
    "OnnxConfigWithPast",
    "OnnxSeq2SeqConfigWithPast",
    "PatchingSpec",
    "Qwen2OnnxConfig",
    "ResNetOnnxConfig",
    "RobertaOnnxConfig",
    "ShapeLimit",
    "T5OnnxConfig",
    "TasksManager",
    "TextAndVisionOnnxConfig",
    "TextDecoderOnnxConfig",
    "TextDecoderWithPositionIdsOnnxConfig",
    "TextEncoderOnnxConfig",
    "TextSeq2SeqOnnxConfig",
    "ViTOnnxConfig",
    "VisionEncoderDecoderOnnxConfig",
    "VisionOnnxConfig",
    "Wav2Vec2OnnxConfig",
    "WhisperOnnxConfig",
    "supported_tasks_mapping",
]
