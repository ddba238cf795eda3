"""Tiny real checkpoints for the tests: every supported model type, seeded, a few hundred kilobytes each.

A checkpoint is what a user's folder holds: ``config.json``, weights in one of three kinds of storage, a trained
tokenizer and the processor's files. The weights are random but scaled so that outputs vary with their input: with the
initialisation that transformers gives, models this small answer nearly the same for any input, and a check of an
exported file would prove nothing.

Nothing heavy is imported before a checkpoint is made.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

HIDDEN = 32
HEADS = 4
LAYERS = 2
FEED_FORWARD = 64
T5_HEAD_WIDTH = 16
POSITIONS = 128
IMAGE_SIZE = 32
PATCH_SIZE = 8
MEL_BINS = 16
VOCABULARY = 120
LABELS = {0: "negative", 1: "neutral", 2: "positive"}

SENTENCES = (
    "The quick brown fox jumps over the lazy dog.",
    "A model that is exported must compute what it computed before.",
    "Small tests run fast, and fast tests are run often!",
    "Is the answer to this question in the second sentence?",
    "She sells sea shells by the sea shore; he buys them all.",
    "Pack my box with five dozen liquor jugs.",
    "No, this film was neither good nor bad: it was far too long.",
    "We loved every minute of it and will watch it again.",
)


class Storage(enum.StrEnum):
    """How the weights lie on disk."""

    SAFETENSORS = "safetensors"  # model.safetensors
    SHARDED = "sharded"  # model-0000i-of-0000n.safetensors and model.safetensors.index.json
    BIN = "bin"  # pytorch_model.bin, a pickle


# Task of the Hub to the auto class that loads it.
AUTO_CLASSES = {
    "feature-extraction": "AutoModel",
    "fill-mask": "AutoModelForMaskedLM",
    "text-generation": "AutoModelForCausalLM",
    "text2text-generation": "AutoModelForSeq2SeqLM",
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "multiple-choice": "AutoModelForMultipleChoice",
    "question-answering": "AutoModelForQuestionAnswering",
    "image-classification": "AutoModelForImageClassification",
    "masked-im": "AutoModelForMaskedImageModeling",
    "audio-classification": "AutoModelForAudioClassification",
    "audio-frame-classification": "AutoModelForAudioFrameClassification",
    "audio-xvector": "AutoModelForAudioXVector",
    "automatic-speech-recognition": "AutoModelForSpeechSeq2Seq",
    "zero-shot-image-classification": "AutoModelForZeroShotImageClassification",
}


@dataclass(frozen=True)
class Recipe:
    """How one model type is made: its configuration, the task it is made for by default, and its processor's files."""

    task: str
    config: Callable[[PreTrainedTokenizerFast | None], PreTrainedConfig]
    tokenizer: Callable[[], PreTrainedTokenizerFast] | None = None
    preprocessor: dict[str, Any] | None = None
    auto_classes: dict[str, str] = field(default_factory=dict)


def tiny_checkpoint(
    kind: str,
    folder: Path,
    *,
    task: str | None = None,
    storage: Storage | str = Storage.SAFETENSORS,
    seed: int = 0,
    **config: object,
) -> Path:
    """Write a tiny checkpoint of model type ``kind`` into ``folder`` and return the folder.

    ``task`` is the Hub's name of the task whose head the model has (the type's usual one by default); ``config`` are
    attributes set on the configuration before the model is built, such as ``num_hidden_layers=1``. The same arguments
    give the same bytes of weights.

    Raises:
        KeyError: no recipe for ``kind``, or ``task`` has no auto class.
        ValueError: the auto class of ``task`` has no model of this type.
    """
    recipe = RECIPES[kind]
    tokenizer = recipe.tokenizer() if recipe.tokenizer else None
    configuration = recipe.config(tokenizer)
    if task == "question-answering":
        configuration.num_labels = 2  # where the answer starts and where it ends
    for name, value in config.items():
        setattr(configuration, name, value)
    model = build_model(configuration, _auto_class(recipe, task or recipe.task), seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, folder, Storage(storage))
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    if recipe.preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(recipe.preprocessor, indent=2) + "\n")
    return folder


def _auto_class(recipe: Recipe, task: str) -> str:
    return recipe.auto_classes.get(task) or AUTO_CLASSES[task]


def build_model(config: PreTrainedConfig, auto_class: str, *, seed: int = 0) -> PreTrainedModel:
    """A model in eval mode from its configuration, seeded and scaled; the global random state is left as it was."""
    import torch
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, auto_class).from_config(config)
        liven(model)
    return model.eval()


def liven(model: PreTrainedModel) -> None:
    """Redraw the weights so that signal and variation survive every layer.

    Matrices, kernels and embeddings get a standard deviation of 1/sqrt(fan in), which keeps a layer's variance and the
    weight of a token against its position; normalisation scales lie around 1, biases around 0, and the running
    statistics of batch norms are no longer those of an untrained net. T5 does not scale its attention scores: its
    queries are smaller instead, or the softmax would be so sharp that rounding decides.
    """
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Fixed position tables (whisper) and learned temperatures (clip) keep their meaning.
            if not parameter.requires_grad or parameter.ndim == 0:
                continue
            if parameter.ndim > 1:
                scale = T5_HEAD_WIDTH**-0.5 if name.endswith("Attention.q.weight") else 1.0
                parameter.normal_(0.0, scale / math.sqrt(parameter[0].numel()))
            else:
                parameter.normal_(0.0 if name.endswith("bias") else 1.0, 0.1)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0.0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)


def save_model(model: PreTrainedModel, folder: Path, storage: Storage) -> None:
    """Save configuration and weights; a sharded checkpoint has at least three shards."""
    if storage is Storage.SAFETENSORS:
        model.save_pretrained(folder)
    elif storage is Storage.SHARDED:
        size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
        model.save_pretrained(folder, max_shard_size=size // 3)
    else:
        _save_pickled(model, folder)


def _save_pickled(model: PreTrainedModel, folder: Path) -> None:
    """transformers 5 no longer writes ``pytorch_model.bin``; older checkpoints are full of them."""
    import torch

    model.config.architectures = [type(model).__name__]
    model.config.dtype = "float32"
    model.config.save_pretrained(folder)
    if model.can_generate():
        model.generation_config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


# --- tokenizers -------------------------------------------------------------------------------------------------------


def word_tokenizer() -> PreTrainedTokenizerFast:
    """Whole words, ``[CLS] text [SEP]`` and pairs, as distilbert reads them."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    special["mask_token"] = "[MASK]"
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordLevelTrainer(
        vocab_size=VOCABULARY, special_tokens=list(special.values()), show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return _fast(tokenizer, **special)


def segmented_word_tokenizer() -> PreTrainedTokenizerFast:
    """The same with ``token_type_ids``, as bert reads them."""
    tokenizer = word_tokenizer()
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    return tokenizer


def subword_tokenizer() -> PreTrainedTokenizerFast:
    """Byte pairs without added tokens, as decoders read text."""
    return _byte_pairs()


def closed_subword_tokenizer() -> PreTrainedTokenizerFast:
    """Byte pairs and an end token, as t5 reads text."""
    return _byte_pairs(single="$A </s>", pair="$A </s> $B </s>")


def framed_subword_tokenizer() -> PreTrainedTokenizerFast:
    """Byte pairs between a start and an end token, as roberta, bart, whisper and clip read text."""
    return _byte_pairs(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>")


def character_tokenizer() -> PreTrainedTokenizerFast:
    """Letters with ``|`` between words and the pad token as the blank, as speech recognisers write text."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    symbols = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
    tokenizer = Tokenizer(models.WordLevel({symbol: index for index, symbol in enumerate(symbols)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "|")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    tokenizer.decoder = decoders.CTC(pad_token="<pad>", word_delimiter_token="|")
    return _fast(tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def _byte_pairs(single: str = "$A", pair: str = "$A $B") -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    special["mask_token"] = "<mask>"
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=list(special.values()), show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return _fast(tokenizer, **special)


def _fast(tokenizer: Tokenizer, **special_tokens: str) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=POSITIONS,
        model_input_names=["input_ids", "attention_mask"],
        **special_tokens,
    )


# --- configurations ---------------------------------------------------------------------------------------------------


def _labels() -> dict[str, Any]:
    return {"id2label": dict(LABELS), "label2id": {label: index for index, label in LABELS.items()}}


def _tokens(tokenizer: PreTrainedTokenizerFast | None) -> dict[str, Any]:
    """Vocabulary size and special token ids, which the library's defaults place far outside a tiny vocabulary."""
    assert tokenizer is not None
    return {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


def _llama_like(name: str) -> Callable[[PreTrainedTokenizerFast | None], PreTrainedConfig]:
    def build(tokenizer: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
        import transformers

        # Two key-value heads for four query heads: grouped-query attention is where caches go wrong.
        return getattr(transformers, name)(
            hidden_size=HIDDEN,
            intermediate_size=FEED_FORWARD,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS // 2,
            max_position_embeddings=POSITIONS,
            **_tokens(tokenizer),
            **_labels(),
        )

    return build


def _bert_like(name: str, *, segments: int, extra_positions: int = 0) -> Callable[..., PreTrainedConfig]:
    def build(tokenizer: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
        import transformers

        return getattr(transformers, name)(
            hidden_size=HIDDEN,
            intermediate_size=FEED_FORWARD,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            max_position_embeddings=POSITIONS + extra_positions,
            type_vocab_size=segments,
            **_tokens(tokenizer),
            **_labels(),
        )

    return build


def _distilbert(tokenizer: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
    from transformers import DistilBertConfig

    return DistilBertConfig(
        dim=HIDDEN,
        hidden_dim=FEED_FORWARD,
        n_layers=LAYERS,
        n_heads=HEADS,
        max_position_embeddings=POSITIONS,
        **_tokens(tokenizer),
        **_labels(),
    )


def _gpt2(tokenizer: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
    from transformers import GPT2Config

    return GPT2Config(
        n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS, n_positions=POSITIONS, **_tokens(tokenizer), **_labels()
    )


def _t5(tokenizer: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
    from transformers import T5Config

    # Heads of a width that is not d_model / num_heads, as in the larger T5 checkpoints.
    return T5Config(
        d_model=HIDDEN,
        d_ff=FEED_FORWARD,
        d_kv=T5_HEAD_WIDTH,
        num_layers=LAYERS,
        num_decoder_layers=LAYERS,
        num_heads=HEADS,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=32,
        decoder_start_token_id=0,
        **_tokens(tokenizer),
        **_labels(),
    )


def _bart(tokenizer: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
    from transformers import BartConfig

    # One decoder layer more than the encoder has, so that mixing the two up is seen.
    return BartConfig(
        d_model=HIDDEN,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS + 1,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=FEED_FORWARD,
        decoder_ffn_dim=FEED_FORWARD,
        max_position_embeddings=POSITIONS,
        decoder_start_token_id=2,
        forced_eos_token_id=2,
        **_tokens(tokenizer),
        **_labels(),
    )


def _vit(_: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
    from transformers import ViTConfig

    return ViTConfig(
        hidden_size=HIDDEN,
        intermediate_size=FEED_FORWARD,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        image_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
        encoder_stride=PATCH_SIZE,
        **_labels(),
    )


def _resnet(_: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
    from transformers import ResNetConfig

    return ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], layer_type="bottleneck", **_labels()
    )


def _whisper(tokenizer: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
    from transformers import WhisperConfig

    return WhisperConfig(
        d_model=HIDDEN,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=FEED_FORWARD,
        decoder_ffn_dim=FEED_FORWARD,
        num_mel_bins=MEL_BINS,
        max_source_positions=50,
        max_target_positions=POSITIONS,
        decoder_start_token_id=1,
        begin_suppress_tokens=[],
        classifier_proj_size=16,
        **_tokens(tokenizer),
        **_labels(),
    )


def _wav2vec2(tokenizer: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
    from transformers import Wav2Vec2Config

    return Wav2Vec2Config(
        hidden_size=HIDDEN,
        intermediate_size=FEED_FORWARD,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        conv_dim=[16, 16, 16],
        conv_kernel=[10, 3, 3],
        conv_stride=[5, 2, 2],
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        classifier_proj_size=16,
        tdnn_dim=[16, 16, 16],
        tdnn_kernel=[3, 2, 1],
        tdnn_dilation=[1, 2, 1],
        xvector_output_dim=16,
        **_tokens(tokenizer),
        **_labels(),
    )


def _clip(tokenizer: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
    from transformers import CLIPConfig

    tower = {
        "hidden_size": HIDDEN,
        "intermediate_size": FEED_FORWARD,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "projection_dim": 16,
    }
    text = {"max_position_embeddings": POSITIONS, **tower, **_tokens(tokenizer)}
    vision = {"image_size": IMAGE_SIZE, "patch_size": PATCH_SIZE, **tower}
    return CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)


def _vision_encoder_decoder(tokenizer: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
    from transformers import VisionEncoderDecoderConfig

    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(_vit(None), _gpt2(tokenizer))
    assert tokenizer is not None
    config.decoder_start_token_id = tokenizer.bos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    config.eos_token_id = tokenizer.eos_token_id
    return config


# --- processors' files, as the Hub's checkpoints have them ------------------------------------------------------------

_PIXELS: dict[str, Any] = {
    "do_resize": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
}
_VIT_PIXELS = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
    **_PIXELS,
}
_RESNET_PIXELS = {
    "image_processor_type": "ConvNextImageProcessor",
    "size": {"shortest_edge": 2 * IMAGE_SIZE},
    "crop_pct": 0.875,
    **_PIXELS,
}
_CLIP_PIXELS = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": IMAGE_SIZE},
    "do_center_crop": True,
    "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
    **_PIXELS,
}
_SPEECH_SAMPLES = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "sampling_rate": 16000,
    "padding_value": 0.0,
    "do_normalize": True,
    "return_attention_mask": False,
}
# One second of sound is 100 mel frames, twice the encoder's positions.
_SPEECH_FRAMES = {
    "feature_extractor_type": "WhisperFeatureExtractor",
    "feature_size": MEL_BINS,
    "sampling_rate": 16000,
    "hop_length": 160,
    "n_fft": 400,
    "chunk_length": 1,
    "padding_value": 0.0,
    "return_attention_mask": False,
}

RECIPES: dict[str, Recipe] = {
    "bert": Recipe("text-classification", _bert_like("BertConfig", segments=2), segmented_word_tokenizer),
    "distilbert": Recipe("text-classification", _distilbert, word_tokenizer),
    # roberta counts positions from its pad token's id, so it has that many positions more.
    "roberta": Recipe(
        "fill-mask", _bert_like("RobertaConfig", segments=1, extra_positions=1), framed_subword_tokenizer
    ),
    "gpt2": Recipe("text-generation", _gpt2, subword_tokenizer),
    "llama": Recipe("text-generation", _llama_like("LlamaConfig"), subword_tokenizer),
    "qwen2": Recipe("text-generation", _llama_like("Qwen2Config"), subword_tokenizer),
    "t5": Recipe("text2text-generation", _t5, closed_subword_tokenizer),
    "bart": Recipe("text2text-generation", _bart, framed_subword_tokenizer),
    "vit": Recipe("image-classification", _vit, preprocessor=_VIT_PIXELS),
    "resnet": Recipe("image-classification", _resnet, preprocessor=_RESNET_PIXELS),
    "whisper": Recipe("automatic-speech-recognition", _whisper, framed_subword_tokenizer, preprocessor=_SPEECH_FRAMES),
    "wav2vec2": Recipe(
        "automatic-speech-recognition",
        _wav2vec2,
        character_tokenizer,
        preprocessor=_SPEECH_SAMPLES,
        auto_classes={"automatic-speech-recognition": "AutoModelForCTC"},
    ),
    "clip": Recipe("zero-shot-image-classification", _clip, framed_subword_tokenizer, preprocessor=_CLIP_PIXELS),
    "vision-encoder-decoder": Recipe(
        "image-to-text",
        _vision_encoder_decoder,
        subword_tokenizer,
        preprocessor=_VIT_PIXELS,
        # transformers 5 dropped AutoModelForVision2Seq and lists the type here.
        auto_classes={"image-to-text": "AutoModelForImageTextToText"},
    ),
}
KINDS = tuple(RECIPES)
