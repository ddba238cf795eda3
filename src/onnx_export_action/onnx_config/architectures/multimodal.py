"""Models of text and images: one short class per model type."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import ClassVar

from onnx_export_action.onnx_config.architectures.text_encoders import RobertaOnnxConfig
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.dummy_inputs.audio import DummyMaskedSpeechGenerator, encoded_audio_length
from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.cache import DummyEncoderOutputGenerator, DummyPastKeyValuesGenerator
from onnx_export_action.onnx_config.dummy_inputs.text import (
    DummyBoxGenerator,
    DummyClipTextInputGenerator,
    DummyDecoderTextInputGenerator,
    DummyImagePromptGenerator,
    DummyTextInputGenerator,
    DummyTextQueryGenerator,
)
from onnx_export_action.onnx_config.dummy_inputs.vision import (
    DummyImageEmbeddingGenerator,
    DummyPatchGenerator,
    DummyPointGenerator,
    DummyRegionGenerator,
    DummyVisionInputGenerator,
)
from onnx_export_action.onnx_config.encoder_decoder import OnnxSeq2SeqConfigWithPast
from onnx_export_action.onnx_config.modalities import (
    TextAndVisionOnnxConfig,
    TextEncoderOnnxConfig,
    VisionOnnxConfig,
    WrittenInterfaceOnnxConfig,
)
from onnx_export_action.onnx_config.normalized import (
    NormalizedConfig,
    NormalizedConfigClass,
    NormalizedEncoderDecoderConfig,
    NormalizedSeq2SeqConfig,
    NormalizedTextAndVisionConfig,
    NormalizedTextConfig,
)
from onnx_export_action.onnx_config.outputs import TASK_OUTPUTS, Axes, alike
from onnx_export_action.onnx_config.registry import config_of_part, register_onnx
from onnx_export_action.onnx_config.shapes import AxesMapping, DummyShapes, ShapeLimit, as_height_and_width

CONTRASTIVE_TASKS = ("feature-extraction", "zero-shot-image-classification")


@register_onnx("clip_text_model", "feature-extraction")
class CLIPTextModelOnnxConfig(WrittenInterfaceOnnxConfig):
    """The text tower of CLIP, as pipelines of diffusers use it: without a mask."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (DummyClipTextInputGenerator,)
    INPUTS: ClassVar[AxesMapping] = {"input_ids": {0: "batch_size", 1: "sequence_length"}}
    # What is known of the text as a whole.
    WHOLE: ClassVar[str] = "pooler_output"

    @property
    def outputs(self) -> Axes:
        """The features of all tokens and of the text; of every layer where the configuration asks for them."""
        outputs = super().outputs
        layers = self._normalized_config.num_layers + 1 if self._normalized_config.get("output_hidden_states") else 0
        states = {f"hidden_states.{layer}": dict(outputs["last_hidden_state"]) for layer in range(layers)}
        return outputs | {self.WHOLE: {0: "batch_size"}} | states


@register_onnx("clip-text-with-projection", "feature-extraction")
class CLIPTextWithProjectionOnnxConfig(CLIPTextModelOnnxConfig):
    """The second text encoder of Stable Diffusion XL."""

    WHOLE = "text_embeds"


@register_onnx("clip", *CONTRASTIVE_TASKS, "image-classification")
class CLIPOnnxConfig(TextAndVisionOnnxConfig):
    """CLIP: any number of texts against any number of images."""

    DUMMY_INPUT_GENERATOR_CLASSES: ClassVar[tuple[type[DummyInputGenerator], ...]] = (
        DummyClipTextInputGenerator,
        DummyVisionInputGenerator,
    )
    EXTRA_SHAPE_ARGUMENTS = ("text_batch_size", "image_batch_size")

    @property
    def inputs(self) -> Axes:
        """The texts and the images; images alone to classify them."""
        if self.task == "image-classification":
            return OrderedDict(pixel_values={0: "batch_size"})
        text = {0: "text_batch_size", 1: "sequence_length"}
        return OrderedDict(input_ids=dict(text), pixel_values={0: "image_batch_size"}, attention_mask=dict(text))

    @property
    def outputs(self) -> Axes:
        """The similarities and the embeddings, or the classes."""
        if self.task not in CONTRASTIVE_TASKS:
            return super().outputs
        axes = TASK_OUTPUTS["zero-shot-image-classification"]
        return OrderedDict((name, self._axes_in_use(axes[name])) for name in axes)


@register_onnx("chinese_clip", *CONTRASTIVE_TASKS)
class ChineseCLIPOnnxConfig(CLIPOnnxConfig):
    """Chinese CLIP."""


@register_onnx("groupvit", "feature-extraction")
class GroupViTOnnxConfig(CLIPOnnxConfig):
    """GroupViT."""


@register_onnx("metaclip_2", *CONTRASTIVE_TASKS, "image-classification")
class MetaCLIP2OnnxConfig(CLIPOnnxConfig):
    """MetaCLIP 2."""


@register_onnx("siglip", *CONTRASTIVE_TASKS)
class SiglipOnnxConfig(CLIPOnnxConfig):
    """SigLIP, which was trained on texts of one length, without masks."""

    @property
    def inputs(self) -> Axes:
        """The texts and the images."""
        inputs = super().inputs
        inputs.pop("attention_mask", None)
        return inputs


@register_onnx("owlvit", "feature-extraction", "zero-shot-object-detection")
class OwlViTOnnxConfig(CLIPOnnxConfig):
    """OWL-ViT, which looks for as many texts in each image: those of the first image first."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTextQueryGenerator, DummyVisionInputGenerator)


@register_onnx("owlv2", "feature-extraction", "zero-shot-object-detection")
class Owlv2OnnxConfig(OwlViTOnnxConfig):
    """OWLv2."""


@register_onnx("layoutlmv3", "feature-extraction", "question-answering", "text-classification", "token-classification")
class LayoutLMv3OnnxConfig(RobertaOnnxConfig):
    """LayoutLMv3: the words of a page, where they stand, and the picture of the page."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextAndVisionConfig
    DUMMY_INPUT_GENERATOR_CLASSES = (DummyBoxGenerator, DummyTextInputGenerator, DummyVisionInputGenerator)

    @property
    def inputs(self) -> Axes:
        """Token ids, their mask and boxes, and the picture."""
        inputs = super().inputs
        return OrderedDict(inputs, bbox=dict(inputs["input_ids"]), pixel_values={0: "batch_size"})

    @property
    def outputs(self) -> Axes:
        """The task's outputs; features and answers are of the words, then of the picture and its patches."""
        outputs = super().outputs
        if self.task in ("feature-extraction", "question-answering"):
            config = self._normalized_config
            (height, width), patch = as_height_and_width(config.image_size), int(config.patch_size)
            length = f"sequence_length + {1 + (height // patch) * (width // patch)}"
            return OrderedDict((name, axes | {1: length}) for name, axes in outputs.items())
        return outputs


@register_onnx("visual_bert", "feature-extraction")
class VisualBertOnnxConfig(TextEncoderOnnxConfig):
    """VisualBERT: texts, and the regions of an image."""

    DUMMY_INPUT_GENERATOR_CLASSES = (DummyTextInputGenerator, DummyRegionGenerator)

    @property
    def inputs(self) -> Axes:
        """Token ids and their mask, the features of the regions, their mask and types."""
        regions = ("visual_embeds", "visual_attention_mask", "visual_token_type_ids")
        axes = {0: "batch_size", 1: "visual_seq_length"}
        return OrderedDict(super().inputs, **{name: dict(axes) for name in regions})

    @property
    def outputs(self) -> Axes:
        """The features of the text, then of the regions."""
        return OrderedDict(last_hidden_state={0: "batch_size", 1: "sequence_length + visual_seq_length"})


@register_onnx("colpali", "feature-extraction")
class ColPaliOnnxConfig(WrittenInterfaceOnnxConfig):
    """ColPali: pages to be found, an image and a prompt each."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextAndVisionConfig.with_args(
        allow_new=True,
        text_config="vlm_config.text_config",
        vision_config="vlm_config.vision_config",
        image_token_id="vlm_config.image_token_index",  # noqa: S106 - an attribute's name
    )
    DUMMY_INPUT_GENERATOR_CLASSES = (DummyImagePromptGenerator, DummyVisionInputGenerator)
    HAS_ABSOLUTE_POSITIONS = False
    TRACEABLE = "multimodal.colpali"
    CALLS = "page"
    TEXT: ClassVar[dict[int, str]] = {0: "batch_size", 1: "sequence_length"}
    INPUTS: ClassVar[AxesMapping] = {"input_ids": TEXT, "attention_mask": TEXT, "pixel_values": {0: "batch_size"}}
    OUTPUTS: ClassVar[AxesMapping] = {"embeddings": TEXT}


class SamPartOnnxConfig(WrittenInterfaceOnnxConfig):
    """A part of SAM."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextAndVisionConfig.with_args(
        allow_new=True,
        image_embedding_size="prompt_encoder_config.image_embedding_size",
        channels="prompt_encoder_config.hidden_size",
    )
    DUMMY_INPUT_GENERATOR_CLASSES = (DummyVisionInputGenerator, DummyPointGenerator, DummyImageEmbeddingGenerator)


class SamVisionEncoderOnnxConfig(SamPartOnnxConfig):
    """What is computed once an image."""

    FILE_NAME = "vision_encoder"
    TRACEABLE = "multimodal.sam"
    CALLS = "vision_encoder"
    CONSTANT_OUTPUTS = frozenset({"image_positional_embeddings"})
    INPUTS: ClassVar[AxesMapping] = {"pixel_values": {0: "batch_size"}}
    OUTPUTS: ClassVar[AxesMapping] = alike("image_embeddings", "image_positional_embeddings", axes={0: "batch_size"})


class SamPromptDecoderOnnxConfig(SamPartOnnxConfig):
    """What is computed for every set of points."""

    FILE_NAME = "prompt_encoder_mask_decoder"
    TRACEABLE = "multimodal.sam"
    CALLS = "prompt_encoder_mask_decoder"
    POINTS: ClassVar[AxesMapping] = alike(
        "input_points", "input_labels", axes={0: "batch_size", 1: "point_batch_size", 2: "nb_points_per_image"}
    )
    INPUTS: ClassVar[AxesMapping] = {
        **POINTS,
        **alike("image_positional_embeddings", "image_embeddings", axes={0: "batch_size"}),
    }
    OUTPUTS: ClassVar[AxesMapping] = alike("iou_scores", "pred_masks", axes={0: "batch_size", 1: "point_batch_size"})


@register_onnx("sam", "feature-extraction")
class SamOnnxConfig(SamPromptDecoderOnnxConfig):
    """SAM, whose images are encoded once for any number of prompts."""

    FILE_NAME = CALLS = ""
    PARTS = (SamVisionEncoderOnnxConfig, SamPromptDecoderOnnxConfig)
    # Of the whole model in one file.
    INPUTS: ClassVar[AxesMapping] = {**SamVisionEncoderOnnxConfig.INPUTS, **SamPromptDecoderOnnxConfig.POINTS}


class DummyMaskedDecoderTextGenerator(DummyDecoderTextInputGenerator):
    """The decoder's ids in a file of its own that also takes their mask."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_ids", "decoder_attention_mask")


@register_onnx("pix2struct", "image-to-text", "image-to-text-with-past")
class Pix2StructOnnxConfig(OnnxSeq2SeqConfigWithPast):
    """Pix2Struct, which reads an image as any number of patches."""

    NORMALIZED_CONFIG_CLASS = NormalizedSeq2SeqConfig.with_args(
        allow_new=True,
        text_config="text_config",
        vision_config="vision_config",
        patch_embed_hidden_size="vision_config.patch_embed_hidden_size",
        seq_len="vision_config.seq_len",
    )
    DUMMY_INPUT_GENERATOR_CLASSES = (
        DummyPatchGenerator,
        DummyMaskedDecoderTextGenerator,
        DummyDecoderTextInputGenerator,
        DummyEncoderOutputGenerator,
        DummyPastKeyValuesGenerator,
    )
    HAS_ABSOLUTE_POSITIONS = False

    @property
    def encoder_inputs(self) -> Axes:
        """The patches and their mask."""
        axes = {0: "batch_size", 1: "encoder_sequence_length"}
        return OrderedDict(flattened_patches=axes, attention_mask=dict(axes))

    @property
    def encoder_outputs(self) -> Axes:
        """The features of the patches."""
        return OrderedDict(last_hidden_state={0: "batch_size", 1: "encoder_sequence_length"})

    @property
    def decoder_inputs(self) -> Axes:
        """Those of any decoder, and the mask of the tokens so far."""
        inputs = super().decoder_inputs
        past = "past_decoder_sequence_length + " if self.takes_past else ""
        inputs["decoder_attention_mask"] = {0: "batch_size", 1: f"{past}decoder_sequence_length"}
        return inputs


@register_onnx("vision-encoder-decoder", "image-to-text", "image-to-text-with-past")
class VisionEncoderDecoderOnnxConfig(OnnxSeq2SeqConfigWithPast):
    """Any encoder of images with any decoder of text; what each takes is what its own model type takes."""

    NORMALIZED_CONFIG_CLASS: ClassVar[NormalizedConfigClass] = NormalizedEncoderDecoderConfig
    DUMMY_INPUT_GENERATOR_CLASSES: ClassVar[tuple[type[DummyInputGenerator], ...]] = (
        DummyVisionInputGenerator,
        DummyTextInputGenerator,
        DummyDecoderTextInputGenerator,
        DummyEncoderOutputGenerator,
        DummyPastKeyValuesGenerator,
    )

    @property
    def encoder_inputs(self) -> Axes:
        """What the encoder's model type takes."""
        return OrderedDict((name, dict(axes)) for name, axes in self._encoder_onnx_config.inputs.items())

    @property
    def encoder_outputs(self) -> Axes:
        """What the encoder's model type gives."""
        return self._encoder_onnx_config.outputs

    @property
    def max_sequence_length(self) -> int | None:
        """How many positions the decoder has."""
        decoder = config_of_part(self._config.decoder)
        return super().max_sequence_length if decoder is None else decoder.max_sequence_length

    @property
    def _encoder_onnx_config(self) -> OnnxConfig:
        encoder = self._config.encoder
        return config_of_part(encoder) or VisionOnnxConfig(encoder)


@register_onnx("speech-encoder-decoder", "automatic-speech-recognition", "automatic-speech-recognition-with-past")
class SpeechEncoderDecoderOnnxConfig(VisionEncoderDecoderOnnxConfig):
    """Any encoder of samples with any decoder of text; all files take the mask of the samples, if the encoder does."""

    NORMALIZED_CONFIG_CLASS = NormalizedEncoderDecoderConfig.with_args(
        allow_new=True, encoder_hidden_size="output_hidden_size"
    )
    DUMMY_INPUT_GENERATOR_CLASSES = (
        DummyMaskedSpeechGenerator,
        *VisionEncoderDecoderOnnxConfig.DUMMY_INPUT_GENERATOR_CLASSES[1:],
    )

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; the sound is long enough for the convolutions of the encoder."""
        limits = super().shape_limits()
        sound = "audio_sequence_length"
        return limits | {sound: self._encoder_onnx_config.shape_limits().get(sound, ShapeLimit())}

    def dummy_shapes(self, **requested: int) -> DummyShapes:
        """As the base class does; where there is a mask, the encoder's length follows from that of the samples."""
        shapes = super().dummy_shapes(**requested)
        if "attention_mask" not in self.encoder_inputs:
            return shapes
        length = encoded_audio_length(NormalizedConfig(self._config.encoder), shapes.audio_sequence_length)
        return replace(shapes, encoder_sequence_length=length)
