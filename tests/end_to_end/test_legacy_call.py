"""``python -m onnx_export_action --model M --feature F OUT``, as ``python -m transformers.onnx`` was called."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import CheckpointFactory
from tests.hub_server import HubServer

Run = subprocess.CompletedProcess[str]


def call(folder: Path, *arguments: object, environment: Mapping[str, str] | None = None) -> Run:
    return subprocess.run(
        [sys.executable, "-m", "onnx_export_action", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1"} if environment is None else dict(environment),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_lines_of_the_guide(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    model = checkpoint("distilbert", task="feature-extraction")
    run = call(tmp_path, f"--model={model}", "--atol", "1e-5", "onnx/")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "Validating ONNX model...",
        "\t-[✓] ONNX model output names match reference model ({'last_hidden_state'})",
        '\t- Validating ONNX Model output "last_hidden_state":',
        "\t\t-[✓] (2, 16, 32) matches (2, 16, 32)",
        "\t\t-[✓] all values close (atol: 1e-05)",
        "All good, model saved at: onnx/model.onnx",
    ]
    names = sorted(path.name for path in (tmp_path / "onnx").iterdir())
    assert names == ["config.json", "manifest.json", "model.onnx", "tokenizer.json", "tokenizer_config.json"]


def test_a_feature_an_old_opset_and_options_that_no_longer_matter(
    checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    import onnx

    options = ["--framework", "pt", "--preprocessor", "tokenizer", "--feature=sequence-classification", "--opset", "12"]
    run = call(tmp_path, *options, "-m", checkpoint("distilbert"), "onnx")
    assert run.returncode == 0, run.stderr
    assert "({'logits'})" in run.stdout
    assert "-[✓] (2, 3) matches (2, 3)" in run.stdout
    model = onnx.load(tmp_path / "onnx" / "model.onnx")
    assert [opset.version for opset in model.opset_import if opset.domain == ""] == [12]


def test_a_vision_encoder_decoder_becomes_two_files(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    run = call(tmp_path, "--model", checkpoint("vision-encoder-decoder"), "onnx/")
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("Validating ONNX model...") == 2
    assert run.stdout.splitlines()[-1] == ("All good, model saved at: onnx/encoder_model.onnx, onnx/decoder_model.onnx")
    assert sorted(path.name for path in (tmp_path / "onnx").glob("*.onnx")) == [
        "decoder_model.onnx",
        "encoder_model.onnx",
    ]


def test_values_that_are_not_close_fail(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    run = call(tmp_path, "--model", checkpoint("distilbert"), "--atol", "1e-30", "onnx/")
    assert run.returncode == 1
    assert "\t\t-[x] values not close enough, max diff: " in run.stdout
    assert "(atol: 1e-30)" in run.stdout
    assert "cases fail; the worst" in run.stdout
    assert "All good" not in run.stdout


def test_a_model_from_the_hub_with_a_cache_of_its_own(
    checkpoint: CheckpointFactory, hub_server: HubServer, tmp_path: Path
) -> None:
    hub_server.add_repository("team/tiny", checkpoint("distilbert"))
    environment = {**hub_server.environment(tmp_path / "home"), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    run = call(
        tmp_path,
        "--model=team/tiny",
        "--feature=sequence-classification",
        "--cache_dir=cache",
        "onnx/",
        environment=environment,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "All good, model saved at: onnx/model.onnx"
    assert (tmp_path / "cache" / "models--team--tiny").is_dir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--feature", "seq2seq-lm", "onnx/"], "distilbert models have no task 'text2text-generation'"),
        (["--feature", "sequence-clasification", "onnx/"], "sequence-clasification"),
        (["--framework", "tf", "onnx/"], "transformers 5 has no TensorFlow models"),
        (["--opset", "9", "onnx/"], "11<=x<=23"),
        (["onnx/model.onnx"], "give the folder that the files go to"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(
    checkpoint: CheckpointFactory, tmp_path: Path, arguments: list[str], message: str
) -> None:
    run = call(tmp_path, "--model", checkpoint("distilbert"), *arguments)
    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_help_lists_the_old_options_and_commands_work_too(tmp_path: Path) -> None:
    shown = call(tmp_path, "--help").stdout
    for option in ("-m, --model", "--feature", "--opset", "--atol", "OUTPUT", "python -m onnx_export_action export"):
        assert option in " ".join(shown.split())
    tasks = call(tmp_path, "tasks", "bert")
    assert (tasks.returncode, tasks.stdout.splitlines()[0]) == (0, "feature-extraction")
    assert "MODEL OUTPUT" in call(tmp_path, "export", "--help").stdout
