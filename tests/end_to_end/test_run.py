"""``onnx-export run``: a whole onnx-export.yaml, its report, its results, and the mistakes it may hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest

from onnx_export_action.vocabulary.results import Stage, Verdict, read_result
from tests.conftest import CheckpointFactory
from tests.end_to_end.command import CommandLine, contents

CONFIGURATION = """\
version: 1
targets:
  - name: sentiment
    model: models/sentiment
    samples: data/samples.jsonl
    shapes: {sequence_length: [5, 19]}
  - name: generator
    model: models/generator
    weights: random
    task: causal-lm-with-past
"""


def _repository(root: Path, checkpoint: CheckpointFactory) -> None:
    (root / ".git").mkdir()
    (root / "models").mkdir()
    (root / "data").mkdir()
    shutil.copytree(checkpoint("bert", task="text-classification"), root / "models" / "sentiment")
    shutil.copytree(checkpoint("gpt2"), root / "models" / "generator")
    (root / "models" / "generator" / "model.safetensors").unlink()
    (root / "data" / "samples.jsonl").write_text('{"text": "We loved it."}\n{"text": "It was far too long!"}\n')
    (root / "onnx-export.yaml").write_text(CONFIGURATION)


def test_run_exports_and_proves_every_target(onnx_export: CommandLine, checkpoint: CheckpointFactory) -> None:
    _repository(onnx_export.folder, checkpoint)
    outcome = onnx_export("run", "--output", "artifacts")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.startswith("### ✅ 2 of 2 exports proven")
    assert "[1/2] sentiment: pass" in outcome.stderr
    assert "[2/2] generator: pass" in outcome.stderr

    artifacts = onnx_export.path("artifacts")
    assert {path.name for path in artifacts.iterdir()} == {
        "sentiment",
        "sentiment.result.json",
        "generator",
        "generator.result.json",
    }
    sentiment = read_result(artifacts / "sentiment.result.json")
    cases = sentiment.files[0].cases
    sampled = [case.id for case in cases if case.mask == "samples"]
    assert sampled == ["built-in texts", "special tokens", "empty text", "samples 1-2"]
    assert {5, 19} <= {case.shape["sequence_length"] for case in cases}
    assert sentiment.reproduce == "onnx-export run --config onnx-export.yaml --target sentiment"

    generator = read_result(artifacts / "generator.result.json")
    assert (generator.model.weights, generator.model.task) == ("random", "text-generation-with-past")
    assert generator.files[0].generation is not None
    assert generator.files[0].generation.equal
    assert json.loads((artifacts / "generator" / "manifest.json").read_bytes())["model"]["weights"] == "random"

    # gpt2 computes its logits with its embedding: stored once, the weights alone fill the file.
    graph = onnx.load(artifacts / "generator" / "onnx" / "model.onnx")
    embeddings = [tensor for tensor in graph.graph.initializer if 120 in tensor.dims]
    assert len(embeddings) == 1
    stored = sum(len(tensor.raw_data) for tensor in graph.graph.initializer)
    weights = checkpoint("gpt2") / "model.safetensors"
    assert stored <= weights.stat().st_size


def test_targets_fail_on_their_own_and_the_exit_code_says_the_worst(
    onnx_export: CommandLine, checkpoint: CheckpointFactory
) -> None:
    """One process: what no file tells before loading, for which torch must be there."""
    _repository(onnx_export.folder, checkpoint)
    models = onnx_export.path("models")
    shutil.copytree(checkpoint("bert", task="feature-extraction"), models / "headless")
    shutil.copytree(models / "sentiment", models / "shapes")
    config = models / "shapes" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "hidden_size": 64}))
    onnx_export.path("onnx-export.yaml").write_text(
        "version: 1\ndefaults: {task: text-classification}\ntargets:\n"
        "  - {name: headless, model: models/headless}\n"
        "  - {name: shapes, model: models/shapes}\n"
        "  - {name: good, model: models/sentiment}\n"
    )
    outcome = onnx_export("run", "--output", "artifacts")
    assert outcome.code == 3
    results = {
        name: read_result(onnx_export.path(f"artifacts/{name}.result.json")) for name in ("headless", "shapes", "good")
    }
    assert [result.verdict for result in results.values()] == [Verdict.ERROR, Verdict.ERROR, Verdict.PASS]

    headless = results["headless"].failure
    assert headless is not None
    assert headless.stage is Stage.LOAD
    assert "no weights for classifier.bias, classifier.weight" in headless.message

    shapes = results["shapes"].failure
    assert shapes is not None
    assert "bert.embeddings.LayerNorm.bias is [32], not [64]" in shapes.message
    for failure in (headless, shapes):
        assert failure.message in outcome.stderr
    assert set(onnx_export.path("artifacts").iterdir()) == {
        onnx_export.path(f"artifacts/{name}") for name in ("good", *(f"{name}.result.json" for name in results))
    }


def test_one_target_by_name_and_an_unknown_name(onnx_export: CommandLine, checkpoint: CheckpointFactory) -> None:
    _repository(onnx_export.folder, checkpoint)
    shutil.rmtree(onnx_export.path("models/sentiment"))
    outcome = onnx_export("run", "--target", "sentiments")
    assert (outcome.code, outcome.stdout) == (2, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CONFIGURATION.replace("samples:", "sampels:"), ["onnx-export.yaml:5:5", "'sampels'", "samples"]),
        (CONFIGURATION.replace("[5, 19]", "five"), ["onnx-export.yaml:6:31"]),
        (CONFIGURATION.replace("name: generator", "name: sentiment"), ["onnx-export.yaml:7:11", "sentiment"]),
        (
            CONFIGURATION.replace("weights: random", "weights: randon").replace("samples:", "sampels:"),
            ["onnx-export.yaml:5:5", "onnx-export.yaml:9:14", "random"],
        ),
        ("version: 1\ntargets: [\n", ["onnx-export.yaml:"]),
        ("", ["onnx-export.yaml:1:1"]),
        (
            "a: &a [x]\n" + "".join(f"b{n}: &b{n} [{'*a, ' * 900}*a]\n" for n in range(9)) + CONFIGURATION,
            ["onnx-export.yaml:", "alias"],
        ),
    ],
    ids=["unknown key", "wrong type", "duplicate name", "two mistakes", "syntax", "empty", "aliases"],
)
def test_mistakes_in_the_configuration_are_told_with_their_place(
    text: str, said: list[str], onnx_export: CommandLine, checkpoint: CheckpointFactory
) -> None:
    _repository(onnx_export.folder, checkpoint)
    onnx_export.path("onnx-export.yaml").write_text(text)
    before = contents(onnx_export.folder)
    outcome = onnx_export("run", "--output", "artifacts")
    assert (outcome.code, outcome.stdout) == (2, "")
    for part in said:
        assert part in outcome.stderr
    assert contents(onnx_export.folder) == before


def test_no_configuration_file(onnx_export: CommandLine) -> None:
    outcome = onnx_export("run")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert "onnx-export.yaml" in outcome.stderr
    assert contents(onnx_export.folder) == {}
