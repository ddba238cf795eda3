"""Which sizes dummy inputs are made in: the defaults, what the model's own configuration fixes, what it limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from onnx_export_action.onnx_config.normalized import NormalizedConfig
from onnx_export_action.onnx_config.tasks import suggestion
from onnx_export_action.vocabulary.errors import plan_error

AxesMapping = Mapping[str, Mapping[int, str]]


@dataclass(frozen=True)
class DummyShapes:
    """The sizes that dummy inputs are made in, under the names that ``generate_dummy_inputs`` takes.

    Lengths are in tokens, image sizes in pixels, ``feature_size`` in mel bins, ``nb_max_frames`` in spectrogram
    frames and ``audio_sequence_length`` in samples. ``sequence_length`` is the length of ``input_ids``;
    ``past_sequence_length`` tokens lie before them in the cache. ``num_text_queries`` are the texts that are looked for
    in each image, ``visual_seq_length`` the regions that an image was cut into; ``point_batch_size`` masks are asked
    for in each image, by ``nb_points_per_image`` points each.
    """

    batch_size: int = 2
    text_batch_size: int = 2
    image_batch_size: int = 2
    sequence_length: int = 16
    past_sequence_length: int = 16
    encoder_sequence_length: int = 16
    decoder_sequence_length: int = 16
    num_choices: int = 4
    num_text_queries: int = 4
    visual_seq_length: int = 16
    point_batch_size: int = 3
    nb_points_per_image: int = 2
    image_width: int = 224
    image_height: int = 224
    num_channels: int = 3
    feature_size: int = 80
    nb_max_frames: int = 3000
    audio_sequence_length: int = 16000


DEFAULT_DUMMY_SHAPES: dict[str, int] = asdict(DummyShapes())

# Sizes that are the same as another unless they are given.
FOLLOWERS = {
    "text_batch_size": "batch_size",
    "image_batch_size": "batch_size",
    "encoder_sequence_length": "sequence_length",
    "decoder_sequence_length": "sequence_length",
}

# Input, axis, the shape argument of its size, and the attribute of the configuration that may fix it.
FIXED_BY_CONFIGURATION = (
    ("pixel_values", 1, "num_channels", "num_channels"),
    ("pixel_values", 2, "image_height", "image_size"),
    ("pixel_values", 3, "image_width", "image_size"),
    ("input_features", 1, "feature_size", "num_mel_bins"),
    ("input_features", 2, "nb_max_frames", "max_source_positions"),
)


@dataclass(frozen=True)
class ShapeLimit:
    """Which sizes a model takes: ``minimum`` to ``maximum`` (None: no end), and why, in words for the reader.

    ``multiple``: from the minimum on, only every so many; the minimum is one of them.
    """

    minimum: int = 1
    maximum: int | None = None
    reason: str = "there is nothing to compute"
    multiple: int = 1

    def allows(self, size: int) -> bool:
        """Whether the model can be called with this size."""
        return size == self.clip(size)

    def clip(self, size: int) -> int:
        """The nearest size that the model takes, from below if there are several."""
        within = max(self.minimum, size if self.maximum is None else min(size, self.maximum))
        return within - (within - self.minimum) % self.multiple

    def __str__(self) -> str:
        if self.minimum == self.maximum:
            return f"it is fixed at {self.minimum}: {self.reason}"
        bound = f"at least {self.minimum}" if self.maximum is None else f"{self.minimum} to {self.maximum}"
        steps = f" in steps of {self.multiple}" if self.multiple > 1 else ""
        return f"it must be {bound}{steps}: {self.reason}"


def fixed_at(size: int, reason: str) -> ShapeLimit:
    """The limit of a size that the model cannot vary."""
    return ShapeLimit(size, size, reason)


def default_sizes(inputs: AxesMapping, normalized_config: NormalizedConfig) -> dict[str, int]:
    """The default of every size; the model's own where its configuration names one.

    Raises:
        ExportError: the configuration names something that is no size.
    """
    sizes = dict(DEFAULT_DUMMY_SHAPES)
    if not {"pixel_values", "sample", "latent_sample"}.isdisjoint(inputs):
        if normalized_config.has_attribute("image_size"):
            sizes["image_height"], sizes["image_width"] = as_height_and_width(normalized_config.image_size)
        sizes["num_channels"] = _configured(normalized_config, "num_channels", sizes["num_channels"])
    if "input_features" in inputs:
        sizes["feature_size"] = _configured(normalized_config, "num_mel_bins", sizes["feature_size"])
        # Speech encoders halve the frames by a convolution of stride 2 before they add positions.
        sizes["nb_max_frames"] = 2 * _configured(normalized_config, "max_source_positions", sizes["nb_max_frames"] // 2)
    return sizes


def _configured(normalized_config: NormalizedConfig, attribute: str, default: int) -> int:
    return _whole_number(normalized_config.get(attribute, default), attribute)


def limits_from_axes(inputs: AxesMapping, normalized_config: NormalizedConfig) -> dict[str, ShapeLimit]:
    """What the declared axes fix: an axis that is not declared has the size that the configuration names."""
    sizes = default_sizes(inputs, normalized_config)
    limits = {"past_sequence_length": ShapeLimit(0)}
    if inputs and 0 not in next(iter(inputs.values())):
        limits["batch_size"] = fixed_at(1, "its first axis is not declared as one that varies")
    for input_name, axis, name, attribute in FIXED_BY_CONFIGURATION:
        axes = inputs.get(input_name)
        if axes is not None and axis not in axes and normalized_config.has_attribute(attribute):
            limits[name] = fixed_at(sizes[name], f"the configuration's {attribute} says so")
    return limits


def check_sizes(requested: Mapping[str, Any], known: list[str], limits: Mapping[str, ShapeLimit]) -> None:
    """Refuse names that are no sizes, and sizes that the model does not take.

    Raises:
        ExportError: what is wrong with the first bad one, and what would be right.
    """
    for name, size in requested.items():
        if name not in known:
            raise plan_error(f"unknown shape argument {name!r}", hint=suggestion(name, known, "shape arguments"))
        if not isinstance(size, int) or isinstance(size, bool):
            raise plan_error(f"{name} must be a whole number, not {size!r}")
        limit = limits.get(name, ShapeLimit())
        if not limit.allows(size):
            raise plan_error(f"{name} cannot be {size}", hint=str(limit))


def chosen_shapes(
    requested: Mapping[str, int],
    defaults: Mapping[str, int],
    limits: Mapping[str, ShapeLimit],
    extra_arguments: Sequence[str] = (),
) -> DummyShapes:
    """The requested sizes, else the defaults within ``limits``; a size that follows another one is that one's.

    Raises:
        ExportError: a name is no shape argument, nor one of ``extra_arguments``, or the model does not take that size.
    """
    known = [name for name in DEFAULT_DUMMY_SHAPES if name not in ("text_batch_size", "image_batch_size")]
    check_sizes(requested, [*known, *extra_arguments], limits)
    sizes = {name: requested.get(name, limits.get(name, ShapeLimit()).clip(size)) for name, size in defaults.items()}
    for follower, leader in FOLLOWERS.items():
        if follower in requested:
            continue
        if leader in requested:
            check_sizes({follower: sizes[leader]}, [follower], limits)
        sizes[follower] = limits.get(follower, ShapeLimit()).clip(sizes[leader])
    return DummyShapes(**sizes)


def split_length(new: int | None, past: int | None, limit: int | None) -> tuple[int, int]:
    """Numbers of new tokens and of tokens in the past before them, where None takes what fits ``limit`` positions.

    Raises:
        ExportError: both are given and do not fit.
    """
    default_new, default_past = DEFAULT_DUMMY_SHAPES["sequence_length"], DEFAULT_DUMMY_SHAPES["past_sequence_length"]
    if limit is None:
        return default_new if new is None else new, default_past if past is None else past
    if new is None:
        new = max(1, min(default_new, limit - (limit // 2 if past is None else past)))
    if past is None:
        past = max(0, min(default_past, limit - new))
    if new + past > limit:
        raise plan_error(f"{new} tokens after a past of {past} are too long", hint=f"the model has {limit} positions")
    return new, past


def as_height_and_width(size: Any) -> tuple[int, int]:
    """(height, width) of a size that a configuration gives as a number, a pair or a mapping.

    Raises:
        ExportError: it is none of these.
    """
    if isinstance(size, dict):
        size = (size.get("height"), size.get("width"))
    pair = size if isinstance(size, (list, tuple)) and size else [size]
    return _whole_number(pair[0], "image or patch size"), _whole_number(pair[-1], "image or patch size")


def _whole_number(value: Any, attribute: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise plan_error(
            f"the model's configuration says {value!r} for its {attribute}", "a whole number from 1 is needed"
        )
    return value
