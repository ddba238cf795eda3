"""The local Hub behaves as the real client expects, in success and in every kind of failure."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.conftest import CheckpointFactory
from tests.hub_server import Fault, HubServer

WEIGHTS = bytes(range(256)) * 40
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "model.safetensors": WEIGHTS,
    "onnx/model.onnx": b"onnx",
    "onnx/quantized/model.onnx": b"small",
}


@pytest.fixture
def hub(hub_server: HubServer) -> Iterator[HubServer]:
    hub_server.add_repository("team/tiny", FILES)
    return hub_server


def contents(folder: str | Path) -> dict[str, bytes]:
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def download(hub: HubServer, cache: Path, repo_id: str = "team/tiny", **options: object) -> str:
    return snapshot_download(repo_id, endpoint=hub.endpoint, cache_dir=cache, **{"token": False, **options})


def test_a_snapshot_holds_every_file(hub: HubServer, tmp_path: Path) -> None:
    folder = download(hub, tmp_path)
    assert contents(folder) == FILES
    assert Path(folder).name == hub.repositories["team/tiny"].branches["main"]


def test_a_second_download_takes_the_files_from_the_cache(hub: HubServer, tmp_path: Path) -> None:
    first = download(hub, tmp_path)
    hub.log.clear()
    assert download(hub, tmp_path) == first
    assert hub.requests(method="GET", pattern="resolve") == []
    hub.stop()
    assert download(hub, tmp_path) == first


def test_pages_of_the_tree_are_followed(tmp_path: Path) -> None:
    files = {f"part-{number}.txt": str(number).encode() for number in range(7)}
    with HubServer(page_size=3) as hub:
        hub.add_repository("many", files)
        assert contents(download(hub, tmp_path, "many")) == files
        assert len(hub.requests("/tree/")) == 3


def test_revisions_are_branches_tags_and_commits(hub: HubServer, tmp_path: Path) -> None:
    api = HfApi(endpoint=hub.endpoint, token=False)
    first = hub.repositories["team/tiny"].branches["main"]
    hub.tag("team/tiny", "v1")
    hub.branch("team/tiny", "feature/long")
    second = hub.commit("team/tiny", {"config.json": b"{}", "onnx/model.onnx": None}, title="Change the configuration")
    pull_request = hub.commit("team/tiny", {"README.md": b"# Hello"}, branch="refs/pr/1")

    assert api.model_info("team/tiny").sha == second
    assert api.model_info("team/tiny", revision="v1").sha == first
    assert contents(download(hub, tmp_path / "a", revision="feature/long")) == FILES
    assert contents(download(hub, tmp_path / "b", revision=first)) == FILES
    assert "onnx/model.onnx" not in contents(download(hub, tmp_path / "c"))
    assert contents(download(hub, tmp_path / "d", revision="refs/pr/1")) == {"README.md": b"# Hello"}

    refs = api.list_repo_refs("team/tiny", include_pull_requests=True)
    assert {one.name: one.target_commit for one in refs.branches} == {"main": second, "feature/long": first}
    assert [(one.name, one.target_commit) for one in refs.tags] == [("v1", first)]
    assert [(one.ref, one.target_commit) for one in refs.pull_requests or []] == [("refs/pr/1", pull_request)]
    assert [one.title for one in api.list_repo_commits("team/tiny")] == ["Change the configuration", "Upload files"]


def test_listings_name_folders_sizes_and_hashes(hub: HubServer) -> None:
    api = HfApi(endpoint=hub.endpoint, token=False)
    assert sorted(api.list_repo_files("team/tiny")) == sorted(FILES)
    assert [entry.path for entry in api.list_repo_tree("team/tiny")] == ["onnx", "config.json", "model.safetensors"]
    assert [entry.path for entry in api.list_repo_tree("team/tiny", "onnx")] == ["onnx/quantized", "onnx/model.onnx"]
    siblings = {one.rfilename: one for one in api.model_info("team/tiny", files_metadata=True).siblings or []}
    assert siblings["config.json"].lfs is None
    assert siblings["model.safetensors"].lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    (found,) = api.get_paths_info("team/tiny", ["model.safetensors", "missing"])
    assert found.size == len(WEIGHTS)


def test_what_is_missing_is_told_apart(hub: HubServer, tmp_path: Path) -> None:
    hub.add_account("hf_reader", "reader")
    with pytest.raises(RepositoryNotFoundError):
        download(hub, tmp_path, "team/other")
    with pytest.raises(RepositoryNotFoundError, match="404"):
        download(hub, tmp_path, "team/other", token="hf_reader")
    with pytest.raises(RevisionNotFoundError):
        download(hub, tmp_path, revision="v9")
    with pytest.raises(EntryNotFoundError):
        hf_hub_download("team/tiny", "absent.json", endpoint=hub.endpoint, cache_dir=tmp_path, token=False)


def test_private_and_gated_files_need_the_right_token(hub: HubServer, tmp_path: Path) -> None:
    hub.add_repository("team/secret", FILES, private=True)
    hub.add_repository("team/gated", FILES, gated=True)
    hub.add_account("hf_guest", "guest")
    hub.add_account("hf_member", "member", "team/secret", "team/gated")
    with pytest.raises(RepositoryNotFoundError):
        download(hub, tmp_path, "team/secret", token="hf_guest")
    with pytest.raises(GatedRepoError, match="401"):
        download(hub, tmp_path, "team/gated")
    with pytest.raises(GatedRepoError, match="403"):
        download(hub, tmp_path, "team/gated", token="hf_guest")
    with pytest.raises(HfHubHTTPError, match="Invalid credentials"):
        download(hub, tmp_path, token="hf_wrong")
    for repo_id in ("team/secret", "team/gated"):
        assert contents(download(hub, tmp_path, repo_id, token="hf_member")) == FILES


def test_the_token_is_not_sent_to_the_storage_host(hub: HubServer, tmp_path: Path) -> None:
    hub.add_account("hf_reader", "reader")
    download(hub, tmp_path, token="hf_reader")
    stored = [one for one in hub.log if one.storage]
    assert len(stored) == 3
    assert all(one.token is None for one in stored)
    assert {one.token for one in hub.log if not one.storage} == {"hf_reader"}


def test_a_dropped_download_is_resumed_where_it_broke(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The client writes, and so resumes, whole chunks only.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    hub.inject(Fault(digest, method="GET", drop_after=5000))
    assert contents(download(hub, tmp_path)) == FILES
    assert [one.range for one in hub.requests(digest)] == [None, "bytes=5000-"]


def test_rate_limits_and_server_errors_are_retried_then_told(hub: HubServer, tmp_path: Path) -> None:
    hub.rate_limit("/resolve/", times=1)
    assert contents(download(hub, tmp_path / "limited")) == FILES
    hub.inject(Fault("/revision/", status=503, times=9))
    with pytest.raises(LocalEntryNotFoundError, match="503"):
        download(hub, tmp_path / "down")


def test_a_connection_broken_before_the_answer_is_an_error(hub: HubServer) -> None:
    hub.inject(Fault("/api/models/team/tiny", drop_after=-1))
    api = HfApi(endpoint=hub.endpoint, token=False)
    with pytest.raises(Exception, match=r"(?i)disconnected|reset"):
        api.model_info("team/tiny")
    assert api.model_info("team/tiny").sha


def test_transformers_loads_from_it(hub: HubServer, checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    """Through ``HF_ENDPOINT`` alone, in a process of its own, with a pickle, for which the client asks more."""
    import torch

    hub.add_repository("team/classifier", checkpoint("bert", storage="bin"))
    script = (
        "import hashlib, transformers\n"
        "model = transformers.AutoModelForSequenceClassification.from_pretrained('team/classifier')\n"
        "tokenizer = transformers.AutoTokenizer.from_pretrained('team/classifier')\n"
        "weight = model.classifier.weight.detach().numpy()\n"
        "print(len(tokenizer), hashlib.sha256(weight.tobytes()).hexdigest())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=hub.environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    weights = torch.load(checkpoint("bert", storage="bin") / "pytorch_model.bin", weights_only=True)
    expected = hashlib.sha256(weights["classifier.weight"].numpy().tobytes()).hexdigest()
    assert run.stdout.split() == ["80", expected]
    missing = {one.path for one in hub.log if one.status >= 400}
    assert not [path for path in missing if re.search(r"discussions|commits|config.json", path)], missing


def test_a_request_that_is_cut_off_is_not_acted_upon(hub: HubServer) -> None:
    """What is left of a commit by a killed client may be whole lines: half of its files would be published."""
    hub.add_account("hf_writer", "writer", "team/tiny")
    branches = dict(hub.repositories["team/tiny"].branches)
    lines = [
        {"key": "header", "value": {"summary": "two files"}},
        {"key": "file", "value": {"path": "one.txt", "content": ""}},
        {"key": "file", "value": {"path": "two.txt", "content": ""}},
    ]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    head = f"POST /api/models/team/tiny/commit/main HTTP/1.1\r\nContent-Length: {len(body)}\r\n"
    head += "Authorization: Bearer hf_writer\r\n\r\n"
    assert answer_to(hub, head.encode() + body.replace(body.splitlines()[2], b"")) == b""
    assert hub.repositories["team/tiny"].branches == branches
    assert b" 200 " in answer_to(hub, head.encode() + body)
    assert hub.repositories["team/tiny"].branches != branches


def answer_to(hub: HubServer, request: bytes) -> bytes:
    """What comes back for bytes after which the client says no more."""
    host, _, port = hub.endpoint.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(100)
