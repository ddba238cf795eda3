"""A new variant is one row, one maker and one imitation: added to a copy of the package, and run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from onnx_export_action.vocabulary.results import FileResult, Verdict, read_result
from tests.conftest import CheckpointFactory

SOURCE = Path(__file__).parents[2] / "src"

ROW = """
    Variant(
        name="w16",
        suffix="_w16",
        maker="half_weights:make_w16",
        imitation="half_weights:w16",
        least_db=30.0,
        other_names=("weights16",),
    ),
)

VARIANTS:"""

MAKER = '''
import onnx

from onnx_export_action.graphs.separating import is_weight
from onnx_export_action.variants.source import Fp32File
from onnx_export_action.vocabulary.variants import Variant


def make_w16(source: Fp32File, variant: Variant) -> onnx.ModelProto:
    """Weights in float16, numbers in float32."""
    graph = source.model.graph
    casts = []
    for tensor in graph.initializer:
        if is_weight(tensor):
            stored = onnx.numpy_helper.to_array(tensor).astype("float16")
            tensor.CopyFrom(onnx.numpy_helper.from_array(stored, tensor.name))
            casts.append(onnx.helper.make_node("Cast", [tensor.name], [f"{tensor.name}_exact"], to=1))
    renamed = {node.input[0]: node.output[0] for node in casts}
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    nodes = [*casts, *(onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node)]
    del graph.node[:]
    graph.node.extend(nodes)
    return source.model
'''

IMITATION = '''
import torch


def w16(mode, func, args, kwargs):
    """The weights that a call reads are rounded to float16."""
    return func(*[value.to(torch.float16).float() if mode.is_weight(value) else value for value in args], **kwargs)
'''


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package in which the variant was added."""
    source = tmp_path_factory.mktemp("scratch") / "src"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    package = source / "onnx_export_action"
    table = package / "vocabulary/variants.py"
    text = table.read_text(encoding="utf-8")
    assert text.count("\n)\n\nVARIANTS:") == 1
    table.write_text(text.replace("\n)\n\nVARIANTS:", ROW), encoding="utf-8")
    (package / "variants/half_weights.py").write_text(MAKER, encoding="utf-8")
    (package / "proving/precision/half_weights.py").write_text(IMITATION, encoding="utf-8")
    return source


def run(scratch: Path, *arguments: str | Path, expect: int) -> str:
    environment = os.environ | {"PYTHONPATH": str(scratch)}
    command = [sys.executable, "-m", "onnx_export_action", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stderr
    return done.stdout + done.stderr


def exported(scratch: Path, model: Path, output: Path) -> dict[str, FileResult]:
    result = output.with_name("result.json")
    run(scratch, "export", model, output, "--variant", "w16", "--result-json", result, expect=0)
    return {file.variant: file for file in read_result(result).files}


def test_it_is_made_proven_and_found_again(scratch: Path, checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    model = checkpoint("bert", hidden_size=128, intermediate_size=256)
    files = exported(scratch, model, tmp_path / "bert")
    made = files["w16"]
    assert made.path == "onnx/model_w16.onnx"
    assert made.verdict is Verdict.PASS
    assert made.bytes < 0.6 * files["fp32"].bytes
    (output,) = made.outputs
    assert output.quality is not None
    assert output.quality.cost_db is not None, "PyTorch imitates it"
    assert output.sqnr_db is not None
    assert abs(output.sqnr_db - output.quality.cost_db) < 3
    run(scratch, "validate", model, tmp_path / "bert", "--result-json", tmp_path / "again.json", expect=0)
    assert [file.variant for file in read_result(tmp_path / "again.json").files] == ["fp32", "w16"]


def test_a_broken_one_fails(scratch: Path, checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    model = checkpoint("bert")
    exported(scratch, model, tmp_path / "bert")
    path = tmp_path / "bert/onnx/model_w16.onnx"
    broken = onnx.load(path)
    weight = next(one for one in broken.graph.initializer if "layer.1.output.dense.weight" in one.name)
    values = onnx.numpy_helper.to_array(weight)
    weight.CopyFrom(onnx.numpy_helper.from_array(values * values.dtype.type(1.1), weight.name))
    onnx.save(broken, path)
    run(scratch, "validate", model, tmp_path / "bert", "--result-json", tmp_path / "again.json", expect=1)
    verdicts = {file.variant: file.verdict for file in read_result(tmp_path / "again.json").files}
    assert verdicts == {"fp32": Verdict.PASS, "w16": Verdict.FAIL}


def test_settings_and_the_command_line_know_it(scratch: Path, tmp_path: Path) -> None:
    settings = tmp_path / "onnx-export.yaml"
    settings.write_text(
        "version: 1\ntargets:\n  tiny:\n    model: ./nowhere\n    variants: [fp32, w16]\n"
        "    high_precision: {w16: [Gather]}\n    tolerance: {w16: {logits: {sqnr_db: 40}}}\n",
        encoding="utf-8",
    )
    assert "w16" not in run(scratch, "plan", "--config", settings, expect=2)
    said = run(scratch, "export", tmp_path, tmp_path / "out", "--variant", "weights16", expect=2)
    assert "w16" in said
