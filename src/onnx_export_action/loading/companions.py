"""The files beside a model's weights that ship with its export: tokenizer, processor, configurations.

Imports no torch: what is damaged is known before anything is loaded.
"""

from __future__ import annotations

import json
from pathlib import Path

from onnx_export_action.project.lfs import POINTER_START
from onnx_export_action.project.places import stays_inside
from onnx_export_action.project.sentence_modules import config_folder, is_module_folder, module_folders
from onnx_export_action.vocabulary.errors import load_error, plan_error
from onnx_export_action.vocabulary.names.file_names import (
    CONFIG_NAME,
    GENERATION_CONFIG_NAME,
    MAX_CONFIG_BYTES,
    TOKENIZER_NAME,
)

PREPROCESSOR_CONFIG = "preprocessor_config.json"
_PREPROCESSOR_PARTS = ("feature_extractor", "image_processor")  # in processor_config.json

# Tokenizer, processor and generation files that belong beside the ONNX files, copied byte for byte.
COMPANION_NAMES = (
    CONFIG_NAME,
    GENERATION_CONFIG_NAME,
    TOKENIZER_NAME,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "bpe.codes",
    "sentencepiece.bpe.model",
    "source.spm",
    "target.spm",
    "spiece.model",
    "spm.model",
    "tokenizer.model",
    "normalizer.json",
    "entity_vocab.json",
    "chat_template.jinja",
    "chat_template.json",
    PREPROCESSOR_CONFIG,
    "processor_config.json",
    "image_processor_config.json",
    "feature_extractor_config.json",
    "video_preprocessor_config.json",
    "audio_tokenizer_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
)

# Of these the presence of one means that the folder holds a tokenizer.
TOKENIZER_NAMES = (
    TOKENIZER_NAME,
    *("vocab.json", "vocab.txt", "merges.txt", "bpe.codes"),
    *("sentencepiece.bpe.model", "source.spm", "target.spm", "spiece.model", "spm.model", "tokenizer.model"),
)
_TEXTS = frozenset({".json", ".txt", ".jinja", ".codes"})
_MAY_BE_EMPTY = frozenset({"chat_template.jinja", "merges.txt"})


def companion_files(folder: Path) -> dict[str, Path]:
    """Files to copy beside the ONNX files: their paths there, and where they lie.

    Raises:
        ExportError: one of them is a link that leads out of the model's folder (and out of its cache).
    """
    places = dict.fromkeys((folder, config_folder(folder)))
    found = {name: place / name for name in COMPANION_NAMES for place in places if (place / name).is_file()}
    # sentence-transformers itself reads the configurations of a folder's parts, such as 1_Pooling/config.json.
    parts = [f"{name}/config.json" for name in module_folders(folder) if is_module_folder(name)]
    found |= {name: folder / name for name in parts if (folder / name).is_file()}
    for path in found.values():
        if path.is_symlink() and not stays_inside(path, folder):
            raise plan_error(f"{path} is a link out of the model's folder", "replace the link by the file")
    return found


def preprocessor_config(processor_config: Path) -> str | None:
    """The text of ``preprocessor_config.json`` for a processor that transformers 5 saved as one file.

    transformers.js 4.3 and transformers 4 read the feature extractor or image processor from there alone, as
    transformers 4 wrote it; 5 nests it in ``processor_config.json``. Can go when transformers.js reads the nested form.
    None where the file holds neither part, or cannot be read.
    """
    if processor_config.stat().st_size > MAX_CONFIG_BYTES:
        return None
    try:
        processor = json.loads(processor_config.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    parts = [processor.get(key) for key in _PREPROCESSOR_PARTS] if isinstance(processor, dict) else []
    written = {key: value for part in parts if isinstance(part, dict) for key, value in part.items()}
    if not written:
        return None
    if "processor_class" in processor:
        written["processor_class"] = processor["processor_class"]
    return json.dumps(written, indent=2, sort_keys=True) + "\n"


def require_whole_companions(folder: Path) -> None:
    """Make sure that what ships beside the ONNX files is no pointer of Git LFS, and is what its name says.

    Raises:
        ExportError: a file is a pointer, empty, or no JSON or text.
    """
    for path in companion_files(folder).values():
        try:
            content = path.read_bytes()
        except OSError as error:
            raise load_error(f"{path} cannot be read: {error.strerror}") from error
        if content.startswith(POINTER_START):
            raise load_error(
                f"{path} is a Git LFS pointer, not the file",
                "run `git lfs pull`, or set `lfs: true` on actions/checkout",
            )
        damage = _damage(path, content)
        if damage is not None:
            raise load_error(f"{path} is damaged: {damage}", "fetch or save the file again")


def _damage(path: Path, content: bytes) -> str | None:
    if not content and path.name not in _MAY_BE_EMPTY:
        return "it is empty"
    if path.suffix in _TEXTS:
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            return f"no text in UTF-8: {error.reason} at byte {error.start}"
    if path.suffix == ".json":
        try:
            json.loads(content)
        except (ValueError, RecursionError) as error:
            return f"not valid JSON: {error}"
    return None
