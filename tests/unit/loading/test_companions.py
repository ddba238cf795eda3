"""What ships beside the ONNX files is whole, and in the form that all clients read."""

import json
from pathlib import Path

import pytest

from onnx_export_action.loading.companions import COMPANION_NAMES, preprocessor_config, require_whole_companions
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.results import Stage

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 104428\n"


def test_a_processor_in_one_file_gives_the_file_that_javascript_reads(tmp_path: Path) -> None:
    extractor = {"feature_extractor_type": "WhisperFeatureExtractor", "n_samples": 480_000}
    saved = tmp_path / "processor_config.json"
    saved.write_text(json.dumps({"feature_extractor": extractor, "processor_class": "WhisperProcessor"}))
    assert json.loads(preprocessor_config(saved) or "") == extractor | {"processor_class": "WhisperProcessor"}


@pytest.mark.parametrize("content", [b"[", b"[]", b"\xff", b'{"feature_extractor": "x"}', b'{"processor_class": "X"}'])
def test_a_processor_s_file_without_parts_gives_none(content: bytes, tmp_path: Path) -> None:
    saved = tmp_path / "processor_config.json"
    saved.write_bytes(content)
    assert preprocessor_config(saved) is None


@pytest.mark.parametrize("name", COMPANION_NAMES)
def test_a_pointer_is_no_companion(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(ExportError, match=f"{name} is a Git LFS pointer") as caught:
        require_whole_companions(tmp_path)
    assert caught.value.stage is Stage.LOAD


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("tokenizer.json", b'{"model": {"vocab": {"a": 1', "not valid JSON"),
        ("tokenizer_config.json", b"", "it is empty"),
        ("vocab.json", b"\xff\xfe{}", "no text in UTF-8"),
        ("vocab.txt", b"[UNK]\n\xe4\n", "no text in UTF-8"),
        ("preprocessor_config.json", b"<html>404</html>", "not valid JSON"),
        ("spiece.model", b"", "it is empty"),
        ("generation_config.json", b"[" * 200_000, "not valid JSON"),
    ],
)
def test_what_is_not_what_its_name_says_is_damaged(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ExportError, match=f"{name} is damaged: {words}"):
        require_whole_companions(tmp_path)


def test_whole_files_pass(tmp_path: Path) -> None:
    for name, content in (
        ("tokenizer.json", "{}"),
        ("vocab.txt", "ä\n"),
        ("chat_template.jinja", ""),
        ("merges.txt", ""),
    ):
        (tmp_path / name).write_text(content)
    require_whole_companions(tmp_path)
