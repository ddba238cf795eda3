"""Where a model comes from: a local folder or the Hub. The one place of ``export`` that knows huggingface_hub.

Imports no torch: finding and checking a model's files costs milliseconds.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx_export_action.errors import ExportError, load_error, plan_error

WEIGHT_PATTERNS = ("*.safetensors", "pytorch_model*.bin")
_INDEX_NAMES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_LFS_POINTER_START = b"version https://git-lfs.github.com/spec/v1"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
_MAX_CONFIG_BYTES = 16 * 2**20

# Tokenizer, processor and generation files that belong beside the ONNX files, copied byte for byte.
COMPANION_NAMES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
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
    "preprocessor_config.json",
    "processor_config.json",
    "image_processor_config.json",
    "feature_extractor_config.json",
    "video_preprocessor_config.json",
    "audio_tokenizer_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
)


@dataclass(frozen=True)
class ModelFolder:
    """A model's files on disk. ``revision`` is the commit for a model from the Hub, None for a local folder."""

    source: str
    path: Path
    revision: str | None = None


def locate_model(source: str, revision: str | None = None, *, weights: str = "load") -> ModelFolder:
    """Find ``source`` on disk, or fetch it from the Hub into its cache.

    Raises:
        ExportError: neither a folder nor a Hub id (plan), or the Hub did not give it (load).
    """
    path = Path(source)
    if path.is_dir():
        return ModelFolder(source, path)
    if path.exists():
        raise plan_error(f"{source} is a file, not a model folder", "give the folder that holds config.json")
    if _looks_like_path(source) or not _HUB_ID.fullmatch(source):
        raise plan_error(f"there is no folder {source}", "give a folder that holds config.json, or a Hub id")
    return _fetch(source, revision, weights)


def _looks_like_path(source: str) -> bool:
    return source.startswith((".", "/", "~")) or (os.sep != "/" and os.sep in source)


def _fetch(source: str, revision: str | None, weights: str) -> ModelFolder:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    patterns = [*COMPANION_NAMES, "*/config.json", *_INDEX_NAMES]
    named = f"{source} at {revision}" if revision else source
    try:
        if weights == "load":
            patterns += _weight_patterns(source, revision)
        folder = snapshot_download(source, revision=revision, allow_patterns=patterns)
    except GatedRepoError as error:
        raise load_error(
            f"{named} is gated on the Hub", "accept its terms and give a token that may read it"
        ) from error
    except RevisionNotFoundError as error:
        raise load_error(f"{source} has no revision {revision} on the Hub", "check the `revision`") from error
    except RepositoryNotFoundError as error:
        raise load_error(
            f"there is no folder {source} and no such model on the Hub ({constants.ENDPOINT})",
            "check the spelling; a private model needs a token that may read it",
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise load_error(
            f"{named} is not in the local cache and the Hub could not be reached ({constants.ENDPOINT})",
            "check the network and HF_HUB_OFFLINE, or give a local folder",
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no"
        hint = "wait, or give a token: shared runners are rate-limited" if status == 429 else None  # noqa: PLR2004
        raise load_error(f"the Hub answered {status} for {named}", hint) from error
    except (OSError, ValueError) as error:
        raise load_error(f"{named} could not be fetched from {constants.ENDPOINT}: {_first_line(error)}") from error
    path = Path(folder)
    return ModelFolder(source, path, _commit_of(path))


def _weight_patterns(source: str, revision: str | None) -> list[str]:
    """Safetensors where the repository has them, else PyTorch's own format; never both."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        names = HfApi().list_repo_files(source, revision=revision)
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, OSError) as error:
        if isinstance(error, HfHubHTTPError):
            raise
        return list(WEIGHT_PATTERNS)  # whatever the cache holds
    top = [name for name in names if "/" not in name]
    safetensors = [name for name in top if name.endswith(".safetensors")]
    return safetensors or [name for name in top if re.fullmatch(r"pytorch_model.*\.bin", name)]


def _commit_of(snapshot: Path) -> str | None:
    # The cache keeps each commit in snapshots/<commit>.
    return snapshot.name if re.fullmatch(r"[0-9a-f]{40}", snapshot.name) else None


def read_model_config(folder: Path) -> dict[str, Any]:
    """Read ``config.json`` as plain data, for the plan.

    Raises:
        ExportError: it is missing, not JSON, not an object, or has no ``model_type``.
    """
    path = folder / "config.json"
    try:
        if path.stat().st_size > _MAX_CONFIG_BYTES:
            raise plan_error(f"{path} is larger than {_MAX_CONFIG_BYTES >> 20} MiB: not a model configuration")
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise plan_error(f"{folder} has no config.json", "give the folder that `save_pretrained` wrote") from error
    except json.JSONDecodeError as error:
        raise plan_error(f"{path}:{error.lineno}:{error.colno}: not valid JSON: {error.msg}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise plan_error(f"{path}: not valid JSON: {_first_line(error)}") from error
    except OSError as error:
        raise plan_error(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(config, dict):
        raise plan_error(f"{path}: a model configuration is a JSON object, this is a {type(config).__name__}")
    return config


def weight_files(folder: Path) -> list[Path]:
    """Weight files that loading would read, sorted by name; safetensors win over ``pytorch_model.bin``.

    Raises:
        ExportError: there are none, one is a Git LFS pointer, or the index names a shard that is missing.
    """
    for pattern in WEIGHT_PATTERNS:
        files = sorted(path for path in folder.glob(pattern) if path.is_file())
        chosen = _indexed(folder, files) or files
        if chosen:
            for path in chosen:
                _require_real_weights(path)
            return chosen
    raise load_error(
        f"{folder} holds no weights (model.safetensors or pytorch_model.bin)",
        "add them, or set `weights: random` (`--weights random`) to check the architecture alone",
    )


def _indexed(folder: Path, files: list[Path]) -> list[Path]:
    for name in _INDEX_NAMES:
        index = folder / name
        if not index.is_file() or not files or index.name.split(".")[1] != files[0].name.rsplit(".", 1)[1]:
            continue
        try:
            shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise load_error(f"{index} is not a weight index: {_first_line(error)}") from error
        for shard in shards:
            if not isinstance(shard, str) or Path(shard).name != shard:
                raise load_error(f"{index} names a shard outside its folder: {shard!r}")
            if not (folder / shard).is_file():
                raise load_error(f"{index} names {shard}, which is missing", "fetch every shard (`git lfs pull`)")
        return [folder / shard for shard in shards]
    return []


def _require_real_weights(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_LFS_POINTER_START)) == _LFS_POINTER_START:
            raise load_error(
                f"{path} is a Git LFS pointer, not the weights",
                "run `git lfs pull`, or set `lfs: true` on actions/checkout",
            )


def needs_remote_code(config: dict[str, Any]) -> bool:
    """Whether the configuration says that its classes live in the repository."""
    auto_map = config.get("auto_map")
    return isinstance(auto_map, dict) and bool(auto_map)


def companion_files(folder: Path) -> list[Path]:
    """Files to copy beside the ONNX files.

    Raises:
        ExportError: one of them is a link that leads out of the model's folder (and out of its cache).
    """
    found = [folder / name for name in COMPANION_NAMES if (folder / name).is_file()]
    for path in found:
        if path.is_symlink() and not _stays_inside(path):
            raise ExportError(
                f"{path} is a link out of the model's folder",
                stage=plan_error("").stage,
                hint="replace the link by the file",
            )
    return found


def _stays_inside(path: Path) -> bool:
    # The Hub's cache links snapshots/<commit>/name to blobs/<hash>: both lie under models--*.
    folder = path.parent.resolve()
    root = folder.parent.parent if folder.parent.name == "snapshots" else folder
    return path.resolve().is_relative_to(root) or path.resolve().is_relative_to(Path.cwd().resolve())


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
