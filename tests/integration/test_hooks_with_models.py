"""The hooks against real parts: models of transformers, onnx's checker, and the whole export."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from onnx_export_hooks.check_export_is_current import main as export_is_current
from onnx_export_hooks.check_model_config import main as model_config
from onnx_export_hooks.check_onnx_files import main as onnx_files
from onnx_export_hooks.check_safetensors import main as safetensors
from onnx_export_hooks.validate_onnx_export import main as validate
from tests.hooks_corpus.repository import classifier

KINDS = ("bert", "gpt2", "t5", "vit", "whisper", "clip")


@pytest.mark.parametrize("kind", KINDS)
def test_a_real_checkpoint_is_accepted(
    kind: str,
    own_checkpoint: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own_checkpoint(kind)
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    for storage in ("sharded",):
        own_checkpoint(kind, storage=storage)
    codes = [main(["models"]) for main in (model_config, safetensors)]
    assert (codes, capsys.readouterr().out) == ([0, 0], "")


@pytest.mark.parametrize(("opset", "code"), [(18, 1), (20, 0)])
def test_the_full_check_knows_the_operators(
    opset: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    gelu = onnx.helper.make_node("Gelu", ["mean"], ["unused"])
    onnx.save(classifier(opset=opset, extra=(gelu,)), "model.onnx")
    assert onnx_files(["model.onnx"]) == 0
    assert onnx_files(["--full-check", "model.onnx"]) == code
    assert ("[onnx-operator]" in capsys.readouterr().out) is bool(code)


def test_the_whole_export_of_what_changed(
    own_checkpoint: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = own_checkpoint("bert")
    shutil.copytree(folder, tmp_path / "models" / "broken")
    (tmp_path / "models/broken/model.safetensors").write_bytes(b"broken")
    (tmp_path / ".git").mkdir()
    name = folder.name
    (tmp_path / "onnx-export.yaml").write_text(
        f"version: 1\ntargets:\n- name: good\n  model: ./models/{name}\n- name: broken\n  model: ./models/broken\n"
    )
    monkeypatch.chdir(tmp_path)
    assert validate([f"models/{name}/config.json"]) == 0
    assert capfd.readouterr().out == ""
    assert validate(["models/broken/config.json"]) == 1
    said = capfd.readouterr().out
    assert said.startswith("onnx-export.yaml:5:")
    assert said.rstrip().endswith("[export-failed]")
    assert not (tmp_path / "artifacts").exists()


def test_a_real_export_is_current_until_its_model_changes(
    own_checkpoint: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from click.testing import CliRunner

    from onnx_export_action.entrypoints.command_line.cli import main as onnx_export

    folder = own_checkpoint("bert")
    (tmp_path / ".git").mkdir()
    settings = f"version: 1\ntargets:\n- {{name: good, model: ./models/{folder.name}}}\n"
    (tmp_path / "onnx-export.yaml").write_text(settings)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(onnx_export, ["run"]).exit_code == 0
    capsys.readouterr()
    codes = [main(["."]) for main in (export_is_current, onnx_files, model_config, safetensors)]
    assert (codes, capsys.readouterr().out) == ([0, 0, 0, 0], "")
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"hidden_act": "gelu"', '"hidden_act": "relu"'))
    assert export_is_current([str(config.relative_to(tmp_path))]) == 1
    assert "was exported from another config.json: run `onnx-export run --target good`" in capsys.readouterr().out
