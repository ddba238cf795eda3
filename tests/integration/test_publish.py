"""Publishing with the real client to a Hub over HTTP: what arrives, what is refused, and what faults leave behind."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import onnx
import pytest
from onnx import TensorProto, helper

from onnx_export_action.project.manifest import Fingerprint, sha256_of, write_manifest
from onnx_export_action.vocabulary.choices import Weights
from onnx_export_action.vocabulary.manifest import FileRecord, Manifest, ModelRecord, OnnxFileRecord
from onnx_export_action.vocabulary.results import ModelInfo, TargetResult, Verdict, encode
from onnx_export_action.vocabulary.supported.engines import Engine
from tests.hub_server import Fault, HubServer, XetStore
from tests.proofs import proven_file

REPO = "team/sentiment-onnx"
TOKEN = "hf_writer"
STORM = int(os.environ.get("PUBLISH_STORM", "4"))
STORM_HUBS = 8
ORIGIN = Fingerprint(config_sha256="a" * 64, weight_hashes={"model.safetensors": "b" * 64})
CARD = "---\nlicense: mit  # ours\ntags:\n- sentiment\n---\n\n# Sentiment\n\nWords of its authors.\n"


def onnx_bytes(seed: int) -> bytes:
    value = helper.make_tensor("w", TensorProto.FLOAT, [4], [float(seed)] * 4)
    node = helper.make_node("Add", ["x", "w"], ["y"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
    return helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:], [value])).SerializeToString()


def make_artifact(folder: Path, *, seed: int = 1, variants: tuple[str, ...] = ("fp32",)) -> TargetResult:
    """An artifact folder and beside it the result that proves it."""
    (folder / "onnx").mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    records, results = [], []
    for number, variant in enumerate(variants):
        path = "onnx/model.onnx" if variant == "fp32" else f"onnx/model_{variant}.onnx"
        (folder / path).write_bytes(onnx_bytes(10 * seed + number))
        common: dict[str, Any] = {"path": path, "bytes": (folder / path).stat().st_size, "variant": variant}
        common |= {"sha256": sha256_of(folder / path), "engine": "tracer", "opset": 18}
        records.append(OnnxFileRecord(**common, components=["model"], inputs={}, outputs={}))
        results.append(proven_file(**common))
    config = folder / "config.json"
    manifest = Manifest(
        target=folder.name,
        model=ModelRecord(
            source="./model",
            model_type="bert",
            task="text-classification",
            config_sha256=ORIGIN.config_sha256,
            weight_hashes=ORIGIN.weight_hashes,
            weights=Weights.LOAD,
        ),
        seed=0,
        engine=Engine.AUTO,
        opset=18,
        variants=list(variants),
        packages={},
        files=records,
        other_files=[FileRecord(path="config.json", bytes=config.stat().st_size, sha256=sha256_of(config))],
    )
    write_manifest(manifest, folder / "manifest.json")
    info = ModelInfo(source="./model", sha256=ORIGIN.sha256, model_type="bert", task="text-classification")
    result = TargetResult(target=folder.name, model=info, verdict=Verdict.PASS, files=results)
    write_result(folder, result)
    return result


def write_result(folder: Path, result: TargetResult) -> None:
    folder.with_name(f"{folder.name}.result.json").write_bytes(encode(result))


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        server.add_account(TOKEN, "writer", REPO, "team/model")
        server.add_account("hf_reader", "reader", REPO, reads_only=True)
        yield server


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    make_artifact(tmp_path / "sentiment")
    return tmp_path / "sentiment"


Publish = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def publish(hub: HubServer, tmp_path: Path) -> Publish:
    """The command as its user types it."""

    def run(folder: Path, *options: str, token: str | None = TOKEN, repo: str = REPO, **environment: str):
        script = Path(sys.executable).with_name("onnx-export")
        return subprocess.run(
            [script, "publish", folder, "--repo", repo, *options],
            env=hub.environment(tmp_path / "home", token=token) | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def files_of(hub: HubServer, revision: str = "main", repo: str = REPO) -> dict[str, bytes]:
    commit = hub.repositories[repo].find(revision)
    assert commit is not None
    return commit.files


def is_complete(files: dict[str, bytes], folder: Path) -> bool:
    wanted = [path for path in folder.rglob("*") if path.is_file()]
    return all(files.get(path.relative_to(folder).as_posix()) == path.read_bytes() for path in wanted)


# --- what arrives -----------------------------------------------------------------------------------------------------


def test_a_new_repository_is_made_and_gets_everything_in_one_commit(
    hub: HubServer, artifact: Path, publish: Publish
) -> None:
    done = publish(artifact, "--tag", "v1")
    assert done.returncode == 0, done.stderr
    assert is_complete(files_of(hub), artifact)
    card = files_of(hub)["README.md"].decode()
    assert "ORTModelForSequenceClassification" in card
    assert 'pipeline("text-classification", "team/sentiment-onnx"' in card
    assert card.startswith("---\nlibrary_name: transformers\n")
    repository = hub.repositories[REPO]
    assert len(repository.commits) == 2
    assert repository.tags == {"v1": repository.branches["main"]}
    assert TOKEN not in done.stdout + done.stderr


def test_the_card_of_a_recogniser_without_a_decoder_loads_it_as_ctc(
    hub: HubServer, tmp_path: Path, publish: Publish
) -> None:
    folder = tmp_path / "speech"
    result = make_artifact(folder)
    result.model.task = "automatic-speech-recognition"
    write_result(folder, result)
    assert publish(folder).returncode == 0
    assert "ORTModelForCTC.from_pretrained" in files_of(hub)["README.md"].decode()


def test_the_rest_of_the_card_and_of_the_repository_stays(hub: HubServer, artifact: Path, publish: Publish) -> None:
    hub.add_repository(REPO, {"README.md": CARD.encode(), "notes.txt": b"kept", "onnx/other.onnx": b"kept"})
    assert publish(artifact).returncode == 0
    files = files_of(hub)
    card = files["README.md"].decode()
    assert (files["notes.txt"], files["onnx/other.onnx"]) == (b"kept", b"kept")
    kept = iter(card.splitlines())
    assert all(line in kept for line in CARD.splitlines())
    assert "- onnx\n" in card
    again = publish(artifact)
    assert again.returncode == 0
    assert "has all of it already" in again.stdout
    assert len(hub.repositories[REPO].commits) == 2


def test_only_what_changed_is_sent_again(hub: HubServer, tmp_path: Path, publish: Publish) -> None:
    make_artifact(tmp_path / "one" / "sentiment", variants=("fp32", "fp16"))
    make_artifact(tmp_path / "two" / "sentiment", variants=("fp32", "fp16", "q8"))
    publish(tmp_path / "one" / "sentiment")
    done = publish(tmp_path / "two" / "sentiment")
    actions = {line.split()[1]: line.split()[0] for line in done.stdout.splitlines() if " bytes" in line}
    assert actions == {
        "onnx/model.onnx": "keep",
        "onnx/model_fp16.onnx": "keep",
        "onnx/model_q8.onnx": "add",
        "config.json": "keep",
        "manifest.json": "update",
        "README.md": "update",
    }
    assert is_complete(files_of(hub), tmp_path / "two" / "sentiment")


def test_a_dry_run_names_every_operation_and_does_nothing(hub: HubServer, artifact: Path, publish: Publish) -> None:
    done = publish(artifact, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "add     onnx/model.onnx" in done.stdout
    assert "repository team/sentiment-onnx would be made" in done.stdout
    assert hub.repositories == {}
    assert hub.requests(method="POST") == [] or all("paths-info" in one.path for one in hub.requests(method="POST"))


def test_a_pull_request_leaves_the_branch_alone(hub: HubServer, artifact: Path, publish: Publish) -> None:
    hub.add_repository(REPO, {"README.md": CARD.encode()})
    done = publish(artifact, "--create-pr")
    assert done.returncode == 0, done.stderr
    assert "/discussions/1" in done.stdout
    assert files_of(hub) == {"README.md": CARD.encode()}
    assert is_complete(files_of(hub, "refs/pr/1"), artifact)


def test_another_branch_is_made(hub: HubServer, artifact: Path, publish: Publish) -> None:
    hub.add_repository(REPO, {"README.md": CARD.encode()})
    assert publish(artifact, "--revision", "onnx-files").returncode == 0
    assert "onnx/model.onnx" not in files_of(hub)
    assert is_complete(files_of(hub, "onnx-files"), artifact)


def test_a_model_s_own_repository_keeps_its_own_configuration(hub: HubServer, tmp_path: Path, publish: Publish) -> None:
    folder = tmp_path / "sentiment"
    result = make_artifact(folder)
    result.model.source = "team/model"
    write_result(folder, result)
    hub.add_repository("team/model", {"config.json": b"its own"})
    assert "keep    config.json" in publish(folder, repo="team/model").stdout
    files = files_of(hub, repo="team/model")
    assert files["config.json"] == b"its own"
    assert files["onnx/model.onnx"] == (folder / "onnx/model.onnx").read_bytes()


def test_what_the_export_made_for_clients_joins_the_model_s_own_repository(
    hub: HubServer, tmp_path: Path, publish: Publish
) -> None:
    folder = tmp_path / "sentiment"
    result = make_artifact(folder)
    result.model.source = "team/model"
    write_result(folder, result)
    hub.add_repository("team/model", {"tokenizer_config.json": b"its own"})
    assert "add     config.json" in publish(folder, repo="team/model").stdout
    assert files_of(hub, repo="team/model")["config.json"] == (folder / "config.json").read_bytes()


# --- what is refused --------------------------------------------------------------------------------------------------


def broken(result: TargetResult, **changes: Any) -> TargetResult:
    return msgspec.structs.replace(result, files=[msgspec.structs.replace(result.files[0], **changes)])


UNPROVEN: dict[str, Callable[[Path, TargetResult], TargetResult | None]] = {
    "verdict": lambda folder, result: broken(result, verdict=Verdict.FAIL),
    "error": lambda folder, result: broken(result, verdict=Verdict.ERROR, cases=[]),
    "no cases": lambda folder, result: broken(result, cases=[]),
    "another file": lambda folder, result: broken(result, sha256="0" * 64),
    "other weights": lambda folder, result: msgspec.structs.replace(
        result, model=msgspec.structs.replace(result.model, sha256="0" * 64)
    ),
    "another target": lambda folder, result: msgspec.structs.replace(result, target="other"),
    "unknown file": lambda folder, result: msgspec.structs.replace(result, files=[]),
    "changed file": lambda folder, result: (folder / "onnx/model.onnx").write_bytes(onnx_bytes(99)) and result,
    "changed config": lambda folder, result: (folder / "config.json").write_text("{}") and result,
    "missing file": lambda folder, result: (folder / "config.json").unlink() or result,
    "link": lambda folder, result: as_link(folder / "config.json") or result,
    "no manifest": lambda folder, result: (folder / "manifest.json").unlink() or result,
    "no result": lambda folder, result: None,
}


def as_link(path: Path) -> None:
    shutil.move(path, path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize("name", UNPROVEN)
def test_nothing_unproven_is_published(name: str, hub: HubServer, tmp_path: Path, publish: Publish) -> None:
    folder = tmp_path / "sentiment"
    result = UNPROVEN[name](folder, make_artifact(folder))
    if result is None:
        (tmp_path / "sentiment.result.json").unlink()
    else:
        write_result(folder, result)
    done = publish(folder)
    assert done.returncode == 4, done.stdout
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert hub.log == []


def test_a_variant_that_is_not_proven_is_left_out_and_named(hub: HubServer, tmp_path: Path, publish: Publish) -> None:
    folder = tmp_path / "sentiment"
    result = make_artifact(folder, variants=("fp32", "q8"))
    result.files[1].verdict = Verdict.FAIL
    write_result(folder, result)
    done = publish(folder)
    assert done.returncode == 0, done.stderr
    assert "onnx/model_q8.onnx is left out: its verdict is fail" in done.stdout
    assert "onnx/model_q8.onnx" not in files_of(hub)


@pytest.mark.parametrize(
    ("token", "words"),
    [(None, "there is no token"), ("hf_unknown", "the token is wrong"), ("hf_reader", "may not write")],
)
def test_a_token_that_will_not_do_is_named_as_the_cause(
    token: str | None, words: str, hub: HubServer, artifact: Path, publish: Publish
) -> None:
    hub.add_repository(REPO, {"README.md": CARD.encode()})
    done = publish(artifact, token=token)
    assert done.returncode == 4
    assert words in done.stderr
    assert files_of(hub) == {"README.md": CARD.encode()}
    assert not token or token not in done.stdout + done.stderr


def test_a_repository_that_ignores_the_files_is_no_success(hub: HubServer, artifact: Path, publish: Publish) -> None:
    hub.add_repository(REPO, {".gitignore": b"*.onnx\n"})
    done = publish(artifact)
    assert done.returncode == 4
    assert "lacks onnx/model.onnx" in done.stderr


def test_a_tag_that_stands_elsewhere_is_not_moved(hub: HubServer, artifact: Path, publish: Publish) -> None:
    hub.add_repository(REPO, {"README.md": CARD.encode()})
    hub.tag(REPO, "v1")
    before = hub.repositories[REPO].tags["v1"]
    done = publish(artifact, "--tag", "v1")
    assert done.returncode == 4
    assert "the tag v1" in done.stderr
    assert hub.repositories[REPO].tags["v1"] == before


# --- trusted publishing -----------------------------------------------------------------------------------------------


def test_a_trusted_workflow_needs_no_token(hub: HubServer, artifact: Path, publish: Publish) -> None:
    hub.add_repository(REPO, {"README.md": CARD.encode()})
    hub.trusted_publishers["identity of the workflow", REPO] = TOKEN
    done = publish(artifact, token=None, **identity(hub, "identity of the workflow"))
    assert done.returncode == 0, done.stderr
    assert is_complete(files_of(hub), artifact)


def test_a_workflow_that_is_not_trusted_falls_back_to_the_token(
    hub: HubServer, artifact: Path, publish: Publish
) -> None:
    refused = publish(artifact, token=None, **identity(hub, "somebody"))
    assert refused.returncode == 4
    assert "the Hub refused the workflow" in refused.stderr
    assert publish(artifact, **identity(hub, "somebody")).returncode == 0


def identity(hub: HubServer, who: str) -> dict[str, str]:
    hub.workflow_identity = who
    return {
        "GITHUB_ACTIONS": "true",
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{hub.endpoint}/actions/identity?version=1",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of the runner",
    }


# --- faults -----------------------------------------------------------------------------------------------------------

FAULTS: dict[str, Callable[[], Fault]] = {
    "server error on commit": lambda: Fault("/commit/", status=500),
    "busy": lambda: Fault("/commit/", status=503, headers={"Retry-After": "1"}),
    "too many": lambda: Fault("/preupload/", status=429, headers={"Retry-After": "1"}),
    "lost answer to the commit": lambda: Fault("/commit/", method="POST", drop_after=-1),
    "lost upload": lambda: Fault("", method="PUT", drop_after=-1),
    "refused upload": lambda: Fault("", method="PUT", status=503),
    "xet refused": lambda: Fault("/xet-write-token/", status=500),
    "lost read": lambda: Fault("/paths-info/", drop_after=-1),
    "moved": lambda: Fault("/commit/", status=412),
    "conflict": lambda: Fault("/commit/", status=409),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_passing_fault_is_got_over(name: str, hub: HubServer, artifact: Path, publish: Publish) -> None:
    hub.add_repository(REPO, {"README.md": CARD.encode()})
    hub.inject(FAULTS[name]())
    done = publish(artifact)
    assert done.returncode == 0, done.stderr
    assert is_complete(files_of(hub), artifact)
    assert len(hub.repositories[REPO].commits) == 2


@pytest.fixture
def hub_with_xet(tmp_path: Path) -> Iterator[HubServer]:
    with HubServer(xet=XetStore(tmp_path / "xet")) as server:
        server.add_account(TOKEN, "writer", REPO)
        server.add_repository(REPO, {"README.md": CARD.encode()})
        yield server


def publish_to(hub: HubServer, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("onnx-export"), "publish", folder, "--repo", REPO]
    known = hub.environment(folder.parent / "home", token=TOKEN) | environment
    return subprocess.run(command, env=known, capture_output=True, text=True, timeout=120, check=False)


def test_large_files_go_through_xet_where_the_hub_has_it(hub_with_xet: HubServer, artifact: Path) -> None:
    done = publish_to(hub_with_xet, artifact)
    assert done.returncode == 0, done.stderr
    assert is_complete(files_of(hub_with_xet), artifact)
    assert hub_with_xet.requests("/lfs/") == []


@pytest.mark.parametrize("status", [403, 404])
def test_where_xet_fails_the_files_go_over_http(status: int, hub_with_xet: HubServer, artifact: Path) -> None:
    hub_with_xet.inject(Fault("/xet-write-token/", status=status, times=99))
    done = publish_to(hub_with_xet, artifact)
    assert done.returncode == 0, done.stderr
    assert is_complete(files_of(hub_with_xet), artifact)
    assert len(hub_with_xet.requests("/lfs/objects/batch")) == 1
    assert len(hub_with_xet.repositories[REPO].commits) == 2


def test_a_hub_that_takes_large_files_in_no_way_is_left_as_it_was(hub_with_xet: HubServer, artifact: Path) -> None:
    hub_with_xet.inject(Fault("/xet-write-token/", status=404, times=99))
    hub_with_xet.inject(Fault("/lfs/", status=403, times=99, message="LFS is switched off"))
    done = publish_to(hub_with_xet, artifact)
    assert done.returncode == 4
    assert "the Hub answered 403: LFS is switched off" in done.stderr
    assert files_of(hub_with_xet) == {"README.md": CARD.encode()}


def test_somebody_else_s_commit_in_between_is_kept(hub: HubServer, artifact: Path, publish: Publish) -> None:
    hub.add_repository(REPO, {"README.md": CARD.encode()})
    hub.before_commit = lambda: hub.commit(REPO, {"README.md": CARD.encode() + b"More words.\n", "new.txt": b"new"})
    assert publish(artifact).returncode == 0
    files = files_of(hub)
    assert is_complete(files, artifact)
    assert files["new.txt"] == b"new"
    assert b"More words." in files["README.md"]
    assert b"## ONNX" in files["README.md"]


def test_a_storm_leaves_nothing_half_published_unproven_or_lost(tmp_path: Path) -> None:
    """Publishes with faults at random: after each the branch is as it was, or complete; a success is complete.

    Some faults last, some publishes are killed at a request at random, and some are of files that nothing proves. Most
    of the time is spent waiting before another attempt, so several Hubs have their storms at once.
    """
    with ThreadPoolExecutor(STORM_HUBS) as threads:
        lanes = [range(first, STORM, STORM_HUBS) for first in range(STORM_HUBS)]
        storms = [threads.submit(storm, tmp_path / str(lane.start), lane, lane.start % 2 == 1) for lane in lanes]
    outcomes = sum((one.result() for one in storms), Counter[str]())
    print(dict(outcomes))
    assert outcomes.total() == STORM
    assert outcomes["published"] > STORM / 4, outcomes


def storm(place: Path, numbers: Iterable[int], has_xet: bool) -> Counter[str]:
    """Publish to a Hub of its own, once a number, and count how it ended."""
    outcomes = Counter[str]()
    with HubServer(xet=XetStore(place / "xet") if has_xet else None) as hub:
        hub.add_account(TOKEN, "writer", REPO)
        hub.add_repository(REPO, {"README.md": CARD.encode()})
        environment = hub.environment(place / "home", token=TOKEN)
        for number in numbers:
            outcomes[storm_publish(hub, place / str(number) / "sentiment", environment, number)] += 1
        parents = [commit.parent for commit in hub.repositories[REPO].commits.values()]
        assert len(set(parents)) == len(parents), "two commits on one parent: one was lost"
    return outcomes


def storm_publish(hub: HubServer, folder: Path, environment: Mapping[str, str], number: int) -> str:
    lottery = random.Random(number)
    is_proven = make_storm_artifact(folder, lottery, seed=number + 2)
    before = files_of(hub)
    for _ in range(lottery.randint(0, 4)):
        fault = lottery.choice(list(FAULTS.values()))()
        fault.times = 99 if lottery.random() < 0.01 else 1
        hub.inject(fault)
    command = [Path(sys.executable).with_name("onnx-export"), "publish", folder, "--repo", REPO]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    if lottery.random() < 0.3:
        kill_at_request(process, hub, lottery.randint(0, 12), lottery.uniform(0, 0.05))
    code = process.wait(timeout=600)
    hub.clear_faults()
    after = files_of(hub)
    assert after == before or (is_proven and is_complete(after, folder)), number
    assert code != 0 or is_complete(after, folder), number
    assert code in ({0, 4, -9} if is_proven else {4, -9}), number
    shutil.rmtree(folder.parent)
    return "killed" if code < 0 else "published" if code == 0 else "failed" if is_proven else "refused"


def make_storm_artifact(folder: Path, lottery: random.Random, *, seed: int) -> bool:
    """An artifact folder and its result; whether the one proves the other."""
    result = make_artifact(folder, seed=seed)
    if lottery.random() > 0.1:
        return True
    unproven = UNPROVEN[lottery.choice([name for name in UNPROVEN if name != "no result"])](folder, result)
    assert unproven is not None
    write_result(folder, unproven)
    return False


def kill_at_request(process: subprocess.Popen[bytes], hub: HubServer, requests: int, delay: float) -> None:
    """Kill the process once it has asked that often, and ``delay`` seconds; one that ends before is left alone."""
    wanted = len(hub.log) + requests
    while len(hub.log) < wanted and process.poll() is None:
        time.sleep(0.001)
    time.sleep(delay)
    process.kill()


def test_the_published_file_is_one_that_onnx_reads(hub: HubServer, artifact: Path, publish: Publish) -> None:
    publish(artifact)
    onnx.checker.check_model(onnx.load_from_string(files_of(hub)["onnx/model.onnx"]))
