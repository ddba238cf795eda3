"""What an axis that a user declares may be called, and which size of dummy inputs makes it vary."""

from __future__ import annotations

# A sequence is one of tokens, or of what a model of sound takes.
_LENGTHS = ("sequence_length", "audio_sequence_length", "nb_max_frames")

# Name of an axis -> the shape arguments that it may vary with: our own names, then those of transformers.onnx.
AXIS_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "batch_size": ("batch_size",),
    "sequence_length": _LENGTHS,
    "past_sequence_length": ("past_sequence_length",),
    "encoder_sequence_length": ("encoder_sequence_length", "sequence_length"),
    "decoder_sequence_length": ("decoder_sequence_length",),
    "past_decoder_sequence_length": ("past_sequence_length",),
    "num_choices": ("num_choices",),
    "num_channels": ("num_channels",),
    "height": ("image_height",),
    "width": ("image_width",),
    "image_height": ("image_height",),
    "image_width": ("image_width",),
    "num_frames": ("nb_max_frames",),
    "nb_max_frames": ("nb_max_frames",),
    "feature_size": ("feature_size",),
    "audio_sequence_length": ("audio_sequence_length",),
    "text_batch_size": ("text_batch_size",),
    "image_batch_size": ("image_batch_size",),
    "visual_seq_length": ("visual_seq_length",),
    "point_batch_size": ("point_batch_size",),
    "nb_points_per_image": ("nb_points_per_image",),
    "num_queries": ("num_text_queries",),
    "batch": ("batch_size",),
    "sequence": _LENGTHS,
    "past_sequence": ("past_sequence_length",),
    "encoder_sequence": ("encoder_sequence_length", "sequence_length"),
    "decoder_sequence": ("decoder_sequence_length",),
    "choice": ("num_choices",),
}
