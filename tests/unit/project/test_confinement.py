"""What a model's folder may name: no file, link or model outside it, under any key of any class of transformers."""

import functools
import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onnx_export_action.loading.source import locate_model
from onnx_export_action.project.confinement import require_confined
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Stage

CANARY = "canary-4711"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with credentials and a model in it; a secret beside it and another at home."""
    root = tmp_path / "outside" / "checkout"
    (root / "models/m").mkdir(parents=True)
    (root / ".git/annex/objects").mkdir(parents=True)
    (root / ".git/annex/objects/large").write_text("{}")
    (root / ".git/config").write_text(CANARY)
    (root / "notes.txt").write_text(CANARY)
    (root.parent / "secret.txt").write_text(CANARY)
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id").write_text(CANARY)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(root)
    (root / "models/m/config.json").write_text('{"model_type": "bert"}')
    return root


def places(root: Path) -> list[str]:
    """Every way to write the name of a file that is not the model's."""
    secret = root.parent / "secret.txt"
    return [
        str(secret),
        f"file://{secret}",
        f"file:{secret}",
        "../secret.txt",
        "../../../../outside/secret.txt",
        "models/../../secret.txt",
        "~/.ssh/id",
        "$HOME/.ssh/id",
        "${HOME}/.ssh/id",
        ".git/config",
        "./.git/config",
        "notes.txt",
        str(root / ".git/config"),
        str(root.parent),
        "../../home/.ssh",
    ]


def refusal(folder: Path) -> str:
    with pytest.raises(ExportError) as caught:
        require_confined(folder)
    assert caught.value.stage is Stage.PLAN
    assert CANARY not in str(caught.value)
    return caught.value.message


CONFIGURATIONS = (
    "config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "audio_tokenizer_config.json",
    "generation_config.json",
    "adapter_config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "vocoder/config.json",
)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_way_to_name_a_file_outside_is_refused(name: str, workspace: Path) -> None:
    file = workspace / "models/m" / name
    file.parent.mkdir(exist_ok=True)
    for place in places(workspace):
        for content in ({"vocab": place}, {"any": {"thing": [{"deep": [1, place]}]}}, {"init_inputs": [place]}):
            file.write_text(json.dumps({"model_type": "bert", **content}))
            assert "names a file outside the model's folder" in refusal(Path("models/m"))


def test_the_folder_itself_may_be_the_whole_checkout_but_for_git(workspace: Path) -> None:
    (workspace / "config.json").write_text('{"model_type": "bert", "vocab": "notes.txt"}')
    require_confined(Path())
    (workspace / "tokenizer_config.json").write_text('{"vocab": ".git/config"}')
    assert "'.git/config'" in refusal(Path())


HARMLESS = (
    {"_name_or_path": "~/.ssh", "text_config": {"_name_or_path": "/etc"}},
    {"name_or_path": "/etc", "special_tokens_map_file": "/etc/passwd"},
    {"tokenizer_file": "/root/.cache/huggingface/transformers/0123"},
    {"model_type": "models", "task": "models"},
    {"unk_token": "/", "sep_token": "..", "cls_token": "~", "pad_token": "//", "mask_token": "."},
    {"chat_template": "{% for m in messages %}/etc/passwd\n{% endfor %}", "backbone": "resnet50"},
    {"vocab_file": "vocab.txt", "labels": ["a/b", "/m/09x0r", "http://host/x", "x" * 5000, "\0", "ä\u202e"]},
    {"backbone": "org/name", "backbone_config": {"model_type": "resnet"}, "backbone_kwargs": None},
)


@pytest.mark.parametrize("content", HARMLESS)
def test_what_names_no_file_outside_is_left_alone(content: dict[str, Any], workspace: Path) -> None:
    (workspace / "models/m/vocab.txt").write_text("[UNK]")
    (workspace / "models/m/tokenizer_config.json").write_text(json.dumps(content))
    require_confined(Path("models/m"))


@functools.cache
def file_keywords() -> dict[str, list[str]]:
    """Of every tokenizer and processor class of transformers, the arguments that may name a file."""
    return {cls.__name__: sorted(set(_keywords(cls))) for cls in _classes()}


def _classes() -> Iterator[type]:
    import transformers
    from transformers.models.auto import (
        feature_extraction_auto,
        image_processing_auto,
        processing_auto,
        tokenization_auto,
        video_processing_auto,
    )

    found: set[str] = set()
    for mapping in (
        tokenization_auto.TOKENIZER_MAPPING_NAMES,
        processing_auto.PROCESSOR_MAPPING_NAMES,
        image_processing_auto.IMAGE_PROCESSOR_MAPPING_NAMES,
        feature_extraction_auto.FEATURE_EXTRACTOR_MAPPING_NAMES,
        video_processing_auto.VIDEO_PROCESSOR_MAPPING_NAMES,
    ):
        for value in mapping.values():
            values = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
            found |= {name for name in values if name}
    found |= set(importlib.import_module("transformers.convert_slow_tokenizer").SLOW_TO_FAST_CONVERTERS)
    classes = (getattr(transformers, name, None) for name in sorted(found))
    # One that needs a package that is not there is a stand-in, which raises whatever is asked of it.
    yield from (cls for cls in classes if isinstance(cls, type) and "_backends" not in vars(cls))


def _keywords(cls: type) -> Iterator[str]:
    yield from ("vocab", "merges", "init_inputs", *getattr(cls, "vocab_files_names", {}))
    for base in cls.__mro__:
        if "__init__" in vars(base):
            names = inspect.signature(base.__init__).parameters
            yield from (name for name in names if name.endswith(("_file", "_path", "_dir", "_files", "repo_path")))


def test_no_class_of_transformers_can_be_given_a_file_outside(workspace: Path) -> None:
    classes = file_keywords()
    assert len(classes) > 200
    assert {"vocab_file", "merges_file", "tokenizer_file", "spm_file"} <= set().union(*classes.values())
    settings = workspace / "models/m/tokenizer_config.json"
    secret = str(workspace.parent / "secret.txt")
    for name, keywords in classes.items():
        for keyword in keywords:
            value: Any = [secret] if keyword == "init_inputs" else secret
            settings.write_text(json.dumps({"tokenizer_class": name, keyword: value}))
            with pytest.raises(ExportError, match="names a file outside"):
                require_confined(Path("models/m"))


LINKED = (
    "config.json",
    "model.safetensors",
    "model-00001-of-00002.safetensors",
    "pytorch_model.bin",
    "tokenizer.json",
    "vocab.txt",
    "emoji.json",
    "anything.else",
    "vocoder/config.json",
    "additional_chat_templates/a.jinja",
)


@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("target", ["secret", "git"])
def test_links_out_of_the_workspace_are_refused(name: str, target: str, workspace: Path) -> None:
    link = workspace / "models/m" / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(workspace.parent / "secret.txt" if target == "secret" else workspace / ".git/config")
    assert "is a link out of the model's folder" in refusal(Path("models/m"))


def test_a_folder_of_the_model_that_is_a_link_out_is_refused(workspace: Path) -> None:
    (workspace.parent / "vocoder").mkdir()
    (workspace.parent / "vocoder/config.json").write_text("{}")
    (workspace / "models/m/vocoder").symlink_to(workspace.parent / "vocoder")
    assert "vocoder/config.json is a link out" in refusal(Path("models/m"))


def test_links_inside_the_workspace_and_of_git_annex_are_followed(workspace: Path) -> None:
    (workspace / "models/other.json").write_text("{}")
    (workspace / "models/m/tokenizer.json").symlink_to(workspace / "models/other.json")
    (workspace / "models/m/model.safetensors").symlink_to(workspace / ".git/annex/objects/large")
    require_confined(Path("models/m"))


def test_a_download_of_the_hub_is_links_and_names_its_own_files(workspace: Path) -> None:
    cache = workspace.parent / "hub/models--org--name"
    snapshot = cache / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    for name, content in (("config.json", '{"vocab_file": "vocab.txt"}'), ("vocab.txt", "[UNK]")):
        (cache / "blobs" / name).write_text(content)
        (snapshot / name).symlink_to(Path("../../blobs", name))
    require_confined(snapshot)


@pytest.mark.parametrize(
    "content",
    [
        {"backbone": "microsoft/resnet-50", "use_pretrained_backbone": True},
        {"backbone_config": {"model_type": "timm_backbone", "backbone": "hf_hub:org/name"}},
        {"architecture": "hf-hub:org/name", "pretrained_cfg": {}},
        {"architecture": "local-dir:models", "pretrained_cfg": {}},
        {"attn_implementation": "org/kernel"},
        {"text_config": {"attn_implementation": "org/kernel@v1:function"}},
    ],
)
def test_another_model_is_not_fetched(content: dict[str, Any], workspace: Path) -> None:
    (workspace / "models/m/config.json").write_text(json.dumps({"model_type": "dpt", **content}))
    assert "would be fetched from the Hub without a pin" in refusal(Path("models/m"))


@pytest.mark.parametrize("content", [b"[", b"\xff", b"[" * 100_000, b"null", b'"/etc/passwd"'])
def test_what_is_no_configuration_is_left_to_its_reader(content: bytes, workspace: Path) -> None:
    (workspace / "models/m/other.json").write_bytes(content)
    if content.startswith(b'"'):
        refusal(Path("models/m"))
    else:
        require_confined(Path("models/m"))


def test_a_missing_folder_beside_others_is_not_asked_of_the_hub(workspace: Path) -> None:
    with pytest.raises(ExportError, match="there is no folder models/n") as caught:
        locate_model("models/n")
    assert caught.value.stage is Stage.PLAN
    (workspace / "models/sentiment").mkdir()
    with pytest.raises(ExportError) as caught:
        locate_model("models/sentimnet")
    assert "did you mean 'models/sentiment'?" in str(caught.value.hint)
