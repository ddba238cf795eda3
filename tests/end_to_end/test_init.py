"""``onnx-export init`` as a user runs it: new files are written, existing ones only on a yes."""

from __future__ import annotations

import json
from pathlib import Path

from tests.end_to_end.command import CommandLine

OWN = "repos:\n- repo: local\n  hooks: []\n"


def add_model(root: Path) -> None:
    (root / "models/writer").mkdir(parents=True)
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 1}
    (root / "models/writer/config.json").write_text(json.dumps(config))


def test_a_new_repository_gets_all_three_files_and_the_settings_are_valid(tmp_path: Path) -> None:
    add_model(tmp_path)
    onnx_export = CommandLine(tmp_path)
    shown = onnx_export("init", "--dry-run")
    assert shown.code == 0
    assert "+  - name: writer" in shown.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["models"]
    assert onnx_export("init").code == 0
    assert (tmp_path / ".github/workflows/onnx-export.yml").is_file()
    assert (tmp_path / ".pre-commit-config.yaml").is_file()
    assert "there is no target 'nobody'" in onnx_export("run", "--target", "nobody").stderr
    again = onnx_export("init")
    assert (again.code, again.stdout) == (0, "")


def test_an_existing_file_is_changed_only_on_a_yes(tmp_path: Path) -> None:
    add_model(tmp_path)
    (tmp_path / ".pre-commit-config.yaml").write_text(OWN)
    onnx_export = CommandLine(tmp_path)
    unasked = onnx_export("init")
    assert unasked.code == 2
    assert "+- repo: https://github.com/org/onnx-export-action" in unasked.stdout
    assert "--yes" in unasked.stderr
    assert (tmp_path / ".pre-commit-config.yaml").read_text() == OWN
    assert onnx_export("init", "--yes").code == 0
    assert (tmp_path / ".pre-commit-config.yaml").read_text().startswith(OWN)


def test_a_folder_without_models_is_a_mistake_with_a_way_out(tmp_path: Path) -> None:
    outcome = CommandLine(tmp_path)("init")
    assert outcome.code == 2
    assert "onnx-export init --model org/name" in outcome.stderr
    assert list(tmp_path.iterdir()) == []
