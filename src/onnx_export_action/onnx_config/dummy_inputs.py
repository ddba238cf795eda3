"""Made-up inputs that a model could really meet: seeded, padded as tokenizers pad, with ids to match the masks.

Every generator makes the inputs of one kind. What belongs together agrees without being passed around, because each
array follows from the seed, the shapes and the padding alone: the ids are the padding token exactly where the mask is
zero, and positions count the mask as ``generate`` counts it.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from onnx_export_action.errors import plan_error
from onnx_export_action.onnx_config.normalized import NormalizedConfig
from onnx_export_action.onnx_config.shapes import DummyShapes, as_height_and_width
from onnx_export_action.onnx_config.tasks import suggestion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.int64]

PADDINGS = ("none", "left", "right", "mixed")
FRAMEWORKS = ("pt", "np")
_USUAL_FRAMES = 4

# Attributes of a configuration that hold ids with a meaning of their own, which ordinary text does not contain.
SPECIAL_TOKENS = (
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "cls_token_id",
    "sep_token_id",
    "mask_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "question_token_id",
    "image_token_id",
)


class DummyInputGenerator:
    """Makes the inputs whose names are in ``SUPPORTED_INPUT_NAMES``; subclasses implement :meth:`array`.

    Shapes reach the constructor by name, as the fields of :class:`DummyShapes`.
    """

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ()

    def __init__(
        self,
        task: str,
        normalized_config: NormalizedConfig,
        *,
        padding: str = "right",
        seed: int = 0,
        input_names: Collection[str] = (),
        **shapes: int,
    ) -> None:
        self.task = task
        self.normalized_config = normalized_config
        self.padding = padding
        self.seed = seed
        self.input_names = input_names
        self.shapes = DummyShapes(**shapes)
        self.batch_size = self.shapes.batch_size
        self.sequence_length = self.shapes.sequence_length

    def supports_input(self, input_name: str) -> bool:
        """Whether this generator makes the input; ``past_key_values.0.key`` counts as ``past_key_values``."""
        return input_name.partition(".")[0] in self.SUPPORTED_INPUT_NAMES

    def generate(self, input_name: str, framework: str = "pt") -> Any:
        """One input as a torch tensor (``framework="pt"``) or a numpy array (``"np"``).

        Raises:
            ExportError: the framework is neither.
        """
        array = self.array(input_name)
        if framework == "np":
            return array
        if framework == "pt":
            import torch

            return torch.from_numpy(array)
        raise plan_error(f"unknown framework {framework!r}", hint=suggestion(framework, FRAMEWORKS, "frameworks"))

    def array(self, input_name: str) -> Array:
        """One input as a numpy array: int64, float32 or bool."""
        raise NotImplementedError

    def random(self, stream: str) -> np.random.Generator:
        """Random numbers of one stream: the same in every process and in whatever order inputs are made."""
        import numpy as np

        return np.random.default_rng([self.seed, zlib.crc32(stream.encode())])

    def random_int_array(self, input_name: str, shape: Sequence[int], max_value: int, min_value: int = 0) -> Array:
        """Whole numbers in [min_value, max_value), int64."""
        import numpy as np

        return self.random(input_name).integers(min_value, max_value, shape, dtype=np.int64)

    def random_float_array(self, input_name: str, shape: Sequence[int]) -> Array:
        """Numbers of a standard normal distribution, float32."""
        import numpy as np

        return self.random(input_name).standard_normal(shape, dtype=np.float32)

    def required(self, name: str) -> Any:
        """An attribute of the model's configuration that the inputs cannot be made without.

        Raises:
            ExportError: the configuration does not say.
        """
        value = self.normalized_config.get(name)
        if value is None:
            kind = type(self.normalized_config.config).__name__
            raise plan_error(
                f"cannot make dummy inputs: the model's configuration ({kind}) has no {name}",
                hint=f"add {name} to config.json, or name the attribute that holds it: "
                f"NORMALIZED_CONFIG_CLASS = NormalizedTextConfig.with_args({name}='...', allow_new=True)",
            )
        return value

    def padding_mask(
        self, stream: str, rows: int, length: int, *, past: int = 0, shortest: int = 1, side: str | None = None
    ) -> Mask:
        """Which of the ``past + length`` positions of each row are real (1) and which padding (0), int64.

        With ``right`` and ``left`` one row of a batch is full, as tokenizers pad to the longest; a single row is
        padded itself. ``mixed`` pads the rows right and left in turn. At least ``shortest`` of the new positions are
        real in every row. ``side`` is for inputs that are only ever padded on one side.
        """
        import numpy as np

        mask = np.ones((rows, past + length), dtype=np.int64)
        if self.padding == "none":
            return mask
        random = self.random(f"{stream} padding")
        for row in range(rows):
            if self.padding == "mixed":
                _pad_row(mask[row], past, shortest, side or ("left" if row % 2 else "right"), random)
            elif row > 0 or rows == 1:
                _pad_row(mask[row], past, shortest, side or self.padding, random)
        return mask


def _pad_row(row: Mask, past: int, shortest: int, side: str, random: np.random.Generator) -> None:
    """Write zeros at one row's padding. ``row`` has shape (past + new,)."""
    length = len(row)
    new = length - past
    if side == "left":
        row[: _some(length - shortest, random)] = 0
    elif new > shortest:
        row[length - _some(new - shortest, random) :] = 0
    else:
        # A single new token cannot be padding; the prompt before it, in the cache, was padded on its right.
        row[past - _some(past - 1, random) : past] = 0


def _some(room: int, random: np.random.Generator) -> int:
    """How many of the positions that may be padding are: at least one if there is room."""
    return int(random.integers(1, room + 1)) if room > 0 else 0


class DummyTextInputGenerator(DummyInputGenerator):
    """Token ids, shape (batch, length), or (batch, choices, length) for multiple-choice, and what goes with them.

    Ids are padding only where ``attention_mask`` is zero, and hold no other special token but one end-of-sequence
    at the last real position: sequence classification of Bart and T5 and the pooling of CLIP look for it there.
    """

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = (
        "input_ids",
        "attention_mask",
        "token_type_ids",
        "position_ids",
        "encoder_attention_mask",
    )

    def array(self, input_name: str) -> Array:
        """One of the inputs as int64."""
        if input_name == "encoder_attention_mask":
            return self.padding_mask("encoder", self.batch_size, self.shapes.encoder_sequence_length)
        if input_name == "attention_mask":
            return self._per_choice(self._mask())
        if input_name == "token_type_ids":
            return self._per_choice(self._token_types())
        if input_name == "position_ids":
            return self._per_choice(self._positions())
        return self._per_choice(self.token_ids(self._mask()[:, self._past_length :], ends=self._ends_with_eos))

    @property
    def _rows(self) -> int:
        choices = self.shapes.num_choices if self.task == "multiple-choice" else 1
        return self.shapes.text_batch_size * choices

    @property
    def _has_past(self) -> bool:
        return any(name.startswith("past_key_values.") for name in self.input_names)

    @property
    def _past_length(self) -> int:
        return self.shapes.past_sequence_length if self._has_past else 0

    @property
    def _ends_with_eos(self) -> bool:
        """A text that is still being written has no end."""
        is_generated = self._has_past or "encoder_hidden_states" in self.input_names
        return self.task != "text-generation" and not is_generated

    def _per_choice(self, array: Array) -> Array:
        if self.task != "multiple-choice":
            return array
        return array.reshape(self.shapes.text_batch_size, self.shapes.num_choices, -1)

    def _mask(self) -> Mask:
        """Real positions of the past and the new tokens. Without a mask among the inputs nothing can be padding."""
        import numpy as np

        if "attention_mask" in self.input_names:
            return self.padding_mask("text", self._rows, self.sequence_length, past=self._past_length)
        return np.ones((self._rows, self._past_length + self.sequence_length), dtype=np.int64)

    def _positions(self) -> Array:
        """Positions as ``generate`` counts them: real tokens from 0, padding at 0.

        Source: ``GenerationMixin._prepare_position_ids_for_generation`` of transformers 5.23.
        """
        mask = self._mask()
        return ((mask.cumsum(axis=1) - 1) * mask)[:, self._past_length :]

    def _token_types(self) -> Array:
        mask = self._mask()[:, self._past_length :]
        kinds = self.normalized_config.get("type_vocab_size", 1)
        return self.random_int_array("token_type_ids", mask.shape, max(kinds, 1)) * mask

    def token_ids(self, mask: Mask, *, stream: str = "input_ids", ends: bool) -> Array:
        """Ids for a mask of shape (rows, length), int64: ordinary tokens where it is 1, padding where it is 0."""
        import numpy as np

        vocabulary = int(self.required("vocab_size"))
        end = self.end_token()
        special = {token for name in SPECIAL_TOKENS for token in _ids(self.normalized_config.get(name))} | set(
            _ids(end)
        )
        ids = _numbers_without(special, vocabulary, mask.shape, self.random(stream))
        if ends and end is not None:
            last_real = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
            ids[np.arange(len(ids)), last_real] = end
        padding = _first_id(self.normalized_config.get("pad_token_id"), vocabulary)
        ids[mask == 0] = 0 if padding is None else padding
        return ids

    def end_token(self) -> int | None:
        """The id that ends a text, None where the configuration names none that the embedding has a row for."""
        return _first_id(self.normalized_config.get("eos_token_id"), int(self.required("vocab_size")))


def _numbers_without(excluded: set[int], end: int, shape: tuple[int, ...], random: np.random.Generator) -> Mask:
    """Random numbers in [0, end) that are none of the excluded ones; any number if that leaves none."""
    import numpy as np

    gaps = sorted(number for number in excluded if 0 <= number < end)
    if len(gaps) == end:
        return random.integers(0, end, shape, dtype=np.int64)
    numbers = random.integers(0, end - len(gaps), shape, dtype=np.int64)
    for gap in gaps:
        numbers[numbers >= gap] += 1
    return numbers


def _ids(value: Any) -> list[int]:
    """Token ids of an attribute that may hold one, several or none."""
    several = value if isinstance(value, (list, tuple)) else [value]
    return [token for token in several if isinstance(token, int)]


def _first_id(value: Any, vocabulary: int) -> int | None:
    """The first of the attribute's ids that the embedding has a row for."""
    return next((token for token in _ids(value) if 0 <= token < vocabulary), None)


class DummyPromptLengthGenerator(DummyTextInputGenerator):
    """How many tokens at the start of each text count for nothing; every text has one more: a number, float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("prompt_length",)

    def array(self, input_name: str) -> Array:
        """0 to 3."""
        import numpy as np

        longest = min(3, int(self._mask().sum(axis=1).min()) - 1)
        return np.array(self.random(input_name).integers(0, longest + 1), dtype=np.float32)


class DummyQuestionTextInputGenerator(DummyTextInputGenerator):
    """Texts with one question token in each, at the place where the model is asked for an answer."""

    MARK = "question_token_id"

    def token_ids(self, mask: Mask, *, stream: str = "input_ids", ends: bool) -> Array:
        """As the base class does; the mark stands at a random real place."""
        import numpy as np

        ids = super().token_ids(mask, stream=stream, ends=ends)
        lottery = (1 - self.random(f"{stream} mark").random(mask.shape)) * mask
        ids[np.arange(len(ids)), lottery.argmax(axis=1)] = int(self.required(self.MARK))
        return ids


class DummyQuestionAndContextInputGenerator(DummyQuestionTextInputGenerator):
    """Texts of two parts: the separator that ends the question stands at a random place."""

    MARK = "sep_token_id"


class DummyClipTextInputGenerator(DummyTextInputGenerator):
    """Texts that end where CLIP looks for the end."""

    def end_token(self) -> int | None:
        """The highest id for the checkpoints whose configuration wrongly says 2, as ``CLIPTextModel`` reads them."""
        if self.normalized_config.get("eos_token_id") == 2:  # noqa: PLR2004 - the wrong id
            return int(self.required("vocab_size")) - 1
        return super().end_token()


class DummyTextQueryGenerator(DummyTextInputGenerator):
    """Texts to look for in images: as many for each, all of an image one after the other."""

    def end_token(self) -> int | None:
        """The highest id, where ``OwlViTTextTransformer`` looks for the end whatever the configuration says."""
        return int(self.required("vocab_size")) - 1

    @property
    def _rows(self) -> int:
        if self.task == "zero-shot-object-detection":
            return self.shapes.image_batch_size * self.shapes.num_text_queries
        return super()._rows


class DummyImagePromptGenerator(DummyTextInputGenerator):
    """Texts after one image each, which stands for as many tokens as it has patches: (batch, patches + length)."""

    def _mask(self) -> Mask:
        shape = (self._rows, self._image_length + self.sequence_length)
        return self.padding_mask("text", *shape, shortest=self._image_length + 1)

    def token_ids(self, mask: Mask, *, stream: str = "input_ids", ends: bool) -> Array:
        """As the base class does; the first real ones are the token that an image's patches replace."""
        ids = super().token_ids(mask, stream=stream, ends=ends)
        ids[(mask.cumsum(axis=1) <= self._image_length) & (mask == 1)] = int(self.required("image_token_id"))
        return ids

    @property
    def _image_length(self) -> int:
        return number_of_patches(self)


class DummyBoxGenerator(DummyTextInputGenerator):
    """Where each token stands on its page: ``bbox``, (batch, length, 4), int64, on a scale of 0 to 1000.

    A box is left, top, right and bottom; padding has no box, as the documentation of LayoutLM's processors says.
    """

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("bbox",)

    def array(self, input_name: str) -> Array:
        """The boxes, none of them inside out."""
        import numpy as np

        mask = self._mask()
        scale = min(1001, int(self.normalized_config.get("max_2d_position_embeddings", 1001)))
        corners = self.random(input_name).integers(0, scale, (*mask.shape, 2, 2), dtype=np.int64)
        boxes: Array = np.sort(corners, axis=-2).reshape(*mask.shape, 4)
        return boxes * mask[..., None]


class DummyGlobalAttentionGenerator(DummyTextInputGenerator):
    """Tokens that see and are seen from everywhere: ``global_attention_mask``, (batch, length), int64."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("global_attention_mask",)

    def array(self, input_name: str) -> Array:
        """One in four real tokens, as many as there happen to be in each row; none of padding."""
        mask = self._mask()
        return self._per_choice((self.random_int_array(input_name, mask.shape, 4) == 0) * mask)


class DummyXPathGenerator(DummyTextInputGenerator):
    """The way through a page's tree to each token, int64: tags and subscripts, (batch, length, deepest level).

    Levels that a way does not have, and all of padding's, hold the padding ids that ``MarkupLMTokenizer`` writes.
    """

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("xpath_tags_seq", "xpath_subs_seq")

    def array(self, input_name: str) -> Array:
        """Tags or subscripts; both of the same ways."""
        import numpy as np

        mask = self._mask()
        deepest = int(self.required("max_depth"))
        depth = self.random_int_array("xpath depth", mask.shape, deepest + 1, 1) * mask
        size, padding = ("tag", "tag_pad_id") if input_name == "xpath_tags_seq" else ("subs", "subs_pad_id")
        known = int(self.required(f"max_xpath_{size}_unit_embeddings"))
        units = self.random_int_array(input_name, (*mask.shape, deepest), known)
        return np.where(np.arange(deepest) < depth[..., None], units, int(self.required(padding)))


class DummyDecoderTextInputGenerator(DummyTextInputGenerator):
    """The decoder's side of an encoder-decoder in one file: shape (batch, decoder length)."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("decoder_input_ids", "decoder_attention_mask")

    def array(self, input_name: str) -> Array:
        """One of the inputs as int64."""
        import numpy as np

        shape = (self.batch_size, self.shapes.decoder_sequence_length)
        masked = "decoder_attention_mask" in self.input_names
        past = self._past_length
        mask = self.padding_mask("decoder", *shape, past=past) if masked else np.ones(shape, dtype=np.int64)
        if input_name == "decoder_attention_mask":
            return mask
        return self.token_ids(mask[:, -shape[1] :], stream=input_name, ends=False)


class DummyEncoderOutputGenerator(DummyInputGenerator):
    """What the encoder answered, for a decoder's file: (batch, encoder length, encoder's hidden size), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("encoder_hidden_states",)

    def array(self, input_name: str) -> Array:
        """The encoder's hidden states."""
        hidden_size = int(self.required("encoder_hidden_size"))
        return self.random_float_array(input_name, (self.batch_size, self.shapes.encoder_sequence_length, hidden_size))


class DummyPastKeyValuesGenerator(DummyInputGenerator):
    """Cached keys and values, float32; override :meth:`cache_shape` for a model with a layout of its own."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("past_key_values",)

    def array(self, input_name: str) -> Array:
        """``past_key_values.N.key`` and so on; an array without elements when the past length is 0."""
        return self.random_float_array(input_name, self.cache_shape(input_name))

    def cache_shape(self, input_name: str) -> tuple[int, ...]:
        """(batch, heads of keys and values, length, size of a head), as ``DynamicCache`` of transformers 5 holds it."""
        crosses = ".encoder." in input_name
        length = self.shapes.encoder_sequence_length if crosses else self.shapes.past_sequence_length
        heads = int(self.required("num_key_value_heads"))
        return (self.batch_size, heads, length, int(self.required("head_dim")))


class DummyLatentPastKeyValuesGenerator(DummyPastKeyValuesGenerator):
    """The cache of multi-head latent attention, compressed: latents under ``key``, rotary parts under ``value``."""

    def cache_shape(self, input_name: str) -> tuple[int, ...]:
        """(batch, 1, length, size), as ``DeepseekV3Attention`` of transformers 5.23 fills it."""
        size = self.required("kv_lora_rank" if input_name.endswith(".key") else "qk_rope_head_dim")
        return (self.batch_size, 1, self.shapes.past_sequence_length, int(size))


class DummyVisionInputGenerator(DummyInputGenerator):
    """Images, shape (batch, channels, height, width), and their masks. Images are padded at the bottom and right."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("pixel_values", "pixel_mask", "bool_masked_pos")

    def array(self, input_name: str) -> Array:
        """Pixels as float32, ``pixel_mask`` (batch, height, width) as int64, ``bool_masked_pos`` as bool."""
        if input_name == "pixel_mask":
            return self._pixel_mask()
        if input_name == "bool_masked_pos":
            return self._masked_patches()
        shapes = self.shapes
        size = (shapes.image_batch_size, shapes.num_channels, shapes.image_height, shapes.image_width)
        pixels = self.random_float_array(input_name, size)
        return pixels * self._pixel_mask()[:, None].astype(pixels.dtype) if "pixel_mask" in self.input_names else pixels

    def _pixel_mask(self) -> Mask:
        count = self.shapes.image_batch_size
        rows = self.padding_mask("height", count, self.shapes.image_height, side="right")
        columns = self.padding_mask("width", count, self.shapes.image_width, side="right")
        return rows[:, :, None] * columns[:, None, :]

    def _masked_patches(self) -> Array:
        shape = (self.shapes.image_batch_size, number_of_patches(self))
        return self.random_int_array("bool_masked_pos", shape, 2).astype(bool)


class DummyRegionGenerator(DummyInputGenerator):
    """Images as a detector cut them up: (batch, regions, size of a region's features), their masks and types."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("visual_embeds", "visual_attention_mask", "visual_token_type_ids")

    def array(self, input_name: str) -> Array:
        """Features as float32, mask and types as int64; the type of a region is 1, as in VisualBERT's documentation."""
        import numpy as np

        shape = (self.batch_size, self.shapes.visual_seq_length)
        if input_name == "visual_embeds":
            return self.random_float_array(input_name, (*shape, int(self.required("visual_embedding_dim"))))
        mask = self.padding_mask("regions", *shape, side="right")
        return mask if input_name == "visual_attention_mask" else np.ones_like(mask)


class DummyPointGenerator(DummyInputGenerator):
    """Points that ask for a mask: ``input_points`` (batch, masks, points, 2) in pixels, float32, and what each says."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_points", "input_labels")

    def array(self, input_name: str) -> Array:
        """The points; or their labels, int64: 1 inside, 0 outside, -1 background, -10 no point (``SamModel``)."""
        import numpy as np

        shapes = self.shapes
        shape = (self.batch_size, shapes.point_batch_size, shapes.nb_points_per_image)
        random = self.random(input_name)
        array: Array = np.array([1, 0, -1, -10])[random.integers(0, 4, shape)]
        if input_name == "input_points":
            array = random.random((*shape, 2), dtype=np.float32) * np.float32(shapes.image_height)
        return array


class DummyImageEmbeddingGenerator(DummyInputGenerator):
    """What SAM's image encoder answered, and its positions: (batch, channels, height, width), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("image_embeddings", "image_positional_embeddings")

    def array(self, input_name: str) -> Array:
        """One of the two, which have the same shape."""
        height = width = int(self.required("image_embedding_size"))
        return self.random_float_array(input_name, (self.batch_size, int(self.required("channels")), height, width))


class DummyTimeSeriesGenerator(DummyInputGenerator):
    """What was measured so far: ``past_values`` (batch, times, channels), float32, of the model's one length."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("past_values",)

    def array(self, input_name: str) -> Array:
        """The values."""
        size = (int(self.required("context_length")), int(self.required("num_input_channels")))
        return self.random_float_array(input_name, (self.batch_size, *size))


class DummyTrajectoryGenerator(DummyInputGenerator):
    """What was seen, done and still to gain at each step: (batch, steps, size), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("states", "actions", "timesteps", "returns_to_go", "attention_mask")

    def array(self, input_name: str) -> Array:
        """Numbers that are zero where the mask is; ``timesteps`` and the mask are int64, (batch, steps)."""
        mask = self.padding_mask("steps", self.batch_size, self.sequence_length)
        if input_name == "attention_mask":
            return mask
        if input_name == "timesteps":
            return self.random_int_array(input_name, mask.shape, int(self.required("max_ep_len"))) * mask
        sizes = {"states": "state_dim", "actions": "act_dim"}
        size = int(self.required(sizes[input_name])) if input_name in sizes else 1
        array: Array = self.random_float_array(input_name, (*mask.shape, size)) * mask[..., None].astype("float32")
        return array


class DummyPatchGenerator(DummyInputGenerator):
    """Images of any shape, in patches: (batch, patches, 2 + size of a patch), row and column before the pixels."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("flattened_patches", "attention_mask", "encoder_attention_mask")

    def array(self, input_name: str) -> Array:
        """Patches as float32, padded at the end with zeros; the mask as int64."""
        import numpy as np

        mask = self.padding_mask("patches", self.batch_size, self.shapes.encoder_sequence_length, side="right")
        if input_name != "flattened_patches":
            return mask
        pixels = self.random_float_array(input_name, (*mask.shape, int(self.required("patch_embed_hidden_size"))))
        places = self.random_int_array("patch places", (*mask.shape, 2), int(self.required("seq_len")))
        patches: Array = np.concatenate([places, pixels], axis=-1, dtype=np.float32) * mask[..., None].astype("float32")
        return patches


class DummyMaskingNoiseGenerator(DummyInputGenerator):
    """What decides which patches are hidden: ``noise`` in [0, 1), shape (batch, patches), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("noise",)

    def array(self, input_name: str) -> Array:
        """A number per patch."""
        import numpy as np

        return self.random(input_name).random((self.batch_size, number_of_patches(self)), dtype=np.float32)


def number_of_patches(generator: DummyInputGenerator) -> int:
    """How many patches the images are cut into."""
    patch_height, patch_width = as_height_and_width(generator.required("patch_size"))
    return (generator.shapes.image_height // patch_height) * (generator.shapes.image_width // patch_width)


class DummyAudioInputGenerator(DummyInputGenerator):
    """Sound, float32: ``input_values`` (batch, samples) or ``input_features`` (batch, mel bins, frames)."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_values", "input_features", "attention_mask")

    def supports_input(self, input_name: str) -> bool:
        """Sound, and the attention mask of a model that takes sound and no text."""
        takes_sound = "input_values" in self.input_names or "input_features" in self.input_names
        is_audio_mask = takes_sound and "input_ids" not in self.input_names
        return super().supports_input(input_name) and (input_name != "attention_mask" or is_audio_mask)

    def array(self, input_name: str) -> Array:
        """Sound that is silent where the mask, if the model takes one, is zero; the mask itself as int64."""
        length = self.shapes.nb_max_frames
        if "input_values" in self.input_names:
            length = self.shapes.audio_sequence_length
        shortest = shortest_audio(self.normalized_config, self.task)
        mask = self.padding_mask("audio", self.batch_size, length, shortest=shortest)
        if input_name == "attention_mask":
            return mask
        shape: tuple[int, ...] = (self.batch_size, length)
        if input_name == "input_features":
            shape = (self.batch_size, self.shapes.feature_size, length)
        sound = self.random_float_array(input_name, shape)
        if "attention_mask" in self.input_names:
            sound *= mask.reshape(self.batch_size, *[1] * (len(shape) - 2), length).astype(sound.dtype)
        return sound


class DummyMaskedSpeechGenerator(DummyInputGenerator):
    """Speech that is padded at its end: samples (batch, samples), or ``input_features`` (batch, frames, mel bins).

    A decoder's file takes the same mask as the encoder's, ``encoder_attention_mask``.
    """

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = (
        "input_values",
        "input_features",
        "attention_mask",
        "encoder_attention_mask",
    )

    def array(self, input_name: str) -> Array:
        """Sound as float32, silent where the mask, int64, is zero."""
        frame_size = self.normalized_config.get("input_feat_per_channel")
        length = self.shapes.audio_sequence_length if frame_size is None else self.shapes.nb_max_frames
        mask = self.padding_mask("audio", self.batch_size, length, side="right")
        if input_name.endswith("mask"):
            return mask
        if frame_size is not None:
            mask = mask[..., None].repeat(frame_size * int(self.normalized_config.get("input_channels", 1)), axis=-1)
        sound: Array = self.random_float_array(input_name, mask.shape) * mask.astype("float32")
        return sound


class DummySilentChanceGenerator(DummyInputGenerator):
    """Numbers that leave nothing to chance: noise of size zero, all of a layer kept; and a speed to speak at."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = (
        "noise_scale",
        "noise_scale_duration",
        "prenet_keep_probability",
        "speaking_rate",
    )

    def array(self, input_name: str) -> Array:
        """A number, float32."""
        import numpy as np

        if input_name == "speaking_rate":
            usual = float(self.required(input_name))
            return np.array(usual * self.random(input_name).uniform(0.5, 2), dtype=np.float32)
        return np.array(input_name == "prenet_keep_probability", dtype=np.float32)


class DummyUnmaskedTextInputGenerator(DummyTextInputGenerator):
    """Texts that always end in padding, which the model itself finds by its id."""

    def _mask(self) -> Mask:
        generator = DummyTextInputGenerator(
            self.task, self.normalized_config, padding="right", seed=self.seed, **asdict(self.shapes)
        )
        return generator.padding_mask("text", self._rows, self.sequence_length)


class DummySpectrogramSoFarGenerator(DummyInputGenerator):
    """Speech as it is being made, of one speaker: frames so far, their speaker, or all frames of a whole; float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("output_sequence", "speaker_embeddings", "spectrogram")

    def array(self, input_name: str) -> Array:
        """(1, frames, mel bins), (1, size of a speaker's embedding), or for a whole (frames, mel bins)."""
        if input_name == "speaker_embeddings":
            return self.random_float_array(input_name, (1, int(self.required("speaker_embedding_dim"))))
        frames = (self.shapes.decoder_sequence_length, int(self.required("num_mel_bins")))
        return self.random_float_array(input_name, frames if input_name == "spectrogram" else (1, *frames))


class DummyCodebookGenerator(DummyInputGenerator):
    """Sound as the words of several codebooks side by side, int64: each row of a batch has one row per codebook."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_ids", "audio_codes", "pad_token_id", "max_length")

    def array(self, input_name: str) -> Array:
        """``input_ids`` (batch * codebooks, length), ``audio_codes`` (1, batch, codebooks, length), or a number."""
        import numpy as np

        rows, length = int(self.required("num_codebooks")), self.shapes.decoder_sequence_length
        codebooks, vocabulary = rows // int(self.required("audio_channels")), int(self.required("vocab_size"))
        if input_name == "pad_token_id":
            return np.array(vocabulary, dtype=np.int64)
        if input_name == "max_length":
            # Too few for any pattern to fit, or some more than the prompt has.
            few, enough = 2 * codebooks - 2, length + 2 * codebooks
            return np.array(self.random(input_name).choice([few, enough, enough + 1, enough + 30]), dtype=np.int64)
        if input_name == "input_ids":
            return self.random_int_array(input_name, (self.batch_size * rows, length), vocabulary)
        shape = (1, self.batch_size, codebooks, length)
        return self.random_int_array(input_name, shape, int(self.required("codebook_size")))


class DummyFramesFirstGenerator(DummyAudioInputGenerator):
    """Sound whose ``input_features`` are (batch, frames, mel bins), as Transformer encoders take them."""

    def array(self, input_name: str) -> Array:
        """As the base class does, the other way round."""
        array = super().array(input_name)
        return array.transpose(0, 2, 1).copy() if input_name == "input_features" else array


class DummyVideoGenerator(DummyInputGenerator):
    """Videos of the model's one length: (batch, frames, channels, height, width), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("pixel_values", "pixel_values_videos")

    def array(self, input_name: str) -> Array:
        """The videos."""
        shapes, config = self.shapes, self.normalized_config
        frames = config.get("num_frames") or config.get("frames_per_clip")
        if frames is None:
            # Any number is right where a model takes films under their own name and says none.
            frames = _USUAL_FRAMES if input_name == "pixel_values_videos" else self.required("frames_per_clip")
        height, width = shapes.image_height, shapes.image_width
        if config.has_attribute("image_size") or config.has_attribute("crop_size"):
            height, width = as_height_and_width(config.get("image_size") or config.get("crop_size"))
        return self.random_float_array(input_name, (self.batch_size, int(frames), shapes.num_channels, height, width))


class DummyFixedSpectrogramGenerator(DummyInputGenerator):
    """Spectrograms of the model's one size: ``input_values`` (batch, ``max_length`` frames, mel bins), float32."""

    SUPPORTED_INPUT_NAMES: tuple[str, ...] = ("input_values",)

    def array(self, input_name: str) -> Array:
        """The spectrograms."""
        size = (int(self.required("max_length")), int(self.required("num_mel_bins")))
        return self.random_float_array(input_name, (self.batch_size, *size))


def shortest_audio(normalized_config: NormalizedConfig, task: str) -> int:
    """How many samples the model's convolutions need to answer; 1 for a model without them.

    Each layer of kernel k and stride s turns n samples into (n - k) // s + 1. The statistics of an x-vector need two
    frames of what the layers of time-delayed neurons leave over.
    """
    frames = 1
    if task == "audio-xvector":
        frames = 2 + sum(
            (kernel - 1) * dilation for kernel, dilation in _layers(normalized_config, "tdnn_kernel", "tdnn_dilation")
        )
    samples = frames
    for kernel, stride in reversed(_layers(normalized_config, "conv_kernel", "conv_stride")):
        samples = (samples - 1) * stride + kernel
    return samples


def encoded_audio_length(normalized_config: NormalizedConfig, samples: int) -> int:
    """How many frames wav2vec 2.0 and its kin make of that many samples, with their adapter if they have one.

    ``Wav2Vec2PreTrainedModel._get_feat_extract_output_lengths`` of transformers 5.23.
    """
    length = samples
    for kernel, stride in _layers(normalized_config, "conv_kernel", "conv_stride"):
        length = (length - kernel) // stride + 1
    if normalized_config.get("add_adapter"):
        for _ in range(int(normalized_config.num_adapter_layers)):
            length = (length - 1) // int(normalized_config.adapter_stride) + 1
    return length


def _layers(normalized_config: NormalizedConfig, first: str, second: str) -> list[tuple[int, int]]:
    """Two numbers per layer, from two lists of the configuration."""
    pairs = zip(normalized_config.get(first, ()), normalized_config.get(second, ()), strict=False)
    return [(int(one), int(other)) for one, other in pairs]


# For a configuration class that does not say which it needs; the first that supports an input makes it.
ALL_GENERATORS: tuple[type[DummyInputGenerator], ...] = (
    DummyAudioInputGenerator,
    DummyVisionInputGenerator,
    DummyTextInputGenerator,
    DummyDecoderTextInputGenerator,
    DummyEncoderOutputGenerator,
    DummyPastKeyValuesGenerator,
)
