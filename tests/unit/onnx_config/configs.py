"""Model configurations as plain objects: what a configuration class needs of them, without transformers."""

from types import SimpleNamespace


def text_config(**attributes: object) -> SimpleNamespace:
    values: dict[str, object] = {
        "vocab_size": 100,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
        "pad_token_id": 0,
    }
    return SimpleNamespace(**(values | attributes))


def gpt2_config(**attributes: object) -> SimpleNamespace:
    values: dict[str, object] = {"vocab_size": 100, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    return SimpleNamespace(**(values | {"pad_token_id": 99, "eos_token_id": 99} | attributes))


def bart_config(**attributes: object) -> SimpleNamespace:
    values: dict[str, object] = {
        "vocab_size": 100,
        "d_model": 24,
        "encoder_layers": 1,
        "decoder_layers": 3,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 4,
        "max_position_embeddings": 64,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
    }
    return SimpleNamespace(**(values | attributes))


def vit_config(**attributes: object) -> SimpleNamespace:
    return SimpleNamespace(**({"image_size": 32, "patch_size": 8, "num_channels": 3} | attributes))


def whisper_config(**attributes: object) -> SimpleNamespace:
    values: dict[str, object] = {"num_mel_bins": 8, "max_source_positions": 20, "max_target_positions": 30}
    return bart_config(**(values | {"max_position_embeddings": None} | attributes))


def wav2vec2_config(**attributes: object) -> SimpleNamespace:
    return SimpleNamespace(
        **({"conv_kernel": (10, 3), "conv_stride": (5, 2), "feat_extract_norm": "group"} | attributes)
    )


def clip_config(**attributes: object) -> SimpleNamespace:
    text = text_config(**({"max_position_embeddings": 20, "eos_token_id": 99, "pad_token_id": 1} | attributes))
    return SimpleNamespace(text_config=text, vision_config=vit_config())
