"""The part of GitHub's API that the action talks to: a server on localhost with state, permissions and faults.

The real PyGithub client talks to it over HTTP. ``GitHubServer`` holds the state of one repository; faults are answers
that stand in a queue and are given before the server does what was asked, or after (a lost answer).
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "team/models"
BODY_LIMIT = 65_536
BOT = {"login": "github-actions[bot]", "type": "Bot", "id": 41898282}


@dataclass
class Fault:
    """What happens to the next request whose method and path fit.

    ``status`` None breaks the connection; ``afterwards`` does what was asked first, so that only the answer is lost.
    """

    status: int | None
    method: str = ""
    path: str = ""
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    afterwards: bool = False

    def fits(self, method: str, path: str) -> bool:
        return self.method in ("", method) and re.search(self.path, path) is not None


class GitHubServer:
    """One repository with its pull requests and their comments. ``rights`` are those of the token ``secret``."""

    token = "ghs_secretOfThisRun"

    def __init__(self) -> None:
        self.comments: dict[int, dict[str, Any]] = {}
        self.pulls: list[dict[str, Any]] = []
        self.may_write = True
        self.endless = False  # each page names a next one
        self.faults: deque[Fault] = deque()
        self.requests: list[tuple[str, str]] = []
        self.assets: dict[int, dict[str, bytes]] = {}  # by release, name to content
        self.before_create: Callable[[], None] | None = None
        self.body_limit = BODY_LIMIT
        self._next_id = 1
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._scheme = "http"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def api_url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}/api/v3"

    def speak_tls(self, certificate: Path, key: Path) -> None:
        """As an Enterprise Server with a certificate of its own; before it starts."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https"

    def __enter__(self) -> GitHubServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add_comment(self, body: str, *, issue: int = 1, user: dict[str, Any] | None = None) -> int:
        with self._lock:
            number = self._next_id
            self._next_id += 1
            self.comments[number] = {"id": number, "issue": issue, "body": body, "user": user or BOT}
            return number

    def add_pull(self, number: int, sha: str, *, branch: str = "change", repository: str = REPOSITORY) -> None:
        head = {
            "sha": sha,
            "ref": branch,
            "label": f"{repository.split('/', maxsplit=1)[0]}:{branch}",
            "repo": {"full_name": repository, "url": f"{self.api_url}/repos/{repository}"},
        }
        self.pulls.append({"number": number, "state": "open", "head": head, "url": self._url(f"pulls/{number}")})

    def bodies(self, issue: int = 1) -> list[str]:
        return [comment["body"] for comment in self.comments.values() if comment["issue"] == issue]

    def count(self, method: str) -> int:
        return sum(1 for asked, _ in self.requests if asked == method)

    def _url(self, place: str) -> str:
        return f"{self.api_url}/repos/{REPOSITORY}/{place}"

    def shown(self, comment: dict[str, Any]) -> dict[str, Any]:
        return {
            **{key: comment[key] for key in ("id", "body", "user")},
            "url": self._url(f"issues/comments/{comment['id']}"),
            "html_url": f"https://github.com/{REPOSITORY}/pull/{comment['issue']}#issuecomment-{comment['id']}",
        }

    def respond(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON and headers for one request with a good token."""
        with self._lock:
            if path == "/api/graphql":
                return 200, {"data": {"viewer": {"login": "github-actions"}}}, {}
            place = path.removeprefix(f"/api/v3/repos/{REPOSITORY}")
            if place == "/pulls":
                found = [one for one in self.pulls if one["head"]["label"].casefold() == query["head"].casefold()]
                return self._page(found, path, query)
            if match := re.fullmatch(r"/issues/(\d+)/comments", place):
                return self._comments(method, int(match[1]), path, query, body)
            if match := re.fullmatch(r"/issues/comments/(\d+)", place):
                return self._comment(method, int(match[1]), body)
            if match := re.fullmatch(r"/releases/(\d+)(/assets)?(?:/(.+))?", place):
                return self._release(method, int(match[1]), bool(match[2]), query | {"place": match[3] or ""}, body)
            return 404, {"message": "Not Found"}, {}

    def _release(
        self, method: str, number: int, assets: bool, query: dict[str, str], body: Any
    ) -> tuple[int, Any, dict[str, str]]:
        kept = self.assets.setdefault(number, {})
        url = self._url(f"releases/{number}")
        if not assets:
            return 200, {"id": number, "url": url, "upload_url": f"{url}/assets{{?name,label}}"}, {}
        if method == "GET":
            return 200, [{"name": name, "url": f"{url}/assets/{name}"} for name in kept], {}
        if not self.may_write:
            return 403, {"message": "Resource not accessible by integration"}, {}
        if method == "DELETE":
            del kept[query["place"]]
            return 204, None, {}
        if query["name"] in kept:
            return 422, {"message": "Validation Failed", "errors": [{"code": "already_exists"}]}, {}
        kept[query["name"]] = body
        return 201, {"name": query["name"], "url": f"{url}/assets/{query['name']}"}, {}

    def _comments(
        self, method: str, issue: int, path: str, query: dict[str, str], body: Any
    ) -> tuple[int, Any, dict[str, str]]:
        if method == "GET":
            found = [self.shown(comment) for comment in self.comments.values() if comment["issue"] == issue]
            return self._page(found, path, query)
        if refused := self._refused(body):
            return refused
        if self.before_create is not None:
            self.before_create()
            self.before_create = None
        return 201, self.shown(self.comments[self.add_comment(body["body"], issue=issue)]), {}

    def _comment(self, method: str, number: int, body: Any) -> tuple[int, Any, dict[str, str]]:
        if number not in self.comments:
            return 404, {"message": "Not Found"}, {}
        if refused := self._refused(body):
            return refused
        if method == "DELETE":
            del self.comments[number]
            return 204, None, {}
        self.comments[number]["body"] = body["body"]
        return 200, self.shown(self.comments[number]), {}

    def _refused(self, body: Any) -> tuple[int, Any, dict[str, str]] | None:
        if not self.may_write:
            return 403, {"message": "Resource not accessible by integration"}, {}
        if body and len(body["body"]) > self.body_limit:
            return 422, {"message": "Validation Failed", "errors": [{"code": "custom", "field": "body"}]}, {}
        return None

    def _page(self, found: list[Any], path: str, query: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        page, size = int(query.get("page", "1")), int(query.get("per_page", "30"))
        end = page * size
        address = f"{self.api_url.removesuffix('/api/v3')}{path}?per_page={size}&page={page + 1}"
        more = "".join(f"&{key}={value}" for key, value in query.items() if key not in ("page", "per_page"))
        headers = {"Link": f'<{address}{more}>; rel="next"'} if end < len(found) or self.endless else {}
        return 200, found[:size] if self.endless else found[end - size : end], headers

    def take_fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self.requests.append((method, path))
            if self.faults and self.faults[0].fits(method, path):
                return self.faults.popleft()
            return None


def _handler_of(server: GitHubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            address = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(address.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            body = raw if "/assets" in address.path else json.loads(raw) if raw else None
            fault = server.take_fault(self.command, address.path)
            if fault is not None and not fault.afterwards:
                return self._fail(fault)
            if self.headers.get("Authorization") not in (f"Bearer {server.token}", f"token {server.token}"):
                return self._send(401, {"message": "Bad credentials"}, {})
            answer = server.respond(self.command, address.path, query, body)
            return self._fail(fault) if fault is not None else self._send(*answer)

        def _fail(self, fault: Fault) -> None:
            if fault.status is None:
                self.close_connection = True
                self.connection.close()
                return
            self._send(fault.status, {"message": "fault"} if fault.body == {} else fault.body, fault.headers)

        def _send(self, status: int, content: Any, headers: dict[str, str]) -> None:
            raw = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PATCH = do_DELETE = _handle

        def log_message(self, *_: object) -> None:
            """Nothing: the test looks at the state."""

    return Handler
