"""A model's folder: which files belong to a model, its tokenizer's vocabulary, the shapes of its weights."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import msgspec

from onnx_export_action.project.lfs import read_pointer
from onnx_export_action.project.safetensors_header import HeaderError, TensorHeader, read_header
from onnx_export_action.vocabulary.names.file_names import CONFIG_NAME, TOKENIZER_NAME
from onnx_export_hooks.json_document import JsonDocument, read_json
from onnx_export_hooks.model_config import ModelConfig, is_whole, read_model_config

INDEX_NAME = "model.safetensors.index.json"
# The JSON files that transformers reads from a model's folder.
MODEL_FILES = frozenset(
    {
        CONFIG_NAME,
        TOKENIZER_NAME,
        "added_tokens.json",
        "chat_template.json",
        "feature_extractor_config.json",
        "generation_config.json",
        "image_processor_config.json",
        "preprocessor_config.json",
        "processor_config.json",
        "special_tokens_map.json",
        "tokenizer_config.json",
        "video_preprocessor_config.json",
        "vocab.json",
    }
)
_SIGNS_OF_A_MODEL = ("tokenizer_config.json", "generation_config.json", "preprocessor_config.json", "model.safetensors")
_WORDS_OF_A_MODEL = re.compile(rb'"(?:model_type|architectures|transformers_version|auto_map)"')
_MAX_VOCABULARY_BYTES = 64 * 1024 * 1024


class _AddedToken(msgspec.Struct):
    id: int
    content: str


class _TokenizerModel(msgspec.Struct):
    vocab: dict[str, int] | list[Any] = {}


class _Tokenizer(msgspec.Struct):
    """What matters of tokenizer.json; the rest is skipped unread."""

    model: _TokenizerModel
    added_tokens: list[_AddedToken] = []


class Vocabulary(msgspec.Struct, frozen=True):
    """The tokens that a tokenizer knows, with their ids, and the file that says so."""

    path: Path
    ids: dict[str, int]
    highest_id: int

    def token_of(self, number: int) -> str:
        """A token with this id."""
        return next(token for token, other in self.ids.items() if other == number)


class ModelFolder:
    """Reads each file of a folder at most once, and only when asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @functools.cached_property
    def config(self) -> ModelConfig | None:
        """config.json, None where it is missing or no JSON object."""
        path = self.path / CONFIG_NAME
        return read_model_config(path)[0] if path.is_file() else None

    def is_model(self) -> bool:
        """Whether config.json is that of a model: many other tools have a file of that name."""
        if any((self.path / name).exists() for name in _SIGNS_OF_A_MODEL):
            return True
        try:
            with (self.path / CONFIG_NAME).open("rb") as stream:
                return _WORDS_OF_A_MODEL.search(stream.read(1024 * 1024)) is not None
        except OSError:
            return False

    def json(self, name: str) -> JsonDocument | None:
        """One of the folder's JSON files that holds an object, None where it is missing or does not."""
        path = self.path / name
        document = read_json(path)[0] if path.is_file() else None
        return document if document is not None and isinstance(document.value, dict) else None

    @functools.cached_property
    def vocabulary(self) -> Vocabulary | None:
        """The tokenizer's tokens, from the file that transformers prefers; None where there is none to be read."""
        for name, read in (
            (TOKENIZER_NAME, _of_tokenizer_json),
            ("vocab.json", _of_vocab_json),
            ("vocab.txt", _of_text),
        ):
            path = self.path / name
            if path.is_file() and path.stat().st_size <= _MAX_VOCABULARY_BYTES:
                ids = read(path)
                return Vocabulary(path, ids, max(ids.values())) if ids else None
        return None

    def weight_paths(self) -> list[Path]:
        """The safetensors files."""
        return sorted(path for path in self.path.glob("*.safetensors") if path.is_file())

    @functools.cached_property
    def weights(self) -> dict[str, TensorHeader]:
        """Every tensor of the safetensors files; empty where a file cannot be read, which check-safetensors reports."""
        found: dict[str, TensorHeader] = {}
        for path in self.weight_paths():
            if path.name.startswith("adapter_"):
                continue
            try:
                if read_pointer(path) is not None:
                    return {}
                found |= read_header(path)
            except (HeaderError, OSError):
                return {}
        return found


def _of_tokenizer_json(path: Path) -> dict[str, int]:
    try:
        tokenizer = msgspec.json.decode(path.read_bytes(), type=_Tokenizer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    vocab = tokenizer.model.vocab
    ids = dict(vocab) if isinstance(vocab, dict) else _of_pieces(vocab)
    return ids | {token.content: token.id for token in tokenizer.added_tokens}


def _of_pieces(pieces: list[Any]) -> dict[str, int]:
    """Unigram vocabularies are a list of [piece, score]."""
    named = (piece[0] if isinstance(piece, list) and piece else None for piece in pieces)
    return {name: index for index, name in enumerate(named) if isinstance(name, str)}


def _of_vocab_json(path: Path) -> dict[str, int]:
    ids: dict[str, int] = {}
    for name in ("vocab.json", "added_tokens.json"):
        try:
            read = json.loads((path.parent / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        ids |= {token: number for token, number in read.items() if is_whole(number)} if isinstance(read, dict) else {}
    return ids


def _of_text(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return {}
    return {token: index for index, token in enumerate(lines) if token}
