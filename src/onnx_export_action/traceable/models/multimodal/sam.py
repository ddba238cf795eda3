"""SAM, as two files: what is computed of an image, and of the points in it."""

from __future__ import annotations

from typing import Any

import torch


def vision_encoder(model: Any, *, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
    """The first half of ``SamModel.forward``: all that does not depend on the prompt."""
    positions = model.get_image_wide_positional_embeddings()
    return {
        "image_embeddings": model.vision_encoder(pixel_values).last_hidden_state,
        "image_positional_embeddings": positions.repeat(pixel_values.shape[0], 1, 1, 1),
    }


def prompt_encoder_mask_decoder(
    model: Any,
    *,
    input_points: torch.Tensor,
    input_labels: torch.Tensor,
    image_embeddings: torch.Tensor,
    image_positional_embeddings: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """The second half of ``SamModel.forward``, for points and with three masks for each set, its default."""
    sparse, dense = model.prompt_encoder(
        input_points=input_points, input_labels=input_labels, input_boxes=None, input_masks=None
    )
    masks, scores = model.mask_decoder(
        image_embeddings=image_embeddings,
        image_positional_embeddings=image_positional_embeddings,
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    return {"iou_scores": scores, "pred_masks": masks}
