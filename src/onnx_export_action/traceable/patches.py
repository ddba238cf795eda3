"""Functions of transformers that a graph cannot be made of, and what stands in for them while it is made.

Each names the version it is needed for. The reference never sees them: it runs the untouched model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch

from onnx_export_action.onnx_config.base import PatchingSpec
from onnx_export_action.traceable.recurrences import (
    gated_delta_rule,
    mlstm,
    rnn_scan,
    rwkv_linear_attention,
    selective_scan,
    state_space_duality,
)

_PATCHES: dict[str, Callable[[], list[PatchingSpec]]] = {}

# By the name that every model's file has for its own copy of the function.
_SCANS: Mapping[str, Callable[..., Any]] = {
    "mamba_selective_scan": selective_scan,
    "mamba2_chunk_scan": state_space_duality,
    "torch_chunk_gated_delta_rule": gated_delta_rule,
    "chunk_kimi_delta_attention": gated_delta_rule,
    "rwkv_linear_attention": rwkv_linear_attention,
}


def patches_for(model: torch.nn.Module) -> list[PatchingSpec]:
    """The patches that the types of a model and of its parts need."""
    configs = (getattr(module, "config", None) for module in model.modules())
    types = dict.fromkeys(getattr(config, "model_type", None) for config in configs)
    specs = [spec for model_type in types if model_type in _PATCHES for spec in _PATCHES[model_type]()]
    return [*specs, *_scans(model)]


def _scans(model: torch.nn.Module) -> list[PatchingSpec]:
    """Scans for the loops over positions or chunks in the files of transformers that the model's parts come from.

    A trace keeps such a loop as long as it was (5.23).
    """
    names = dict.fromkeys(type(part).__module__ for part in model.modules())
    modules = [sys.modules[name] for name in names if name.startswith("transformers.models.")]
    return [
        PatchingSpec(module, name, scan) for module in modules for name, scan in _SCANS.items() if hasattr(module, name)
    ]


def _for_type(*model_types: str) -> Callable[[Callable[[], list[PatchingSpec]]], Callable[[], list[PatchingSpec]]]:
    def register(make: Callable[[], list[PatchingSpec]]) -> Callable[[], list[PatchingSpec]]:
        _PATCHES.update(dict.fromkeys(model_types, make))
        return make

    return register


@_for_type("moonshine")
def _moonshine() -> list[PatchingSpec]:
    """``_get_feat_extract_output_lengths`` goes through Python's ``int``, which fixes the traced length (5.23)."""
    from transformers.models.moonshine.modeling_moonshine import MoonshinePreTrainedModel

    def lengths(_: object, samples: torch.Tensor) -> torch.Tensor:
        for kernel, stride in ((127, 64), (7, 3), (3, 2)):
            samples = (samples - kernel) // stride + 1
        return samples

    return [PatchingSpec(MoonshinePreTrainedModel, "_get_feat_extract_output_lengths", lengths)]


@_for_type("mobilenet_v1")
def _mobilenet_v1() -> list[PatchingSpec]:
    """``apply_tf_padding`` chooses in Python by the size of the features, which fixes it (5.23)."""
    from transformers.models.mobilenet_v1 import modeling_mobilenet_v1

    return [PatchingSpec(modeling_mobilenet_v1, "apply_tf_padding", _same_padding)]


@_for_type("mobilenet_v2")
def _mobilenet_v2() -> list[PatchingSpec]:
    """As MobileNet V1."""
    from transformers.models.mobilenet_v2 import modeling_mobilenet_v2

    return [PatchingSpec(modeling_mobilenet_v2, "apply_tf_padding", _same_padding)]


def _same_padding(features: torch.Tensor, convolution: torch.nn.Conv2d) -> torch.Tensor:
    """Pad (batch, channels, height, width) as TensorFlow's SAME does, by arithmetic alone.

    Of n pixels at stride s the last window begins at the largest multiple of s below n and needs as many as the
    kernel has: https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    padding: list[Any] = []
    for axis in (1, 0):
        kernel, stride = convolution.kernel_size[axis], convolution.stride[axis]
        missing = kernel - 1 - (features.shape[axis - 2] - 1) % stride
        padding += [missing // 2, missing - missing // 2] if kernel > stride else [0, 0]
    return torch.nn.functional.pad(features, padding)


@_for_type("maskformer", "maskformer-swin")
def _maskformer() -> list[PatchingSpec]:
    """As Swin V2, whose layers are copied there."""
    from transformers.models.maskformer import modeling_maskformer_swin as swin

    return _padding_of_any_size(
        swin.MaskFormerSwinPatchEmbeddings, swin.MaskFormerSwinPatchMerging, swin.MaskFormerSwinLayer
    )


@_for_type("swinv2")
def _swinv2() -> list[PatchingSpec]:
    """Patches, pairs and windows are padded only if they must be, which Python decides (``maybe_pad``, 5.23)."""
    from transformers.models.swinv2 import modeling_swinv2 as swin

    return _padding_of_any_size(swin.Swinv2PatchEmbeddings, swin.Swinv2PatchMerging, swin.Swinv2Layer)


def _pad_patches(self: Any, pixels: torch.Tensor, height: Any, width: Any) -> torch.Tensor:
    """Pad (batch, channels, height, width) to whole patches, by nothing where there are such."""
    missing = (-width % self.patch_size[1], -height % self.patch_size[0])
    return torch.nn.functional.pad(pixels, (0, missing[0], 0, missing[1]))


def _padding_of_any_size(patches: type, pairs: type, windows: type) -> list[PatchingSpec]:
    """Functions that always pad, by as much as is missing, if that is nothing; ``windows`` then always cut it off."""

    def pad_pairs(_: Any, features: torch.Tensor, height: Any, width: Any) -> torch.Tensor:
        return torch.nn.functional.pad(features, (0, 0, 0, width % 2, 0, height % 2))

    def pad_windows(self: Any, features: torch.Tensor, height: Any, width: Any) -> tuple[torch.Tensor, tuple[int, ...]]:
        padding = (0, 0, 0, -width % self.window_size, 0, -height % self.window_size)
        return torch.nn.functional.pad(features, padding), (0, 0, 0, 1, 0, 1)

    return [
        PatchingSpec(patches, "maybe_pad", _pad_patches),
        PatchingSpec(pairs, "maybe_pad", pad_pairs),
        PatchingSpec(windows, "maybe_pad", pad_windows),
    ]


@_for_type("longformer")
def _longformer() -> list[PatchingSpec]:
    """Windows cut out of a text at steps, and as many places for global tokens as one batch has (5.23).

    ``LongformerSelfAttention`` reads both as Python numbers, and so keeps those of the traced input; it also needs
    texts padded to a whole number of windows, by a branch that a trace takes or leaves for good.
    """
    from transformers.models.longformer.modeling_longformer import LongformerModel, LongformerSelfAttention

    from onnx_export_action.traceable.models.longformer import window_attention, without_padding

    return [
        PatchingSpec(LongformerSelfAttention, "forward", window_attention),
        PatchingSpec(LongformerModel, "_pad_to_window_size", without_padding),
    ]


@_for_type("led")
def _led() -> list[PatchingSpec]:
    """As Longformer, whose attention LED's encoder copies."""
    from transformers.models.led.modeling_led import LEDEncoder, LEDEncoderSelfAttention

    from onnx_export_action.traceable.models.longformer import window_attention, without_padding

    return [
        PatchingSpec(LEDEncoderSelfAttention, "forward", window_attention),
        PatchingSpec(LEDEncoder, "_pad_to_window_size", without_padding),
    ]


@_for_type("dbrx")
def _dbrx() -> list[PatchingSpec]:
    """The loop over the experts that some token chose, which takes for granted that none chose one too many (5.23)."""
    from transformers.models.dbrx.modeling_dbrx import DbrxExperts

    def experts(
        self: Any, hidden_states: torch.Tensor, top_k_index: torch.Tensor, top_k_weights: torch.Tensor
    ) -> torch.Tensor:
        tokens = hidden_states.reshape(-1, self.hidden_size)
        total = torch.zeros_like(tokens)
        parts = [
            weight.view(-1, self.ffn_hidden_size, self.hidden_size)
            for weight in (self.mlp.w1, self.mlp.v1, self.mlp.w2)
        ]
        for number in range(self.num_experts):
            chosen = top_k_index == number
            places = chosen.any(dim=-1).nonzero().squeeze(-1)
            weights = (top_k_weights * chosen).sum(dim=-1)[places].unsqueeze(-1)
            answer = self.mlp(tokens[places], *(part[number] for part in parts))
            total = total.index_put((places,), answer * weights, accumulate=True)
        return total.view(hidden_states.shape[0], -1, self.hidden_size)

    return [PatchingSpec(DbrxExperts, "forward", experts)]


@_for_type("encodec")
def _encodec() -> list[PatchingSpec]:
    """The last samples are cut off only if there are more than were given, which Python decides (``decode``, 5.23)."""
    from transformers.models.encodec.modeling_encodec import EncodecDecoderOutput, EncodecModel

    decode = EncodecModel.decode

    def cut(
        self: Any,
        audio_codes: torch.Tensor,
        audio_scales: Any,
        padding_mask: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **rest: Any,
    ) -> Any:
        (sound,) = decode(self, audio_codes, audio_scales, None, return_dict=False, **rest)
        if padding_mask is not None:
            sound = sound[..., : padding_mask.shape[-1]]
        named = self.config.return_dict if return_dict is None else return_dict
        return EncodecDecoderOutput(sound) if named else (sound,)

    return [PatchingSpec(EncodecModel, "decode", cut)]


@_for_type("fastspeech2_conformer", "fastspeech2_conformer_with_hifigan")
def _fastspeech2_conformer() -> list[PatchingSpec]:
    """Each text of a batch is stretched by itself, in a Python loop (``length_regulator``, 5.23)."""
    from transformers.models.fastspeech2_conformer import modeling_fastspeech2_conformer

    def stretched(states: torch.Tensor, durations: torch.Tensor, speaking_speed: float = 1.0) -> torch.Tensor:
        if speaking_speed != 1.0:
            durations = torch.round(durations.float() * speaking_speed).long()
        silent = durations.sum() == 0
        durations = torch.where(silent, torch.ones_like(durations), durations)
        ends = durations.cumsum(dim=1)
        frames = torch.arange(ends[:, -1].max())
        # Of each frame the symbol that it belongs to: as many symbols end before it or with it.
        symbols = (ends.unsqueeze(1) <= frames[None, :, None]).sum(dim=-1)
        places = symbols.clamp(max=states.shape[1] - 1).unsqueeze(-1).expand(-1, -1, states.shape[2])
        return states.gather(1, places) * (frames < ends[:, -1:]).unsqueeze(-1)

    return [PatchingSpec(modeling_fastspeech2_conformer, "length_regulator", stretched)]


@_for_type("pixtral")
def _pixtral() -> list[PatchingSpec]:
    """Images of one size are put in a list and in a row again (5.23); those of several sizes stay as they are."""
    from transformers.models.pixtral.modeling_pixtral import PixtralVisionModel

    forward = PixtralVisionModel.forward

    def of_one_size(self: Any, pixel_values: torch.Tensor, image_sizes: Any = None, **kwargs: Any) -> Any:
        if image_sizes is not None:
            return forward(self, pixel_values, image_sizes, **kwargs)
        images = self.patch_conv(pixel_values)
        batch, size, height, width = images.shape
        patches = self.ln_pre(images.flatten(2).transpose(1, 2).reshape(1, -1, size))
        place = torch.arange(height * width).repeat(batch)
        rotations = self.patch_positional_embedding(patches, torch.stack((place // width, place % width), dim=-1))
        image = torch.arange(batch).repeat_interleave(height * width)
        mask = torch.where(image == image.unsqueeze(-1), 0.0, torch.finfo(patches.dtype).min)
        kwargs.pop("return_dict", None)
        return self.transformer(patches, attention_mask=mask[None, None], position_embeddings=rotations, **kwargs)

    return [PatchingSpec(PixtralVisionModel, "forward", of_one_size)]


@_for_type("siglip2", "siglip2_vision_model")
def _siglip2() -> list[PatchingSpec]:
    """The positions are resized for each image by itself, in a Python loop (``resize_positional_embeddings``, 5.23)."""
    from transformers.models.siglip2.modeling_siglip2 import Siglip2VisionEmbeddings

    from onnx_export_action.traceable.resizing import resized_for_each

    name = "resize_positional_embeddings"
    return [PatchingSpec(Siglip2VisionEmbeddings, name, resized_for_each, op_wrapper=staticmethod)]


@_for_type("focalnet")
def _focalnet() -> list[PatchingSpec]:
    """As Swin V2, of which it has the patches alone."""
    from transformers.models.focalnet.modeling_focalnet import FocalNetPatchEmbeddings

    return [PatchingSpec(FocalNetPatchEmbeddings, "maybe_pad", _pad_patches)]


@_for_type("radio")
def _radio() -> list[PatchingSpec]:
    """The larger side, and which side must be cut, are chosen in Python (``_interpolate_position_embedding``, 5.23)."""
    from transformers.models.radio.modeling_radio import RadioPatchEmbeddings

    def positions(self: Any, sides: tuple[Any, Any], dtype: torch.dtype) -> torch.Tensor:
        height, width = (torch.as_tensor(side) for side in sides)
        longer = torch.maximum(height, width)
        grid = self.position_embedding.reshape(1, self.max_rows, self.max_cols, -1).permute(0, 3, 1, 2)
        resized = torch.nn.functional.interpolate(grid.float(), size=(longer, longer), mode="bilinear")
        return resized[..., : sides[0], : sides[1]].to(dtype).flatten(2).permute(0, 2, 1)

    return [PatchingSpec(RadioPatchEmbeddings, "_interpolate_position_embedding", positions)]


@_for_type("cpmant")
def _cpmant() -> list[PatchingSpec]:
    """The places of a text are counted in a Python list, as many as the traced one has (5.23)."""
    from transformers.models.cpmant.modeling_cpmant import CpmAntModel

    def mask(self: Any, ids: torch.Tensor, span: torch.Tensor, context: torch.Tensor, length: Any) -> torch.Tensor:
        batch, size = ids.shape
        places = torch.arange(size)
        seen = (context[:, None, :] != 0) | ((context[:, :, None] == 0) & (places <= places.unsqueeze(-1)))
        seen = seen & (span[:, None, :] == span[:, :, None])
        from_the_end = torch.arange(size - self.prompt_length).flip(0)
        known = torch.cat((torch.ones(batch, self.prompt_length).bool(), from_the_end < length[:, None]), dim=1)
        return known.unsqueeze(2) & known.unsqueeze(1) & seen

    return [PatchingSpec(CpmAntModel, "_prepare_attention_mask", mask)]


@_for_type("xlstm")
def _xlstm() -> list[PatchingSpec]:
    """The loop over the positions, which a trace keeps as long as it was (5.23)."""
    from transformers.models.xlstm.modeling_xlstm import xLSTMBackend

    return [PatchingSpec(xLSTMBackend, "forward", mlstm)]


@_for_type("recurrent_gemma")
def _recurrent_gemma() -> list[PatchingSpec]:
    """The loop over the positions, which a trace keeps as long as it was (5.23)."""
    from transformers.models.recurrent_gemma.modeling_recurrent_gemma import RecurrentGemmaRglru

    return [PatchingSpec(RecurrentGemmaRglru, "_rnn_scan", rnn_scan)]
