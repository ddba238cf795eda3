"""Every hook accepts the good repository and finds each of the realistic mistakes, where it is, under its rule."""

from __future__ import annotations

import importlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onnx_export_hooks.rules import CONFIG_HOOK, CURRENT_HOOK, MODEL_HOOK, ONNX_HOOK, RULES, SAFETENSORS_HOOK
from tests.hooks_corpus.mistakes import MISTAKES, Mistake
from tests.hooks_corpus.repository import write_json, write_repository, write_safetensors

LIGHT_HOOKS = (CONFIG_HOOK, MODEL_HOOK, SAFETENSORS_HOOK, ONNX_HOOK, CURRENT_HOOK)
LINE = re.compile(r"(?P<path>[^:]+):(?P<line>\d+):\d+: (?P<message>.+) \[(?P<rule>[a-z-]+)\]")
# Rules that need something a fixture does not have: a package, or torch and a whole export.
ELSEWHERE = {"onnx-operator", "export-failed"}


def hook_main(name: str) -> Callable[[list[str]], int]:
    return importlib.import_module(f"onnx_export_hooks.{name.replace('-', '_')}").main


@pytest.fixture(scope="session")
def good_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_repository(tmp_path_factory.mktemp("good") / "repository")


@pytest.fixture
def repository(good_repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the good repository to break, and the current folder."""
    copy = Path(shutil.copytree(good_repository, tmp_path / "repository"))
    monkeypatch.chdir(copy)
    return copy


@pytest.mark.parametrize("hook", LIGHT_HOOKS)
def test_the_good_repository_passes(hook: str, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hook_main(hook)(["."]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_found_where_it_is(mistake: Mistake, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mistake.make(repository)
    assert hook_main(mistake.hook)(["."]) == 1
    printed = capsys.readouterr().out
    lines = [LINE.fullmatch(line) for line in printed.splitlines()]
    assert lines
    assert all(lines), printed
    found = {(match["path"], match["line"], match["rule"]) for match in lines if match}
    path, _, line = mistake.place.partition(":")
    assert any(one[0] == path and one[2] == mistake.rule and line in ("", one[1]) for one in found), printed


def test_every_rule_has_a_bad_repository() -> None:
    assert {mistake.rule for mistake in MISTAKES} | ELSEWHERE == set(RULES)


def test_each_rule_is_found_by_a_hook_that_states_it() -> None:
    assert [mistake.name for mistake in MISTAKES if mistake.hook not in RULES[mistake.rule].hooks] == []


def test_files_that_an_export_does_not_read_do_not_make_it_stale(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(
        repository / "models/sentiment/model.safetensors", repository / "models/sentiment/adapter_model.safetensors"
    )
    assert hook_main(CURRENT_HOOK)(["."]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("hook", LIGHT_HOOKS)
@pytest.mark.parametrize(
    ("name", "task", "config"),
    [
        ("search", "sentence-similarity", {"model_type": "bert", "architectures": ["BertModel"]}),
        ("timm", "image-classification", {"architecture": "resnet18", "pretrained_cfg": {"input_size": [3, 64, 64]}}),
        ("painter", "auto", {"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.42.1"}),
    ],
)
def test_folders_of_other_libraries_pass(
    hook: str, name: str, task: str, config: dict[str, Any], repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repository / "models" / name
    (folder / "1_Pooling").mkdir(parents=True)
    write_json(folder / "config.json", config)
    write_safetensors(folder / "model.safetensors", {"weight": (2, 2)})
    if name == "search":
        write_json(
            folder / "modules.json",
            [
                {"path": path, "type": f"sentence_transformers.models.{kind}"}
                for path, kind in (("", "Transformer"), ("1_Pooling", "Pooling"))
            ],
        )
        write_json(folder / "1_Pooling/config.json", {"word_embedding_dimension": 8, "pooling_mode": "cls"})
    settings = repository / "onnx-export.yaml"
    settings.write_text(f"{settings.read_text()}\n- {{name: {name}, model: ./models/{name}, task: {task}}}\n")
    assert hook_main(hook)(["."]) == 0, capsys.readouterr().out
