"""``onnx-export init``: what a repository starts with follows from the models in it, and nothing of its own is lost."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from onnx_export_action.entrypoints.starting_files import (
    HOOKS_FILE,
    SCHEMA_URL,
    WORKFLOW_FILE,
    Proposal,
    proposals,
)
from onnx_export_action.project.settings import load_settings
from onnx_export_action.project.settings.schema import settings_schema
from onnx_export_action.vocabulary.errors import ExportError
from onnx_export_action.vocabulary.names.file_names import SETTINGS_NAME

ROOT = Path(__file__).parents[3]
BERT = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
GPT2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}


def add_model(root: Path, folder: str, config: object, *, weights: bool = False) -> None:
    place = root / folder
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_text(json.dumps(config))
    if weights:
        (place / "model.safetensors").write_bytes(b"weights")


def proposed(root: Path, name: str, *hub_ids: str) -> Proposal:
    return next(one for one in proposals(root, hub_ids) if one.path.as_posix() == name)


def written(root: Path, *hub_ids: str) -> dict[str, tuple[str, str, str]]:
    """The targets of the settings file once it is written: name -> model, task, weights."""
    (root / SETTINGS_NAME).write_bytes(proposed(root, SETTINGS_NAME, *hub_ids).after.encode())
    targets = load_settings(root / SETTINGS_NAME).targets
    return {target.name: (target.model, target.task, target.options.weights) for target in targets}


def test_every_model_becomes_a_target_with_its_task(tmp_path: Path) -> None:
    add_model(tmp_path, "models/sentiment", BERT, weights=True)
    add_model(tmp_path, "models/writer", GPT2)
    assert written(tmp_path) == {
        "sentiment": ("./models/sentiment", "text-classification", "load"),
        "writer": ("./models/writer", "text-generation-with-past", "random"),
    }


def test_a_model_at_the_top_is_named_after_the_repository(tmp_path: Path) -> None:
    add_model(tmp_path / "sentiment", ".", BERT, weights=True)
    assert written(tmp_path / "sentiment") == {"sentiment": (".", "text-classification", "load")}


def test_equal_folder_names_get_names_of_their_own(tmp_path: Path) -> None:
    for folder in ("english/model", "german/model", "german-model", "deep/german/model"):
        add_model(tmp_path, folder, BERT)
    assert sorted(written(tmp_path)) == ["english-model", "german-model", "german-model-2", "model"]


@pytest.mark.parametrize(
    "folder", ["on", "12", "1e5", "null", "with space", "a: b", "#x", "'", '"', "é", "*alias", "-"]
)
def test_a_folder_name_is_a_name_and_not_yaml(tmp_path: Path, folder: str) -> None:
    add_model(tmp_path, folder, BERT)
    assert [model for model, _, _ in written(tmp_path).values()] == [f"./{folder}"]


@pytest.mark.parametrize(
    "folder", ["run/checkpoint-500", "node_modules/model", ".cache/model", "artifacts/sentiment", "venv/lib/model"]
)
def test_what_tools_left_is_no_target(tmp_path: Path, folder: str) -> None:
    add_model(tmp_path, "model", BERT)
    add_model(tmp_path, folder, BERT)
    assert list(written(tmp_path)) == ["model"]


def test_what_git_ignores_and_what_was_exported_are_no_targets(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text("scratch/\n")
    for folder in ("model", "scratch/model", "build/model"):
        add_model(tmp_path, folder, BERT)
    (tmp_path / "build/model/manifest.json").write_text("{}")
    assert list(written(tmp_path)) == ["model"]


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"model_type": 3}', b'{"a": 1}'])
def test_another_config_json_is_no_model(tmp_path: Path, content: bytes) -> None:
    add_model(tmp_path, "model", BERT)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_bytes(content)
    assert list(written(tmp_path)) == ["model"]


def test_a_model_whose_task_is_unknown_is_left_as_a_remark(tmp_path: Path) -> None:
    add_model(tmp_path, "model", BERT)
    add_model(tmp_path, "bare", {"model_type": "bert\n- name: injected"})
    assert list(written(tmp_path)) == ["model"]
    assert "# - name: bare" in (tmp_path / SETTINGS_NAME).read_text()


def test_a_model_on_the_hub_is_a_target_too(tmp_path: Path) -> None:
    assert written(tmp_path, "org/sentiment") == {"sentiment": ("org/sentiment", "auto", "load")}


def variants(root: Path) -> dict[str, tuple[str, ...]]:
    """The variants of each target once the settings file is written."""
    (root / SETTINGS_NAME).write_bytes(proposed(root, SETTINGS_NAME).after.encode())
    return {target.name: target.options.variants for target in load_settings(root / SETTINGS_NAME).targets}


def test_the_onnx_files_beside_a_model_say_which_variants_are_wanted(tmp_path: Path) -> None:
    add_model(tmp_path, "quantised", BERT, weights=True)
    (tmp_path / "quantised/onnx").mkdir()
    for name in ("model", "model_quantized", "model_q4f16"):
        (tmp_path / f"quantised/onnx/{name}.onnx").write_bytes(b"onnx")
    add_model(tmp_path, "plain", BERT, weights=True)
    assert variants(tmp_path) == {"quantised": ("fp32", "q8", "q4f16"), "plain": ("fp32",)}
    assert "# variants: [fp32, q8]" in (tmp_path / SETTINGS_NAME).read_text()


@pytest.mark.parametrize(
    ("place", "line", "wanted"),
    [
        (".github/workflows/export.yml", "- run: optimum-cli onnxruntime quantize --onnx_model out --avx512", "q8"),
        ("README.md", "    optimum-cli onnxruntime  quantize --onnx_model out --arm64 -o quantized", "q8"),
        ("scripts/export.py", "from onnxruntime.quantization import quantize_dynamic", "q8"),
        ("export.sh", "python -m scripts.convert --model_id org/model --quantize", "q8"),
        ("export.sh", "optimum-cli onnxruntime optimize --onnx_model out \\\n  -O2 -o out2\ncc -O3 a.c", "O2"),
    ],
)
def test_a_repository_that_makes_a_variant_gets_it(place: str, line: str, wanted: str, tmp_path: Path) -> None:
    add_model(tmp_path, "model", BERT, weights=True)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert variants(tmp_path) == {"model": ("fp32",)}
    (tmp_path / SETTINGS_NAME).unlink()
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text(line)
    assert variants(tmp_path) == {"model": ("fp32", wanted)}


def test_without_any_model_it_says_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no model was found") as error:
        proposals(tmp_path)
    assert "config.json" in str(error.value.hint)


def test_existing_targets_keep_their_lines_and_new_models_follow(tmp_path: Path) -> None:
    add_model(tmp_path, "models/sentiment", BERT)
    before = "version: 1  # ours\ntargets:\n- {name: Writer, model: ./models/sentiment}   # kept\n\n# the end\n"
    (tmp_path / SETTINGS_NAME).write_text(before)
    assert not proposed(tmp_path, SETTINGS_NAME).changes
    add_model(tmp_path, "models/writer", GPT2)
    after = proposed(tmp_path, SETTINGS_NAME).after
    assert [line for line in after.splitlines() if line in before.splitlines()] == before.splitlines()
    assert list(written(tmp_path)) == ["Writer", "models-writer"]


PRE_COMMIT = [
    "repos:\n- repo: local\n  hooks: []\n",
    "repos:\n- repo: local\n  hooks: []",
    "repos:\n  - repo: local\n    hooks: []\n\n  # none yet\nci:\n  skip: [x]\n",
    "# first\r\nrepos:\r\n- repo: local\r\n  hooks: []\r\n",
    "ci: {skip: [x]}\nrepos:\n\n- repo: local\n  hooks:\n  - id: a\n    args: [\n      b]\n",
    "repos:\n- repo: local\n  hooks:\n  - id: a\n    entry: |\n      several\n      lines\n",
]


@pytest.mark.parametrize("before", PRE_COMMIT)
def test_the_hooks_join_an_existing_pre_commit_configuration(tmp_path: Path, before: str) -> None:
    add_model(tmp_path, "model", BERT)
    (tmp_path / HOOKS_FILE).write_bytes(before.encode())
    proposal = proposed(tmp_path, HOOKS_FILE)
    wanted, got = yaml.safe_load(before), yaml.safe_load(proposal.after)
    assert got["repos"][:-1] == wanted["repos"]
    assert got["repos"][-1]["repo"].endswith("/onnx-export-action")
    assert {key: got[key] for key in got if key != "repos"} == {key: wanted[key] for key in wanted if key != "repos"}
    kept = iter(proposal.after.splitlines())
    assert all(line in kept for line in before.splitlines())
    (tmp_path / HOOKS_FILE).write_bytes(proposal.after.encode())
    assert not proposed(tmp_path, HOOKS_FILE).changes


@pytest.mark.parametrize(
    "before", ["repos: [{repo: local, hooks: []}]\n", "", "repos:\n", "repos: &a [*a]\n", "a: [\n"]
)
def test_a_configuration_of_another_layout_is_left_alone_and_the_entry_is_shown(tmp_path: Path, before: str) -> None:
    add_model(tmp_path, "model", BERT)
    (tmp_path / HOOKS_FILE).write_text(before)
    proposal = proposed(tmp_path, HOOKS_FILE)
    assert not proposal.changes
    assert proposal.by_hand is not None
    assert "- id: check-model-config" in proposal.by_hand


def test_a_workflow_that_calls_the_action_already_is_kept(tmp_path: Path) -> None:
    add_model(tmp_path, "model", BERT)
    (tmp_path / WORKFLOW_FILE).parent.mkdir(parents=True)
    (tmp_path / WORKFLOW_FILE).with_name("own.yaml").write_text("uses: org/onnx-export-action@v1\n")
    assert [one.path.name for one in proposals(tmp_path) if not one.changes] == ["own.yaml"]


def test_the_hook_entry_names_the_hooks_of_this_repository(tmp_path: Path) -> None:
    add_model(tmp_path, "model", BERT)
    known = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    (entry,) = yaml.safe_load(proposed(tmp_path, HOOKS_FILE).after)["repos"]
    assert {hook["id"] for hook in entry["hooks"]} == known - {"validate-onnx-export"}


def test_the_schema_that_editors_fetch_is_that_of_the_code() -> None:
    name = SCHEMA_URL.partition("/v1/")[2]
    committed = json.loads((ROOT / name).read_text(encoding="utf-8"))
    assert committed == settings_schema(), f"run onnx-export schema config > {name}"


def test_folders_of_other_libraries_are_seen_for_what_they_are(tmp_path: Path) -> None:
    add_model(tmp_path, "search", {"model_type": "bert", "architectures": ["BertForMaskedLM"]}, weights=True)
    add_modules(tmp_path / "search", "")
    add_model(tmp_path, "older/0_Transformer", {"model_type": "bert", "architectures": ["BertModel"]}, weights=True)
    add_modules(tmp_path / "older", "0_Transformer")
    add_model(tmp_path, "pictures", {"architecture": "resnet18", "pretrained_cfg": {"input_size": [3, 64, 64]}})
    add_model(tmp_path, "painter/unet", {"_class_name": "UNet2DConditionModel"})
    add_model(tmp_path, "painter/vae", {"_class_name": "AutoencoderKL"})
    add_model(tmp_path, "painter/transformer", {"_class_name": "SD3Transformer2DModel"})
    assert written(tmp_path) == {
        "search": ("./search", "feature-extraction", "load"),
        "older": ("./older", "feature-extraction", "load"),
        "pictures": ("./pictures", "image-classification", "random"),
        "unet": ("./painter/unet", "feature-extraction", "random"),
        "vae": ("./painter/vae", "feature-extraction", "random"),
    }
    settings = (tmp_path / SETTINGS_NAME).read_text()
    assert "# SD3Transformer2DModel of diffusers has no configuration class" in settings


def add_modules(folder: Path, transformer: str) -> None:
    modules = [{"path": transformer, "type": "sentence_transformers.models.Transformer"}]
    modules.append({"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"})
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text('{"word_embedding_dimension": 8}')
