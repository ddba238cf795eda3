"""Real texts as cases: the user's samples through the model's own tokenizer."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from onnx_export_action.errors import load_error, plan_error
from onnx_export_action.onnx_config.base import OnnxConfig
from onnx_export_action.project.plan import Job
from onnx_export_action.project.sentence_modules import config_folder
from onnx_export_action.validation.cases import Arrays, CaseSpec

MAX_SAMPLES = 64
_MAX_BYTES = 4 * 2**20
_BATCH_SIZE = 8

Sample = tuple[str, str | None]


def sample_batches(onnx_config: OnnxConfig, job: Job) -> Iterator[tuple[CaseSpec, Arrays, list[str]]]:
    """Tokenize the samples of ``job`` into padded batches of at most eight.

    Raises:
        ExportError: the file or the tokenizer cannot be read, or the model takes no text.
    """
    if job.samples is None or "input_ids" not in onnx_config.inputs:
        return
    samples = read_samples(job.samples)
    tokenizer = _tokenizer(job)
    for number in range(0, len(samples), _BATCH_SIZE):
        batch = samples[number : number + _BATCH_SIZE]
        yield (
            CaseSpec(f"samples {number + 1}-{number + len(batch)}", "samples", job.seed),
            _arrays(onnx_config, tokenizer, batch),
            [text for text, _ in batch],
        )


def read_samples(path: Path) -> list[Sample]:
    """Read ``.jsonl`` (``text`` and maybe ``text_pair``), ``.csv`` (columns of these names) or ``.txt`` (one a line).

    Raises:
        ExportError: unreadable, too large, or a line without a text; names the line.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise plan_error(f"{path} is larger than {_MAX_BYTES >> 20} MiB", "a few dozen samples are enough")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise plan_error(f"the samples {path} cannot be read: {error}") from error
    reader = {".jsonl": _from_jsonl, ".csv": _from_csv, ".txt": _from_txt}.get(path.suffix)
    if reader is None:
        raise plan_error(f"{path}: samples are .jsonl, .csv or .txt")
    samples = reader(path, lines)[:MAX_SAMPLES]
    if not samples:
        raise plan_error(f"{path} holds no samples")
    return samples


def _from_jsonl(path: Path, lines: list[str]) -> list[Sample]:
    samples = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise plan_error(f"{path}:{number}: not valid JSON: {error}") from error
        samples.append(_sample(path, number, row if isinstance(row, dict) else {"text": row}))
    return samples


def _from_csv(path: Path, lines: list[str]) -> list[Sample]:
    rows = csv.DictReader(lines)
    return [_sample(path, number, row) for number, row in enumerate(rows, start=2)]


def _from_txt(path: Path, lines: list[str]) -> list[Sample]:
    return [_sample(path, number, {"text": line}) for number, line in enumerate(lines, start=1) if line.strip()]


def _sample(path: Path, number: int, row: dict[str, Any]) -> Sample:
    text, pair = row.get("text"), row.get("text_pair")
    if not isinstance(text, str) or not (pair is None or isinstance(pair, str)):
        raise plan_error(f'{path}:{number}: a sample is {{"text": "...", "text_pair": "..."}}')
    return text, pair


def _tokenizer(job: Job) -> Any:
    try:
        return AutoTokenizer.from_pretrained(
            config_folder(job.folder), trust_remote_code=job.trust_remote_code, local_files_only=True
        )
    except Exception as error:  # a tokenizer's own code decides what it raises
        text = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise load_error(f"{job.folder}: samples need a tokenizer, which could not be loaded: {text}") from error


def _arrays(onnx_config: OnnxConfig, tokenizer: Any, batch: list[Sample]) -> Arrays:
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    texts = [text for text, _ in batch]
    pairs = [pair or "" for _, pair in batch] if any(pair for _, pair in batch) else None
    encoded = tokenizer(
        texts, pairs, padding=True, truncation=True, max_length=_max_length(tokenizer), return_tensors="np"
    )
    lengths = {"batch_size": len(batch), "sequence_length": encoded["input_ids"].shape[1], "past_sequence_length": 0}
    arrays = onnx_config.generate_dummy_inputs("np", padding="none", **lengths)
    for name in set(arrays) & set(encoded):
        arrays[name] = np.asarray(encoded[name]).astype(arrays[name].dtype)
    if "position_ids" in arrays:
        arrays["position_ids"] = np.clip(np.cumsum(encoded["attention_mask"], axis=1) - 1, 0, None).astype(np.int64)
    return arrays


def _max_length(tokenizer: Any) -> int:
    return int(min(tokenizer.model_max_length, 512))


def vocabulary(folder: Path) -> list[str]:
    """The tokens of the model's tokenizer by id, empty where there is none or its ids have gaps."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        ids = {int(number): str(piece) for piece, number in tokenizer.get_vocab().items()}
    except Exception:  # a tokenizer's own code decides what it raises; without one tokens stand for words
        return []
    return [ids.get(number, "") for number in range(max(ids, default=-1) + 1)] if ids else []
