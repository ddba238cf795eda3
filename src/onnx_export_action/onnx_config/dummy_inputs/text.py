"""Text: token ids, masks, and what goes with them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from onnx_export_action.onnx_config.dummy_inputs.base import SPECIAL_TOKENS, DummyInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.vision import number_of_patches

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.int64]


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


class DummyUnmaskedTextInputGenerator(DummyTextInputGenerator):
    """Texts that always end in padding, which the model itself finds by its id."""

    def _mask(self) -> Mask:
        generator = DummyTextInputGenerator(
            self.task, self.normalized_config, padding="right", seed=self.seed, **asdict(self.shapes)
        )
        return generator.padding_mask("text", self._rows, self.sequence_length)
