"""Merge requests of GitLab, GitHub and Forgejo (Gitea): found by branch, made, changed, closed.

One fixed branch has at most one open request. A request that a person closed is not opened
again for the same content: the content's mark stands in its text. A request from a fork is never
ours, whatever its branch is called. Tokens come from HOMEPORT_FORGE_TOKEN and are sent to the
forge's own host only.

Fields are those of the published descriptions: GitLab's "Merge requests API", GitHub's "REST API
endpoints for pull requests", and the swagger of Gitea and Forgejo.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from homeport.errors import HomeportError, Interrupted, UsageError
from homeport.gitprogram import without_login
from homeport.net.client import Client
from homeport.net.retries import READ, TOKEN
from homeport.net.url import Url
from homeport.printable import printable

Kind = Literal["gitlab", "github", "forgejo"]
T = TypeVar("T")
_LIMIT = 8 << 20
_PAGES = 20  # of Forgejo's requests, which cannot be asked for by branch
_SCP = re.compile(r"(?:[\w.-]+@)?([\w.-]+):(?!//)(.+)")
_MARK = re.compile(r"<!-- homeport-update ([0-9a-f]{40,64}) -->")


class ForgeRefused(HomeportError):
    """The forge does not answer, or its answer is no. ``status``: of its answer, or 0."""

    id = "forge"

    def __init__(self, what: str, *, status: int = 0, hint: str | None = None) -> None:
        super().__init__(what, hint=hint)
        self.status = status

    @property
    def exists(self) -> bool:
        """Whether there may be such a request already: another run opened it, or this one did
        before its answer was lost. GitHub says 422, the others 409.
        """
        return self.status in (409, 422)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A project of a forge.

    api:     base address of its API
    web:     base address for people
    project: path, such as ``group/images``
    """

    kind: Kind
    api: str
    web: str
    project: str

    def link(self, branch: str, target: str) -> str:
        """Where a person opens the request by hand."""
        one, two = quote(branch, safe=""), quote(target, safe="")
        if self.kind == "gitlab":
            ask = f"merge_request[source_branch]={one}&merge_request[target_branch]={two}"
            return f"{self.web}/{self.project}/-/merge_requests/new?{ask}"
        more = "?expand=1" if self.kind == "github" else ""
        return f"{self.web}/{self.project}/compare/{two}...{one}{more}"

    def push_options(self, target: str, title: str, mark: str) -> tuple[str, ...]:
        """What asks GitLab to open the request as the branch is pushed, without its API.

        Git takes no line break in them, so the text is in the commit's message alone.
        """
        if self.kind != "gitlab":
            return ()
        text = "What changes and what it fixes is in the message of the commit."
        return (
            "merge_request.create", f"merge_request.target={target}",
            f"merge_request.title={title}", f"merge_request.description={text} {mark}",
            "merge_request.remove_source_branch",
        )  # fmt: skip


class OpenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A merge request as the forge has it."""

    number: int
    state: Literal["open", "closed", "merged"]
    title: str
    text: str
    url: str

    @property
    def mark(self) -> str:
        """Of the last one: the text quotes the news of packages, which may spell another."""
        found = _MARK.findall(self.text)
        return found[-1] if found else ""


def mark_of(tree: str) -> str:
    """The line of a request's text that says which content it is of."""
    return f"<!-- homeport-update {tree} -->"


def find_place(remote: str, environment: Mapping[str, str], kind: Kind | None = None) -> Place:
    """The forge of a remote: by the variables of CI, by ``kind``, or by its host's name.

    Raises ``UsageError`` where nothing tells.
    """
    host, project, web = _parts(remote)
    if environment.get("GITLAB_CI") and kind in (None, "gitlab"):
        return Place(
            kind="gitlab",
            api=environment.get("CI_API_V4_URL") or f"{web}/api/v4",
            web=environment.get("CI_SERVER_URL") or web,
            project=environment.get("CI_PROJECT_PATH") or project,
        )
    if environment.get("GITHUB_ACTIONS") and kind != "gitlab":
        url = environment.get("GITHUB_SERVER_URL") or web
        name = environment.get("GITHUB_REPOSITORY") or project
        own = any(environment.get(n) for n in ("FORGEJO_ACTIONS", "GITEA_ACTIONS"))
        if own or kind == "forgejo":
            return Place(kind="forgejo", api=f"{url}/api/v1", web=url, project=name)
        api = environment.get("GITHUB_API_URL") or "https://api.github.com"
        return Place(kind="github", api=api, web=url, project=name)
    if not host:
        raise UsageError(
            f"the remote {printable(without_login(remote))} is not at a forge: a request cannot be"
            " opened there",
            hint="name another remote: --remote NAME",
        )
    if kind is None:
        kind = _by_host(host)
    api = {"gitlab": f"{web}/api/v4", "forgejo": f"{web}/api/v1"}.get(kind) or (
        "https://api.github.com" if host == "github.com" else f"{web}/api/v3"
    )
    return Place(kind=kind, api=api, web=web, project=project)


def _by_host(host: str) -> Kind:
    words = host.lower().split(".")
    if "gitlab" in words:
        return "gitlab"
    if "github" in words:
        return "github"
    if "codeberg" in words or "forgejo" in words or "gitea" in words:
        return "forgejo"
    raise UsageError(
        f"cannot tell which forge {host or 'the remote'} is",
        hint="name it: --forge gitlab, github or forgejo",
    )


def _parts(remote: str) -> tuple[str, str, str]:
    """Host, project and web address of a remote, without a password."""
    split = urlsplit(remote)
    if split.scheme in ("http", "https", "ssh", "git") and split.hostname:
        host, path = split.hostname, split.path
        scheme = "http" if split.scheme == "http" else "https"
        port = f":{split.port}" if split.port and split.scheme.startswith("http") else ""
        web = f"{scheme}://{host}{port}"
    elif match := _SCP.fullmatch(remote):
        host, path = match[1], match[2]
        web = f"https://{host}"
    else:
        host, path, web = "", remote, ""
    return host, path.strip("/").removesuffix(".git"), web


class Forge(Protocol):
    """What the three have in common."""

    def find(self, branch: str) -> list[OpenRequest]:
        """The requests of a branch of the project itself, newest first."""

    def create(self, branch: str, target: str, title: str, text: str) -> OpenRequest: ...

    def change(self, request: OpenRequest, title: str, text: str) -> OpenRequest: ...

    def close(self, request: OpenRequest) -> None: ...


def open_forge(place: Place, token: str, client: Client) -> Forge:
    """The forge at ``place``, asked with ``token``."""
    api = _Api(place=place, token=token, client=client)
    return _GitLab(api) if place.kind == "gitlab" else _Pulls(api)


class _Said(msgspec.Struct, frozen=True):
    """What a forge says of an error; GitLab's ``message`` may be a list or an object."""

    message: object = ""
    error: object = ""
    error_description: object = ""


_SAID = msgspec.json.Decoder(_Said)


class _Api(msgspec.Struct, frozen=True, kw_only=True):
    place: Place
    token: str
    client: Client

    def __repr__(self) -> str:
        return f"_Api({self.place})"

    def ask(
        self, method: str, path: str, decoder: msgspec.json.Decoder[T],
        body: Mapping[str, object] | None = None,
    ) -> T:  # fmt: skip
        """The document of an answer. Raises ``ForgeRefused``."""
        target = Url.parse(f"{self.place.api}/{path}")
        if target.scheme != "https" and not target.is_loopback:
            raise ForgeRefused(f"a token is not sent to {self.place.api} without TLS")
        headers = {"Accept": "application/json", "User-Agent": "homeport"}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = msgspec.json.encode(body)

        def authorize(hop: Url) -> str | None:
            own = (hop.scheme, hop.netloc) == (target.scheme, target.netloc)
            scheme = "token" if self.place.kind == "forgejo" else "Bearer"
            return f"{scheme} {self.token}" if own else None

        try:
            with self.client.request(
                method, target, headers=headers, body=data,
                rule=READ if method == "GET" else TOKEN, authorize=authorize,
            ) as response:  # fmt: skip
                status, received = response.status, response.headers
                answer = response.read_json(_LIMIT, "the answer of its API")
        except Interrupted:
            raise
        except HomeportError as error:
            raise ForgeRefused(f"{self.place.web}: {error.what}", hint=error.hint) from error
        if status not in (200, 201):
            raise self._refused(status, received, answer)
        try:
            return decoder.decode(answer)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise ForgeRefused(
                f"{self.place.web}: the answer of {self.place.api} is not that of"
                f" {_NAMES[self.place.kind]}: {printable(str(error))}",
                hint="name the forge: --forge gitlab, github or forgejo",
            ) from error

    def _refused(self, status: int, headers: Mapping[str, str], answer: bytes) -> ForgeRefused:
        reason = _reason(answer)
        if status == 429 or (status == 403 and _is_limited(headers, reason)):
            return ForgeRefused(
                f"{self.place.web} limits requests{_until(headers)}: {reason}", status=status,
                hint="run the same command later; what was pushed is found then",
            )  # fmt: skip
        hints = {
            401: "the token is wrong or has expired: renew HOMEPORT_FORGE_TOKEN",
            403: "the token in HOMEPORT_FORGE_TOKEN may not open merge requests: it needs the "
            "scope for the API, and a role that may push",
            404: f"the token does not see the project {self.place.project}",
        }
        what = f"{self.place.web}: status {status}: {reason}"
        return ForgeRefused(what, status=status, hint=hints.get(status))


_NAMES: Mapping[Kind, str] = {"gitlab": "GitLab", "github": "GitHub", "forgejo": "Forgejo"}


def _reason(answer: bytes) -> str:
    """The forge's own words, on one line."""
    try:
        said = _SAID.decode(answer)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return printable(answer[:200].decode("utf-8", "replace"))
    words = said.error_description or said.message or said.error
    text = words if isinstance(words, str) else msgspec.json.encode(words).decode()
    return printable(text[:200]) or "no reason given"


def _is_limited(headers: Mapping[str, str], reason: str) -> bool:
    """GitHub answers 403 for its limits, too ("Rate limits for the REST API")."""
    none_left = headers.get("x-ratelimit-remaining") == "0"
    return none_left or "retry-after" in headers or "rate limit" in reason.lower()


def _until(headers: Mapping[str, str]) -> str:
    """`` until TIME`` by GitHub's or GitLab's header, in seconds since 1970."""
    text = headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset") or ""
    if not re.fullmatch("[0-9]{9,11}", text):
        return ""
    return f" until {datetime.fromtimestamp(int(text), UTC):%Y-%m-%d %H:%M} UTC"


class _MergeRequest(msgspec.Struct, frozen=True):
    """GitLab's. state: opened, closed, merged, or for moments locked."""

    iid: int
    state: str
    web_url: str = ""
    title: str = ""
    description: str | None = None
    source_project_id: int | None = None
    target_project_id: int = 0

    @property
    def own(self) -> bool:
        return self.source_project_id == self.target_project_id

    def read(self) -> OpenRequest:
        states: dict[str, Literal["open", "closed", "merged"]] = {
            "merged": "merged", "closed": "closed",
        }  # fmt: skip
        return OpenRequest(
            number=self.iid, state=states.get(self.state, "open"), title=self.title,
            text=self.description or "", url=self.web_url,
        )  # fmt: skip


_MERGE_REQUEST = msgspec.json.Decoder(_MergeRequest)
_MERGE_REQUESTS = msgspec.json.Decoder(list[_MergeRequest])


class _GitLab:
    """GitLab, API v4: merge requests."""

    def __init__(self, api: _Api) -> None:
        self._api = api
        self._path = f"projects/{quote(api.place.project, safe='')}/merge_requests"

    def find(self, branch: str) -> list[OpenRequest]:
        name = quote(branch, safe="")
        query = f"source_branch={name}&state=all&order_by=created_at&sort=desc&per_page=100"
        found = self._api.ask("GET", f"{self._path}?{query}", _MERGE_REQUESTS)
        return [one.read() for one in found if one.own]

    def create(self, branch: str, target: str, title: str, text: str) -> OpenRequest:
        body = {
            "source_branch": branch, "target_branch": target, "title": title,
            "description": text, "remove_source_branch": True,
        }  # fmt: skip
        return self._api.ask("POST", self._path, _MERGE_REQUEST, body).read()

    def change(self, request: OpenRequest, title: str, text: str) -> OpenRequest:
        return self._put(request, {"title": title, "description": text})

    def close(self, request: OpenRequest) -> None:
        self._put(request, {"state_event": "close"})

    def _put(self, request: OpenRequest, body: Mapping[str, object]) -> OpenRequest:
        path = f"{self._path}/{request.number}"
        return self._api.ask("PUT", path, _MERGE_REQUEST, body).read()


class _Repo(msgspec.Struct, frozen=True):
    id: int


class _Side(msgspec.Struct, frozen=True):
    """Head or base. Once the branch is deleted Forgejo's ``ref`` is ``refs/pull/N/head``, while
    ``label`` still is the branch; GitHub's label is ``OWNER:BRANCH``.
    """

    ref: str = ""
    label: str | None = None
    repo: _Repo | None = None
    repo_id: int | None = None

    @property
    def repository(self) -> int | None:
        return self.repo.id if self.repo else self.repo_id


class _Pull(msgspec.Struct, frozen=True):
    """GitHub's and Forgejo's. state: open or closed; of merged ones ``merged_at`` is set."""

    number: int
    state: str
    head: _Side
    base: _Side
    html_url: str = ""
    title: str = ""
    body: str | None = None
    merged_at: str | None = None

    def is_of(self, branch: str) -> bool:
        """Whether it is of this branch of the project itself, not of a fork."""
        own = self.head.repository is not None and self.head.repository == self.base.repository
        return own and branch in (self.head.ref, self.head.label)

    def read(self) -> OpenRequest:
        done: Literal["closed", "merged"] = "merged" if self.merged_at else "closed"
        return OpenRequest(
            number=self.number, state="open" if self.state == "open" else done, title=self.title,
            text=self.body or "", url=self.html_url,
        )  # fmt: skip


_PULL = msgspec.json.Decoder(_Pull)
_PULLS = msgspec.json.Decoder(list[_Pull])


class _Pulls:
    """GitHub's pull requests, and Forgejo's and Gitea's, which follow them."""

    def __init__(self, api: _Api) -> None:
        self._api = api
        self._path = f"repos/{quote(api.place.project, safe='/')}/pulls"

    def find(self, branch: str) -> list[OpenRequest]:
        if self._api.place.kind == "github":
            owner = self._api.place.project.partition("/")[0]
            head = quote(f"{owner}:{branch}", safe="")
            query = f"state=all&head={head}&sort=created&direction=desc&per_page=100"
            found = self._api.ask("GET", f"{self._path}?{query}", _PULLS)
        else:
            found = self._pages(branch)
        own = [one.read() for one in found if one.is_of(branch)]
        return sorted(own, key=lambda one: one.number, reverse=True)

    def _pages(self, branch: str) -> list[_Pull]:
        """Those that changed last first, up to an open one of the branch."""
        found: list[_Pull] = []
        for page in range(1, _PAGES + 1):
            query = f"state=all&sort=recentupdate&limit=50&page={page}"
            some = self._api.ask("GET", f"{self._path}?{query}", _PULLS)
            found += some
            if not some or any(one.state == "open" and one.is_of(branch) for one in some):
                break
        return found

    def create(self, branch: str, target: str, title: str, text: str) -> OpenRequest:
        body = {"title": title, "head": branch, "base": target, "body": text}
        return self._api.ask("POST", self._path, _PULL, body).read()

    def change(self, request: OpenRequest, title: str, text: str) -> OpenRequest:
        return self._patch(request, {"title": title, "body": text})

    def close(self, request: OpenRequest) -> None:
        self._patch(request, {"state": "closed"})

    def _patch(self, request: OpenRequest, body: Mapping[str, object]) -> OpenRequest:
        return self._api.ask("PATCH", f"{self._path}/{request.number}", _PULL, body).read()
