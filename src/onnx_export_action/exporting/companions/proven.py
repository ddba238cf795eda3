"""What ships beside the ONNX files is loaded as its users load it, and does what the model's own files do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer
from transformers.utils import logging as transformers_logging

from onnx_export_action.loading.companions import PREPROCESSOR_CONFIG, TOKENIZER_NAMES
from onnx_export_action.loading.offline import offline
from onnx_export_action.project.sentence_modules import config_folder
from onnx_export_action.vocabulary.errors import load_error
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME, GENERATION_CONFIG_NAME, TOKENIZER_NAME

# Scripts, digits, spaces and signs that tokenizers treat each in a way of their own.
TEXTS = (
    "",
    "The film was far better than I had expected.",
    "  Two  spaces,\ta tab\nand a line; naïve CAFÉ, e\u0301 and \u00e9, İstanbul.",
    "Prices rose by 3.5 % in March 2024: $1,234,567.89 (1e-5)",
    "日本語の文、中文、한국어, العربية, ไทย, हिन्दी, Ελληνικά, Кириллица",
    "🙂👩‍👩‍👧 …— “quotes” ½ ﬁ Ω ≈ 3·10⁻⁷",
    "def f(x):\n    return x ** 2  # https://example.org/?a=b&c=d",
)
_MOST_SPECIAL = 16
# What a configuration says of where and when it was read.
_OF_THE_LOADING = ("_name_or_path", "name_or_path", "transformers_version", "_commit_hash", "_from_model_config")


@dataclass(frozen=True)
class _Kind:
    """One companion: words for it, the files that mean it is there, its class, and what it does, to be compared."""

    words: str
    names: tuple[str, ...]
    load: str
    behaviour: Callable[[Any], Any]


def _tokens(tokenizer: Any) -> Any:
    special = " ".join(tokenizer.all_special_tokens[:_MOST_SPECIAL])
    texts = [*TEXTS, f"{TEXTS[1]} {special} {TEXTS[3]}"]
    return [len(tokenizer), tokenizer.special_tokens_map, *(tokenizer(text)["input_ids"] for text in texts)]


def _settings(loaded: Any) -> Any:
    return {name: value for name, value in loaded.to_dict().items() if name not in _OF_THE_LOADING}


_TOKENIZER = _Kind("the tokenizer", TOKENIZER_NAMES, "AutoTokenizer", _tokens)
_KINDS = (
    _TOKENIZER,
    _Kind("the image processor", (PREPROCESSOR_CONFIG,), "AutoImageProcessor", _settings),
    _Kind("the feature extractor", (PREPROCESSOR_CONFIG,), "AutoFeatureExtractor", _settings),
    _Kind("the generation configuration", (GENERATION_CONFIG_NAME,), "GenerationConfig", _settings),
    _Kind("the configuration", (CONFIG_NAME,), "AutoConfig", _settings),
)


def prove_companions(source: Path, folder: Path, names: set[str]) -> list[str]:
    """Load what is in ``folder`` (files of these ``names``) and in the model's folder, and compare what they do.

    What cannot be loaded from the model's folder either, for want of a package or of code of the repository's own,
    ships as it is; the notes say so.

    Raises:
        ExportError: tokenizer.json is damaged, or something loads differently from what was there.
    """
    if TOKENIZER_NAME in names:
        _require_tokenizer(folder / TOKENIZER_NAME)
    notes = []
    with _quiet():
        for kind in _KINDS:
            if not names.isdisjoint(kind.names):
                notes += _proven(kind, source, folder)
    return notes


def _require_tokenizer(path: Path) -> None:
    try:
        Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain exceptions
        raise load_error(
            f"{path.name} is damaged: {str(error)[:200]}", "save the tokenizer again (`tokenizer.save_pretrained`)"
        ) from error


def _proven(kind: _Kind, source: Path, folder: Path) -> list[str]:
    try:
        before = kind.behaviour(_load(kind, config_folder(source)))
    except Exception as error:  # a processor's own code decides what it raises
        return _unloaded(kind, error)
    try:
        after = kind.behaviour(_load(kind, folder))
    except Exception as error:
        raise load_error(f"{kind.words} does not load from the artifact: {_words(error)}") from error
    if before != after:
        raise load_error(
            f"{kind.words} of the artifact does not do what the model's own does",
            "save it again with `save_pretrained`, so that all of its files say the same",
        )
    return []


def _unloaded(kind: _Kind, error: Exception) -> list[str]:
    """A tokenizer that cannot be loaded is told; whether there is a processor of some kind, only loading it says."""
    if kind is not _TOKENIZER:
        return []
    return [f"the tokenizer could not be loaded and ships as it is, untried: {_words(error)}"]


def converted_tokenizer(source: Path) -> str | None:
    """``tokenizer.json`` of a model saved before it was the rule; None where its tokenizer has no such form."""
    with _quiet():
        try:
            return str(_load(_TOKENIZER, config_folder(source)).backend_tokenizer.to_str(pretty=True))
        except Exception:  # no fast form of this tokenizer exists: its own files are there and remain
            return None


def _load(kind: _Kind, folder: Path) -> Any:
    options = {} if kind.load == "GenerationConfig" else {"trust_remote_code": False}
    with offline():
        return getattr(transformers, kind.load).from_pretrained(folder, local_files_only=True, **options)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


@contextmanager
def _quiet() -> Iterator[None]:
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
