"""What every hook has in common as a command: its lines, its exit codes, --explain, --fix, ignoring, annotations."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from onnx_export_hooks.check_model_config import HOOK
from onnx_export_hooks.command import findings_of
from onnx_export_hooks.rules import MODEL_HOOK, RULES, rules_of
from tests.unit.hooks.test_rules import LIGHT_HOOKS, hook_main

model_config = hook_main(MODEL_HOOK)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_model(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(text)
    return folder / "config.json"


def test_a_finding_is_a_line_as_linters_print_it(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(repository / "m", '{"model_type": "bert",\n "hiden_size": 8}')
    assert model_config(["m/config.json"]) == 1
    assert capsys.readouterr().out == (
        "m/config.json:2:2: bert has no attribute 'hiden_size', so the default of hidden_size counts: "
        "did you mean 'hidden_size'? [misspelt-attribute]\n"
    )


def test_github_gets_an_annotation(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(repository / "a,b:c", '{"model_type": "100%"}')
    assert model_config(["--format", "github", "a,b:c/config.json"]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("::error file=a%2Cb%3Ac/config.json,line=1,col=2,title=unknown-model-type::transformers ")
    assert "'100%25'" in printed


@pytest.mark.parametrize("name", ["\n::error::owned", "::stop-commands::x", "##[error]x", "\u202etxt", "a\x1b[31m"])
def test_names_cannot_become_commands_of_a_runner_or_a_terminal(
    name: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_model(repository / name, json.dumps({"model_type": name}))
    assert model_config([str(path.relative_to(repository))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert not lines[0].startswith(("::", "##"))
    assert lines[0].isprintable()


def test_misuse_is_exit_code_2(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert model_config(["missing.json"]) == 2
    assert "there is no file missing.json" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        model_config(["--unknown"])
    assert caught.value.code == 2


@pytest.mark.parametrize("hook", LIGHT_HOOKS)
def test_nothing_to_check_passes(hook: str, repository: Path) -> None:
    assert hook_main(hook)([]) == 0


def test_every_rule_explains_itself(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, rule in RULES.items():
        assert model_config(["--explain", name]) == 0
        said = capsys.readouterr().out
        assert rule.reason in said
        assert "hooks:\n      ignore:" in said
    assert rules_of(MODEL_HOOK)


def test_a_rule_is_ignored_below_its_patterns_only(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("old", "new"):
        write_model(repository / "models" / name, '{"model_type": "berrt"}')
    (repository / "onnx-export.yaml").write_text(
        'version: 1\nhooks: {ignore: {unknown-model-type: ["models/old/*"]}}\n'
    )
    assert model_config(["models"]) == 1
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["models/new/config.json"]


def test_fix_repairs_what_is_certain(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_model(repository / "m", '\ufeff{"model_type": "bert",\n "architectures": ["BertModel",],\n}\n')
    assert model_config(["m/config.json"]) == 1
    assert model_config(["--fix", "m/config.json"]) == 0
    assert path.read_text() == '{"model_type": "bert",\n "architectures": ["BertModel"]\n}\n'


@pytest.mark.parametrize("text", ['{"model_type": "bert",, }', '{"model_type": bert,}', '{"a": [1,,]}', "{,}"])
def test_fix_leaves_alone_what_is_not(text: str, repository: Path) -> None:
    path = write_model(repository / "m", text)
    (repository / "m/tokenizer_config.json").write_text("{}")
    assert model_config(["--fix", "m/config.json"]) == 1
    assert path.read_text() == text


def test_fix_does_not_follow_a_link_out(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "config.json"
    outside.write_text('{"model_type": "bert",}')
    (repository / "m").mkdir()
    (repository / "m/config.json").symlink_to(outside)
    assert model_config(["--fix", "m/config.json"]) == 1
    assert outside.read_text() == '{"model_type": "bert",}'


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "model.onnx"])
def test_a_link_to_nothing_is_a_finding(name: str, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(repository / "m", '{"model_type": "bert"}')
    (repository / "m" / name).unlink(missing_ok=True)
    (repository / "m" / name).symlink_to("nowhere")
    (repository / "m/tokenizer_config.json").write_text("{}")
    hook = {".json": "check-model-config", ".safetensors": "check-safetensors"}.get(
        Path(name).suffix, "check-onnx-files"
    )
    assert hook_main(hook)([f"m/{name}"]) == 1
    assert "[link-outside]" in capsys.readouterr().out


def test_findings_are_values_for_the_action(repository: Path) -> None:
    write_model(repository / "m", '{"model_type": "berrt"}')
    assert [(found.path, found.line, found.rule) for found in findings_of(HOOK, [Path("m")])] == [
        ("m/config.json", 1, "unknown-model-type")
    ]


@pytest.mark.parametrize("hook", LIGHT_HOOKS)
def test_a_hook_imports_nothing_heavy(hook: str, repository: Path) -> None:
    write_model(repository / "m", '{"model_type": "bert"}')
    module = f"onnx_export_hooks.{hook.replace('-', '_')}"
    heavy = "{'torch', 'transformers', 'onnxruntime', 'onnx', 'numpy', 'huggingface_hub', 'safetensors'}"
    code = f"import sys; from {module} import main; main(['.']); sys.exit(repr({heavy} & set(sys.modules)) != 'set()')"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
