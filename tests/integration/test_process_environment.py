"""What a process that runs a model finds in its environment: nothing that is worth stealing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onnx_export_action.processes.workers import Work, Workers
from onnx_export_action.vocabulary.results import Stage

SECRETS = {
    "GITHUB_TOKEN": "ghs_one",
    "INPUT_GITHUB-TOKEN": "ghs_two",
    "HF_TOKEN": "hf_three",
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://four",
    "AWS_SECRET_ACCESS_KEY": "five",
    "GITHUB_ENV": "/github/file_commands/six",
    "GH_PAT": "seven",
    "APIKEY": "eight",
    "DATABASE_URL": "postgres://nine",
    "PGPASSWORD": "ten",
    "NPM_CONFIG__AUTH": "eleven",
    "SLACK_WEBHOOK": "https://twelve",
    "HTTPS_PROXY": "http://someone:thirteen@proxy.invalid",
    "TRANSFORMERS_API_KEY": "fourteen",
    "PYTHON_SECRET": "fifteen",
    "SSH_AUTH_SOCK": "/tmp/sixteen",
    "NETRC": "seventeen",
    "WANDB": "eighteen",
}


def environment() -> dict[str, str]:
    return dict(os.environ)


@pytest.mark.parametrize("kind", ["warm", "fresh"])
def test_a_worker_sees_no_secret_and_the_parent_keeps_its_own(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    monkeypatch.chdir(tmp_path)  # what lies in the working folder cannot be imported
    monkeypatch.setattr(Workers, "_server", None)  # one of an earlier test has that test's environment
    with Workers([]) as workers:
        worker = getattr(workers, kind)(Work(f"{__name__}:environment", dict[str, str], Stage.EXPORT, "looks around"))
        worker.ask()
        seen = worker.answer()
    assert not SECRETS.keys() & seen.keys()
    assert not set(SECRETS.values()) & set(seen.values())
    assert seen["TOKENIZERS_PARALLELISM"] == "false"
    assert {name: os.environ[name] for name in SECRETS} == SECRETS
