"""A forge on loopback with the REST API of GitLab, GitHub or Forgejo, shapes as theirs.

with forge("gitlab", token="t") as running:
    running.place; running.requests   # as the API has them
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from builders.http_server import Answer, Received, Server, serving
from homeport.updating.forges import Kind


@dataclass
class FakeForge:
    """One project, ``group/images``, with the id 7.

    instead:  answers every request, if it is set
    unlisted: how often a list misses what is there, as if another run made it after that
    """

    kind: Kind
    server: Server
    token: str = "right"
    read_only: bool = False
    instead: Answer | None = None
    unlisted: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        """What a CI job of this forge has."""
        url = self.server.url("")
        if self.kind == "gitlab":
            return {
                "GITLAB_CI": "true", "CI_API_V4_URL": f"{url}/api/v4", "CI_SERVER_URL": url,
                "CI_PROJECT_PATH": "group/images",
            }  # fmt: skip
        found = {
            "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": url, "GITHUB_API_URL": f"{url}/api/v3",
            "GITHUB_REPOSITORY": "group/images",
        }  # fmt: skip
        return found if self.kind == "github" else {**found, "FORGEJO_ACTIONS": "true"}

    @property
    def _base(self) -> str:
        return {
            "gitlab": "/api/v4/projects/group%2Fimages/merge_requests",
            "github": "/api/v3/repos/group/images/pulls",
            "forgejo": "/api/v1/repos/group/images/pulls",
        }[self.kind]

    def answer(self, request: Received) -> Answer:
        if self.instead is not None:
            return self.instead
        scheme = "token" if self.kind == "forgejo" else "Bearer"
        if request.headers.get("authorization") != f"{scheme} {self.token}":
            return _json({"message": "401 Unauthorized"}, 401)
        split = urlsplit(request.path)
        self.asked.append(f"{request.method} {split.path.removeprefix(self._base)}")
        assert split.path.startswith(self._base), split.path
        body = json.loads(request.body) if request.body else {}
        if request.method == "GET":
            return _json(self._found(parse_qs(split.query)))
        if self.read_only:
            return _json({"message": "403 Forbidden"}, 403)
        if request.method == "POST":
            if any(self._is_open(one, body) for one in self.requests):
                return _json(_EXISTS[self.kind], 422 if self.kind == "github" else 409)
            return _json(self._made(body), 201)
        assert request.method == ("PUT" if self.kind == "gitlab" else "PATCH")
        number = int(split.path.rpartition("/")[2])
        one = next(r for r in self.requests if r.get("iid", r.get("number")) == number)
        one.update({key: value for key, value in body.items() if key != "state_event"})
        if body.get("state_event") == "close":
            one["state"] = "closed"
        return _json(one)

    def _is_open(self, one: dict[str, Any], body: dict[str, Any]) -> bool:
        if self.kind == "gitlab":
            mine = one["source_project_id"] == 7 and one["source_branch"] == body["source_branch"]
            return mine and one["state"] == "opened"
        mine = one["head"]["repo"]["id"] == 7 and one["head"]["ref"] == body["head"]
        return mine and one["state"] == "open"

    def _found(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        if self.unlisted:
            self.unlisted -= 1
            return []
        newest = self.requests[::-1]
        if self.kind == "gitlab":
            return [r for r in newest if [r["source_branch"]] == query["source_branch"]]
        if self.kind == "github":
            return [r for r in newest if [r["head"]["label"]] == query["head"]]
        first = (int(query["page"][0]) - 1) * 30  # what a server gives at most is its own affair
        return newest[first : first + 30]

    def others(self, count: int) -> None:
        """Requests of other branches, newer than ours."""
        for number in range(count):
            self._made(_body(self.kind, f"topic-{number}"))

    def fork(self, branch: str) -> dict[str, Any]:
        """A stranger's request from a branch of that name in a fork."""
        one = self._made(_body(self.kind, branch))
        if self.kind == "gitlab":
            one["source_project_id"] = 8
        else:
            label = "stranger:" + branch if self.kind == "github" else branch
            one["head"] |= {"repo": {"id": 8}, "repo_id": 8, "label": label}
        return one

    def delete_branch(self) -> None:
        """The branch of the newest request is deleted, as people do who close one."""
        if self.kind == "forgejo":
            one = self.requests[-1]
            one["head"]["ref"] = f"refs/pull/{one['number']}/head"

    def _made(self, body: dict[str, Any]) -> dict[str, Any]:
        number = len(self.requests) + 1
        if self.kind == "gitlab":
            url = self.server.url(f"/group/images/-/merge_requests/{number}")
            one = {
                **body, "iid": number, "id": 900 + number, "state": "opened", "web_url": url,
                "project_id": 7, "source_project_id": 7, "target_project_id": 7,
            }  # fmt: skip
        else:
            url = self.server.url(f"/group/images/pulls/{number}")
            label = f"group:{body['head']}" if self.kind == "github" else body["head"]
            head = {"ref": body["head"], "label": label, "repo": {"id": 7}, "repo_id": 7}
            one = {
                **body, "number": number, "state": "open", "html_url": url, "head": head,
                "base": {"ref": body["base"], "label": body["base"], "repo": {"id": 7},
                         "repo_id": 7},
                "merged_at": None,
            }  # fmt: skip
        self.requests.append(one)
        return one


#: What the three say if the branch has an open request: GitLab, GitHub, Gitea and Forgejo.
_EXISTS: dict[Kind, dict[str, Any]] = {
    "gitlab": {"message": ["Another open merge request already exists for this source branch: !1"]},
    "github": {
        "message": "Validation Failed",
        "errors": [{"message": "A pull request already exists for group:homeport/update."}],
    },
    "forgejo": {"message": "pull request already exists for these targets"},
}


def _body(kind: Kind, branch: str) -> dict[str, Any]:
    if kind == "gitlab":
        return {"source_branch": branch, "target_branch": "main", "title": "T", "description": "D"}
    return {"head": branch, "base": "main", "title": "T", "body": "D"}


def _json(document: Any, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


class EveryPath(dict[str, Callable[[Received], Answer]]):
    """Answers whatever is asked."""

    def __init__(self, answer: Callable[[Received], Answer]) -> None:
        super().__init__()
        self._answer = answer

    def get(self, key: str, default: Any = None) -> Any:
        return self._answer

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: str) -> Callable[[Received], Answer]:
        return self._answer


@contextmanager
def forge(kind: Kind) -> Iterator[FakeForge]:
    """The forge while the block runs."""
    with serving() as server:
        running = FakeForge(kind=kind, server=server)
        server.answers = EveryPath(running.answer)
        yield running
