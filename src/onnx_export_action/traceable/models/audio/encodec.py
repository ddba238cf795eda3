"""EnCodec, which cuts off the last samples only if there are more than were given, as Python decides (5.24)."""

from __future__ import annotations

from typing import Any

import torch

from onnx_export_action.traceable.private_names import Patch, PrivateName


def cut(
    decode: Any,
    self: Any,
    audio_codes: torch.Tensor,
    audio_scales: Any,
    padding_mask: torch.Tensor | None = None,
    return_dict: bool | None = None,
    **rest: Any,
) -> Any:
    """``EncodecModel.decode``, whose sound is always cut to the mask (batch, channels, samples)."""
    (sound,) = decode(self, audio_codes, audio_scales, None, return_dict=False, **rest)
    if padding_mask is not None:
        sound = sound[..., : padding_mask.shape[-1]]
    named = self.config.return_dict if return_dict is None else return_dict
    return _OUTPUT.find()(sound) if named else (sound,)


_FILE = "transformers.models.encodec.modeling_encodec"
_OUTPUT = PrivateName(f"{_FILE}.EncodecDecoderOutput")

PATCHES = (Patch(f"{_FILE}.EncodecModel.decode", replacement=cut, around=True),)
