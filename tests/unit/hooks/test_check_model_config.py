"""No false alarm: what transformers itself writes, and what its models look like, must be accepted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onnx_export_hooks.json_document import parse_json
from onnx_export_hooks.model_config import ModelConfig
from onnx_export_hooks.model_types import model_type
from tests.unit.hooks.test_rules import hook_main

DEFAULTS = sorted((Path(__file__).parents[2] / "data" / "default_configurations").glob("*.json"))


@pytest.mark.parametrize("path", DEFAULTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("hook", ["check-model-config", "check-safetensors"])
def test_the_default_configuration_is_accepted(
    path: Path, hook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    written = json.loads(path.read_text(encoding="utf-8"))
    for name, values in (("whole", written), ("short", {"model_type": written["model_type"]})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(values))
    code = hook_main(hook)(["whole", "short"])
    assert (code, capsys.readouterr().out) == (0, "")


def test_all_the_architectures_are_there() -> None:
    assert len(DEFAULTS) > 150


@pytest.mark.parametrize("path", DEFAULTS, ids=lambda path: path.stem)
def test_an_absent_attribute_has_the_default_that_transformers_gives(path: Path) -> None:
    written = json.loads(path.read_text(encoding="utf-8"))
    text = json.dumps({"model_type": written["model_type"]})
    document, _ = parse_json(path, text)
    assert document is not None
    config = ModelConfig(document, document.value)
    facts = model_type(written["model_type"])
    assert facts is not None
    for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"):
        if isinstance(written.get(facts.attribute_map.get(name, name)), int):
            assert config.get(name) == written[facts.attribute_map.get(name, name)]
