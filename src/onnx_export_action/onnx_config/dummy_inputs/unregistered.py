"""Ways in which models without a configuration class are called, beyond those of registered ones.

Only for inference: each is tried, and kept where the model runs with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onnx_export_action.onnx_config.dummy_inputs.base import DummyInputGenerator
from onnx_export_action.onnx_config.dummy_inputs.unregistered_images import (
    GRID,
    DummyDenoisingGenerator,
    DummyEmbeddingGenerator,
    DummyFilmQueryPromptGenerator,
    DummyGridPatchGenerator,
    DummyImagePairGenerator,
    DummyInterleavedImageGenerator,
    DummyMergedPatchGenerator,
    DummyPlacedPatchGenerator,
    DummyPromptImageGenerator,
    DummyQueryPromptGenerator,
    DummyRegionFeatureGenerator,
    DummyRobotGenerator,
    DummySequenceOfSquarePatchesGenerator,
    DummySquarePatchGenerator,
    DummyStillPatchGenerator,
    DummyTaskTextGenerator,
    merge_size,
)
from onnx_export_action.onnx_config.dummy_inputs.unregistered_sounds import (
    DummyLaggedSeriesGenerator,
    DummyMaskedSoundGenerator,
    DummyMelsFirstMaskedSoundGenerator,
    DummyMonoSoundGenerator,
    DummyNoisySpectrogramGenerator,
    DummySeriesGenerator,
    DummySoundAndFeaturesGenerator,
    DummySoundCodeGenerator,
    DummySpectrogramImageGenerator,
    DummySpokenTextGenerator,
    DummyStackedSoundGenerator,
    DummyWholePatchSoundGenerator,
)
from onnx_export_action.onnx_config.dummy_inputs.usual import ALL_GENERATORS
from onnx_export_action.onnx_config.dummy_inputs.vision import DummyVisionInputGenerator
from onnx_export_action.onnx_config.normalized import NormalizedConfig

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class CallForm:
    """Inputs that go together, who makes them, and arguments that are the same in every call."""

    inputs: tuple[str, ...]
    generators: tuple[type[DummyInputGenerator], ...]
    constants: Mapping[str, Any] = field(default_factory=dict)


def call_forms(normalized_config: NormalizedConfig) -> list[CallForm]:
    """All forms that a model with this configuration may be called in."""
    merged = merge_size(normalized_config)
    rows, columns = (side * merged for side in GRID)
    patch_layouts = (
        DummyGridPatchGenerator,
        DummyStillPatchGenerator,
        DummySquarePatchGenerator,
        DummySequenceOfSquarePatchesGenerator,
        DummyMergedPatchGenerator,
    )
    forms = [
        CallForm((name,), (layout,), constants)
        for constants in (
            {"grid_thw": [[1, rows, columns]]},
            {"image_grid_thw": [[1, rows, columns]]},
            {"image_grid_thw": [[1, *GRID]]},
            {"grid_thw": [[1, rows, columns]], "merge_sizes": [merged]},
            {"target_sizes": [[rows, columns]]},
            {"tgt_sizes": [[rows, columns]]},
        )
        for name in ("pixel_values", "hidden_states")
        for layout in patch_layouts
    ]
    masked = {"pixel_attention_mask": [[1] * rows * columns] * 2, "spatial_shapes": [[rows, columns]] * 2}
    text = ("input_ids", "attention_mask")
    asked = (*text, "qformer_input_ids", "qformer_attention_mask", "pixel_values")
    return [
        *forms,
        CallForm(("pixel_values",), (DummyPlacedPatchGenerator,), masked),
        CallForm(("pixel_values", "pixel_position_ids"), (DummyPlacedPatchGenerator,)),
        CallForm(("pixel_values", "prompt_pixel_values", "prompt_masks"), (DummyPromptImageGenerator,)),
        CallForm((*text, "visual_feats", "visual_pos"), (DummyRegionFeatureGenerator, *ALL_GENERATORS)),
        CallForm(("query_embeds", "encoder_hidden_states"), (DummyEmbeddingGenerator,)),
        CallForm(("query_embeds",), (DummyEmbeddingGenerator,)),
        CallForm(asked, (DummyQueryPromptGenerator, DummyVisionInputGenerator)),
        CallForm(asked, (DummyFilmQueryPromptGenerator,)),
        CallForm(DummyRobotGenerator.SUPPORTED_INPUT_NAMES, (DummyRobotGenerator,)),
        CallForm(
            (*text, "pixel_values", "image_embeds_position_mask"),
            (DummyQueryPromptGenerator, DummyVisionInputGenerator),
        ),
        CallForm((*text, "pixel_values", "image_attention_mask"), (DummyInterleavedImageGenerator, *ALL_GENERATORS)),
        *(
            CallForm((subject, mask), (layout,))
            for subject in ("input_features", "audio_mel")
            for mask in ("input_features_mask", "attention_mask", "audio_mel_mask")
            for layout in (DummyMaskedSoundGenerator, DummyMelsFirstMaskedSoundGenerator, DummyStackedSoundGenerator)
        ),
        CallForm((*text, "input_features"), (DummySpectrogramImageGenerator, *ALL_GENERATORS)),
        CallForm(("input_values",), (DummyWholePatchSoundGenerator,)),
        CallForm(("input_values",), (DummyMonoSoundGenerator,), {"sample": 0}),
        CallForm(("input_values",), (DummyMonoSoundGenerator,)),
        CallForm((*text, "input_values"), (DummyMonoSoundGenerator, *ALL_GENERATORS)),
        CallForm(("input_values", "input_features"), (DummySoundAndFeaturesGenerator,)),
        CallForm(("input_ids", "input_features"), (DummySpokenTextGenerator,)),
        CallForm(DummyDenoisingGenerator.SUPPORTED_INPUT_NAMES, (DummyDenoisingGenerator,)),
        CallForm(("pixel_values", "task_inputs"), (DummyTaskTextGenerator, *ALL_GENERATORS)),
        CallForm(("input_features", "noise_sequence"), (DummyNoisySpectrogramGenerator,)),
        CallForm(("hidden_states",), (DummyMonoSoundGenerator,)),
        CallForm(("hidden_states",), (DummySoundCodeGenerator,)),
        *(
            CallForm((name,), (layout,))
            for name in ("embeddings", "latents")
            for layout in (DummySoundCodeGenerator, DummyEmbeddingGenerator)
        ),
        CallForm(("pixel_values",), (DummyImagePairGenerator,)),
        CallForm(DummyLaggedSeriesGenerator.SUPPORTED_INPUT_NAMES, (DummyLaggedSeriesGenerator,)),
        CallForm(("past_values",), (DummySeriesGenerator,)),
        CallForm(("inputs_embeds", "attention_mask"), (DummyEmbeddingGenerator, *ALL_GENERATORS)),
        CallForm(("inputs_embeds",), (DummyEmbeddingGenerator,)),
    ]
