"""Models by their Hub id: the real client against a local Hub, its cache, and everything the Hub may answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onnx_export_action.vocabulary.results import read_result
from tests.conftest import CheckpointFactory
from tests.end_to_end.command import CommandLine, contents
from tests.hub_server import Fault, HubServer


@pytest.fixture
def onnx_export(tmp_path: Path, hub_server: HubServer, checkpoint: CheckpointFactory) -> CommandLine:
    """The command with a Hub that holds ``team/tiny`` and an empty cache."""
    files = {path.name: path.read_bytes() for path in checkpoint("bert", task="text-classification").iterdir()}
    heavy = {"pytorch_model.bin": b"not fetched", "onnx/model.onnx": b"not fetched", "consolidated.safetensors": b"no"}
    hub_server.add_repository("team/tiny", files | heavy)
    hub_server.add_repository("team/gated", files, gated=True)
    work = tmp_path / "work"
    work.mkdir()
    return CommandLine(work, hub_server.environment(tmp_path / "home"))


def test_a_model_of_the_hub_is_pinned_to_its_commit_and_then_needs_no_network(
    onnx_export: CommandLine, hub_server: HubServer
) -> None:
    commit = hub_server.repositories["team/tiny"].branches["main"]
    outcome = onnx_export("export", "team/tiny", "out", "--result-json", "result.json")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.startswith("### ✅")
    assert read_result(onnx_export.path("result.json")).model.revision == commit
    model = json.loads(onnx_export.path("out/manifest.json").read_bytes())["model"]
    assert (model["source"], model["revision"]) == ("team/tiny", commit)
    assert list(model["weight_hashes"]) == ["model.safetensors"]
    fetched = {request.path.rsplit("/", 1)[1] for request in hub_server.requests("/resolve/")}
    assert fetched == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}

    hub_server.stop()
    for offline in ("1", "0"):
        again = onnx_export("validate", "team/tiny", "out", environment={"HF_HUB_OFFLINE": offline})
        assert again.code == 0, again.stderr


def test_a_busy_hub_is_asked_again(onnx_export: CommandLine, hub_server: HubServer) -> None:
    hub_server.rate_limit("/api/models/", times=1)
    hub_server.inject(Fault("/api/models/", status=503))
    outcome = onnx_export("export", "team/tiny", "out", "--task", "no-such-task")
    assert outcome.code == 2  # the model was found
    assert "no-such-task" in outcome.stderr
    assert [request.status for request in hub_server.requests("/api/models/team/tiny$")][:3] == [429, 503, 200]


@pytest.mark.parametrize(
    ("arguments", "fault", "said"),
    [
        (["team/missing"], None, ["no such model on the Hub", "token"]),
        (["team/tiny", "--revision", "v9"], None, ["has no revision v9"]),
        (["team/gated"], None, ["team/gated is gated", "accept its terms"]),
        (["team/tiny"], Fault("/api/models/", status=429, times=99), ["answered 429", "rate-limited"]),
        (["team/tiny"], Fault("/api/models/", status=500, times=99), ["answered 500"]),
        (["team/tiny"], Fault(drop_after=-1, times=99), ["could not be reached"]),
    ],
    ids=["missing", "revision", "gated", "rate limit", "broken", "no answer"],
)
def test_what_the_hub_refuses_is_said_in_words(
    arguments: list[str], fault: Fault | None, said: list[str], onnx_export: CommandLine, hub_server: HubServer
) -> None:
    if fault is not None:
        hub_server.inject(fault)
    outcome = onnx_export("export", arguments[0], "out", *arguments[1:])
    assert outcome.code == 3
    for part in said:
        assert part in outcome.stderr
    assert contents(onnx_export.folder) == {}


@pytest.mark.parametrize("environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_a_model_that_is_not_cached_needs_the_hub(environment: dict[str, str], onnx_export: CommandLine) -> None:
    outcome = onnx_export("export", "team/tiny", "out", environment=environment)
    assert outcome.code == 3
    assert "not in the local cache and the Hub could not be reached" in outcome.stderr
    assert contents(onnx_export.folder) == {}
