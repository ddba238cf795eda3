"""One name for what model configurations spell differently: ``hidden_size``, ``d_model``, ``n_embd``, ``dim`` ..."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar, Self


class NormalizedConfig:
    """Reads a model configuration under one set of names.

    A name is looked up as the class attribute of the same name in upper case says (a dotted path into the
    configuration), then under its own name, then under the other spellings in ``SYNONYMS``. An attribute that is
    absent or None counts as not found.
    """

    SYNONYMS: ClassVar[dict[str, tuple[str, ...]]] = {
        "hidden_size": ("d_model", "n_embd", "dim", "hidden_dim"),
        "num_layers": ("num_hidden_layers", "n_layer", "n_layers", "decoder_layers", "encoder_layers"),
        "num_attention_heads": ("n_head", "n_heads", "num_heads", "decoder_attention_heads", "encoder_attention_heads"),
        "num_key_value_heads": ("num_kv_heads", "n_head_kv"),
        "head_dim": ("d_kv", "kv_channels"),
        "max_position_embeddings": ("n_positions", "max_target_positions", "n_ctx", "max_seq_len"),
        "num_channels": ("in_channels", "in_chans"),
        "image_size": ("input_size", "img_size", "max_img_size"),
        "image_token_id": ("image_token_index",),
        "num_mel_bins": ("feature_size", "input_feat_per_channel"),
        "encoder_hidden_size": ("encoder.hidden_size", "hidden_size", "d_model"),
        "encoder_num_layers": ("encoder_layers", "num_layers", "num_hidden_layers"),
        "decoder_num_layers": ("decoder_layers", "num_decoder_layers", "num_hidden_layers", "num_layers"),
        "decoder_num_attention_heads": ("decoder_attention_heads", "num_attention_heads", "num_heads"),
    }

    # Where a composite configuration keeps its image (or encoder) part and its text (or decoder) part.
    VISION_CONFIG: str | None = None
    TEXT_CONFIG: str | None = None
    VISION_NAMES: ClassVar[frozenset[str]] = frozenset(
        {"image_size", "input_size", "num_channels", "patch_size", "encoder_hidden_size", "encoder_num_layers"}
    )

    def __init__(self, config: Any, allow_new: bool = False, **names: str) -> None:
        self.config = config
        for name, path in names.items():
            if not allow_new and not hasattr(type(self), name.upper()):
                message = f"{type(self).__name__} has no attribute {name!r}; pass allow_new=True to add one"
                raise AttributeError(message)
            setattr(self, name.upper(), path)

    @classmethod
    def with_args(cls, allow_new: bool = False, **names: str) -> functools.partial[Self]:
        """This class with other spellings, e.g. ``with_args(num_layers="n_layer")``."""
        return functools.partial(cls, allow_new=allow_new, **names)

    def __getattr__(self, name: str) -> Any:
        # Reached only for names that are no ordinary attribute of this object.
        if name.startswith("_") or name == "config" or name.isupper():
            raise AttributeError(name)
        value = self._found(name)
        if value is None:
            value = self._derived(name)
        if value is None:
            message = f"{type(self.config).__name__} has no {name!r}"
            raise AttributeError(message)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute, or ``default`` where the configuration does not say."""
        return getattr(self, name, default)

    def has_attribute(self, name: str) -> bool:
        """Whether the configuration says anything under this name."""
        return self.get(name) is not None

    def _found(self, name: str) -> Any:
        for root in self._roots(name):
            for path in (getattr(self, name.upper(), None), name, *self.SYNONYMS.get(name, ())):
                value = _follow(root, path) if path else None
                if value is not None:
                    return value
        return None

    def _roots(self, name: str) -> list[Any]:
        """Where to look: the part of a composite configuration that answers for the name, then the whole."""
        path = self.VISION_CONFIG if name in self.VISION_NAMES else self.TEXT_CONFIG
        part = _follow(self.config, path) if path else None
        return [self.config] if part is None else [part, self.config]

    def _derived(self, name: str) -> Any:
        """What follows from other attributes where the configuration leaves it out."""
        if name == "num_key_value_heads":
            return self.get("num_attention_heads")
        if name == "head_dim" and self.has_attribute("hidden_size") and self.has_attribute("num_attention_heads"):
            return self.hidden_size // self.num_attention_heads
        return None


# What NORMALIZED_CONFIG_CLASS of a configuration class may be.
NormalizedConfigClass = type[NormalizedConfig] | functools.partial[Any]


def _follow(root: Any, path: str) -> Any:
    """``text_config.hidden_size`` -> that attribute of that part, None where a step is missing."""
    value = root
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else getattr(value, step, None)
    return value


class NormalizedTextConfig(NormalizedConfig):
    """Names of text models."""

    VOCAB_SIZE = "vocab_size"
    HIDDEN_SIZE = "hidden_size"
    NUM_LAYERS = "num_hidden_layers"
    NUM_ATTENTION_HEADS = "num_attention_heads"
    NUM_KEY_VALUE_HEADS = "num_key_value_heads"
    HEAD_DIM = "head_dim"
    MAX_POSITION_EMBEDDINGS = "max_position_embeddings"
    EOS_TOKEN_ID = "eos_token_id"  # noqa: S105 - an attribute's name
    PAD_TOKEN_ID = "pad_token_id"  # noqa: S105 - an attribute's name


class NormalizedTextConfigWithGQA(NormalizedTextConfig):
    """Text models with grouped keys and values; every text configuration here reads them where they are named."""


class NormalizedMultiQueryConfig(NormalizedTextConfig):
    """Text models whose queries may share one head of keys and values (GPT-BigCode, Falcon)."""

    @property
    def num_key_value_heads(self) -> int:
        """Heads that the cache holds; Falcon's newer layout gives every query its copy."""
        shares = self.get("multi_query") and not self.get("new_decoder_architecture")
        return 1 if shares else int(self.num_attention_heads)


class NormalizedSeq2SeqConfig(NormalizedTextConfig):
    """Names of encoder-decoders: the cache belongs to the decoder."""

    ENCODER_NUM_LAYERS = "encoder_layers"
    DECODER_NUM_LAYERS = "decoder_layers"
    ENCODER_NUM_ATTENTION_HEADS = "encoder_attention_heads"
    DECODER_NUM_ATTENTION_HEADS = "decoder_attention_heads"

    def _derived(self, name: str) -> Any:
        # Before the base class: these count for the decoder, not for the model as a whole.
        if name == "head_dim" and self.has_attribute("hidden_size"):
            return self.hidden_size // self.decoder_num_attention_heads
        if name == "num_key_value_heads":
            return self.decoder_num_attention_heads
        return super()._derived(name)


class NormalizedVisionConfig(NormalizedConfig):
    """Names of image models."""

    IMAGE_SIZE = "image_size"
    NUM_CHANNELS = "num_channels"
    INPUT_SIZE = "input_size"


class NormalizedTimmConfig(NormalizedVisionConfig):
    """Names of timm's models, whose image is ``pretrained_cfg["input_size"]``: channels, height, width."""

    @property
    def image_size(self) -> list[int]:
        """Height and width; 224 where a configuration says nothing, as timm's own default."""
        return list(self._input_size[1:])

    @property
    def num_channels(self) -> int:
        """Colours."""
        return int(self._input_size[0])

    @property
    def _input_size(self) -> Sequence[int]:
        size: Sequence[int] = (self.get("pretrained_cfg") or {}).get("input_size") or (3, 224, 224)
        return size


class NormalizedTextAndVisionConfig(NormalizedTextConfig, NormalizedVisionConfig):
    """Names of models with a text part and an image part, each in a configuration of its own."""

    TEXT_CONFIG = "text_config"
    VISION_CONFIG = "vision_config"


class NormalizedEncoderDecoderConfig(NormalizedSeq2SeqConfig):
    """Names of models put together from an encoder and a decoder, each with a configuration of its own."""

    TEXT_CONFIG = "decoder"
    VISION_CONFIG = "encoder"
