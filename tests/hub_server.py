"""A Hugging Face Hub in a thread: the read API over real HTTP, with state, accounts and faults on demand.

The real ``huggingface_hub`` client talks to it, so that a test meets the client's own caching, retries and errors.
``HubServer`` holds the state, ``respond`` turns one request into one response, and the HTTP handler at the end carries
them over a socket and breaks the connection where a fault says so.

As on the real Hub, small files are served from the repository's own address with the git blob's hash as ETag, while
weights (LFS) redirect to a storage host, here a second port, which must never be sent the token.

    with HubServer() as hub:
        hub.add_repository("team/tiny", {"config.json": b"{}"})
        snapshot_download("team/tiny", endpoint=hub.endpoint, cache_dir=folder)

The client reads ``HF_ENDPOINT`` when it is imported: give ``environment(home)`` to a process of its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

LFS_SUFFIXES = (".safetensors", ".bin", ".onnx", ".onnx_data", ".onnx_data_1", ".h5", ".msgpack", ".pt")
COMMIT_TIME = "2026-01-02T03:04:05.000Z"


# --- state ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Commit:
    """A revision: every file with its content."""

    sha: str
    title: str
    files: dict[str, bytes]
    parent: str | None


@dataclass
class Repository:
    """A model repository: its commits in order, and the names that point to them."""

    id: str
    private: bool = False
    gated: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def find(self, revision: str) -> Commit | None:
        """The commit of a branch, a tag, a full reference or a hash."""
        short = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        return self.commits.get(self.branches.get(short) or self.tags.get(short) or revision)

    def history(self, commit: Commit) -> list[Commit]:
        """The commit and those before it, newest first."""
        found = [commit]
        while found[-1].parent is not None:
            found.append(self.commits[found[-1].parent])
        return found


@dataclass(frozen=True)
class Account:
    """Who a token belongs to and which private or gated repositories it opens."""

    name: str
    repositories: frozenset[str] = frozenset()
    reads_only: bool = False


@dataclass
class Fault:
    """What goes wrong with the next ``times`` requests whose method and path match.

    ``status`` answers with that HTTP status and ``headers`` in place of the real answer. ``drop_after`` breaks the
    connection after that many bytes of the body; -1 breaks it before a single byte of the answer. ``delay`` waits
    first, in seconds.
    """

    path: str = ""  # a regular expression, searched in the undecoded path and query
    method: str | None = None
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "Injected by the test"
    drop_after: int | None = None
    delay: float = 0.0

    def matches(self, request: Request) -> bool:
        return self.times > 0 and self.method in {None, request.method} and bool(re.search(self.path, request.target))


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    storage: bool = False  # it came to the storage host

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def token(self) -> str | None:
        authorization = self.headers.get("authorization")
        return authorization.removeprefix("Bearer ") if authorization else None


@dataclass
class Response:
    """One answer; the handler adds Content-Length."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class LoggedRequest:
    """What a test can assert about the traffic."""

    method: str
    path: str
    status: int
    token: str | None
    storage: bool
    range: str | None


class HubError(Exception):
    """An answer that is an error, with the words the client reads in headers."""

    def __init__(
        self, status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        coded = {"X-Error-Code": code} if code is not None else {}
        self.response = _json({"error": message}, status, {"X-Error-Message": message, **coded, **(headers or {})})


class XetStore:
    """Content-addressed storage in a folder, which the real Xet library writes to by itself (``local://``).

    What it wrote is found by the SHA-256 that stands in a shard (its format is described at
    https://huggingface.co/docs/xet/shard) and read back by the library, so a file that is not whole is not found.
    """

    _RECORD = 48  # the size of everything in a shard, in bytes
    _LAST = b"\xff" * 32
    _HAS_VERIFICATION, _HAS_SHA256 = 1 << 31, 1 << 30

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def address(self) -> str:
        return f"local://{self.folder}"

    def find(self, sha256: str) -> dict[str, bytes]:
        """The content with this hash under its hash, or nothing."""
        for shard in self.folder.rglob("shards/*.mdb"):
            for file_hash, known, size in self._files(shard.read_bytes()):
                if known == sha256:
                    content = self._read(file_hash, size)
                    return {sha256: content} if _sha256(content) == sha256 else {}
        return {}

    def _files(self, shard: bytes) -> Iterator[tuple[str, str, int]]:
        """Each file's Xet hash, SHA-256 and size in bytes."""
        place = self._RECORD
        while shard[place : place + 32] != self._LAST:
            file_hash = _xet_hex(shard[place : place + 32])
            flags, count = struct.unpack_from("<II", shard, place + 32)
            terms = [place + self._RECORD * (1 + number) for number in range(count)]
            size = sum(struct.unpack_from("<I", shard, term + 36)[0] for term in terms)
            place += self._RECORD * (1 + count * (2 if flags & self._HAS_VERIFICATION else 1))
            if flags & self._HAS_SHA256:
                yield file_hash, _xet_hex(shard[place : place + 32]), size
                place += self._RECORD

    def _read(self, file_hash: str, size: int) -> bytes:
        import hf_xet

        with tempfile.TemporaryDirectory() as name:
            # A copy: the process that published may have its files open still, and locks them.
            shutil.copytree(self.folder, f"{name}/store")
            wanted = hf_xet.PyXetDownloadInfo(f"{name}/content", file_hash, size)
            hf_xet.download_files([wanted], f"local://{name}/store", None, None, None)
            return Path(f"{name}/content").read_bytes()


class HubServer:
    """The Hub. Use it as a context manager, or call ``start`` and ``stop``."""

    def __init__(self, *, page_size: int = 1000, xet: XetStore | None = None) -> None:
        self.page_size = page_size
        self.xet = xet  # None: the client must send large files over plain HTTP
        self.repositories: dict[str, Repository] = {}
        self.accounts: dict[str, Account] = {}
        self.workflow_identity = ""  # what GitHub would say of the workflow that asks
        self.before_commit: Callable[[], object] | None = None  # somebody else, just before the next commit
        self.trusted_publishers: dict[tuple[str, str], str] = {}  # (identity, repository) -> token
        self.log: list[LoggedRequest] = []
        self._faults: list[Fault] = []
        self._stored_objects: dict[str, bytes] = {}  # by SHA-256
        self._lock = threading.RLock()
        self._servers = [_serve(self, storage=False), _serve(self, storage=True)]

    # life

    def __enter__(self) -> HubServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        for server in self._servers:
            # The default half-second poll would be paid at every stop.
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @property
    def endpoint(self) -> str:
        return _address(self._servers[0])

    @property
    def storage_endpoint(self) -> str:
        return _address(self._servers[1])

    def environment(self, home: Path, *, token: str | None = None) -> dict[str, str]:
        """A child process's environment that knows this Hub and no other; ``home`` holds its cache and token."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE_"))}
        own = {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        own |= {"HF_HUB_DISABLE_XET": "1"} if self.xet is None else {}
        return inherited | own | ({"HF_TOKEN": token} if token else {})

    # content

    def add_repository(
        self, repo_id: str, files: Mapping[str, bytes] | Path, *, private: bool = False, gated: bool = False
    ) -> str:
        """Create a repository with one commit on ``main``, from contents or a folder; returns the commit's hash."""
        with self._lock:
            self.repositories[repo_id] = Repository(repo_id, private=private, gated=gated)
            return self.commit(repo_id, _folder_contents(files) if isinstance(files, Path) else files)

    def commit(
        self,
        repo_id: str,
        changes: Mapping[str, bytes | None],
        *,
        branch: str = "main",
        title: str = "Upload files",
    ) -> str:
        """Add or replace files (None deletes) on a branch, which is created when it does not exist."""
        with self._lock:
            repository = self.repositories[repo_id]
            parent = repository.branches.get(branch)
            files = dict(repository.commits[parent].files) if parent else {}
            files |= {path: content for path, content in changes.items() if content is not None}
            for path in (path for path, content in changes.items() if content is None):
                del files[path]
            sha = _commit_hash(repo_id, parent, title, files, number=len(repository.commits))
            repository.commits[sha] = Commit(sha, title, files, parent)
            repository.branches[branch] = sha
            self._stored_objects |= {_sha256(content): content for path, content in files.items() if _is_lfs(path)}
            return sha

    def branch(self, repo_id: str, name: str, revision: str = "main") -> None:
        self.repositories[repo_id].branches[name] = self._commit(self.repositories[repo_id], revision).sha

    def tag(self, repo_id: str, name: str, revision: str = "main") -> None:
        self.repositories[repo_id].tags[name] = self._commit(self.repositories[repo_id], revision).sha

    def add_account(self, token: str, name: str, *repositories: str, reads_only: bool = False) -> None:
        self.accounts[token] = Account(name, frozenset(repositories), reads_only)

    # faults

    def inject(self, fault: Fault) -> None:
        """Faults are tried in the order they were injected; each counts down by itself."""
        with self._lock:
            self._faults.append(fault)

    def clear_faults(self) -> None:
        with self._lock:
            self._faults.clear()

    def rate_limit(self, path: str = "", *, times: int = 1, seconds: int = 0) -> None:
        """HTTP 429 with the headers the Hub sends: none left, ``seconds`` until the window ends."""
        headers = {"RateLimit": f'"api";r=0;t={seconds}', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}
        self.inject(Fault(path, times=times, status=429, headers=headers, message="Too many requests"))

    def take_fault(self, request: Request) -> Fault | None:
        with self._lock:
            fault = next((fault for fault in self._faults if fault.matches(request)), None)
            if fault is not None:
                fault.times -= 1
            return fault

    # answers

    def requests(self, pattern: str = "", method: str | None = None) -> list[LoggedRequest]:
        """What was asked so far, by a regular expression on the path."""
        with self._lock:
            return [one for one in self.log if re.search(pattern, one.path) and method in {None, one.method}]

    def respond(self, request: Request, fault: Fault | None = None) -> Response:
        """Answer one request and log it; ``fault`` may put an error in the answer's place."""
        with self._lock:
            try:
                if fault is not None and fault.status is not None:
                    raise HubError(fault.status, fault.message, headers=fault.headers)
                response = self._route(request)
            except HubError as error:
                response = error.response
            response.headers["X-Request-Id"] = f"Root=1-{len(self.log):08x}"
            self.log.append(
                LoggedRequest(
                    request.method,
                    request.target,
                    response.status,
                    request.token,
                    request.storage,
                    request.headers.get("range"),
                )
            )
            return response

    def _route(self, request: Request) -> Response:
        if request.storage:
            return self._stored(request)
        for methods, pattern, answer in ROUTES:
            found = pattern.fullmatch(request.path)
            if found and request.method in methods:
                return answer(self, request, **{name: unquote(part or "") for name, part in found.groupdict().items()})
        raise HubError(404, "Sorry, we can't find the page you are looking for.")

    def _account(self, request: Request) -> Account | None:
        if request.token is None:
            return None
        if request.token not in self.accounts:
            raise HubError(401, "Invalid credentials in Authorization header")
        return self.accounts[request.token]

    def _repository(self, request: Request, repo_id: str) -> Repository:
        """A repository this request may see.

        An anonymous request for a missing or private one gets 401, as on the real Hub. There the client takes any 401
        of an https address for "not found"; over plain http it needs the code that goes with the 404.
        """
        account = self._account(request)
        repository = self.repositories.get(repo_id)
        allowed = account is not None and repo_id in account.repositories
        if repository is None or (repository.private and not allowed):
            status, message = (404, "Repository not found") if account else (401, "Invalid username or password.")
            raise HubError(status, message, "RepoNotFound")
        return repository

    def _commit(self, repository: Repository, revision: str) -> Commit:
        commit = repository.find(revision)
        if commit is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    # One method per address of the API.

    def _model_info(self, request: Request, repo_id: str, revision: str) -> Response:
        repository = self._repository(request, repo_id)
        commit = self._commit(repository, revision or "main")
        blobs = "blobs" in request.query
        siblings = [
            {"rfilename": path, **(_blob(path, commit.files[path]) if blobs else {})} for path in sorted(commit.files)
        ]
        return _json(
            {
                "_id": commit.sha[:24],
                "id": repo_id,
                "modelId": repo_id,
                "author": repo_id.partition("/")[0],
                "sha": commit.sha,
                "lastModified": COMMIT_TIME,
                "createdAt": COMMIT_TIME,
                "private": repository.private,
                "gated": "manual" if repository.gated else False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": siblings,
            }
        )

    def _tree(self, request: Request, repo_id: str, revision: str, folder: str) -> Response:
        commit = self._commit(self._repository(request, repo_id), revision)
        entries = _tree_entries(commit.files, folder, recursive=request.query.get("recursive", "").lower() == "true")
        if folder and not entries:
            raise HubError(404, f"{folder} does not exist on {revision}", "EntryNotFound")
        start = int(request.query.get("cursor", "0"))
        end = start + self.page_size
        headers = {}
        if end < len(entries):
            following = "&".join(f"{name}={quote(value)}" for name, value in request.query.items() if name != "cursor")
            headers["Link"] = f'<{self.endpoint}{request.path}?{following}&cursor={end}>; rel="next"'
        return _json(entries[start:end], headers=headers)

    def _paths_info(self, request: Request, repo_id: str, revision: str) -> Response:
        commit = self._commit(self._repository(request, repo_id), revision)
        paths = _form_or_json(request).get("paths", [])
        return _json([_tree_file(path, commit.files[path]) for path in paths if path in commit.files])

    def _refs(self, request: Request, repo_id: str) -> Response:
        repository = self._repository(request, repo_id)

        def listed(names: dict[str, str], kind: str) -> list[dict[str, str]]:
            return [{"name": name, "ref": f"{kind}{name}", "targetCommit": sha} for name, sha in names.items()]

        branches = {name: sha for name, sha in repository.branches.items() if not name.startswith("refs/")}
        pull_requests = {name: sha for name, sha in repository.branches.items() if name.startswith("refs/pr/")}
        return _json(
            {
                "branches": listed(branches, "refs/heads/"),
                "tags": listed(repository.tags, "refs/tags/"),
                "converts": [],
                "pullRequests": listed(pull_requests, ""),
            }
        )

    def _commits(self, request: Request, repo_id: str, revision: str) -> Response:
        repository = self._repository(request, repo_id)
        history = repository.history(self._commit(repository, revision))
        author = {"user": repo_id.partition("/")[0]}
        return _json(
            [
                {"id": commit.sha, "title": commit.title, "message": "", "authors": [author], "date": COMMIT_TIME}
                for commit in history
            ]
        )

    def _discussions(self, request: Request, repo_id: str) -> Response:
        """Asked for by transformers when a checkpoint has no safetensors."""
        self._repository(request, repo_id)
        return _json({"discussions": [], "count": 0, "start": 0, "numClosedDiscussions": 0})

    def _who_am_i(self, request: Request) -> Response:
        account = self._account(request)
        if account is None:
            raise HubError(401, "Invalid username or password.")
        return _json({"type": "user", "name": account.name, "orgs": [], "auth": {"type": "access_token"}})

    def _resolve(self, request: Request, repo_id: str, revision: str, path: str) -> Response:
        repository = self._repository(request, repo_id)
        commit = self._commit(repository, revision)
        self._check_gate(request, repository)
        if path not in commit.files:
            raise HubError(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit.sha})
        content = commit.files[path]
        if _is_lfs(path):
            digest = _sha256(content)
            headers = {
                "X-Repo-Commit": commit.sha,
                "X-Linked-Etag": f'"{digest}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"{self.storage_endpoint}/{digest}",
            }
            return Response(302, headers)
        return _ranged(request, content, {"X-Repo-Commit": commit.sha, "ETag": f'"{_git_hash(content)}"'})

    def _check_gate(self, request: Request, repository: Repository) -> None:
        """A gated repository is listed for all; its files need a token that was let in."""
        if not repository.gated:
            return
        account = self._account(request)
        if account is None:
            message = f"Access to model {repository.id} is restricted. You must have access to it and be authenticated."
            raise HubError(401, message, "GatedRepo")
        if repository.id not in account.repositories:
            message = f"Access to model {repository.id} is restricted and you are not in the authorized list."
            raise HubError(403, message, "GatedRepo")

    # What writes.

    def _writable(self, request: Request, repo_id: str) -> Repository:
        """A repository that the request's token may write to."""
        repository = self._repository(request, repo_id)
        account = self._account(request)
        if account is None:
            raise HubError(401, "Invalid username or password.")
        if repo_id not in account.repositories or account.reads_only:
            raise HubError(403, "You don't have the required permissions to write to this repository")
        return repository

    def _create_repository(self, request: Request) -> Response:
        asked = json.loads(request.body)
        name = "/".join(part for part in (asked.get("organization"), asked["name"]) if part)
        account = self._account(request)
        if account is None:
            raise HubError(401, "Invalid username or password.")
        if account.reads_only or name not in account.repositories:
            raise HubError(403, "You don't have the rights to create a model under this namespace")
        if name in self.repositories:
            raise HubError(409, "You already created this model repo")
        self.add_repository(name, {".gitattributes": b"*.onnx filter=lfs\n"}, private=bool(asked.get("private")))
        return _json({"url": f"{self.endpoint}/{name}", "name": name})

    def _create_branch(self, request: Request, repo_id: str, revision: str) -> Response:
        repository = self._writable(request, repo_id)
        if revision in repository.branches:
            raise HubError(409, "Branch already exists")
        start = (json.loads(request.body or b"{}") or {}).get("startingPoint") or "main"
        self.branch(repo_id, revision, start)
        return _json({})

    def _create_tag(self, request: Request, repo_id: str, revision: str) -> Response:
        repository = self._writable(request, repo_id)
        name = json.loads(request.body)["tag"]
        if name in repository.tags:
            raise HubError(409, "Tag already exists")
        repository.tags[name] = self._commit(repository, revision).sha
        return _json({})

    def _preupload(self, request: Request, repo_id: str, revision: str) -> Response:
        """Which files are large, and which the repository's .gitignore excludes."""
        repository = self._repository(request, repo_id)
        commit = self._commit(repository, revision)
        if request.query.get("create_pr") != "1":
            self._writable(request, repo_id)
        ignored = commit.files.get(".gitignore", b"").decode().split()
        return _json(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if _is_lfs(file["path"]) else "regular",
                        "shouldIgnore": any(fnmatch(file["path"], pattern) for pattern in ignored),
                        "oid": _remote_oid(file["path"], commit.files.get(file["path"])),
                    }
                    for file in json.loads(request.body)["files"]
                ]
            }
        )

    def _lfs_batch(self, request: Request, repo_id: str) -> Response:
        self._repository(request, repo_id)
        account = self._account(request)
        if account is None or account.reads_only:
            raise HubError(403, "You don't have the required permissions to write to this repository")
        objects = []
        for wanted in json.loads(request.body)["objects"]:
            answer = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self._stored_objects:
                answer["actions"] = {"upload": {"href": f"{self.storage_endpoint}/{wanted['oid']}"}}
            objects.append(answer)
        return _json({"transfer": "basic", "objects": objects})

    def _xet_token(self, request: Request, repo_id: str, revision: str) -> Response:
        """Where the client's Xet library may write, for an hour."""
        self._commit(self._writable(request, repo_id), revision)
        if self.xet is None:
            raise HubError(404, "Sorry, we can't find the page you are looking for.")
        return _json({"accessToken": "xet", "exp": int(time.time()) + 3600, "casUrl": self.xet.address})

    def _commit_operations(self, request: Request, repo_id: str, revision: str) -> Response:
        """All operations or none: every large file must have been uploaded, and the parent be the newest commit."""
        opens = request.query.get("create_pr") == "1"
        repository = self._repository(request, repo_id) if opens else self._writable(request, repo_id)
        if self._account(request) is None:
            raise HubError(401, "Invalid username or password.")
        if self.before_commit is not None:
            somebody, self.before_commit = self.before_commit, None
            somebody()
        head = self._commit(repository, revision)
        changes: dict[str, bytes | None] = {}
        title = "Upload files"
        for line in request.body.splitlines():
            key, value = (operation := json.loads(line))["key"], operation["value"]
            if key == "header":
                title = value["summary"]
                if value.get("parentCommit", head.sha) != head.sha:
                    raise HubError(412, "A commit has happened since. Please refresh and try again.")
            elif key == "file":
                changes[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                changes[value["path"]] = self._uploaded(value["oid"])
            else:
                changes[value["path"]] = None
        branch = (
            f"refs/pr/{sum(name.startswith('refs/pr/') for name in repository.branches) + 1}" if opens else revision
        )
        if opens:
            repository.branches[branch] = head.sha
        sha = self.commit(repo_id, changes, branch=branch, title=title)
        url = f"{self.endpoint}/{repo_id}"
        opened = {"pullRequestUrl": f"{url}/discussions/{branch.rpartition('/')[2]}"} if opens else {}
        return _json(
            {"success": True, "commitOid": sha, "commitUrl": f"{url}/commit/{sha}", "hookOutput": "", **opened}
        )

    def _uploaded(self, sha256: str) -> bytes:
        if sha256 not in self._stored_objects and self.xet is not None:
            self._stored_objects |= self.xet.find(sha256)
        if sha256 not in self._stored_objects:
            raise HubError(400, f"LFS pointer pointed to a file that does not exist: {sha256}")
        return self._stored_objects[sha256]

    def _validate_yaml(self, request: Request) -> Response:
        return _json({"errors": [], "warnings": []})

    def _identity(self, request: Request) -> Response:
        """GitHub's side of trusted publishing: the identity of a workflow, for the Hub to read."""
        return _json({"value": self.workflow_identity})

    def _exchange(self, request: Request) -> Response:
        """A workflow's identity for a token, for repositories that trust it."""
        asked = json.loads(request.body)
        token = self.trusted_publishers.get((asked["subject_token"], asked["resource"]))
        if token is None:
            raise HubError(403, "No trusted publisher of this repository matches the token")
        return _json({"access_token": token, "token_type": "bearer", "expires_in": 3600})

    def _stored(self, request: Request) -> Response:
        """The storage host: contents by their hash."""
        if request.method == "PUT":
            if _sha256(request.body) != request.path.removeprefix("/"):
                raise HubError(400, "The content does not have the hash of its address")
            self._stored_objects[_sha256(request.body)] = request.body
            return Response(200)
        if request.token is not None:
            raise HubError(400, "Only one auth mechanism allowed")
        content = self._stored_objects.get(request.path.removeprefix("/"))
        if content is None:
            raise HubError(404, "No such object")
        return _ranged(request, content, {})


# A name is one or two parts; the last alternative keeps `api/...` from being read as a repository.
_REPO = r"(?P<repo_id>(?!api/)[^/]+(?:/[^/]+)?)"
_API = r"/api/models/(?P<repo_id>[^/]+(?:/[^/]+)?)"
_REVISION = r"(?P<revision>[^/]+)"
ROUTES: list[tuple[tuple[str, ...], re.Pattern[str], Callable[..., Response]]] = [
    (("GET",), re.compile(r"/api/whoami-v2"), HubServer._who_am_i),
    (("GET",), re.compile(rf"{_API}/revision/{_REVISION}"), HubServer._model_info),
    (("GET",), re.compile(rf"{_API}/tree/{_REVISION}(?:/(?P<folder>.+))?"), HubServer._tree),
    (("POST",), re.compile(rf"{_API}/paths-info/{_REVISION}"), HubServer._paths_info),
    (("GET",), re.compile(rf"{_API}/commits/{_REVISION}"), HubServer._commits),
    (("GET",), re.compile(rf"{_API}/refs"), HubServer._refs),
    (("GET",), re.compile(rf"{_API}/discussions"), HubServer._discussions),
    (("GET",), re.compile(rf"{_API}(?P<revision>)"), HubServer._model_info),
    (("POST",), re.compile(r"/api/repos/create"), HubServer._create_repository),
    (("POST",), re.compile(rf"{_API}/branch/{_REVISION}"), HubServer._create_branch),
    (("POST",), re.compile(rf"{_API}/tag/{_REVISION}"), HubServer._create_tag),
    (("POST",), re.compile(rf"{_API}/preupload/{_REVISION}"), HubServer._preupload),
    (("GET",), re.compile(rf"{_API}/xet-write-token/{_REVISION}"), HubServer._xet_token),
    (("POST",), re.compile(rf"{_API}/commit/{_REVISION}"), HubServer._commit_operations),
    (("POST",), re.compile(rf"/{_REPO}\.git/info/lfs/objects/batch"), HubServer._lfs_batch),
    (("POST",), re.compile(r"/api/validate-yaml"), HubServer._validate_yaml),
    (("GET",), re.compile(r"/actions/identity"), HubServer._identity),
    (("POST",), re.compile(r"/oauth/token"), HubServer._exchange),
    (("GET", "HEAD"), re.compile(rf"/{_REPO}/resolve/{_REVISION}/(?P<path>.+)"), HubServer._resolve),
]


# --- helpers ----------------------------------------------------------------------------------------------------------


def _folder_contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _commit_hash(repo_id: str, parent: str | None, title: str, files: Mapping[str, bytes], *, number: int) -> str:
    digest = hashlib.sha1(f"{repo_id} {parent} {title} {number}".encode())
    for path in sorted(files):
        digest.update(f"{path} {_git_hash(files[path])}".encode())
    return digest.hexdigest()


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _xet_hex(hash_bytes: bytes) -> str:
    """A hash as Xet writes it: four numbers of 64 bits, the lowest byte first."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", hash_bytes))


def _is_lfs(path: str) -> bool:
    return path.endswith(LFS_SUFFIXES)


def _blob(path: str, content: bytes) -> dict[str, Any]:
    """A file as model info lists it."""
    lfs = {"lfs": {"size": len(content), "sha256": _sha256(content), "pointerSize": 134}}
    return {"size": len(content), "blobId": _git_hash(content), **(lfs if _is_lfs(path) else {})}


def _remote_oid(path: str, content: bytes | None) -> str | None:
    if content is None:
        return None
    return _sha256(content) if _is_lfs(path) else _git_hash(content)


def _tree_file(path: str, content: bytes) -> dict[str, Any]:
    """A file as the tree lists it, where the LFS hash is called oid."""
    lfs = {"lfs": {"size": len(content), "oid": _sha256(content), "pointerSize": 134}}
    entry = {"type": "file", "path": path, "size": len(content), "oid": _git_hash(content)}
    return entry | (lfs if _is_lfs(path) else {})


def _tree_entries(files: Mapping[str, bytes], folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    prefix = f"{folder}/" if folder else ""
    inside = sorted(path.removeprefix(prefix) for path in files if path.startswith(prefix))
    folders = sorted({str(parent) for path in inside for parent in PurePosixPath(path).parents} - {"."})
    shown = [path for path in folders if recursive or "/" not in path]
    entries: list[dict[str, Any]] = [
        {"type": "directory", "path": prefix + path, "size": 0, "oid": hashlib.sha1(path.encode()).hexdigest()}
        for path in shown
    ]
    return entries + [
        _tree_file(prefix + path, files[prefix + path]) for path in inside if recursive or "/" not in path
    ]


def _form_or_json(request: Request) -> dict[str, list[str]]:
    if request.headers.get("content-type", "").startswith("application/json"):
        parsed: dict[str, list[str]] = json.loads(request.body)
        return parsed
    return parse_qs(request.body.decode())


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(value).encode())


def _ranged(request: Request, content: bytes, headers: dict[str, str]) -> Response:
    """The whole content, or the part that ``Range: bytes=first-last`` asks for."""
    headers = {**headers, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if asked is None:
        return Response(200, headers, content)
    first, last = int(asked[1]), min(int(asked[2] or len(content) - 1), len(content) - 1)
    if first > last:
        return Response(416, {"Content-Range": f"bytes */{len(content)}"})
    return Response(
        206, {**headers, "Content-Range": f"bytes {first}-{last}/{len(content)}"}, content[first : last + 1]
    )


# --- HTTP -------------------------------------------------------------------------------------------------------------


def _address(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Clients that open many connections at once must not meet a full queue.
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, as a killed process does, is not worth a traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _serve(hub: HubServer, *, storage: bool) -> ThreadingHTTPServer:
    return _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub, "storage": storage}))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer
    storage: bool

    def _handle(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self._chunks() if "chunked" in headers.get("transfer-encoding", "") else self._sized(headers)
        if body is None:  # the client was killed while it sent: what is not whole is not acted upon
            self.close_connection = True
            return
        request = Request(self.command, self.path, headers, body, self.storage)
        fault = self.hub.take_fault(request)
        if fault is not None:
            time.sleep(fault.delay)
        response = self.hub.respond(request, fault)
        drop_after = fault.drop_after if fault is not None else None
        if drop_after is not None and drop_after < 0:
            self._break_connection()
            return
        self._send(response, drop_after)

    def _sized(self, headers: Mapping[str, str]) -> bytes | None:
        size = int(headers.get("content-length", 0))
        body = self.rfile.read(size)
        return body if len(body) == size else None

    def _chunks(self) -> bytes | None:
        body = b""
        while line := self.rfile.readline():
            size = int(line, 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return body
        return None

    do_GET = do_HEAD = do_POST = do_PUT = _handle

    def _send(self, response: Response, drop_after: int | None) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body if drop_after is None else response.body[:drop_after])
        if drop_after is not None:
            self.wfile.flush()
            # Closing in order lets the bytes already sent arrive: the client sees a body that ends too early.
            self.close_connection = True

    def _break_connection(self) -> None:
        """Reset: with a linger time of zero the kernel answers the client with RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Quiet: tests read the hub's own log."""
