"""A published folder, loaded from the Hub by ONNX Runtime alone: PyTorch's answer without a line of this project.

The other clients, tasks and variants are those of ``make clients``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.matrix import ASK_ONNX_RUNTIME, TASKS, cell, prepared, questions_for
from tests.hub_server import HubServer


@pytest.mark.parametrize(("kind", "variant"), [("bert", "q8"), ("llama", "fp16")])
def test_onnx_runtime_gives_pytorch_s_answer(kind: str, variant: str, tmp_path: Path, hub_server: HubServer) -> None:
    task = next(task for task in TASKS if task.kind == kind)
    hub_server.add_account("hf_owner", "owner", task.repo)
    asked = prepared(task, tmp_path, hub_server.environment(tmp_path / "home", token="hf_owner"), ["fp32", variant])
    questions = [one for one in questions_for("ONNX Runtime", [asked]) if one["variant"] in ("fp32", variant)]
    asking = subprocess.run(
        [sys.executable, "-I", ASK_ONNX_RUNTIME],  # isolated: neither PYTHONPATH nor this repository is looked into
        input="".join(json.dumps(question) + "\n" for question in questions),
        env=hub_server.environment(tmp_path / "another home"),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in asking.stdout.splitlines()]
    cells = [
        cell(asked, "ONNX Runtime", question["variant"], answer, {})
        for question, answer in zip(questions, answers, strict=True)
    ]
    assert [one[0] for one in cells] == ["✅", "✅"], (cells, answers)
