"""A model's folder as a hostile pull request writes it: no file of the machine comes into the artifact."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import CheckpointFactory
from tests.end_to_end.command import CommandLine, contents

CANARY = "canary-4711"

# What of a tokenizer's configuration was seen to end in tokenizer.json, and what else could name a file.
HOSTILE = {
    "vocabulary of BERT": {"tokenizer_class": "BertTokenizer", "vocab": "{}"},
    "positional argument": {"tokenizer_class": "BertTokenizer", "init_inputs": ["{}"]},
    "merges": {"tokenizer_class": "GPT2Tokenizer", "vocab": {"a": 0}, "merges": "{}"},
    "file of a vocabulary": {"tokenizer_class": "T5Tokenizer", "vocab_file": "{}"},
    "file of a tokenizer": {"tokenizer_class": "PreTrainedTokenizerFast", "tokenizer_file": "{}"},
}
PLACES = ("{root}/secret.txt", "../secret.txt", ".git/config", "notes.txt", "file://{root}/secret.txt", "~/secret.txt")


@pytest.fixture
def command(tmp_path: Path) -> CommandLine:
    work = tmp_path / "work"
    (work / ".git").mkdir(parents=True)
    for secret in (tmp_path / "secret.txt", work / ".git/config", work / "notes.txt"):
        secret.write_text(f"[UNK]\n[PAD]\n[CLS]\n[SEP]\n[MASK]\n{CANARY}\n")
    return CommandLine(work, {**os.environ, "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)})


def without_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("settings", HOSTILE.values(), ids=HOSTILE)
def test_no_file_of_the_machine_comes_into_the_artifact(
    settings: dict[str, object], place: str, command: CommandLine, own_checkpoint: CheckpointFactory
) -> None:
    folder = own_checkpoint("bert")
    without_tokenizer(folder)
    text = json.dumps(settings).replace("{}", place.format(root=command.folder.parent))
    (folder / "tokenizer_config.json").write_text(text)
    outcome = command("export", folder, "out", "--task", "feature-extraction")
    assert outcome.code == 2
    assert "names a file outside the model's folder" in outcome.stderr
    assert CANARY not in outcome.stderr + outcome.stdout
    assert not any(CANARY.encode() in content for content in contents(command.folder / "out").values())


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt", "new.json"])
def test_a_link_out_of_the_workspace_is_not_read(
    name: str, command: CommandLine, own_checkpoint: CheckpointFactory
) -> None:
    folder = own_checkpoint("bert")
    link = folder / name
    link.unlink(missing_ok=True)
    link.symlink_to(command.folder.parent / "secret.txt")
    outcome = command("export", folder, "out", "--task", "feature-extraction")
    assert outcome.code == 2
    assert "is a link out of the model's folder" in outcome.stderr
    assert CANARY not in outcome.stderr + outcome.stdout
    assert not (command.folder / "out").exists()


def test_a_missing_folder_is_not_fetched_from_the_hub(command: CommandLine) -> None:
    (command.folder / "models").mkdir()
    outcome = command("export", "models/sentiment", "out")
    assert outcome.code == 2
    assert "there is no folder models/sentiment" in outcome.stderr
