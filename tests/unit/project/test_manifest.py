"""``manifest.json``: written whole, read with suspicion; fingerprints that follow what an export depends on."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnx_export_action import __version__
from onnx_export_action.project.manifest import (
    earlier_files,
    fingerprint,
    manifest_schema,
    read_manifest,
    sha256_of,
    write_manifest,
)
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.manifest import FileRecord, Manifest, ModelRecord, OnnxFileRecord, TensorRecord
from onnx_export_action.vocabulary.supported.engines import Engine

HASH = "0123456789abcdef" * 4


def example() -> Manifest:
    return Manifest(
        target="sentiment",
        model=ModelRecord(
            source="./models/sentiment",
            model_type="bert",
            task="text-classification",
            config_sha256=HASH,
            weight_hashes={"model.safetensors": HASH},
        ),
        seed=0,
        engine=Engine.AUTO,
        opset=18,
        variants=["fp32"],
        packages={"torch": "2.13.0"},
        files=[
            OnnxFileRecord(
                path="onnx/model.onnx",
                bytes=10,
                sha256=HASH,
                components=["model"],
                variant="fp32",
                engine=Engine.TRACER,
                opset=18,
                inputs={"input_ids": TensorRecord(dtype="int64", shape=["batch_size", "sequence_length"])},
                outputs={"logits": TensorRecord(dtype="float32", shape=["batch_size", 2])},
                external_data=[FileRecord(path="onnx/model.onnx_data", bytes=20, sha256=HASH)],
            )
        ],
        other_files=[FileRecord(path="config.json", bytes=2, sha256=HASH)],
    )


def changed(**changes: Any) -> bytes:
    """The example as JSON with values replaced; a name such as ``files__0__path`` says where."""
    content = msgspec.to_builtins(example())
    for place, value in changes.items():
        *way, last = [int(step) if step.isdigit() else step for step in place.split("__")]
        part = content
        for step in way:
            part = part[step]
        part[last] = value
    return msgspec.json.encode(content)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text("an older one")
    write_manifest(example(), path)
    assert read_manifest(path) == example()
    assert read_manifest(path).created_by == f"onnx-export-action {__version__}"
    assert [entry.name for entry in tmp_path.iterdir()] == ["manifest.json"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_same_export_writes_the_same_bytes(tmp_path: Path) -> None:
    write_manifest(example(), tmp_path / "first.json")
    write_manifest(example(), tmp_path / "second.json")
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()


def test_a_write_that_fails_leaves_the_old_manifest_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "manifest.json"
    path.write_text("an older one")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_manifest(example(), path)
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("manifest.json", "an older one")]


@pytest.mark.parametrize(
    "path",
    ["../up", "/etc/passwd", "onnx/../../up", "a//b", "a/", "./a", "a/.", "..", "", "a\\..\\b", "C:/x", "a\nb", "a\n"],
)
@pytest.mark.parametrize("place", ["files__0__path", "files__0__external_data__0__path", "other_files__0__path"])
def test_paths_that_leave_the_folder_are_refused(place: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(changed(**{place: path}))
    with pytest.raises(ValueError, match="not a manifest"):
        read_manifest(tmp_path / "manifest.json")
    assert earlier_files(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"model__weight_hashes": {"../model.safetensors": HASH}}, "model.weight_hashes"),
        ({"model__weight_hashes": {"model.safetensors": "x"}}, "model.weight_hashes"),
        ({"model__weights": "stolen"}, "model.weights"),
        ({"files__0__sha256": HASH.upper()}, "sha256"),
        ({"files__0__sha256": HASH + "\n"}, "sha256"),
        ({"files__0__bytes": -1}, "bytes"),
        ({"files__0__inputs": {"x": {"dtype": "int64", "shape": [-1]}}}, "inputs"),
        ({"files__0__inputs": {"x": {"dtype": "int64", "shape": [1] * 65}}}, "shape"),
        ({"files": []}, "files"),
        ({"target": "x" * 501}, "target"),
        ({"schema_version": 2}, "schema_version"),
        ({"surprise": 1}, "surprise"),
        ({"other_files__0__path": "ONNX/model.onnx"}, "two files have the same path"),
    ],
)
def test_a_manifest_out_of_bounds_is_refused_with_the_place(
    changes: dict[str, Any], where: str, tmp_path: Path
) -> None:
    (tmp_path / "manifest.json").write_bytes(changed(**changes))
    with pytest.raises(ValueError, match=r"manifest\.json: not a manifest") as caught:
        read_manifest(tmp_path / "manifest.json")
    assert where in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"[" * 200_000, b"\xff", b" " * (16 * 1024 * 1024 + 1), b"null"])
def test_what_is_no_manifest_at_all_is_refused(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(raw)
    with pytest.raises(ValueError, match="not a manifest"):
        read_manifest(tmp_path / "manifest.json")


@settings(max_examples=200, deadline=None)
@given(path=st.text(alphabet="ab./\\:\n\0", max_size=12))
def test_an_accepted_path_stays_inside(path: str) -> None:
    try:
        manifest = msgspec.json.decode(changed(other_files__0__path=path), type=Manifest)
    except msgspec.ValidationError:
        return
    (record,) = manifest.other_files
    joined = os.path.normpath(f"/artifact/{record.path}")
    assert joined == f"/artifact/{record.path}"


def test_earlier_files_are_all_that_was_written(tmp_path: Path) -> None:
    assert earlier_files(tmp_path) == []
    write_manifest(example(), tmp_path / "manifest.json")
    assert earlier_files(tmp_path) == [Path("onnx/model.onnx"), Path("onnx/model.onnx_data"), Path("config.json")]


def test_the_schema_accepts_the_example_and_refuses_a_way_out() -> None:
    jsonschema_rs.meta.validate(manifest_schema())
    validator = jsonschema_rs.validator_for(manifest_schema())
    assert validator.is_valid(msgspec.to_builtins(example()))
    assert not validator.is_valid(msgspec.json.decode(changed(files__0__path="../up")))


def test_hashing_reads_the_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for name in (
        "config.json",
        "model.safetensors",
        "adapter_model.safetensors",
        "pytorch_model.bin",
        "training_args.bin",
        "tokenizer.json",
    ):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_the_fingerprint_changes_with_what_the_export_reads(model: Path, name: str) -> None:
    before = fingerprint(model).sha256
    (model / name).write_text("changed")
    assert fingerprint(model).sha256 != before


@pytest.mark.parametrize(
    "name",
    ["adapter_model.safetensors", "pytorch_model.bin", "training_args.bin", "tokenizer.json", "README.md"],
)
def test_the_fingerprint_keeps_with_what_it_does_not_read(model: Path, name: str) -> None:
    before = fingerprint(model)
    (model / name).write_text("changed")
    assert fingerprint(model) == before


def test_weights_in_the_older_format_count_where_there_are_no_others(model: Path) -> None:
    (model / "model.safetensors").unlink()
    assert list(fingerprint(model).weight_hashes) == ["pytorch_model.bin"]


def test_an_index_counts_with_its_shards(model: Path) -> None:
    (model / "model.safetensors").unlink()
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    for name in (*parts, "model-00003-of-00003.safetensors"):
        (model / name).write_text(name)
    (model / parts[2]).write_text(json.dumps({"weight_map": {"a": parts[0], "b": parts[1], "c": parts[0]}}))
    assert sorted(fingerprint(model).weight_hashes) == parts


def test_the_model_inside_another_counts(model: Path) -> None:
    before = fingerprint(model)
    (model / "vocoder").mkdir()
    (model / "vocoder" / "model.safetensors").write_bytes(b"sound")
    after = fingerprint(model)
    assert after.sha256 != before.sha256
    assert set(after.weight_hashes) - set(before.weight_hashes) == {"vocoder/model.safetensors"}


def test_random_weights_depend_on_the_configuration_alone(model: Path) -> None:
    before = fingerprint(model, weights=Weights.RANDOM)
    (model / "model.safetensors").write_text("changed")
    assert fingerprint(model, weights=Weights.RANDOM) == before
    assert before.weight_hashes == {}
    (model / "config.json").write_text("changed")
    assert fingerprint(model, weights=Weights.RANDOM).sha256 != before.sha256


def test_a_folder_without_configuration_has_no_fingerprint(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"has no config\.json"):
        fingerprint(tmp_path)
