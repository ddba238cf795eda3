"""The files of a folder are found by the names that the configuration classes give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from onnx_export_action.onnx_config.registry import TasksManager
from onnx_export_action.pipeline.artifact_files import files_to_check, require_components
from onnx_export_action.proving.records import CandidateFile
from onnx_export_action.vocabulary.declarations import ConfigurationClass, Declaration
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.jobs import Job
from onnx_export_action.vocabulary.names.components import files_of_components
from onnx_export_action.vocabulary.options import ExportOptions
from onnx_export_action.vocabulary.variants import VARIANTS, variant_path

PAIRS = [
    (model_type, task)
    for model_type in TasksManager.get_supported_model_types()
    for task in TasksManager.get_supported_tasks_for_model_type(model_type)
]


def job(model_type: str, task: str, declaration: Declaration | None = None) -> Job:
    nowhere = Path("nowhere")
    return Job(
        name="one",
        source="x",
        folder=nowhere,
        model_type=model_type,
        task=task,
        destination=nowhere,
        options=ExportOptions(declaration=declaration or Declaration()),
    )


def write(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_the_files_of_every_registered_pair_are_found(tmp_path: Path) -> None:
    """In every variant, and under the names that the class of the pair says itself."""
    assert len(PAIRS) > 500
    for number, (model_type, task) in enumerate(PAIRS):
        components = TasksManager.component_names(model_type, task)
        assert components, (model_type, task)
        names = [f"{stem}.onnx" for stem in files_of_components(components)]
        written = [variant_path(name, variant) for variant in (*VARIANTS,)[:: number % 3 + 1] for name in names]
        folder = tmp_path / str(number)
        write(folder / "onnx", *written)
        found = files_to_check(folder, job(model_type, task))
        assert [file.path.name for file in found] == written
        assert {name for file in found for name in file.components} == set(components)


def test_names_that_no_list_held_are_found(tmp_path: Path) -> None:
    write(tmp_path / "onnx", "vae_decoder.onnx", "vae_encoder.onnx", "vae_encoder_quantized.onnx")
    found = files_to_check(tmp_path, job("autoencoder-kl", "semantic-segmentation"))
    assert [(file.name, file.components, file.variant) for file in found] == [
        ("onnx/vae_encoder.onnx", ["vae_encoder"], "fp32"),
        ("onnx/vae_decoder.onnx", ["vae_decoder"], "fp32"),
        ("onnx/vae_encoder_quantized.onnx", ["vae_encoder"], "q8"),
    ]


def test_a_merged_decoder_computes_both(tmp_path: Path) -> None:
    write(tmp_path, "decoder_model_merged_q4.onnx", "encoder_model.onnx")
    found = files_to_check(tmp_path, job("t5", "text2text-generation-with-past"))
    assert [(file.name, file.components) for file in found] == [
        ("encoder_model.onnx", ["encoder_model"]),
        ("decoder_model_merged_q4.onnx", ["decoder_model", "decoder_with_past_model"]),
    ]


def test_files_of_other_programs_are_let_be(tmp_path: Path) -> None:
    write(tmp_path, "model.onnx", "tokenizer.onnx", "text_model.onnx")
    assert [file.name for file in files_to_check(tmp_path, job("clip", "feature-extraction"))] == ["model.onnx"]


def test_files_of_another_task_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "encoder_model.onnx", "decoder_model.onnx", "decoder_with_past_model.onnx")
    with pytest.raises(ExportError) as refused:
        files_to_check(tmp_path, job("t5", "text2text-generation"))
    assert "decoder_with_past_model.onnx is a file of the task" in refused.value.message
    assert refused.value.hint is not None
    assert "-with-past" in refused.value.hint


def test_a_folder_without_such_files_is_refused_with_the_names(tmp_path: Path) -> None:
    write(tmp_path / "onnx", "encoder.onnx")
    with pytest.raises(ExportError) as refused:
        files_to_check(tmp_path, job("sam", "feature-extraction"))
    assert "no ONNX file of a sam for feature-extraction" in refused.value.message
    assert refused.value.hint == "its files are: vision_encoder.onnx, prompt_encoder_mask_decoder.onnx"


def test_types_without_a_class_have_one_file_or_those_of_an_encoder_decoder(tmp_path: Path) -> None:
    write(tmp_path / "one", "model_fp16.onnx")
    write(tmp_path / "split", "encoder_model.onnx", "decoder_model.onnx")
    for name, count in (("one", 1), ("split", 2)):
        assert len(files_to_check(tmp_path / name, job("reformer", "text2text-generation"))) == count


def test_code_of_the_repository_may_name_files_as_it_likes(tmp_path: Path) -> None:
    write(tmp_path, "half_q4.onnx", "half.onnx", "other_half.onnx")
    code = ConfigurationClass(Path("code.py"), "Own", "onnx-export.yaml")
    found = files_to_check(tmp_path, job("bert", "fill-mask", Declaration(configuration_class=code)))
    assert [(file.name, file.components, file.variant) for file in found] == [
        ("half.onnx", ["half"], "fp32"),
        ("other_half.onnx", ["other_half"], "fp32"),
        ("half_q4.onnx", ["half"], "q4"),
    ]


def test_a_component_that_pytorch_did_not_run_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "half.ComponentRecord.json", "half.GenerationRecord.json")
    good, wrong = (
        CandidateFile(path=Path(name), name=f"{name}.onnx", components=[name], engine="unknown")
        for name in ("half", "whole")
    )
    require_components(good, tmp_path)
    with pytest.raises(ExportError, match="computes nothing") as refused:
        require_components(wrong, tmp_path)
    assert refused.value.hint == "its files are: half.onnx"
