"""Components of diffusion pipelines, called as diffusers 0.42 calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def unet_with_sizes(
    model: Any, *, text_embeds: torch.Tensor, time_ids: torch.Tensor, **inputs: torch.Tensor
) -> Mapping[str, Any]:
    """``UNet2DConditionModel.forward`` of diffusers for Stable Diffusion XL, which takes two inputs as one mapping."""
    outputs: Mapping[str, Any] = model(**inputs, added_cond_kwargs={"text_embeds": text_embeds, "time_ids": time_ids})
    return outputs


def vae_encoder(model: Any, *, sample: torch.Tensor) -> dict[str, torch.Tensor]:
    """``AutoencoderKL.encode`` of diffusers, up to the distribution that a pipeline then draws from."""
    return {"latent_parameters": model.encode(sample).latent_dist.parameters}


def vae_decoder(model: Any, *, latent_sample: torch.Tensor) -> dict[str, torch.Tensor]:
    """``AutoencoderKL.decode`` of diffusers."""
    return {"sample": model.decode(latent_sample).sample}
