"""The action as a workflow runs it: a real process, the runner's environment and files, GitHub's API over HTTP."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from onnx_export_action.entrypoints.github.comments import COMMENT_LIMIT, read_marker
from onnx_export_action.vocabulary.results import Failure, Stage, TargetResult, Verdict, encode, read_result
from tests.conftest import CheckpointFactory
from tests.github_server import REPOSITORY, Fault, GitHubServer
from tests.hub_server import HubServer
from tests.proofs import with_other_output
from tests.runner import Runner, Step
from tests.unit.report.github import Page

SETTINGS = """\
version: 1
targets:
  - name: sentiment
    model: ./models/sentiment
    task: text-classification
"""
FORK = "stranger/models"
ZERO = "0" * 40


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Someone", "-c", "user.email=someone@example.invalid"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def exported(checkpoint: CheckpointFactory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which the action has exported its model once, for a push."""
    root = tmp_path_factory.mktemp("exported") / "workspace"
    shutil.copytree(checkpoint("bert", task="text-classification"), root / "models" / "sentiment")
    (root / "onnx-export.yaml").write_text(SETTINGS)
    (root / ".gitignore").write_text("artifacts/\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "start")
    step = Runner(root, root.parent / "files").run("push", {"before": ZERO})
    assert step.code == 0, step.log
    (root.parent / "step.json").write_text(json.dumps({"outputs": step.outputs, "summary": step.summary}))
    return root


@pytest.fixture
def workspace(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "workspace", symlinks=True))


@pytest.fixture
def result(exported: Path) -> TargetResult:
    return read_result(exported / "artifacts/sentiment.result.json")


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with GitHubServer() as running:
        yield running


@pytest.fixture
def runner(workspace: Path, server: GitHubServer, tmp_path: Path) -> Runner:
    return Runner(workspace, tmp_path / "files", server.api_url, server.token)


def pull_request(workspace: Path, *, head: str = REPOSITORY, number: int = 1) -> dict[str, Any]:
    """The payload, cut to what every such payload has, titles and branch names of a stranger included."""
    commit = git(workspace, "rev-parse", "HEAD")
    return {
        "action": "synchronize",
        "number": number,
        "pull_request": {
            "number": number,
            "title": "::set-env name=PATH::/tmp",
            "user": {"login": "someone"},
            "head": {"sha": commit, "ref": "$(id)", "repo": {"full_name": head}},
            "base": {"sha": commit, "ref": "main", "repo": {"full_name": REPOSITORY}},
        },
        "repository": {"full_name": REPOSITORY},
        "sender": {"login": "someone"},
    }


def workflow_run(commit: str, *, repository: str = FORK, branch: str | None = "change") -> dict[str, Any]:
    run = {
        "event": "pull_request",
        "head_sha": commit,
        "head_branch": branch,
        "head_repository": {"full_name": repository},
        "pull_requests": [],
    }
    return {"action": "completed", "workflow_run": run, "repository": {"full_name": REPOSITORY}}


Report = Callable[..., Step]


@pytest.fixture
def report(runner: Runner, workspace: Path) -> Report:
    """The last job of a matrix: a report over result files, for a pull request of this repository."""

    def run(*results: TargetResult, payload: dict[str, Any] | None = None, event: str = "pull_request", **inputs: str):
        shutil.rmtree(workspace / "results", ignore_errors=True)
        for number, one in enumerate(results):
            folder = workspace / "results" / str(number)
            folder.mkdir(parents=True)
            (folder / "one.result.json").write_bytes(encode(one))
        defaults = {"command": "report", "results": "results/**/*.result.json"}
        return runner.run(event, payload or pull_request(workspace), **defaults | inputs)

    return run


def failed(result: TargetResult) -> TargetResult:
    file = msgspec.structs.replace(result.files[0], verdict=Verdict.FAIL)
    return msgspec.structs.replace(result, verdict=Verdict.FAIL, files=[file])


# --- the main job -----------------------------------------------------------------------------------------------------


def test_a_push_exports_and_leaves_outputs_and_summary(exported: Path) -> None:
    left = json.loads((exported.parent / "step.json").read_text())
    outputs = left["outputs"]
    assert outputs["verdict"] == "pass"
    assert outputs["changed"] == "true"
    assert json.loads(outputs["targets"]) == ["sentiment"]
    assert (exported / outputs["artifacts"] / "onnx/model.onnx").is_file()
    assert read_result(exported / outputs["result"]).verdict is Verdict.PASS
    assert (exported / outputs["report"]).read_text() == left["summary"]
    assert left["summary"].startswith("### ✅ 1 of 1 export proven")
    assert outputs["comment-url"] == ""


def test_a_pull_request_that_changes_the_model_is_exported_and_commented_on(
    runner: Runner, workspace: Path, server: GitHubServer
) -> None:
    payload = pull_request(workspace)
    (workspace / "onnx-export.yaml").write_text(SETTINGS + "    opset: 17\n")
    git(workspace, "commit", "-q", "-a", "-m", "another opset")
    step = runner.run("pull_request", payload)
    assert step.code == 0, step.log
    [body] = server.bodies()
    assert body.startswith("<!-- onnx-export-action ")
    assert "1 of 1 export proven" in body
    assert f"https://github.example/{REPOSITORY}/actions/runs/1" in body
    assert step.outputs["comment-url"].endswith("#issuecomment-1")
    assert read_result(workspace / step.outputs["result"]).files[0].opset == 17
    assert server.token not in step.log.replace(f"::add-mask::{server.token}", "")
    assert step.environment == ""


def test_a_wrong_file_fails_the_step_on_the_line_of_its_target(runner: Runner, workspace: Path) -> None:
    bound = "    tolerance: {fp32: {logits: {atol: 1.0e-12, rtol: 1.0e-12}}}\n"
    (workspace / "onnx-export.yaml").write_text(SETTINGS + bound)
    step = runner.run("workflow_dispatch")
    assert (step.code, step.outputs["verdict"]) == (1, "fail")
    [error] = step.annotations("error")
    assert (error.properties["file"], error.properties["line"]) == ("onnx-export.yaml", "3")
    assert step.summary.startswith("### ❌")
    assert step.outputs["artifacts"] == "artifacts/sentiment"
    assert step.outputs["repro"] == "artifacts/sentiment.repro"
    script = "artifacts/sentiment.repro/model/reproduce.py"
    assert (workspace / script).is_file()
    assert f"**What to do:** run `python -P {script}`" in step.summary


def test_nothing_changed_is_green_at_once_and_starts_no_comment(
    runner: Runner, workspace: Path, server: GitHubServer
) -> None:
    (workspace / "README.md").write_text("words")
    payload = pull_request(workspace)
    git(workspace, "add", "-A")
    git(workspace, "commit", "-q", "-m", "words")
    runner.environment["PYTHONPROFILEIMPORTTIME"] = "1"
    step = runner.run("pull_request", payload)
    assert step.code == 0, step.log
    assert (step.outputs["verdict"], step.outputs["changed"], step.outputs["targets"]) == ("pass", "false", "[]")
    assert "Nothing to export: 1 target unchanged" in step.summary
    assert server.comments == {}
    imported = {line.rpartition("|")[2].strip() for line in step.log.splitlines() if line.startswith("import time:")}
    assert "click" in imported
    assert imported & {"torch", "transformers", "onnxruntime", "numpy"} == set()


def test_a_comment_that_is_there_is_kept_true_when_nothing_changed_any_more(
    runner: Runner, report: Report, result: TargetResult, server: GitHubServer, workspace: Path
) -> None:
    assert report(failed(result)).code == 1
    assert "❌" in server.bodies()[0]
    assert runner.run("pull_request", pull_request(workspace), run_id=2).code == 0
    [body] = server.bodies()
    assert "Nothing to export" in body


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("release", {"action": "published", "release": {"id": 5, "tag_name": "v1"}}),
        ("schedule", {"schedule": "17 4 * * 1"}),
        ("workflow_dispatch", {"inputs": {}}),
        ("push", {"before": ZERO}),
    ],
)
def test_events_without_a_base_plan_everything_and_comment_nowhere(
    event: str, payload: dict[str, Any], runner: Runner, server: GitHubServer
) -> None:
    step = runner.run(event, payload, command="plan")
    assert step.code == 0
    assert json.loads(step.outputs["matrix"]) == {"include": [{"name": "sentiment", "targets": "sentiment"}]}
    assert server.requests == []


@pytest.mark.parametrize("event", ["push", "merge_group", "pull_request"])
def test_events_with_a_base_plan_what_changed_since(event: str, runner: Runner, workspace: Path) -> None:
    base = git(workspace, "rev-parse", "HEAD")
    payload = {
        "push": {"before": base},
        "merge_group": {"merge_group": {"base_sha": base, "head_sha": base}},
        "pull_request": pull_request(workspace),
    }[event]
    assert runner.run(event, payload, command="plan").outputs["changed"] == "false"
    (workspace / "models/sentiment/config.json").write_text("{}")
    step = runner.run(event, payload, command="plan")
    assert json.loads(step.outputs["targets"]) == ["sentiment"]
    assert "`models/sentiment/config.json changed`" in step.summary


def test_a_mistake_in_the_configuration_is_annotated_on_its_line_and_told_in_the_comment(
    runner: Runner, workspace: Path, server: GitHubServer
) -> None:
    (workspace / "onnx-export.yaml").write_text(SETTINGS.replace("task:", "tsak:"))
    step = runner.run("pull_request", pull_request(workspace))
    assert (step.code, step.outputs["verdict"]) == (2, "error")
    [error] = step.annotations("error")
    assert (error.properties["file"], error.properties["line"]) == ("onnx-export.yaml", "5")
    assert "tsak" in error.message
    assert "tsak" in step.summary
    assert "tsak" in server.bodies()[0]


def test_no_policy_lets_a_mistake_in_the_configuration_pass(runner: Runner, workspace: Path) -> None:
    (workspace / "onnx-export.yaml").write_text(SETTINGS.replace("task:", "tsak:"))
    step = runner.run("push", {"before": ZERO}, fail_on="never")
    assert (step.code, step.outputs["verdict"]) == (2, "error")


def test_what_the_hooks_find_is_annotated(runner: Runner, workspace: Path) -> None:
    config = json.loads((workspace / "models/sentiment/config.json").read_text())
    (workspace / "models/sentiment/config.json").write_text(json.dumps(config | {"num_attention_heads": 5}))
    step = runner.run("workflow_dispatch", command="plan")
    assert step.code == 0
    found = [one for one in step.annotations("warning") if one.properties.get("file") == "models/sentiment/config.json"]
    assert found
    assert "[" in found[0].message


# --- inputs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"comand": "run"}, "command"),
        ({"command": "exprot"}, "export"),
        ({"fail_on": "sometimes"}, "validation"),
        ({"comment": "yes"}, "on-change"),
        ({"allow_remote_code": "maybe"}, "true"),
        ({"targets": "sentimnt"}, "sentiment"),
        ({"working_directory": "../.."}, "leads out of the workspace"),
        ({"config": "../../etc/passwd"}, "leads out of the workspace"),
        ({"output": ".git/hooks"}, ".git"),
        ({"command": "report"}, "results"),
        ({"command": "report", "results": "../*.json"}, "leads out"),
        ({"comment_key": "a b"}, "comment-key"),
    ],
)
def test_a_wrong_input_stops_the_step_and_says_what_is_right(
    inputs: dict[str, str], words: str, runner: Runner, server: GitHubServer
) -> None:
    step = runner.run("push", {"before": ZERO}, **inputs)
    assert step.code == 2, step.log
    assert words in step.log + step.summary
    assert step.annotations("error")
    assert "Traceback" not in step.log


# --- forks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("head", "actor"), [(FORK, "stranger"), (REPOSITORY, "dependabot[bot]")])
def test_without_rights_the_comment_becomes_a_file_and_the_summary_says_how_to_go_on(
    head: str, actor: str, runner: Runner, workspace: Path, server: GitHubServer, result: TargetResult
) -> None:
    (workspace / "one.result.json").write_bytes(encode(result))
    payload = pull_request(workspace, head=head)
    step = runner.run("pull_request", payload, actor=actor, command="report", results="*.result.json")
    assert step.code == 0, step.log
    assert server.requests == []
    assert "1 of 1 export proven" in (workspace / "artifacts/onnx-export-comment.md").read_text()
    assert "workflow_run" in step.summary


@pytest.mark.parametrize(("head", "comments"), [(FORK, 0), (REPOSITORY, 1)])
def test_a_review_belongs_to_its_pull_request(
    head: str, comments: int, report: Report, result: TargetResult, workspace: Path, server: GitHubServer
) -> None:
    step = report(result, event="pull_request_review", payload=pull_request(workspace, head=head))
    assert (step.code, len(server.bodies())) == (0, comments), step.log


def test_rights_that_turn_out_missing_do_not_change_the_verdict(
    report: Report, result: TargetResult, server: GitHubServer
) -> None:
    server.may_write = False
    step = report(result)
    assert (step.code, step.outputs["verdict"]) == (0, "pass")
    assert "No comment was written" in step.summary
    assert report(failed(result)).code == 1
    assert report(result, require_comment="true").code == 4
    assert report(failed(result), require_comment="true").code == 1


def test_the_second_stage_finds_the_pull_request_of_a_fork_by_its_commit(
    report: Report, result: TargetResult, server: GitHubServer
) -> None:
    server.add_pull(7, "b" * 40, repository=FORK, branch="other")
    server.add_pull(8, "c" * 40, repository="stranger/other")
    server.add_pull(9, "c" * 40, repository=FORK)
    step = report(result, event="workflow_run", payload=workflow_run("c" * 40))
    assert step.code == 0, step.log
    assert [len(server.bodies(number)) for number in (7, 8, 9)] == [0, 0, 1]
    assert f"A claim of `{FORK} at {'c' * 12}`" in server.bodies(9)[0]


@pytest.mark.parametrize("numbers", [(), (3, 4)])
def test_the_second_stage_refuses_to_guess(
    numbers: tuple[int, ...], report: Report, result: TargetResult, server: GitHubServer
) -> None:
    for number in numbers:
        server.add_pull(number, "c" * 40, repository=FORK)
    step = report(result, event="workflow_run", payload=workflow_run("c" * 40))
    assert step.code == 0
    assert server.comments == {}
    assert "No comment was written" in step.summary


@pytest.mark.parametrize("command", ["run", "export", "validate"])
@pytest.mark.parametrize("event", ["workflow_run", "pull_request_target"])
def test_a_forks_files_are_not_exported_with_rights(
    command: str, event: str, runner: Runner, workspace: Path, server: GitHubServer
) -> None:
    shutil.rmtree(workspace / "artifacts")
    payload = workflow_run("c" * 40) if event == "workflow_run" else pull_request(workspace, head=FORK)
    step = runner.run(event, payload, command=command, comment="never")
    assert step.code == 2
    assert "with the rights of this repository" in step.summary
    assert not (workspace / "artifacts/sentiment").exists()


# --- the comment ------------------------------------------------------------------------------------------------------


def test_a_run_that_finds_the_same_leaves_the_comment_alone(
    report: Report, result: TargetResult, server: GitHubServer
) -> None:
    report(result)
    slower = msgspec.structs.replace(result, timings={"total": 99.0}, peak_rss_bytes=1)
    assert report(slower).outputs["comment-url"].endswith("#issuecomment-1")
    assert server.count("PATCH") == 0
    report(failed(result))
    assert server.count("PATCH") == 1
    assert len(server.bodies()) == 1


def test_the_comment_is_found_on_a_later_page_and_only_where_it_is_ours(
    report: Report, result: TargetResult, server: GitHubServer
) -> None:
    report(result)
    ours = server.comments.pop(1)["body"]
    server.add_comment(ours, user={"login": "stranger", "type": "User", "id": 2})
    for number in range(240):
        server.add_comment(f"comment {number}\n{ours}")
    place = server.add_comment(ours)
    report(failed(result))
    assert "❌" in server.comments[place]["body"]
    assert server.count("POST") == 1 + 2  # one comment, and who we are, twice


def test_each_key_has_a_comment_of_its_own(report: Report, result: TargetResult, server: GitHubServer) -> None:
    report(result, comment_key="a")
    report(result, comment_key="b")
    report(failed(result), comment_key="a")
    markers = [read_marker(body) for body in server.bodies()]
    assert [marker.key for marker in markers if marker] == ["a", "b"]


def test_two_writers_at_once_end_in_one_comment(report: Report, result: TargetResult, server: GitHubServer) -> None:
    report(result)
    body = server.comments.pop(1)["body"]
    server.before_create = lambda: server.add_comment(body) and None
    report(failed(result))
    assert len(server.bodies()) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(502),
        Fault(503, headers={"Retry-After": "1"}),
        Fault(None),
        Fault(403, body={"message": "You have exceeded a secondary rate limit"}, headers={"Retry-After": "1"}),
        Fault(429, headers={"Retry-After": "1"}),
        Fault(500, "POST", "comments", afterwards=True),
        Fault(422, "POST", "comments", body={"message": "Validation Failed"}),
    ],
    ids=lambda fault: f"{fault.status} {fault.method}",
)
def test_a_passing_fault_costs_time_and_nothing_else(
    fault: Fault, report: Report, result: TargetResult, server: GitHubServer
) -> None:
    server.faults.append(fault)
    step = report(result)
    assert step.code == 0, step.log
    assert len(server.bodies()) == 1
    assert step.outputs["comment-url"]


def test_an_api_that_refuses_hides_no_verdict(report: Report, result: TargetResult, server: GitHubServer) -> None:
    server.faults.extend(Fault(401) for _ in range(50))
    step = report(failed(result))
    assert (step.code, step.outputs["verdict"]) == (1, "fail")
    assert step.annotations("error")
    assert "No comment was written" in step.summary


@pytest.mark.parametrize(
    "fault",
    [
        Fault(200, "GET", "comments", body=[], headers={"Link": '<https://evil.example/next>; rel="next"'}),
        Fault(200, "GET", "comments", body={"comments": []}),
        Fault(200, "GET", "comments", body=[7]),
        Fault(200, "GET", "comments", body=[{"id": "7", "body": 7, "user": []}]),
        Fault(200, "POST", "comments", body=[]),
        Fault(200, "POST", "graphql", body=[]),
        Fault(200, "GET", "comments", body="words"),
        Fault(302, "GET", "comments", headers={"Location": "https://evil.example/"}),
        Fault(301, "POST", "comments", headers={"Location": "/"}),
    ],
    ids=range(9),
)
@pytest.mark.parametrize("passes", [True, False])
def test_an_answer_without_sense_hides_no_verdict_and_changes_no_exit_code(
    fault: Fault, passes: bool, report: Report, result: TargetResult, server: GitHubServer
) -> None:
    server.faults.append(fault)
    step = report(result if passes else failed(result))
    assert (step.code, step.outputs["verdict"]) == ((0, "pass") if passes else (1, "fail")), step.log
    assert "internal error" not in step.log
    assert "Traceback" not in step.log
    assert server.bodies() or "No comment was written" in step.summary


def test_pages_without_end_are_not_read_without_end(report: Report, result: TargetResult, server: GitHubServer) -> None:
    server.endless = True
    for _ in range(100):
        server.add_comment("words")
    step = report(failed(result))
    assert step.code == 1
    assert "No comment was written" in step.summary
    assert "more comments than are read" in step.summary


def test_an_enterprise_server_s_own_authority_is_trusted_where_it_is_given(
    workspace: Path, result: TargetResult, tmp_path: Path
) -> None:
    certificate, key = own_authority(tmp_path)
    (workspace / "one.result.json").write_bytes(encode(result))
    server = GitHubServer()
    server.speak_tls(certificate, key)
    with server:
        runner = Runner(workspace, tmp_path / "files", server.api_url, server.token)
        inputs = {"command": "report", "results": "one.result.json"}
        step = runner.run("pull_request", pull_request(workspace), **inputs, ca_certificate=certificate.read_text())
        assert step.code == 0, step.log
        assert len(server.bodies()) == 1
        stranger = runner.run("pull_request", pull_request(workspace), **inputs)
    assert (stranger.code, stranger.outputs["verdict"]) == (0, "pass")
    assert "No comment was written" in stranger.summary


def own_authority(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "authority.pem", folder / "key.pem"
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ours", "-keyout", str(key)]
    extension = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", *options, *extension], check=True, capture_output=True)
    return certificate, key


@pytest.mark.parametrize(
    ("mode", "passing", "failing"), [("always", 1, 1), ("on-failure", 0, 1), ("on-change", 0, 1), ("never", 0, 0)]
)
def test_when_a_comment_begins(
    mode: str, passing: int, failing: int, report: Report, result: TargetResult, server: GitHubServer, workspace: Path
) -> None:
    (workspace / "base.json").write_bytes(encode(result))
    report(result, comment=mode, base_result="base.json")
    assert len(server.bodies()) == passing
    server.comments.clear()
    report(failed(result), comment=mode, base_result="base.json")
    assert len(server.bodies()) == failing


# --- publishing -------------------------------------------------------------------------------------------------------

HUB_REPOSITORY = "team/sentiment-onnx"
RELEASE = {"action": "published", "release": {"id": 5, "tag_name": "v1"}}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as running:
        running.add_account("hf_writer", "writer", HUB_REPOSITORY)
        yield running


@pytest.fixture
def releasing(runner: Runner, workspace: Path, hub: HubServer, tmp_path: Path) -> Runner:
    """A release of a repository whose target says where to publish, exported and proven by the job before."""
    (workspace / "onnx-export.yaml").write_text(SETTINGS + f"    publish: {{repo: {HUB_REPOSITORY}, tag: v1}}\n")
    git(workspace, "commit", "-q", "-a", "-m", "publish")
    runner.environment |= {"HF_HUB_OFFLINE": "0"} | {
        name: value for name, value in hub.environment(tmp_path / "hub home").items() if name.startswith("HF_")
    }
    return runner


def test_a_release_publishes_what_is_proven_and_attaches_the_evidence(
    releasing: Runner, workspace: Path, hub: HubServer, server: GitHubServer
) -> None:
    step = releasing.run("release", RELEASE, command="publish", hub_token="hf_writer")
    assert step.code == 0, step.log
    commit = hub.repositories[HUB_REPOSITORY].find("v1")
    assert commit is not None
    assert commit.files["onnx/model.onnx"] == (workspace / "artifacts/sentiment/onnx/model.onnx").read_bytes()
    assert step.outputs["hub-commit-url"].endswith(commit.sha)
    assert sorted(server.assets[5]) == ["sentiment.manifest.json", "sentiment.result.json"]
    assert f"`{HUB_REPOSITORY}`" in step.summary
    assert "hf_writer" not in step.log.replace("::add-mask::hf_writer", "")
    again = releasing.run("release", RELEASE, command="publish", hub_token="hf_writer")
    assert again.code == 0, again.log
    assert "has all of it already" in again.summary
    assert len(hub.repositories[HUB_REPOSITORY].commits) == 2


def test_a_run_that_passes_publishes_where_it_is_asked_to(releasing: Runner, hub: HubServer) -> None:
    step = releasing.run("push", {"before": ZERO}, publish="true", hub_token="hf_writer")
    assert step.code == 0, step.log
    assert step.outputs["verdict"] == "pass"
    assert "onnx/model.onnx" in hub.repositories[HUB_REPOSITORY].find("main").files


def test_a_review_of_a_pull_request_never_publishes(releasing: Runner, workspace: Path, hub: HubServer) -> None:
    step = releasing.run("pull_request_review", pull_request(workspace), command="publish")
    assert step.code == 2, step.log
    assert "pull_request_review publishes nothing" in step.summary


def test_a_pull_request_never_publishes(releasing: Runner, workspace: Path, hub: HubServer) -> None:
    releasing.run("pull_request", pull_request(workspace), publish="true", hub_token="hf_writer", changed_since="none")
    step = releasing.run("pull_request", pull_request(workspace), command="publish", hub_token="hf_writer")
    assert step.code == 2
    assert hub.repositories == {}


def test_a_comment_publishes_nothing_because_it_names_no_commit(releasing: Runner, hub: HubServer) -> None:
    payload = {"action": "created", "issue": {"number": 1, "pull_request": {}}, "repository": {"full_name": REPOSITORY}}
    step = releasing.run("issue_comment", payload, command="publish", hub_token="hf_writer")
    assert (step.code, hub.repositories) == (2, {})
    assert "issue_comment publishes nothing" in step.summary


def test_what_cannot_be_published_fails_the_step_with_its_reason(
    releasing: Runner, workspace: Path, hub: HubServer, result: TargetResult
) -> None:
    refused = releasing.run("release", RELEASE, command="publish", hub_token="hf_unknown")
    assert refused.code == 4
    assert any("token" in one.message for one in refused.annotations("error"))
    (workspace / "models/sentiment/config.json").write_text("{}")
    dirty = releasing.run("release", RELEASE, command="publish", hub_token="hf_writer")
    assert dirty.code == 4
    assert "not what is in the workspace" in dirty.summary
    git(workspace, "checkout", "-q", ".")
    (workspace / "artifacts/sentiment.result.json").write_bytes(encode(failed(result)))
    unproven = releasing.run("release", RELEASE, command="publish", hub_token="hf_writer")
    assert unproven.code == 4
    assert "is not proven" in unproven.summary
    assert hub.repositories == {}


def test_a_release_that_takes_no_files_is_told_after_publishing(
    releasing: Runner, hub: HubServer, server: GitHubServer
) -> None:
    server.may_write = False
    step = releasing.run("release", RELEASE, command="publish", hub_token="hf_writer")
    assert step.code == 4
    assert "not attached to the release" in step.summary
    assert step.outputs["hub-commit-url"]


# --- several jobs and policy ------------------------------------------------------------------------------------------


def test_a_job_of_the_matrix_that_left_no_result_is_an_error(report: Report, result: TargetResult) -> None:
    step = report(result, expected='["sentiment", "other"]')
    assert (step.code, step.outputs["verdict"]) == (3, "error")
    assert "other" in step.summary
    assert any("no result came from its job" in one.message for one in step.annotations("error"))


@pytest.mark.parametrize(
    ("policy", "verdict", "code"),
    [
        ("validation", "fail", 1),
        ("export", "fail", 0),
        ("export", "error", 3),
        ("never", "error", 0),
        ("regression", "regression", 1),
        ("validation", "regression", 0),
    ],
)
def test_the_policy_decides_the_exit(
    policy: str, verdict: str, code: int, report: Report, result: TargetResult, workspace: Path
) -> None:
    (workspace / "base.json").write_bytes(encode(result))
    renamed = with_other_output(result)
    failure = Failure(stage=Stage.EXPORT, message="the tracer stopped")
    one = {
        "fail": failed(result),
        "error": msgspec.structs.replace(result, verdict=Verdict.ERROR, files=[], failure=failure),
        "regression": renamed,
    }[verdict]
    assert report(one, fail_on=policy, base_result="base.json").code == code


# --- what a stranger's results can say --------------------------------------------------------------------------------


def test_a_strangers_pass_over_wrong_numbers_is_an_error_with_its_reason(
    report: Report, result: TargetResult, server: GitHubServer
) -> None:
    server.add_pull(9, "c" * 40, repository=FORK)
    result.files[0].outputs[0].margin = 1e9
    step = report(result, event="workflow_run", payload=workflow_run("c" * 40))
    assert (step.code, step.outputs["verdict"]) == (3, "error")
    assert "claims a pass that it does not prove" in server.bodies(9)[0]
    assert "claims a pass that it does not prove" in step.summary


NASTY = [
    "]](x)<img src=x onerror=alert(1)>",
    "@org/team #1 https://evil.example",
    "\n::set-output name=verdict::pass\n::add-mask::a\n",
    "##[error]x ::error::y",
    "`````\n</details><script>1</script>\n| a | b |",
    "\u202egnp.exe\u200b\u2066",
    "x" * 2_000_000,
    "{% raw %}{{ 7 * 7 }}${{ github.token }}",
]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_a_strangers_words_are_shown_and_do_nothing(
    text: str, report: Report, result: TargetResult, server: GitHubServer
) -> None:
    failure = Failure(stage=Stage.VALIDATE, message=text, hint=text)
    file = msgspec.structs.replace(result.files[0], path=text, verdict=Verdict.FAIL, failure=failure)
    step = report(
        msgspec.structs.replace(
            result, target=text, verdict=Verdict.FAIL, files=[file], notes=[text], packages={text: text}
        )
    )
    assert (step.code, step.outputs["verdict"]) == (1, "fail")
    assert {command.name for command in step.commands} <= {"add-mask", "error", "group", "endgroup"}
    assert [one.message for one in step.commands if one.name == "add-mask"] == [server.token]
    [body] = server.bodies()
    assert len(body) <= COMMENT_LIMIT
    assert len(step.summary.encode()) <= 900 * 1024
    assert len(step.log) < 50_000
    for shown in (body.partition("\n")[2].rpartition("\n[The whole report]")[0], step.summary):
        page = Page(shown, "cmark-gfm")
        assert page.foreign == []
        assert "@org" not in page.text
        assert not set(shown) & set("\u202e\u200b")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema_version": 99}', b"\xff", b'{"target": "a"}', b"[" * 99_999])
def test_a_file_that_is_no_result_stops_the_report(content: bytes, runner: Runner, workspace: Path) -> None:
    (workspace / "bad.result.json").write_bytes(content)
    step = runner.run("push", {"before": ZERO}, command="report", results="*.result.json")
    assert step.code == 2
    assert "Traceback" not in step.log
    assert step.annotations("error")


@pytest.mark.parametrize("place", ["outside", "workspace/.git/hooks"])
def test_an_artifact_folder_that_is_a_link_elsewhere_is_not_written_to(
    place: str, runner: Runner, workspace: Path
) -> None:
    elsewhere = workspace.parent / place
    elsewhere.mkdir(parents=True, exist_ok=True)
    before = sorted(elsewhere.iterdir())
    (workspace / "build").mkdir()
    (workspace / "build/sentiment").symlink_to(elsewhere)
    step = runner.run("push", {"before": ZERO}, output="build", fail_on="never")
    assert (step.code, step.outputs["verdict"]) == (2, "error")
    assert any("the artifact folder" in one.message for one in step.annotations("error"))
    assert sorted(elsewhere.iterdir()) == before


def test_a_result_that_is_a_link_is_not_followed(runner: Runner, workspace: Path) -> None:
    (workspace / "link.result.json").symlink_to("/etc/passwd")
    step = runner.run("push", {"before": ZERO}, command="report", results="*.result.json")
    assert step.code == 2
    assert "root:" not in step.log + step.summary
