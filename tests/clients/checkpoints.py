"""The models that the clients are asked about: small ones with every file that a client reads."""

from __future__ import annotations

from pathlib import Path

from tests.models import VOCABULARY, tiny_checkpoint

ROOT = Path(__file__).parents[2]
PROMPT = ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")


def checkpoint_of(kind: str, task: str, folder: Path) -> Path:
    """The folder of a model of type ``kind``: trained MiniLM, or a tiny random model written into ``folder``."""
    if kind == "minilm":
        return ROOT / "examples/demo/models/minilm"
    if kind == "whisper":
        return whisper(folder)
    # optimum 0.1.0 takes a head's size for the hidden size by the number of heads, whatever `d_kv` says.
    sizes = {"d_kv": 8} if kind == "t5" else {}
    return tiny_checkpoint(kind, folder, task=task, **sizes)


def whisper(folder: Path) -> Path:
    """Whisper as transformers 5 saves it: one file of the processor, and a generation config that asks for a prompt.

    The prompt names language and task, and a transcript must not be empty (``begin_suppress_tokens``), as with the
    trained models.
    """
    from transformers import AutoFeatureExtractor, AutoTokenizer, GenerationConfig, WhisperProcessor

    start, english, transcribe, no_timestamps = range(VOCABULARY, VOCABULARY + len(PROMPT))
    tiny_checkpoint("whisper", folder, vocab_size=VOCABULARY + len(PROMPT), decoder_start_token_id=start)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"extra_special_tokens": list(PROMPT)})
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    (folder / "preprocessor_config.json").unlink()
    WhisperProcessor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(folder)
    GenerationConfig(
        decoder_start_token_id=start,
        is_multilingual=True,
        lang_to_id={PROMPT[1]: english},
        task_to_id={"transcribe": transcribe},
        no_timestamps_token_id=no_timestamps,
        begin_suppress_tokens=[tokenizer.eos_token_id],
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    ).save_pretrained(folder)
    return folder
