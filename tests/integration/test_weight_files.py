"""What is hashed, and checked for damage, is what loading opens: for every way that weights lie in a folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from onnx_export_action.loading.checkpoint import weight_files
from onnx_export_action.project.manifest import fingerprint
from onnx_export_action.project.weight_names import EXTRA_FILES, INDEX_SUFFIX
from onnx_export_action.vocabulary.errors import ExportError
from tests.architectures.tiny import tiny_config
from tests.conftest import CheckpointFactory
from tests.models import Storage

# Prints the files of the folder that loading opens: those of Python by its audit events, those of safetensors (Rust) by
# a wrapper that is there before transformers is imported.
_OPENED = """
import sys, os, json
from pathlib import Path
folder = Path(sys.argv[1]).resolve()
opened = set()
def note(path):
    if isinstance(path, (str, bytes, os.PathLike)):
        opened.add(Path(os.fsdecode(path)).absolute())
import safetensors, safetensors.torch
def watched(name, original):
    def open_and_note(filename, *rest, **options):
        note(filename)
        return original(filename, *rest, **options)
    return open_and_note
safetensors.safe_open = safetensors.torch.safe_open = watched("safe_open", safetensors.safe_open)
from onnx_export_action.loading.model import load_model
from onnx_export_action.vocabulary.jobs import Job
sys.addaudithook(lambda event, arguments: note(arguments[0]) if event == "open" else None)
model_type, task = sys.argv[2:]
load_model(Job(name="m", source="m", folder=folder, model_type=model_type, task=task, destination=Path("out")))
inside = (path.relative_to(folder).as_posix() for path in opened if path.is_relative_to(folder))
print(json.dumps(sorted(name for name in inside if name.endswith((".safetensors", ".bin", ".index.json")))))
"""

Layout = Callable[[Path], object]


def opened(folder: Path, model_type: str, task: str) -> set[str]:
    arguments = [sys.executable, "-c", _OPENED, str(folder), model_type, task]
    run = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout.splitlines()[-1]))


def renamed(before: str, after: str) -> Layout:
    def rename(folder: Path) -> None:
        (folder / after).parent.mkdir(exist_ok=True)
        (folder / before).rename(folder / after)

    return rename


def beside(name: str, content: bytes = b"not weights") -> Layout:
    return lambda folder: (folder / name).write_bytes(content)


def said(file: str) -> Layout:
    def say(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "transformers_weights": file}))

    return say


def copied(before: str, after: str) -> Layout:
    return lambda folder: shutil.copyfile(folder / before, folder / after)


SINGLE, SHARDED, BIN = Storage.SAFETENSORS, Storage.SHARDED, Storage.BIN
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
LAYOUTS: dict[str, tuple[Storage, list[Layout]]] = {
    "one file": (SINGLE, []),
    "shards": (SHARDED, []),
    "a pickle": (BIN, []),
    "one file beside a pickle": (SINGLE, [beside("pytorch_model.bin")]),
    "one file beside an index": (SINGLE, [beside(INDEX, b'{"metadata": {}, "weight_map": {}}')]),
    "shards beside a pickle": (SHARDED, [beside("pytorch_model.bin")]),
    "shards beside another of their name": (SHARDED, [beside("model-00009-of-00009.safetensors")]),
    "one file beside one of a variant": (SINGLE, [beside("model.fp16.safetensors"), beside("model_1.safetensors")]),
    "one file beside one of diffusers": (SINGLE, [beside("diffusion_pytorch_model.safetensors")]),
    "named in config.json": (SINGLE, [renamed(WEIGHTS, "other.safetensors"), said("other.safetensors")]),
    "named beside the usual": (
        SINGLE,
        [copied(WEIGHTS, "other.safetensors"), beside(WEIGHTS), said("other.safetensors")],
    ),
    "named in a folder": (SINGLE, [renamed(WEIGHTS, "inner/other.safetensors"), said("inner/other.safetensors")]),
    "an index named": (
        SHARDED,
        [renamed(INDEX, f"other.safetensors{INDEX_SUFFIX}"), said("other.safetensors.index.json")],
    ),
    "named and not needed": (SINGLE, [said(WEIGHTS), beside("pytorch_model.bin")]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_hashed_is_what_is_opened(layout: str, own_checkpoint: CheckpointFactory) -> None:
    storage, changes = LAYOUTS[layout]
    folder = own_checkpoint("bert", storage=storage)
    for change in changes:
        change(folder)
    files = {path.relative_to(folder).as_posix() for path in weight_files(folder)}
    hashed = set(fingerprint(folder).weight_hashes)
    assert files == {name for name in hashed if not name.endswith(INDEX_SUFFIX)}
    assert hashed == opened(folder, "bert", "fill-mask")


def test_a_vocoder_beside_the_model_is_hashed_too(tmp_path: Path) -> None:
    from transformers import SpeechT5ForTextToSpeech, SpeechT5HifiGan

    for model_class, place in ((SpeechT5ForTextToSpeech, tmp_path), (SpeechT5HifiGan, tmp_path / "vocoder")):
        model_class(tiny_config(model_class.config_class.model_type)).save_pretrained(place)
    assert set(fingerprint(tmp_path).weight_hashes) == {WEIGHTS, f"vocoder/{WEIGHTS}"}
    assert set(fingerprint(tmp_path).weight_hashes) == opened(tmp_path, "speecht5", "text-to-audio")


WRONG: dict[str, tuple[Storage, list[Layout], str]] = {
    "an absolute name": (SINGLE, [said("/etc/passwd.safetensors")], "outside its folder"),
    "a name above": (SINGLE, [said("../other.safetensors")], "outside its folder"),
    "a missing name": (SINGLE, [said("other.safetensors")], "'other.safetensors', which is missing"),
    "a name of something else": (SINGLE, [said("config.json")], "no file of weights"),
    "a damaged file that is named": (
        SINGLE,
        [said("other.safetensors"), beside("other.safetensors", b"\x08\0\0\0\0\0\0\0{}")],
        "other.safetensors is damaged",
    ),
    "a pointer that is named": (
        SINGLE,
        [said("other.safetensors"), beside("other.safetensors", b"version https://git-lfs.github.com/spec/v1\n")],
        "other.safetensors is a Git LFS pointer",
    ),
    "a distributed checkpoint": (
        SINGLE,
        [copied(WEIGHTS, "shard-00000-model-00001-of-00001.safetensors")],
        "distributed",
    ),
    "a shard missing": (SHARDED, [lambda folder: next(folder.glob("model-*")).unlink()], "which is missing"),
    "an index without metadata": (
        SHARDED,
        [beside(INDEX, b'{"weight_map": {"a": "model-00001-of-00003.safetensors"}}')],
        "metadata",
    ),
}


@pytest.mark.parametrize("layout", WRONG)
def test_what_cannot_be_loaded_is_refused_before_torch_is_imported(
    layout: str, own_checkpoint: CheckpointFactory
) -> None:
    storage, changes, words = WRONG[layout]
    folder = own_checkpoint("bert", storage=storage)
    for change in changes:
        change(folder)
    with pytest.raises(ExportError, match=words):
        weight_files(folder)


def test_the_table_of_further_files_is_that_of_transformers() -> None:
    from transformers import CONFIG_MAPPING

    found = {name: getattr(CONFIG_MAPPING[name], "extra_files", ()) for name in CONFIG_MAPPING}
    assert {name: files for name, files in found.items() if files} == EXTRA_FILES
