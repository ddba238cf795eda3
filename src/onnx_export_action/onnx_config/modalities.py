"""The middle classes: which inputs a kind of model takes, and so which generators make them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import ClassVar

from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.onnx_config.dummy_inputs.audio import DummyAudioInputGenerator, shortest_audio
from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.cache import DummyEncoderOutputGenerator, DummyPastKeyValuesGenerator
from onnx_export_action.onnx_config.dummy_inputs.text import DummyDecoderTextInputGenerator, DummyTextInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.vision import DummyVisionInputGenerator
from onnx_export_action.onnx_config.encoder_decoder import OnnxSeq2SeqConfigWithPast
from onnx_export_action.onnx_config.normalized import (
    NormalizedConfig,
    NormalizedConfigClass,
    NormalizedSeq2SeqConfig,
    NormalizedTextAndVisionConfig,
    NormalizedTextConfig,
    NormalizedVisionConfig,
)
from onnx_export_action.onnx_config.outputs import Axes
from onnx_export_action.onnx_config.shapes import AxesMapping, DummyShapes, ShapeLimit, fixed_at
from onnx_export_action.onnx_config.with_past import OnnxConfigWithPast
from onnx_export_action.vocabulary.names.components import ComponentKind


class WrittenInterfaceOnnxConfig(OnnxConfig):
    """Models whose inputs, and outputs if the class writes them, are the same whatever their configuration says."""

    INPUTS: ClassVar[AxesMapping] = {}
    OUTPUTS: ClassVar[AxesMapping] = {}

    @property
    def inputs(self) -> Axes:
        """What `INPUTS` says."""
        return _copied(self.INPUTS)

    @property
    def outputs(self) -> Axes:
        """What `OUTPUTS` says, or the task's."""
        return _copied(self.OUTPUTS) or super().outputs


def _copied(axes: AxesMapping) -> Axes:
    return OrderedDict((name, dict(of_name)) for name, of_name in axes.items())


class TextEncoderOnnxConfig(OnnxConfig):
    """Encoders of text."""

    NORMALIZED_CONFIG_CLASS: ClassVar[NormalizedConfigClass] = NormalizedTextConfig
    DUMMY_INPUT_GENERATOR_CLASSES: ClassVar[tuple[type[DummyInputGenerator], ...]] = (DummyTextInputGenerator,)

    @property
    def inputs(self) -> Axes:
        """Token ids and their mask; several texts a row for multiple-choice."""
        if self.task == "multiple-choice":
            axes = {0: "batch_size", 1: "num_choices", 2: "sequence_length"}
        else:
            axes = {0: "batch_size", 1: "sequence_length"}
        return OrderedDict(input_ids=dict(axes), attention_mask=dict(axes))


class TextDecoderOnnxConfig(OnnxConfigWithPast):
    """Decoders of text."""

    NORMALIZED_CONFIG_CLASS: ClassVar[NormalizedConfigClass] = NormalizedTextConfig
    DUMMY_INPUT_GENERATOR_CLASSES: ClassVar[tuple[type[DummyInputGenerator], ...]] = (
        DummyTextInputGenerator,
        DummyPastKeyValuesGenerator,
    )

    # Decoders that number positions from 0 whatever the padding must be told them for a left-padded batch,
    # as `generate` does.
    TAKES_POSITION_IDS: ClassVar[bool] = False

    @property
    def inputs(self) -> Axes:
        """Token ids, a mask over the past and the new tokens, and the past."""
        tells_positions = self.TAKES_POSITION_IDS and self.task in ("text-generation", "feature-extraction")
        inputs = decoder_only_inputs(self, with_position_ids=tells_positions)
        if self.takes_one_row:
            for axes in inputs.values():
                del axes[0]
        return inputs

    @property
    def max_sequence_length(self) -> int | None:
        """The positions, where they are embedded, or where rotary ones change from there on with every length.

        A graph keeps the frequencies of short texts (``dynamic_rope_update`` of transformers 5.23, type ``dynamic``).
        """
        rotary = self._normalized_config.get("rope_parameters") or {}
        if rotary.get("rope_type") == "dynamic":
            return int(self._normalized_config.max_position_embeddings)
        return super().max_sequence_length

    @property
    def takes_one_row(self) -> bool:
        """Whether the model refuses batches.

        Sequence classification reads the last token that is no padding, and transformers 5.23 raises for more than
        one row where the configuration names no padding token (``GenericForSequenceClassification``).
        """
        return self.task == "text-classification" and not self._normalized_config.has_attribute("pad_token_id")

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; one row where the model refuses batches."""
        limits = super().shape_limits()
        if self.takes_one_row:
            limits["batch_size"] = fixed_at(
                1, "config.json names no pad_token_id, without which the model takes one row"
            )
        return limits


def decoder_only_inputs(onnx_config: OnnxConfigWithPast, *, with_position_ids: bool) -> Axes:
    """The inputs of one file that generates text."""
    new = {0: "batch_size", 1: "sequence_length"}
    seen = {0: "batch_size", 1: "past_sequence_length + sequence_length"} if onnx_config.takes_past else new
    inputs: Axes = OrderedDict(input_ids=dict(new), attention_mask=dict(seen))
    if with_position_ids:
        inputs["position_ids"] = dict(new)
    if onnx_config.takes_past:
        onnx_config.add_past_key_values(inputs, direction="inputs")
    return inputs


class TextDecoderWithPositionIdsOnnxConfig(TextDecoderOnnxConfig):
    """Decoders of text that take the position of each new token."""

    TAKES_POSITION_IDS = True


class TextSeq2SeqOnnxConfig(OnnxSeq2SeqConfigWithPast):
    """Encoder-decoders from text to text."""

    NORMALIZED_CONFIG_CLASS: ClassVar[NormalizedConfigClass] = NormalizedSeq2SeqConfig
    DUMMY_INPUT_GENERATOR_CLASSES: ClassVar[tuple[type[DummyInputGenerator], ...]] = (
        DummyTextInputGenerator,
        DummyDecoderTextInputGenerator,
        DummyEncoderOutputGenerator,
        DummyPastKeyValuesGenerator,
    )

    @property
    def inputs(self) -> Axes:
        """As any encoder-decoder; the decoder alone to generate text."""
        return decoder_only_inputs(self, with_position_ids=False) if self.is_decoder_only else super().inputs

    @property
    def encoder_inputs(self) -> Axes:
        """Token ids and their mask."""
        has_decoder_inputs = self.task in (*self.SPLIT_TASKS, "feature-extraction")
        axes = {0: "batch_size", 1: "encoder_sequence_length" if has_decoder_inputs else "sequence_length"}
        return OrderedDict(input_ids=dict(axes), attention_mask=dict(axes))


class VisionOnnxConfig(OnnxConfig):
    """Models of images."""

    NORMALIZED_CONFIG_CLASS: ClassVar[NormalizedConfigClass] = NormalizedVisionConfig
    DUMMY_INPUT_GENERATOR_CLASSES: ClassVar[tuple[type[DummyInputGenerator], ...]] = (DummyVisionInputGenerator,)
    # Convolutions take any size; position embeddings belong to one size.
    IMAGE_SIZE_VARIES: ClassVar[bool] = False
    # Tasks whose heads take images of one size although the model itself does not.
    TASKS_OF_ONE_SIZE: ClassVar[frozenset[str]] = frozenset({"masked-im"})
    # What features of images of varying size are: a smaller image, a row of patches, or one per query.
    FEATURES: ClassVar[str] = "image"

    @property
    def inputs(self) -> Axes:
        """The images; to fill in what is hidden, also which patches are."""
        size = {2: "height", 3: "width"} if self.IMAGE_SIZE_VARIES and self.task not in self.TASKS_OF_ONE_SIZE else {}
        inputs: Axes = OrderedDict(pixel_values={0: "batch_size"} | size)
        if self.task == "masked-im":
            inputs["bool_masked_pos"] = {0: "batch_size"}
        return inputs

    @property
    def outputs(self) -> Axes:
        """The task's outputs; features follow the size of the images."""
        outputs = super().outputs
        if self.task == "feature-extraction":
            outputs["last_hidden_state"] |= self._axes_in_use(_FEATURE_AXES[self.FEATURES])
        return outputs


_FEATURE_AXES = {
    "image": {2: "feature_height", 3: "feature_width"},
    "patches": {1: "num_patches"},
    "queries": {},
}


class TextAndVisionOnnxConfig(OnnxConfig):
    """Models of text and images."""

    NORMALIZED_CONFIG_CLASS: ClassVar[NormalizedConfigClass] = NormalizedTextAndVisionConfig
    DUMMY_INPUT_GENERATOR_CLASSES: ClassVar[tuple[type[DummyInputGenerator], ...]] = (
        DummyTextInputGenerator,
        DummyVisionInputGenerator,
    )


class AudioOnnxConfig(OnnxConfig):
    """Models of raw sound, which convolutions turn into frames."""

    NORMALIZED_CONFIG_CLASS: ClassVar[NormalizedConfigClass] = NormalizedConfig
    DUMMY_INPUT_GENERATOR_CLASSES: ClassVar[tuple[type[DummyInputGenerator], ...]] = (DummyAudioInputGenerator,)
    FRAME_TASKS: ClassVar[frozenset[str]] = frozenset(
        {"audio-frame-classification", "automatic-speech-recognition", "feature-extraction"}
    )

    @property
    def inputs(self) -> Axes:
        """The samples."""
        return OrderedDict(input_values={0: "batch_size", 1: "sequence_length"})

    @property
    def outputs(self) -> Axes:
        """The task's outputs; those per frame have a length of their own, which the convolutions decide."""
        outputs = super().outputs
        if self.task in self.FRAME_TASKS:
            for axes in outputs.values():
                axes[1] = "num_frames"
        return outputs

    def shape_limits(self) -> dict[str, ShapeLimit]:
        """As the base class says; the sound is long enough for the convolutions."""
        limits = super().shape_limits()
        shortest = shortest_audio(self._normalized_config, self.task)
        limits["audio_sequence_length"] = ShapeLimit(shortest, None, "the convolutions need as many samples")
        return limits


class AudioToTextOnnxConfig(OnnxSeq2SeqConfigWithPast):
    """Encoder-decoders from sound to text."""

    NORMALIZED_CONFIG_CLASS: ClassVar[NormalizedConfigClass] = NormalizedSeq2SeqConfig
    DUMMY_INPUT_GENERATOR_CLASSES: ClassVar[tuple[type[DummyInputGenerator], ...]] = (
        DummyAudioInputGenerator,
        DummyTextInputGenerator,
        DummyDecoderTextInputGenerator,
        DummyEncoderOutputGenerator,
        DummyPastKeyValuesGenerator,
    )

    # The sound as the encoder takes it: by default a spectrogram whose size the model fixes.
    ENCODER_INPUTS: ClassVar[AxesMapping] = {"input_features": {0: "batch_size"}}

    @property
    def encoder_inputs(self) -> Axes:
        """What `ENCODER_INPUTS` says."""
        return _copied(self.ENCODER_INPUTS)

    @property
    def encoder_outputs(self) -> Axes:
        """What the encoder gives: fewer frames than it took."""
        length = {1: "encoder_sequence_length"} if self.encoded_length(self.dummy_shapes()) else {}
        return OrderedDict(last_hidden_state={0: "batch_size"} | length)

    @property
    def outputs(self) -> Axes:
        """The outputs of this file; features in one file are those of both the decoder and the encoder."""
        outputs = super().outputs
        if self.kind is ComponentKind.MODEL and self.task == "feature-extraction":
            outputs["encoder_last_hidden_state"] = self.encoder_outputs["last_hidden_state"]
        return outputs

    def encoded_length(self, shapes: DummyShapes) -> int | None:  # noqa: ARG002 - subclasses need them
        """How many frames the encoder makes of sound of that length; None where the model takes one length only."""
        return None

    def dummy_shapes(self, **requested: int) -> DummyShapes:
        """As the base class does; the encoder's length follows from the sound's."""
        shapes = super().dummy_shapes(**requested)
        encoded = self.encoded_length(shapes)
        return shapes if encoded is None else replace(shapes, encoder_sequence_length=encoded)
