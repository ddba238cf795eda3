"""A tiny config.json of any model type, made from its own configuration class.

Sizes shrink by the name of the attribute, whatever the type; what a type needs beyond that is in ``OVERRIDES``. Weights
are not made here: ``weights: random`` builds the model from the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

Settings = dict[str, Any]

HIDDEN, FEED_FORWARD, LAYERS, HEADS, HEAD_SIZE = 32, 64, 2, 4, 8
VOCABULARY, POSITIONS = 128, 96
PADDING, BEGIN, END = 1, 2, 3

# At most these sizes, for every attribute of that name; a list is capped element by element.
CAPS: dict[str, int] = {
    **dict.fromkeys(
        (
            "hidden_size",
            "d_model",
            "n_embd",
            "dim",
            "embed_dim",
            "embedding_size",
            "embedding_dim",
            "encoder_hidden_dim",
            "decoder_hidden_size",
            "decoder_in_channels",
            "emb_dim",
            "input_embedding_size",
            "output_embedding_size",
            "word_embed_proj_dim",
            "projection_dim",
            "projection_intermediate_dim",
            "pooler_output_size",
            "pooler_hidden_size",
            "output_hidden_size",
            "classifier_proj_size",
            "visual_embedding_dim",
            "codevector_dim",
            "proj_codevector_dim",
            "fusion_hidden_size",
            "auxiliary_channels",
            "kv_lora_rank",
            "q_lora_rank",
            "lqe_hidden_dim",
            "aspp_out_channels",
            "conv_channels",
            "speech_decoder_prenet_units",
            "speech_decoder_postnet_units",
            "speaker_embedding_dim",
            "flow_size",
            "upsample_initial_channel",
            "duration_predictor_filter_channels",
            "mask_feature_size",
            "fpn_feature_size",
            "xpath_unit_hidden_size",
            "hidden_size_global",
            "reassemble_hidden_size",
            "text_hidden_size",
            "output_dim",
        ),
        HIDDEN,
    ),
    **dict.fromkeys(
        (
            "intermediate_size",
            "ffn_dim",
            "encoder_ffn_dim",
            "decoder_ffn_dim",
            "dim_feedforward",
            "d_ff",
            "n_inner",
            "hidden_dim",
            "ffn_hidden_size",
            "moe_intermediate_size",
            "decoder_intermediate_size",
            "mlp_dim",
            "shared_expert_intermediate_size",
        ),
        FEED_FORWARD,
    ),
    **dict.fromkeys(
        (
            "num_hidden_layers",
            "n_layer",
            "n_layers",
            "num_layers",
            "encoder_layers",
            "decoder_layers",
            "num_encoder_layers",
            "num_decoder_layers",
            "encoder_num_hidden_layers",
            "decoder_num_hidden_layers",
            "depths",
            "num_self_attends_per_block",
            "num_nextn_predict_layers",
            "num_block_repeats",
            "conf_num_hidden_layers",
            "num_timestamp_prediction_layers",
            "layers",
            "depth",
            "resampler_depth",
            "posterior_encoder_num_wavenet_layers",
            "prior_encoder_num_wavenet_layers",
        ),
        LAYERS,
    ),
    **dict.fromkeys(
        (
            "num_attention_heads",
            "n_head",
            "n_heads",
            "num_heads",
            "encoder_attention_heads",
            "decoder_attention_heads",
            "encoder_num_attention_heads",
            "decoder_num_attention_heads",
            "num_self_attention_heads",
            "num_cross_attention_heads",
            "linear_num_value_heads",
            "conf_num_attention_heads",
            "attention_heads",
            "resampler_n_heads",
            "linear_num_heads",
            "index_n_heads",
        ),
        HEADS,
    ),
    # Fewer heads of keys than of queries: grouped attention is where caches go wrong.
    **dict.fromkeys(
        (
            "num_key_value_heads",
            "num_kv_heads",
            "encoder_num_key_value_heads",
            "decoder_num_key_value_heads",
            "linear_num_key_heads",
        ),
        HEADS // 2,
    ),
    **dict.fromkeys(("head_dim", "d_kv", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"), HEAD_SIZE),
    **dict.fromkeys(("rotary_dim",), HEAD_SIZE // 2),
    **dict.fromkeys(
        (
            "linear_head_dim",
            "linear_key_head_dim",
            "linear_value_head_dim",
            "index_head_dim",
            "resampler_head_dim",
        ),
        HEAD_SIZE,
    ),
    # As many numbers as the hidden size and its usual factor of two make; chunks shorter than the texts of the grid.
    **dict.fromkeys(("mamba_n_heads", "mamba_d_head", "mamba_num_heads", "mamba_head_dim"), HEAD_SIZE),
    **dict.fromkeys(("mamba_chunk_size", "mamba_d_state", "ssm_state_size"), 16),
    **dict.fromkeys(
        ("subsampling_conv_channels", "head_hidden_size", "neck_hidden_sizes", "post_process_channels"), 16
    ),
    **dict.fromkeys(
        (
            "vocab_size",
            "decoder_vocab_size",
            "num_bpe_labels",
            "num_wordpiece_labels",
            "vocab_size_per_layer_input",
        ),
        VOCABULARY,
    ),
    **dict.fromkeys(
        (
            "max_position_embeddings",
            "n_positions",
            "n_ctx",
            "max_seq_len",
            "max_target_positions",
            "max_text_positions",
        ),
        POSITIONS,
    ),
    # Windows shorter than the texts of the grid, or nothing would leave them.
    **dict.fromkeys(("sliding_window", "attention_window", "attention_chunk_size"), 8),
    **dict.fromkeys(("local_attention", "window_size"), 16),
    **dict.fromkeys(("local_radius", "global_block_size"), 4),
    **dict.fromkeys(("num_experts", "n_routed_experts", "num_local_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "n_group", "topk_group"), 2),
    **dict.fromkeys(("num_queries", "num_detection_tokens", "num_latents", "d_latents"), HEAD_SIZE),
    **dict.fromkeys(("image_size", "crop_size"), 32),
    **dict.fromkeys(("num_frames", "frames_per_clip"), 4),
    **dict.fromkeys(("patch_size",), 8),
    **dict.fromkeys(("conv_dim", "tdnn_dim", "xvector_output_dim"), 16),
    **dict.fromkeys(("num_filters",), 8),
    **dict.fromkeys(("downsample_hidden_size",), 16),
    **dict.fromkeys(("num_conv_pos_embeddings",), 16),
    **dict.fromkeys(("num_conv_pos_embedding_groups", "num_codevectors_per_group"), 4),
}

LAYER_COUNTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
MANY = 2**62


@dataclass(frozen=True)
class Shrinking:
    """How far a configuration is made small: at most ``caps``, and widths divided, so that those that depend on each
    other still fit.
    """

    caps: Mapping[str, int]
    divisor: int = 1


# Widths are what such a name says, unless it says that it counts or is a size of something else.
_WIDTH = re.compile(
    r"hidden|dim|width|channel|embd|d_model|embed|inter|ffn|d_ff|rank|mlp|features|inner|state_size|d_kv"
)
_NO_WIDTH = re.compile(
    r"num|vocab|patch|kernel|image|ratio|factor|drop|layer|stride|group|position|token|window|^n_|codebook_size"
)
_ALL_HEADS = CAPS | {name: HEADS for name, cap in CAPS.items() if cap == HEADS // 2 and "heads" in name}
_DEPTH = {name: cap for name, cap in CAPS.items() if cap in (LAYERS, VOCABULARY, POSITIONS) and "heads" not in name}
_DEPTH |= dict.fromkeys(("num_experts", "n_routed_experts", "num_local_experts"), 8)
# From the smallest on; the first that makes a model that runs is small enough.
SHRINKINGS = (
    Shrinking(CAPS),
    Shrinking(_ALL_HEADS),
    *(Shrinking(_DEPTH, divisor) for divisor in (16, 8, 4, 2, 1)),
)

# Ids of tokens, which defaults place far outside a tiny vocabulary.
TOKEN_IDS: dict[str, int] = {
    "pad_token_id": PADDING,
    "bos_token_id": BEGIN,
    "eos_token_id": END,
    "cls_token_id": BEGIN,
    "sep_token_id": END,
    "mask_token_id": 4,
    "decoder_start_token_id": BEGIN,
    "question_token_id": 5,
    "image_token_id": 6,
    "image_token_index": 6,
    "boi_token_index": 7,
    "eoi_token_index": 8,
}


# All stages of the backbone are read.
ALL_STAGES: Settings = {
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
    "out_indices": [1, 2, 3, 4],
}

# Kernel, stride and padding of each convolution, as PP-OCRv5 has them.
INTRACLASS_BLOCK: Settings = {
    "reduce_channel": [1, 1, 0],
    "return_channel": [1, 1, 0],
    "vertical_long_to_small_conv_longratio": [[7, 1], [1, 1], [3, 0]],
    "vertical_long_to_small_conv_midratio": [[5, 1], [1, 1], [2, 0]],
    "vertical_long_to_small_conv_shortratio": [[3, 1], [1, 1], [1, 0]],
    "horizontal_small_to_long_conv_longratio": [[1, 7], [1, 1], [0, 3]],
    "horizontal_small_to_long_conv_midratio": [[1, 5], [1, 1], [0, 2]],
    "horizontal_small_to_long_conv_shortratio": [[1, 3], [1, 1], [0, 1]],
    "symmetric_conv_long_longratio": [[7, 7], [1, 1], [3, 3]],
    "symmetric_conv_long_midratio": [[5, 5], [1, 1], [2, 2]],
    "symmetric_conv_long_shortratio": [[3, 3], [1, 1], [1, 1]],
}

# Masks of segmentation come from the backbone's stages before the last, and from the hidden size and the heads
# together in groups of eight.
DETR_PARTS: Settings = {
    "use_timm_backbone": False,
    "backbone": None,
    "backbone_config": {"model_type": "resnet", "out_features": ["stage1", "stage2", "stage3", "stage4"]},
    "encoder_attention_heads": 8,
    "decoder_attention_heads": 8,
}

SWIN_PARTS: Settings = {"embed_dim": 8, "depths": [2, 2], "num_heads": [1, 2], "window_size": 4, "patch_size": 4}

# Rotary frequencies of time, height and width, which the models' own code would have for larger heads.
THIRDS: Settings = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}}
HALF_OF_THIRDS: Settings = {
    "rope_parameters": THIRDS["rope_parameters"] | {"mrope_section": [1, 1, 0], "partial_rotary_factor": 0.5}
}

_ROPE: Settings = {"rope_type": "default", "rope_theta": 10000.0}
BY_KIND_OF_LAYER: Settings = {"rope_parameters": {"full_attention": _ROPE, "sliding_attention": _ROPE}}

FEW_STAGES: Settings = {"downsampling_ratios": [2, 4, 5], "depths": [1, 1, 1, 1]}

# Positions for three thousand frames.
LONG_SOUND: Settings = {"max_position_embeddings": 1024}

# A time series has no length of its own; one number tells the time.
TIME_SERIES: Settings = {"prediction_length": 8, "context_length": 16, "num_time_features": 1}

# All its stages, of images that it halves as often.
SWIN_BACKBONE: Settings = ALL_STAGES | {
    "model_type": "swin",
    "image_size": 96,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 2, 2, 4],
}

# What a type needs beyond the rules: sizes that depend on each other, lists of one entry per layer, parts without a
# default. Parts of a configuration are mappings; one that names a ``model_type`` starts from that type's tiny one.
OVERRIDES: dict[str, Settings] = {
    "neucodec": {"encoder_hidden_size": 4, "quantization_dim": 2 * HIDDEN, "num_key_value_heads": HEADS},
    "xcodec2": {"encoder_hidden_size": 4, "quantization_dim": 2 * HIDDEN, "num_key_value_heads": HEADS},
    "depth_pro": {
        "patch_size": 32,
        "intermediate_hook_ids": [1, 0],
        "intermediate_feature_dims": [16, 16],
        "scaled_images_feature_dims": [16, 16, 16],
    },
    "dots3_note_vision_encoder": {"per_layer_config": {}, "adapter_in_dim": HIDDEN, "adapter_out_dim": HIDDEN},
    "dots3_note_audio_encoder": {"adapter_input_size": HIDDEN, "adapter_out_dim": HIDDEN},
    "falcon_h1": {"mamba_d_ssm": FEED_FORWARD},
    "lw_detr": {"projector_scale_factors": [1.0]},
    "pp_lcnet_v4": {
        "stem_channels": [3, 8, 8],
        "block_configs": [
            [[3, 8, 8, 1, True]],
            [[3, 8, 16, 2, False]],
            [[3, 16, 24, 2, False]],
            [[3, 24, 32, 2, False]],
        ],
    },
    "shieldgemma2": {"mm_tokens_per_image": 16, "yes_token_index": 9, "no_token_index": 10},
    "step3p5": {"sliding_window": 8},
    "qwen2_5_omni_text": THIRDS,
    "tvp": {"max_img_size": 128, "visual_prompt_size": 16},
    "univnet": {
        "model_in_channels": 8,
        "model_hidden_channels": 4,
        "kernel_predictor_hidden_channels": 8,
        "resblock_stride_sizes": [2, 2, 2],
    },
    "upernet": {"backbone_config": ALL_STAGES},
    "uvdoc": {
        "backbone_config": {
            "out_features": ["stage1", "stage2", "stage3", "stage4", "stage5", "stage6"],
            "out_indices": [1, 2, 3, 4, 5, 6],
        }
    },
    "vibevoice_acoustic_tokenizer": FEW_STAGES,
    "vibevoice_acoustic_tokenizer_decoder": FEW_STAGES,
    "vibevoice_acoustic_tokenizer_encoder": FEW_STAGES,
    "videomt": {"num_blocks": 1},
    "wav2vec2-bert": {"vocab_size": 32},
    "xclip": {"prompt_num_attention_heads": HEADS},
    "xclip_vision_model": {
        "mit_hidden_size": HIDDEN,
        "mit_intermediate_size": FEED_FORWARD,
        "mit_num_attention_heads": HEADS,
    },
    "xmod": {"default_language": "en_XX"},
    # What layers of attention share must be shared by two.
    "zamba": {
        "num_hidden_layers": 4,
        "layers_block_type": ["linear_attention", "hybrid", "linear_attention", "hybrid"],
        "attention_hidden_size": 2 * HIDDEN,
        "attention_head_dim": 2 * HEAD_SIZE,
        "mamba_dt_rank": 4,
        "num_key_value_heads": HEADS,
    },
    "zoedepth": {"bottleneck_features": HIDDEN},
    "molmo2_adapter": {"vision_feature_layer": [1, 0]},
    "molmo2_vision": {"num_position_embeddings": 16},
    "moonshine_streaming": {"num_key_value_heads": HEADS},
    # As many keys as queries: their attention has no other.
    "nemotron3_5_transcribe_audio": {"num_key_value_heads": HEADS},
    "nemotron3_5_transcribe_asr_audio": {"num_key_value_heads": HEADS},
    "nemotron3_5_transcribe_word_timestamp": {"blank_token_id": VOCABULARY - 1, "num_key_value_heads": HEADS},
    "nemotron3_diarization_audio": {"num_key_value_heads": HEADS},
    "nemotron3_diarization": {"head_config": {"audio_hidden_size": HIDDEN, "hidden_size": HIDDEN}},
    "nemotron_h": {"chunk_size": 16},
    "nemotron_h_omni": {"vision_config": {"video_temporal_patch_size": 2}},
    # Norms of groups of 32.
    "oneformer": {
        "backbone_config": SWIN_BACKBONE,
        "conv_dim": HIDDEN,
        "mask_dim": HIDDEN,
        "hidden_dim": HIDDEN,
    },
    "mask2former": {
        "backbone_config": SWIN_BACKBONE,
        "feature_size": HIDDEN,
        "mask_feature_size": HIDDEN,
        "hidden_dim": HIDDEN,
    },
    "longcat_flash": {
        "num_key_value_heads": HEADS,
        "expert_ffn_hidden_size": FEED_FORWARD,
        "zero_expert_num": 2,
        "moe_topk": 2,
    },
    "youtu": {"num_key_value_heads": HEADS},
    "lw_detr_vit": {"image_size": 64, "num_windows": 4, "window_block_indices": [0, 1], "pretrain_image_size": 64},
    "pp_doclayout_v2": {
        "encoder_in_channels": [16, 24, 32],
        "decoder_in_channels": [HIDDEN, HIDDEN, HIDDEN],
        "class_thresholds": [0.5, 0.5],
        "class_order": [0, 1],
        "reading_order_config": {"coordinate_size": 6, "shape_size": 4},
    },
    "pp_doclayout_v3": {
        "backbone_config": ALL_STAGES,
        "encoder_in_channels": [16, 24, 32],
        "decoder_in_channels": [HIDDEN, HIDDEN, HIDDEN],
        "x4_feat_dim": 8,
    },
    "pp_ocrv5_server_det": {
        "backbone_config": ALL_STAGES,
        "neck_out_channels": 16,
        "intraclass_block_config": INTRACLASS_BLOCK,
        "scale_factor_list": [1, 2, 4, 8],
        "kernel_list": [3, 2, 2],
    },
    "pp_ocrv6_medium_det": {
        "backbone_config": ALL_STAGES,
        "neck_out_channels": 16,
        "intraclass_block_config": INTRACLASS_BLOCK,
        "scale_factor_list": [1, 2, 4, 8],
        "kernel_list": [3, 2, 2],
    },
    "pp_ocrv6_small_det": {"backbone_config": ALL_STAGES, "layer_list_out_channels": [8, 16, 24, 32]},
    "qwen2_5_omni_thinker": {"vision_start_token_id": 9, "vision_end_token_id": 10},
    "qwen4_exp_text": {
        "ngram_vocab_size_base": VOCABULARY,
        "split_ngram_parts": 1,
        "hc_lowrank": HEAD_SIZE,
        "ple_embed_dim": HIDDEN,
        "indexer_n_heads": HEADS,
        "indexer_kv_heads": 1,
        "indexer_head_dim": HEAD_SIZE,
        "indexer_budget": 8,
        "indexer_compress_ratio": 4,
    },
    "reformer": {
        "is_decoder": True,
        "attention_head_size": HEAD_SIZE,
        "attn_layers": ["local", "lsh"],
        "axial_pos_shape": [8, 12],
        "axial_pos_embds_dim": [8, 24],
        "local_attn_chunk_length": 8,
        "lsh_attn_chunk_length": 8,
        "num_buckets": 4,
        "hash_seed": 0,
    },
    # Strides of four and then of two three times.
    "sam2_hiera_det_model": {
        "hidden_size": 8,
        "image_size": [64, 64],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "window_size_per_stage": [4, 4, 3, 2],
        "global_attention_blocks": [3],
    },
    "sam2_vision_model": {
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        "fpn_hidden_size": HIDDEN,
    },
    "sam2_prompt_encoder": {"image_size": 64, "patch_size": 16},
    "sam3_vit_model": {"window_size": 2, "global_attn_indexes": [1], "pretrain_image_size": 16},
    "sam3_vision_model": {"fpn_hidden_size": HIDDEN, "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]]},
    "sam_hq": {
        "vision_config": {
            "output_channels": HIDDEN,
            "num_pos_feats": HIDDEN // 2,
            "window_size": 3,
            "global_attn_indexes": [1],
        },
        "mask_decoder_config": {"vit_dim": HIDDEN},
        "prompt_encoder_config": {"image_embedding_size": 4},
    },
    "sapiens2": {
        "num_key_value_heads_per_layer": [HEADS, HEADS],
        "num_first_full_attention_layers": 1,
        "num_last_full_attention_layers": 1,
        "head_config": {
            "upsample_out_channels": [16, 8],
            "upsample_kernel_sizes": [4, 4],
            "conv_out_channels": [8],
            "conv_kernel_sizes": [1],
        },
    },
    "t5gemma2_encoder": {"text_config": {"dropout_rate": 0.0}},
    "align_vision_model": {"width_coefficient": 0.1, "depth_coefficient": 0.3, "hidden_dim": 128},
    # A quarter of the channels and half of the heads are less than the 32 numbers that are rotated.
    "clvp_encoder": {"num_attention_heads": 1},
    "bailing_hybrid": {
        "num_key_value_heads": HEADS,
        "num_expert_group": 2,
        "topk_group": 1,
        "num_experts_per_token": 2,
    },
    "bamba": {"attn_layer_indices": [1]},
    "blip-2": {"qformer_config": {"use_qformer_text_input": True}},
    "blt": {"encoder_hash_byte_group_vocab": VOCABULARY},
    # Its decoder doubles the channels as often as the encoder halves the sound.
    "dac": {"encoder_hidden_size": 4, "decoder_hidden_size": 64, "codebook_size": VOCABULARY, "n_codebooks": 2},
    "clap_audio_model": {"patch_embeds_hidden_size": HIDDEN // 2},
    "deepseek_ocr2_text": {"mlp_layer_types": ["dense", "sparse"], "num_experts_per_tok": 2},
    "diffusion_gemma_text": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": HIDDEN},
    "dots3_note_text": {"per_layer_config": {}, "num_key_value_heads": HEADS, "head_dim": 2 * HEAD_SIZE},
    "eomt": {"num_blocks": 1},
    "eomt_dinov3": {"num_blocks": 1},
    "ernie4_5_vl_moe_text": {"rope_parameters": THIRDS["rope_parameters"] | {"mrope_section": [1, 1, 2]}},
    # Positions for three thousand frames.
    "fun_asr_nano_encoder": {"max_position_embeddings": 3072},
    # As many channels as mel bins.
    "gemma4_audio": {"subsampling_conv_channels": [128, 8]},
    "glm5_next_text": {"num_key_value_heads": HEADS, "index_kpool": 4},
    "instructblip": {"image_token_index": 6},
    "instructblipvideo": {"video_token_index": 6, "num_query_tokens": 8},
    # A head of its query former for every 64 numbers.
    "granite4_vision": {
        "downsample_rate": "1/2",
        "deepstack_layer_map": [[-2, 0]],
        "spatial_target_layers": [1],
        "vision_config": {"model_type": "clip_vision_model", "hidden_size": 64},
    },
    "autoformer": TIME_SERIES,
    "nemotron_asr_streaming_encoder": LONG_SOUND,
    "nemotron_asr_streaming": {"encoder_config": LONG_SOUND},
    "nemotron3_5_asr": {"encoder_config": LONG_SOUND},
    "parakeet_encoder": LONG_SOUND,
    "paddleocr_vl": {"text_config": THIRDS},
    "deepseek_v2": {
        "num_experts_per_tok": 2,
        "n_routed_experts": 4,
        "first_k_dense_replace": 1,
        "num_key_value_heads": HEADS,
    },
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "gemma3n_audio": {"sscp_conv_channel_size": [16, 8]},
    "chameleon": {
        "vocabulary_map": {"<image>": 6, "IMGIMGBS00A": 9, "IMGIMGBS01A": 10},
        "vq_config": {"base_channels": 32, "latent_channels": HIDDEN, "num_embeddings": 2, "resolution": 32},
    },
    "cohere_compass": {"text_config": BY_KIND_OF_LAYER},
    "cohere_compass_text": BY_KIND_OF_LAYER,
    "csm": {"codec_config": {"upsample_groups": HIDDEN}},
    "dab-detr": DETR_PARTS | {"num_queries": HEAD_SIZE},
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "clip_qkv": 8.0}},
    "deformable_detr": DETR_PARTS | {"num_queries": HEAD_SIZE},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "kyutai_speech_to_text": {
        "pad_token_id": PADDING,
        "bos_token_id": BEGIN,
        "audio_pad_token_id": 7,
        "audio_bos_token_id": 8,
        "codec_config": {"upsample_groups": HIDDEN},
    },
    "mimi": {"upsample_groups": HIDDEN},
    "mimi_decoder": {"upsample_groups": HIDDEN},
    "omdet-turbo": DETR_PARTS,
    "pocket_tts_audio_tokenizer": {"upsample_groups": HIDDEN},
    "pocket_tts_audio_tokenizer_decoder": {"upsample_groups": HIDDEN},
    "big_bird": {"block_size": 4},
    "bigbird_pegasus": {"block_size": 4},
    "colpali": {"vlm_config": {"text_config": {"num_key_value_heads": HEADS // 2}}},
    "conditional_detr": DETR_PARTS | {"num_queries": HEAD_SIZE},
    "convnext": {"hidden_sizes": [8, 16, 24, 32]},
    "convnextv2": {"hidden_sizes": [8, 16, 24, 32]},
    "d_fine": {
        "backbone_config": {"model_type": "hgnet_v2"},
        "encoder_in_channels": [16, 24, 32],
        "decoder_in_channels": [HIDDEN, HIDDEN, HIDDEN],
    },
    # As the published models have them, not as the defaults say.
    "deberta": {
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "deberta-v2": {
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "position_biased_input": False,
        "type_vocab_size": 0,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_buckets": 16,
    },
    "deepseek_v3": {"first_k_dense_replace": 1, "num_key_value_heads": HEADS},
    "detr": DETR_PARTS,
    "deit": {"encoder_stride": 8},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1, "first_k_dense_replace": 1},
    "donut-swin": SWIN_PARTS,
    "dpt": {"num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 16, 24, 32]},
    "cvt": {"embed_dim": [8, 24, 48], "depth": [1, 2, 3], "num_heads": [1, 3, 6]},
    "efficientnet": {"width_coefficient": 0.1, "depth_coefficient": 0.3, "hidden_dim": 128},
    "encoder-decoder": {
        "encoder": {"model_type": "bert", "vocab_size": VOCABULARY // 2, "hidden_size": HIDDEN // 2},
        "decoder": {"model_type": "bert", "is_decoder": True, "add_cross_attention": True},
        "decoder_start_token_id": BEGIN,
        "pad_token_id": PADDING,
    },
    # As ESM-2 has them.
    "esm": {
        "vocab_size": 33,
        "pad_token_id": PADDING,
        "mask_token_id": 32,
        "position_embedding_type": "rotary",
        "token_dropout": True,
        "emb_layer_norm_before": False,
    },
    "glm46v": {"text_config": THIRDS},
    "glm4v": {"text_config": THIRDS},
    "glm4v_moe": {"text_config": HALF_OF_THIRDS},
    "glm4v_moe_text": HALF_OF_THIRDS,
    "glm4v_text": THIRDS,
    "glm_image": {"text_config": THIRDS},
    "glm_image_text": THIRDS,
    "glm_ocr": {"text_config": THIRDS},
    "glm_ocr_text": THIRDS,
    "glmga": {"text_config": THIRDS},
    "qwen2_5_vl": {"text_config": THIRDS},
    "qwen2_5_vl_text": THIRDS,
    "qwen2_vl": {"text_config": THIRDS},
    "qwen2_vl_text": THIRDS,
    "glpn": {"hidden_sizes": [8, 16, 32, 32], "decoder_hidden_size": 16},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "groupvit": {"vision_config": {"depths": [1, 1, 1], "num_group_tokens": [8, 4, 0], "num_output_groups": [8, 4, 0]}},
    "hgnet_v2": {
        "stem_channels": [3, 8, 8],
        "stage_in_channels": [8, 8, 16, 24],
        "stage_mid_channels": [8, 8, 8, 8],
        "stage_out_channels": [8, 16, 24, 32],
        "stage_num_blocks": [1, 1, 1, 1],
        "stage_numb_of_layers": [1, 1, 1, 1],
        "hidden_sizes": [8, 16, 24, 32],
        "out_features": ["stage2", "stage3", "stage4"],
    },
    "hiera": {"embed_dim": HEAD_SIZE},
    # Half a chunk of the shortest sound.
    "granite_speech5_encoder": {"context_size": 16, "num_key_value_heads": HEADS},
    "hunyuan_v1_dense": {"head_dim": HEAD_SIZE},
    "hunyuan_v1_moe": {"head_dim": HEAD_SIZE},
    "hunyuan_vl_text": {
        "head_dim": HEAD_SIZE,
        "rope_parameters": THIRDS["rope_parameters"] | {"mrope_section": [1, 1, 1, 1]},
    },
    "informer": TIME_SERIES,
    "layoutlmv3": {"coordinate_size": 6, "shape_size": 4, "input_size": 32, "patch_size": 8},
    "levit": {"hidden_sizes": [16, 24, 32], "key_dim": [8, 8, 8], "image_size": 224, "patch_size": 16},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    # A sixth of the hidden size for each side of a box.
    "lilt": {"hidden_size": 48},
    "maskformer": {
        "backbone_config": {"model_type": "swin", "image_size": 96, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 4]},
        "decoder_config": {"model_type": "detr"},
    },
    "ministral": {"head_dim": HEAD_SIZE},
    "mobilenet_v1": {"depth_multiplier": 0.25},
    "mobilenet_v2": {"depth_multiplier": 0.25},
    "mobilevitv2": {"image_size": 64, "width_multiplier": 0.25},
    "mobilevit": {"hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, HIDDEN], "patch_size": 2},
    # Its attention has as many heads of keys as of queries, whatever the configuration says.
    "moonshine": {"encoder_num_key_value_heads": HEADS, "decoder_num_key_value_heads": HEADS},
    "nemotron": {"num_key_value_heads": HEADS // 2, "head_dim": HEAD_SIZE},
    # Other rotary frequencies from a length on that the grid's texts pass, as the models of long texts have them.
    "phi3": {
        "original_max_position_embeddings": 32,
        "rope_parameters": {
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 1.0,
            "original_max_position_embeddings": 32,
            "short_factor": [1.0] * (HEAD_SIZE // 2),
            "long_factor": [4.0] * (HEAD_SIZE // 2),
        },
    },
    "poolformer": {"hidden_sizes": [8, 16, 24, 32]},
    "pvt": {"hidden_sizes": [8, 16, 32, 32]},
    "regnet": {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "groups_width": 4},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
    "rt_detr": {"backbone_config": {"model_type": "rt_detr_resnet"}, "encoder_in_channels": [16, 24, 32]},
    "rt_detr_resnet": {
        "embedding_size": 8,
        "hidden_sizes": [8, 16, 24, 32],
        "depths": [1, 1, 1, 1],
        "out_features": ["stage2", "stage3", "stage4"],
    },
    "rt_detr_v2": {"backbone_config": {"model_type": "rt_detr_resnet"}, "encoder_in_channels": [16, 24, 32]},
    # A window that does not fit the patches evenly, and a layer without one.
    "sam": {
        "vision_config": {
            "output_channels": HIDDEN,
            "num_pos_feats": HIDDEN // 2,
            "window_size": 3,
            "global_attn_indexes": [1],
        }
    },
    "segformer": {"hidden_sizes": [8, 16, 32, 32]},
    "swin": SWIN_PARTS | {"encoder_stride": 8},
    "swin2sr": SWIN_PARTS | {"patch_size": 1},
    "swinv2": SWIN_PARTS | {"encoder_stride": 8},
    "table-transformer": {"use_timm_backbone": False, "backbone": None, "backbone_config": {"model_type": "resnet"}},
    "speech-encoder-decoder": {
        "encoder": {"model_type": "wav2vec2", "feat_extract_norm": "layer", "add_adapter": True},
        "decoder": {"model_type": "gpt2", "add_cross_attention": True},
        "decoder_start_token_id": BEGIN,
        "pad_token_id": PADDING,
    },
    "vision-encoder-decoder": {
        "encoder": {"model_type": "vit"},
        "decoder": {"model_type": "gpt2", "add_cross_attention": True},
        "decoder_start_token_id": BEGIN,
        "pad_token_id": PADDING,
    },
    "time_series_transformer": TIME_SERIES,
    "vit": {"encoder_stride": 8},
    # So slow that random durations are more than one frame a token; and few samples a frame.
    "vits": {
        "speaking_rate": 0.05,
        "upsample_rates": [4, 2],
        "upsample_kernel_sizes": [8, 4],
        "duration_predictor_num_flows": 2,
        "prior_encoder_num_flows": 2,
    },
    "wav2vec2-conformer": {"vocab_size": 32},
}


# Models that belong to another one: type -> name of the folder inside its own -> their type.
BESIDE: dict[str, dict[str, str]] = {"speecht5": {"vocoder": "speecht5_hifigan"}}


def tiny_config(model_type: str, *, shrinking: Shrinking = SHRINKINGS[0], **changes: Any) -> PreTrainedConfig:
    """The configuration of a model of that type, of some ten thousand parameters where the type allows it.

    ``changes`` win over everything else; a mapping changes a part of the configuration.
    """
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[model_type](**_merged(tiny_settings(model_type, shrinking), changes))


def write_tiny_config(model_type: str, folder: Path, *, shrinking: Shrinking = SHRINKINGS[0], **changes: Any) -> Path:
    """Write that configuration's config.json into ``folder``, which is made; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny_config(model_type, shrinking=shrinking, **changes).save_pretrained(folder)
    for name, beside in BESIDE.get(model_type, {}).items():
        write_tiny_config(beside, folder / name)
    return folder


def tiny_settings(model_type: str, shrinking: Shrinking = SHRINKINGS[0]) -> Settings:
    """What to call the type's configuration class with."""
    from transformers import CONFIG_MAPPING

    overrides = OVERRIDES.get(model_type, {})
    parts = {name: _part(value, shrinking) for name, value in overrides.items() if _names_a_type(value)}
    default = CONFIG_MAPPING[model_type](**parts)
    return _merged(_shrunk(default, shrinking), overrides | parts)


def _part(settings: Settings, shrinking: Shrinking) -> Settings:
    return _merged({"model_type": settings["model_type"], **tiny_settings(settings["model_type"], shrinking)}, settings)


def _names_a_type(value: Any) -> bool:
    return isinstance(value, dict) and "model_type" in value


def _shrunk(default: PreTrainedConfig, shrinking: Shrinking) -> Settings:
    """The settings of a configuration that are larger than they need be, made small."""
    settings: Settings = {}
    caps, divisor = shrinking.caps, shrinking.divisor
    written = default.to_dict()
    stages = written.get("out_features") or []
    depth = next((name for name in LAYER_COUNTS if isinstance(written.get(name), int)), "")
    layers = written.get(depth, 0)
    if divisor > 1 and stages:
        # Others read its layers by number.
        caps = {name: cap for name, cap in caps.items() if cap != LAYERS}
    elif layers > LAYERS and stages and "depths" not in written:
        # As many layers as others read, the last ones of them read.
        kept = max(LAYERS, len(stages))
        caps = {**caps, depth: kept}
        settings["out_indices"] = list(range(kept - len(stages) + 1, kept + 1))
        settings["out_features"] = [f"stage{number}" for number in settings["out_indices"]]
    for name, value in written.items():
        part = getattr(default, name, None) if isinstance(value, dict) else None
        if isinstance(value, dict) and hasattr(part, "sub_configs"):
            settings[name] = _shrunk_part(part, shrinking)
        elif isinstance(value, dict) and "mrope_section" in value:
            thirds = _rotary_thirds(value) if divisor == 1 else _divided(value["mrope_section"], divisor)
            settings[name] = value | {"mrope_section": thirds}
        elif name in TOKEN_IDS:
            settings |= _token_id(name, value, default)
        elif isinstance(value, list) and LAYERS < layers == len(value):
            small = [_capped(element, caps.get(name, MANY)) for element in value]
            settings[name] = _of_each_kind(small if name in caps else _divided(small, divisor))
        elif name in caps and (small := _capped(value, caps[name])) != value:
            settings[name] = small
        elif divisor > 1 and _WIDTH.search(name) and not _NO_WIDTH.search(name):
            settings[name] = _divided(value, divisor)
    return settings


def _divided(value: Any, divisor: int) -> Any:
    """A width, or several, divided; one that cannot be stays."""
    if isinstance(value, (list, tuple)):
        return [_divided(element, divisor) for element in value]
    divides = isinstance(value, int) and not isinstance(value, bool) and value % divisor == 0
    return value // divisor if divides else value


def _of_each_kind(of_layers: list[Any]) -> list[Any]:
    """As many of a list with an entry a layer as there are layers left: one of each kind, as long as there is room."""
    firsts = {repr(entry): place for place, entry in reversed(list(enumerate(of_layers)))}
    places = sorted(firsts.values())[:LAYERS]
    return [of_layers[place] for place in (*places, *range(LAYERS))][:LAYERS]


def _rotary_thirds(rope: Settings) -> list[int]:
    """Pairs of rotated numbers for time, height and width: together half of what a head rotates."""
    pairs = int(HEAD_SIZE * rope.get("partial_rotary_factor", 1)) // 2
    return [pairs - pairs // 4 - pairs // 2 + pairs // 4, pairs // 4, pairs // 2 - pairs // 4]


def _shrunk_part(part: PreTrainedConfig, shrinking: Shrinking) -> Settings:
    from transformers import CONFIG_MAPPING

    settings = _shrunk(part, shrinking)
    # The whole may give its parts other sizes than they have alone, and have them answer in another way.
    given = part.to_dict() if shrinking.divisor > 1 else _given(part)
    settings = _merged(given, settings)
    if part.model_type in CONFIG_MAPPING:
        settings = _merged({"model_type": part.model_type, **settings}, OVERRIDES.get(part.model_type, {}))
    return settings


def _given(part: PreTrainedConfig) -> Settings:
    """What the whole tells a part that it would not do, or not be as small as, alone."""
    alone = type(part)().to_dict()
    given = {name: value for name, value in part.to_dict().items() if isinstance(value, bool) or name in CAPS}
    return {name: value for name, value in given.items() if value != alone.get(name)}


def _token_id(name: str, value: Any, default: PreTrainedConfig) -> Settings:
    """An id inside the vocabulary; every model of text learns what padding is."""
    has_vocabulary = getattr(default, "vocab_size", None) is not None
    if value is None and not (name == "pad_token_id" and has_vocabulary):
        return {}
    return {name: TOKEN_IDS[name]}


def _capped(value: Any, cap: int) -> Any:
    if isinstance(value, (list, tuple)):
        return [_capped(element, cap) for element in value]
    return min(value, cap) if isinstance(value, int) and not isinstance(value, bool) else value


def _merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> Settings:
    """``settings`` with the changes in place, part by part."""
    merged = dict(settings)
    for name, value in changes.items():
        old = merged.get(name)
        merged[name] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
