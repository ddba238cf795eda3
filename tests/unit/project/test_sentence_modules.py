"""``modules.json`` and what it leads to come from a pull request: read with bounds, never imported, never outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onnx_export_action.project.model_folder import read_model_config
from onnx_export_action.project.other_libraries import as_sentence_config, embeds_sentences
from onnx_export_action.project.sentence_modules import Dense, Pooling, read_sentence_modules
from onnx_export_action.project.weight_names import weight_paths, weights_and_parts
from onnx_export_action.vocabulary.errors import ExportError

TRANSFORMER = {"path": "", "type": "sentence_transformers.models.Transformer"}
POOLING = {"path": "1_Pooling", "type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling"}
DENSE = {"path": "2_Dense", "type": "sentence_transformers.models.Dense"}


def write(folder: Path, modules: Any, **settings: Any) -> Path:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertModel"]}))
    (folder / "modules.json").write_text(json.dumps(modules))
    for name, values in settings.items():
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(values))
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(ExportError) as caught:
        as_sentence_config(folder, read_model_config(folder))
    return caught.value.message.replace(str(folder), "")


def test_the_settings_of_earlier_versions(tmp_path: Path) -> None:
    flags = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}
    write(tmp_path, [TRANSFORMER, POOLING], **{"1_Pooling": {"word_embedding_dimension": 8, **flags}})
    modules = read_sentence_modules(tmp_path)
    assert modules.words() == ["Pooling (cls, lasttoken)"]
    write_empty = tmp_path / "empty"
    write_empty.mkdir()
    assert read_sentence_modules(write(write_empty, [TRANSFORMER, POOLING])).steps[0][0] == Pooling("mean")


def test_a_dense_layer(tmp_path: Path) -> None:
    activation = "torch.nn.modules.activation.ReLU"
    settings = {"in_features": 8, "out_features": 4, "bias": False, "activation_function": activation}
    write(tmp_path, [TRANSFORMER, POOLING, DENSE], **{"2_Dense": settings})
    step, place = read_sentence_modules(tmp_path).steps[1]
    assert isinstance(step, Dense)
    assert (step.activation, step.bias, place) == ("ReLU", False, tmp_path / "2_Dense")


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ([TRANSFORMER, {"path": "", "type": "os.system"}], "modules of type 'os.system' are not exported"),
        ([TRANSFORMER, {"type": "evil.models.Pooling"}], "modules of type 'evil.models.Pooling' are not exported"),
        ([TRANSFORMER, {"type": "sentence_transformers.models.LSTM"}], "are not exported"),
        ([TRANSFORMER, POOLING | {"path": "../other"}], "the module's folder '../other' lies outside the model's"),
        ([TRANSFORMER, POOLING | {"path": "/etc"}], "the module's folder '/etc' lies outside the model's"),
        ([TRANSFORMER, POOLING | {"path": "link"}], "the module's folder 'link' lies outside the model's"),
        ([POOLING, TRANSFORMER], "the first module is Pooling"),
        ([TRANSFORMER], "has no Pooling"),
        ([], "names no module"),
        ({"0": TRANSFORMER}, "not as sentence-transformers writes it"),
        ([["", "Transformer"]], "not as sentence-transformers writes it"),
    ],
)
def test_what_cannot_be_exported_is_refused(tmp_path: Path, modules: Any, words: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    assert words in refused(write(folder, modules))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"1_Pooling": {"pooling_mode": "median"}}, "/1_Pooling/config.json: no settings of a module Pooling"),
        ({"2_Dense": {"in_features": 8}}, "missing required field `out_features`"),
        ({"2_Dense": {"in_features": 8, "out_features": 10**9}}, "out_features"),
        (
            {"2_Dense": {"in_features": 8, "out_features": 8, "activation_function": "os.system"}},
            "the activation 'os.system' is not exported",
        ),
        (
            {"2_Dense": {"in_features": 8, "out_features": 8, "activation_function": "torch.nn.modules.module.Module"}},
            "is not exported",
        ),
    ],
)
def test_settings_that_mean_nothing_are_refused(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    assert words in refused(write(tmp_path, [TRANSFORMER, POOLING, DENSE], **settings))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"transformer_task": "fill-mask"}, "models for 'fill-mask' embed no sentences"),
        ({"modality_config": {"text": {"method": "__init__"}}}, "texts are embedded by '__init__' and ''"),
        ({"modality_config": {"text": "forward"}}, "not as sentence-transformers writes it"),
    ],
)
def test_a_model_that_is_called_otherwise_is_refused(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    write(tmp_path, [TRANSFORMER, POOLING])
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps(settings))
    assert words in refused(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000, b"NaN", b" " * 2_000_000])
def test_a_file_that_is_no_list_of_modules(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, []).joinpath("modules.json").write_bytes(content)
    assert "/modules.json" in refused(tmp_path)


def test_settings_that_are_a_link_out_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    monkeypatch.chdir(folder)
    (tmp_path / "secret.json").write_text('{"pooling_mode": "secret"}')
    (folder / "1_Pooling/config.json").symlink_to(tmp_path / "secret.json")
    said = refused(write(folder, [TRANSFORMER, POOLING]))
    assert "is a link out of the model's folder" in said
    assert "'secret'" not in said


@pytest.mark.parametrize(
    ("task", "architecture", "embeds"),
    [
        ("auto", "BertModel", True),
        ("auto", "BertForMaskedLM", True),
        ("auto", "BertForSequenceClassification", False),
        ("feature-extraction", "BertModel", True),
        ("sentence-similarity", "BertForMaskedLM", True),
        ("fill-mask", "BertForMaskedLM", False),
    ],
)
def test_which_tasks_are_about_the_folder_as_a_whole(
    tmp_path: Path, task: str, architecture: str, embeds: bool
) -> None:
    write(tmp_path, [TRANSFORMER, POOLING])
    assert embeds_sentences(tmp_path, {"architectures": [architecture]}, task) is embeds


def test_what_shapes_an_embedding_counts_as_its_weights(tmp_path: Path) -> None:
    write(tmp_path, [TRANSFORMER, POOLING, DENSE], **{"1_Pooling": {}, "2_Dense": {}, "3_Other": {}})
    for name in ("model.safetensors", "2_Dense/model.safetensors", "3_Other/model.safetensors"):
        (tmp_path / name).write_bytes(b"")
    assert sorted(weight_paths(tmp_path)) == [
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
        "model.safetensors",
        "modules.json",
    ]


def test_weights_of_modules_are_fetched_from_the_hub() -> None:
    names = ["modules.json", "model.safetensors", "2_Dense/pytorch_model.bin", "onnx/model.safetensors"]
    assert weights_and_parts(names) == ["model.safetensors", "2_Dense/pytorch_model.bin"]
    assert weights_and_parts(names[1:]) == ["model.safetensors"]
