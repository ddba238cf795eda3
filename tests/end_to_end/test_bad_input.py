"""Broken models and unusable outputs: a clear message, the right exit code, nothing run and nothing left behind."""

from __future__ import annotations

import json
import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CheckpointFactory
from tests.end_to_end.command import CommandLine, contents
from tests.models import Storage

Break = Callable[[Path], object]


def configured(**changes: object) -> Break:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def rewritten(name: str, content: bytes | Callable[[bytes], bytes]) -> Break:
    def rewrite(folder: Path) -> None:
        path = folder / name
        path.write_bytes(content(path.read_bytes()) if callable(content) else content)

    return rewrite


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def shard_elsewhere(content: bytes) -> bytes:
    index: dict[str, Any] = json.loads(content)
    index["weight_map"][next(iter(index["weight_map"]))] = "../other/model.safetensors"
    return json.dumps(index).encode()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 104428\n"
SAFETENSORS, SHARDED, BIN = Storage.SAFETENSORS, Storage.SHARDED, Storage.BIN
INDEX = "model.safetensors.index.json"

of_its_own = configured(model_type="mine", auto_map={"AutoConfig": "code.C"})

BROKEN: dict[str, tuple[Storage, Break, int, list[str]]] = {
    "no config.json": (SAFETENSORS, lambda f: (f / "config.json").unlink(), 2, ["has no config.json"]),
    "not JSON": (SAFETENSORS, rewritten("config.json", b'{"a": 1,\n  b}'), 2, ["config.json:2:3: not valid JSON"]),
    "a JSON list": (SAFETENSORS, rewritten("config.json", b"[1]"), 2, ["JSON object", "list"]),
    "not UTF-8": (SAFETENSORS, rewritten("config.json", b"\xff\xfe{"), 2, ["config.json: not valid JSON"]),
    "nested too deep": (SAFETENSORS, rewritten("config.json", b"[" * 200_000), 2, ["not valid JSON"]),
    "unknown type": (SAFETENSORS, configured(model_type="brt"), 2, ["'brt'", "did you mean 'bert'?"]),
    "type of no text": (SAFETENSORS, configured(model_type=7), 2, ["has no model_type"]),
    "hostile type": (SAFETENSORS, configured(model_type="\x1b[31m\n::error::x"), 2, [r"\x1b[31m"]),
    "no architectures": (SAFETENSORS, configured(architectures=[]), 2, ["name the task", "fill-mask"]),
    "no weights": (SAFETENSORS, lambda f: (f / "model.safetensors").unlink(), 3, ["no weights", "--weights random"]),
    "truncated": (SAFETENSORS, rewritten("model.safetensors", halved), 3, ["safetensors is damaged or truncated"]),
    "nine bytes": (SAFETENSORS, rewritten("model.safetensors", b"\xff" * 9), 3, ["damaged or truncated"]),
    "empty": (SAFETENSORS, rewritten("model.safetensors", b""), 3, ["damaged or truncated"]),
    "pointer": (SAFETENSORS, rewritten("model.safetensors", POINTER), 3, ["Git LFS pointer", "git lfs pull"]),
    "truncated bin": (BIN, rewritten("pytorch_model.bin", halved), 3, ["pytorch_model.bin is damaged or truncated"]),
    "empty bin": (BIN, rewritten("pytorch_model.bin", b""), 3, ["damaged or truncated: it is empty"]),
    "pointer bin": (BIN, rewritten("pytorch_model.bin", POINTER), 3, ["Git LFS pointer"]),
    "missing shard": (SHARDED, lambda f: next(f.glob("*-00002-*")).unlink(), 3, ["model-00002-of-", "missing"]),
    "shard elsewhere": (SHARDED, rewritten(INDEX, shard_elsewhere), 3, ["outside its folder"]),
    "no index": (SHARDED, rewritten(INDEX, b"{}"), 3, ["is not a weight index"]),
    "needs its code": (SAFETENSORS, of_its_own, 2, ["'mine'", "--trust-remote-code"]),
}  # fmt: skip


@pytest.mark.parametrize(("storage", "broken", "code", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_model_is_refused_in_words(
    storage: Storage,
    broken: Break,
    code: int,
    said: list[str],
    onnx_export: CommandLine,
    own_checkpoint: CheckpointFactory,
) -> None:
    model = own_checkpoint("bert", task="text-classification", storage=storage)
    (model / "code.py").write_text("open('ran', 'w')\n")
    broken(model)
    outcome = onnx_export("export", model, "new/out")
    assert outcome.code == code
    for part in said:
        assert part in outcome.stderr
    assert outcome.stdout.startswith("### ⚠️ `out`")
    assert not any(character < " " and character != "\n" for character in outcome.stderr)
    assert not any(line.startswith("::") for line in outcome.stderr.splitlines())
    assert contents(onnx_export.folder) == {}


def test_a_task_that_the_type_does_not_have(onnx_export: CommandLine, checkpoint: CheckpointFactory) -> None:
    outcome = onnx_export("export", checkpoint("bert"), "out", "--task", "image-classification")
    assert outcome.code == 2
    assert "bert models have no task 'image-classification'" in outcome.stderr
    assert "fill-mask" in outcome.stderr


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._path),)


def test_code_in_a_pickle_is_never_run(
    onnx_export: CommandLine, own_checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    import torch

    trap = tmp_path / "ran"
    root = onnx_export.folder
    (root / ".git").mkdir()
    for name in ("plain", "archive"):
        model = own_checkpoint("bert", task="text-classification", storage=BIN)
        if name == "plain":
            (model / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(trap)))
        else:
            torch.save({"weight": Payload(trap)}, model / "pytorch_model.bin")
        model.rename(root / name)
    (root / "onnx-export.yaml").write_text(
        "version: 1\ntargets:\n  - {name: p, model: plain}\n  - {name: a, model: archive}\n"
    )
    outcome = onnx_export("run", "--output", "artifacts")
    assert outcome.code == 3
    assert outcome.stderr.count("pytorch_model.bin is damaged or holds more than tensors") == 2
    assert "posix.mkdir, which was not run" in outcome.stderr
    assert not trap.exists()
    assert {path.name for path in (root / "artifacts").iterdir()} == {"p.result.json", "a.result.json"}


CUSTOM = """\
from pathlib import Path
from transformers import BertForSequenceClassification

Path(__file__).with_name("ran").touch()

class Doubled(BertForSequenceClassification):
    def forward(self, *arguments, **options):
        outputs = super().forward(*arguments, **options)
        outputs.logits = outputs.logits * 2
        return outputs
"""


def test_code_of_the_repository_runs_only_when_it_is_trusted(
    onnx_export: CommandLine, own_checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    model = own_checkpoint("bert", task="text-classification")
    (model / "custom.py").write_text(CUSTOM)
    configured(auto_map={"AutoModelForSequenceClassification": "custom.Doubled"})(model)
    assert onnx_export("export", model, "plain", "--no-validate").code == 0
    assert list(tmp_path.rglob("ran")) == []
    trusted = onnx_export("export", model, "trusted", "--trust-remote-code")
    assert trusted.code == 0, trusted.stderr
    assert len(list((tmp_path / "home").rglob("ran"))) == 1
    accused = onnx_export("validate", model, "plain", "--trust-remote-code")
    assert accused.code == 1


@pytest.fixture
def model(checkpoint: CheckpointFactory) -> Path:
    return checkpoint("bert", task="text-classification")


def test_the_output_is_a_file_or_lies_below_one(onnx_export: CommandLine, model: Path) -> None:
    onnx_export.path("file").write_text("mine")
    for output in ("file", "file/out", "file/a/b"):
        outcome = onnx_export("export", model, output)
        assert outcome.code == 2
        assert "is a file" in outcome.stderr
    assert contents(onnx_export.folder) == {"file": b"mine"}


def test_the_result_cannot_be_written(onnx_export: CommandLine, model: Path) -> None:
    """Told before the work, not after it."""
    onnx_export.path("file").write_text("mine")
    onnx_export.path("folder").mkdir()
    for path in ("file/result.json", "folder"):
        outcome = onnx_export("export", model, "out", "--result-json", path)
        assert (outcome.code, outcome.stdout) == (2, "")
        assert f"{path} cannot be written" in outcome.stderr
    assert contents(onnx_export.folder) == {"file": b"mine", "folder/": b""}


def test_the_output_is_not_writable(onnx_export: CommandLine, model: Path) -> None:
    # /proc takes no new folder from anyone, root included, whom no mode would keep out.
    outcome = onnx_export("export", model, "/proc/self/out")
    assert outcome.code == 2
    assert "the output folder" in outcome.stderr
    assert "writ" in outcome.stderr


def test_a_full_disk(onnx_export: CommandLine, model: Path) -> None:
    """No file may grow beyond 60 KB: the model does not fit, as on a disk that is full."""
    outcome = onnx_export(
        "export", model, "new/out", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
    )
    assert outcome.code == 3
    assert "cannot write to new: File too large" in outcome.stderr
    assert contents(onnx_export.folder) == {}


def test_links_do_not_lead_out_of_the_output(onnx_export: CommandLine, model: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "model.onnx").write_text("not ours")
    onnx_export.path("out").mkdir()
    onnx_export.path("out/onnx").symlink_to(elsewhere)
    outcome = onnx_export("export", model, "out")
    assert outcome.code == 2
    assert "is a link out of the output folder" in outcome.stderr
    assert "exporting" not in outcome.stderr

    onnx_export.path("out/onnx").unlink()
    for name in ("config.json", "manifest.json", "onnx/model.onnx", "onnx/.model.onnx.partial"):
        link = onnx_export.path(f"out/{name}")
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(elsewhere / "model.onnx")
    onnx_export.path("result.json").symlink_to(elsewhere / "model.onnx")
    outcome = onnx_export("export", model, "out", "--result-json", "result.json")
    assert outcome.code == 0, outcome.stderr
    assert contents(elsewhere) == {"model.onnx": b"not ours"}
    for name in ("config.json", "manifest.json", "onnx/model.onnx"):
        assert not onnx_export.path(f"out/{name}").is_symlink()
    assert not onnx_export.path("result.json").is_symlink()


def test_a_stale_manifest_cannot_name_files_elsewhere(onnx_export: CommandLine, model: Path, tmp_path: Path) -> None:
    assert onnx_export("export", model, "out", "--no-validate").code == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "notes.txt").write_text("not ours")
    onnx_export.path("out/linked").symlink_to(elsewhere)
    path = onnx_export.path("out/manifest.json")
    manifest = json.loads(path.read_bytes())
    manifest["other_files"].append({"path": "linked/notes.txt", "bytes": 8, "sha256": "0" * 64})
    path.write_text(json.dumps(manifest))
    assert onnx_export("export", model, "out", "--no-validate").code == 0
    assert contents(elsewhere) == {"notes.txt": b"not ours"}


def test_a_temporary_folder_with_a_long_name(onnx_export: CommandLine, model: Path, tmp_path: Path) -> None:
    """The path of a Unix socket holds 107 bytes; without the fork server the export is slower, and no worse."""
    long = tmp_path / ("t" * 100)
    long.mkdir()
    outcome = onnx_export("export", model, "out", "--no-validate", temporary=long)
    assert outcome.code == 0, outcome.stderr


def test_links_do_not_lead_out_of_the_model(onnx_export: CommandLine, own_checkpoint: CheckpointFactory) -> None:
    """A committed link may not publish a file of the machine beside the model."""
    model = own_checkpoint("bert", task="text-classification")
    (model / "vocab.txt").symlink_to("/etc/hostname")
    outcome = onnx_export("export", model, "out", "--no-validate")
    assert outcome.code == 2
    assert "is a link out of the model's folder" in outcome.stderr
    assert contents(onnx_export.folder) == {}
