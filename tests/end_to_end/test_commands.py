"""The commands on good input: what they write, what they say on which stream, and their exit codes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import jsonschema_rs
import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnx_export_action.project.manifest import manifest_schema, read_manifest, sha256_of
from onnx_export_action.vocabulary.results import TargetResult, Verdict, read_result, result_schema
from tests.conftest import CheckpointFactory
from tests.end_to_end.command import CommandLine, contents
from tests.end_to_end.conftest import Exported
from tests.models import Storage


def test_export_proves_the_file_on_a_grid_of_cases(classifier: Exported) -> None:
    result = classifier.result
    assert result.verdict is Verdict.PASS
    assert (result.model.model_type, result.model.task) == ("bert", "text-classification")
    [file] = result.files
    assert len(file.cases) >= 8
    assert {case.mask for case in file.cases} >= {"none", "left", "right", "mixed"}
    assert {axis.name for axis in file.axes if axis.proven} >= {"batch_size", "sequence_length"}
    assert all(axis.proven for axis in file.axes)
    assert [output.name for output in file.outputs] == ["logits"]
    assert not any(output.vacuous for output in file.outputs)


def test_the_report_alone_goes_to_stdout_and_progress_to_stderr(classifier: Exported) -> None:
    assert classifier.outcome.stdout.startswith("### ✅ 1 of 1 export proven")
    steps = classifier.outcome.stderr.splitlines()
    assert all(re.match(r" *\d+\.\d s  ", step) for step in steps), steps
    assert [step.split(": ")[1].split()[0] for step in steps] == ["loading", "running", "checking", "pass"]


def test_the_artifact_folder_holds_the_model_its_companions_and_nothing_else(classifier: Exported) -> None:
    companions = {"config.json", "tokenizer.json", "tokenizer_config.json"}
    assert set(contents(classifier.folder)) == {"onnx/model.onnx", "manifest.json", *companions}
    for name in companions - {"config.json"}:
        assert (classifier.folder / name).read_bytes() == (classifier.model / name).read_bytes()
    # What transformers.js must know of the files is added, and nothing else changes.
    ours, theirs = (
        json.loads((folder / "config.json").read_bytes()) for folder in (classifier.folder, classifier.model)
    )
    assert ours == theirs | {"transformers.js_config": ours["transformers.js_config"]}
    assert set(contents(classifier.folder.parent)) == {f"classifier/{name}" for name in contents(classifier.folder)}


def test_files_have_the_mode_that_the_user_gives_new_files(classifier: Exported, tmp_path: Path) -> None:
    (tmp_path / "new").touch()
    (tmp_path / "folder").mkdir()
    paths = [classifier.result_json, *classifier.folder.rglob("*"), classifier.folder]
    for path in paths:
        wanted = tmp_path / ("folder" if path.is_dir() else "new")
        assert path.stat().st_mode == wanted.stat().st_mode, path


def test_the_manifest_says_what_was_made_from_what(classifier: Exported) -> None:
    path = classifier.folder / "manifest.json"
    jsonschema_rs.validate(manifest_schema(), json.loads(path.read_bytes()))
    manifest = read_manifest(path)
    assert manifest.model.source == str(classifier.model)
    assert manifest.model.config_sha256 == sha256_of(classifier.model / "config.json")
    weights = "model.safetensors"
    assert manifest.model.weight_hashes == {weights: sha256_of(classifier.model / weights)}
    assert (manifest.engine, manifest.opset, manifest.files[0].engine) == ("auto", 18, "tracer")
    assert set(manifest.packages) >= {"torch", "transformers", "onnx", "onnxruntime"}
    recorded = {record.path: (record.bytes, record.sha256) for record in manifest.all_files()}
    found = {
        name: ((classifier.folder / name).stat().st_size, sha256_of(classifier.folder / name))
        for name in contents(classifier.folder)
        if name != "manifest.json"
    }
    assert recorded == found
    assert manifest.files[0].inputs["input_ids"].shape == ["batch_size", "sequence_length"]


def test_the_result_says_the_same_and_keeps_its_schema(classifier: Exported) -> None:
    jsonschema_rs.validate(result_schema(), json.loads(classifier.result_json.read_bytes()))
    [file] = classifier.result.files
    assert file.sha256 == sha256_of(classifier.folder / file.path)
    assert classifier.result.reproduce == f"onnx-export export {classifier.model} out/classifier --result-json " + (
        "results/classifier.json"
    )


def test_a_second_export_replaces_its_files_and_leaves_others_alone(
    classifier: Exported, onnx_export: CommandLine
) -> None:
    destination = shutil.copytree(classifier.folder, onnx_export.path("out"))
    (destination / "README.md").write_text("mine")
    (destination / "onnx" / "mine.bin").write_text("mine too")
    (destination / "onnx" / "model.onnx").write_text("old")
    (destination / "vocab.txt").write_text("from an export of another model")
    manifest = json.loads((destination / "manifest.json").read_bytes())
    manifest["other_files"].append({"path": "vocab.txt", "bytes": 31, "sha256": "0" * 64})
    (destination / "manifest.json").write_text(json.dumps(manifest))

    outcome = onnx_export("export", classifier.model, "out", "--no-validate")

    assert (outcome.code, outcome.stdout) == (0, "")
    assert outcome.stderr.splitlines()[-1].endswith("written, not validated")
    found = contents(destination)
    assert found.pop("README.md") == b"mine"
    assert found.pop("onnx/mine.bin") == b"mine too"
    expected = contents(classifier.folder)
    assert set(found) == set(expected)
    assert {name: data for name, data in found.items() if name != "manifest.json"} == {
        name: data for name, data in expected.items() if name != "manifest.json"
    }
    assert [path.name for path in onnx_export.folder.iterdir()] == ["out"]


@pytest.mark.parametrize("storage", [Storage.BIN, Storage.SHARDED])
def test_every_kind_of_storage_exports_the_same_file(
    storage: Storage, classifier: Exported, checkpoint: CheckpointFactory, onnx_export: CommandLine
) -> None:
    model = checkpoint("bert", task="text-classification", storage=storage)
    outcome = onnx_export("export", model, "out", "--no-validate")
    assert outcome.code == 0, outcome.stderr
    assert sha256_of(onnx_export.path("out/onnx/model.onnx")) == classifier.result.files[0].sha256
    weights = {path.name for path in model.iterdir() if re.search(r"\.(bin|safetensors|index\.json)$", path.name)}
    assert set(read_manifest(onnx_export.path("out/manifest.json")).model.weight_hashes) == weights


def _validated(onnx_export: CommandLine, model: Path, folder: Path) -> tuple[int, TargetResult, str]:
    outcome = onnx_export("validate", model, folder, "--result-json", "result.json")
    return outcome.code, read_result(onnx_export.path("result.json")), outcome.stdout


def test_validate_passes_the_good_file_and_accuses_a_changed_weight(
    classifier: Exported, onnx_export: CommandLine
) -> None:
    code, result, report = _validated(onnx_export, classifier.model, classifier.folder)
    assert (code, result.verdict) == (0, Verdict.PASS)
    assert report.startswith("### ✅")

    broken = shutil.copytree(classifier.folder, onnx_export.path("broken"))
    graph = onnx.load(broken / "onnx" / "model.onnx")
    weight = max(graph.graph.initializer, key=lambda tensor: tensor.dims[0] if len(tensor.dims) == 2 else 0)
    values = numpy_helper.to_array(weight).copy()
    values *= np.float32(1.01)
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(graph, broken / "onnx" / "model.onnx")

    code, result, report = _validated(onnx_export, classifier.model, broken)
    assert (code, result.verdict) == (1, Verdict.FAIL)
    assert result.files[0].worst_margin is not None
    assert result.files[0].worst_margin > 1
    assert "logits" in report
    assert report.startswith("### ❌")


def test_validate_accuses_a_fixed_batch_axis_by_its_name(classifier: Exported, onnx_export: CommandLine) -> None:
    broken = shutil.copytree(classifier.folder, onnx_export.path("broken"))
    graph = onnx.load(broken / "onnx" / "model.onnx")
    for value in graph.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(graph, broken / "onnx" / "model.onnx")
    outcome = onnx_export("validate", classifier.model, "broken")
    assert outcome.code == 1
    assert "axis 0 (batch_size) of input input_ids is fixed at 2" in outcome.stdout


def test_report_renders_several_results_as_one(classifier: Exported, onnx_export: CommandLine) -> None:
    failed = msgspec.structs.replace(classifier.result, target="other", verdict=Verdict.FAIL)
    failed.files[0].verdict = Verdict.FAIL
    onnx_export.path("other.json").write_bytes(msgspec.json.encode(failed))

    outcome = onnx_export("report", classifier.result_json, "other.json")
    assert (outcome.code, outcome.stderr) == (1, "")
    assert "`classifier`" in outcome.stdout
    assert "`other`" in outcome.stdout

    outcome = onnx_export("report", classifier.result_json)
    assert outcome.code == 0
    assert outcome.stdout == classifier.outcome.stdout

    outcome = onnx_export("report", classifier.result_json, "other.json", "--format", "json", "-o", "report.json")
    assert (outcome.code, outcome.stdout) == (1, "")
    text = onnx_export.path("report.json").read_text()
    assert json.loads(text)
    assert "classifier" in text
    assert "other" in text


@pytest.mark.parametrize("content", ["", "[]", '{"schema_version": 1}', '{"schema_version": 99}', "\xff" * 10])
def test_report_refuses_what_is_no_result(content: str, onnx_export: CommandLine) -> None:
    onnx_export.path("bad.json").write_bytes(content.encode("latin-1"))
    outcome = onnx_export("report", "bad.json")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert "bad.json" in outcome.stderr


def test_tasks_and_schemas_go_to_stdout(onnx_export: CommandLine) -> None:
    outcome = onnx_export("tasks", "bert")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert {"fill-mask", "text-classification"} <= set(outcome.stdout.splitlines())

    table = json.loads(onnx_export("tasks", "--format", "json").stdout)
    assert "text-generation-with-past" in table["gpt2"]
    assert len(table) >= 14

    outcome = onnx_export("tasks", "brt")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert "did you mean 'bert'?" in outcome.stderr

    for what in ("config", "result", "manifest"):
        schema = json.loads(onnx_export("schema", what).stdout)
        jsonschema_rs.validator_for(schema)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["export"], "MODEL"),
        (["export", "m", "o", "--opset", "3"], "14<=x<=23"),
        (["export", "m", "o", "--variant", "fp15"], "fp32"),
        (["export", "m", "o", "--variant", "half"], "Did you mean 'fp16'?"),
        (["export", "m", "o", "--no-validate", "--result-json", "r"], "--result-json"),
        (["exprot"], "exprot"),
        (["report", "missing.json"], "missing.json"),
    ],
)
def test_bad_usage_is_exit_code_2(arguments: list[str], said: str, onnx_export: CommandLine) -> None:
    outcome = onnx_export(*arguments)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert said in outcome.stderr
