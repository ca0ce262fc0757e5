"""Merge requests of GitLab, GitHub and Forgejo (Gitea): found by branch, made, changed, closed.

One fixed branch has at most one open request. A request that a person closed is not opened
again for the same content: the content's mark stands in its text. Tokens come from
HOMEPORT_FORGE_TOKEN and are sent to the forge's own host only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Protocol
from urllib.parse import quote, urlsplit

import msgspec

from homeport.errors import HomeportError, Interrupted, UsageError
from homeport.net.client import Client
from homeport.net.retries import READ, TOKEN
from homeport.net.url import Url
from homeport.printable import printable

Kind = Literal["gitlab", "github", "forgejo"]
_LIMIT = 8 << 20
_SCP = re.compile(r"(?:[\w.-]+@)?([\w.-]+):(?!//)(.+)")
_MARK = re.compile(r"<!-- homeport-update ([0-9a-f]{40,64}) -->")


class ForgeRefused(HomeportError):
    """The forge does not answer, or its answer is no."""

    id = "forge"


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
        found = _MARK.search(self.text)
        return found[1] if found else ""


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
            f"the remote {printable(remote)} is not at a forge: a request cannot be opened there",
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
        """All requests of a branch, newest first."""

    def create(self, branch: str, target: str, title: str, text: str) -> OpenRequest: ...

    def change(self, request: OpenRequest, title: str, text: str) -> OpenRequest: ...

    def close(self, request: OpenRequest) -> None: ...


def open_forge(place: Place, token: str, client: Client) -> Forge:
    """The forge at ``place``, asked with ``token``."""
    api = _Api(place=place, token=token, client=client)
    return _GitLab(api) if place.kind == "gitlab" else _Pulls(api)


class _Api(msgspec.Struct, frozen=True, kw_only=True):
    place: Place
    token: str
    client: Client

    def __repr__(self) -> str:
        return f"_Api({self.place})"

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
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
                status = response.status
                answer = response.read_all(_LIMIT, "the forge's answer")
        except Interrupted:
            raise
        except HomeportError as error:
            raise ForgeRefused(f"{self.place.web}: {error.what}", hint=error.hint) from error
        if status not in (200, 201, 204):
            raise self._refused(status, answer)
        try:
            return msgspec.json.decode(answer) if answer else None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise ForgeRefused(f"{self.place.web}: the answer is not JSON") from error

    def _refused(self, status: int, answer: bytes) -> ForgeRefused:
        hints = {
            401: "the token is wrong or has expired: renew HOMEPORT_FORGE_TOKEN",
            403: "the token in HOMEPORT_FORGE_TOKEN may not open merge requests: it needs the "
            "scope for the API, and a role that may push",
            404: f"the token does not see the project {self.place.project}",
        }
        reason = printable(answer[:200].decode("utf-8", "replace"))
        return ForgeRefused(f"{self.place.web}: status {status}: {reason}", hint=hints.get(status))


class _GitLab:
    """GitLab, API v4: merge requests."""

    def __init__(self, api: _Api) -> None:
        self._api = api
        self._path = f"projects/{quote(api.place.project, safe='')}/merge_requests"

    def find(self, branch: str) -> list[OpenRequest]:
        name = quote(branch, safe="")
        query = f"source_branch={name}&state=all&order_by=created_at&sort=desc&per_page=20"
        return [self._read(found) for found in self._api.ask("GET", f"{self._path}?{query}")]

    def create(self, branch: str, target: str, title: str, text: str) -> OpenRequest:
        body = {
            "source_branch": branch, "target_branch": target, "title": title,
            "description": text, "remove_source_branch": True,
        }  # fmt: skip
        return self._read(self._api.ask("POST", self._path, body))

    def change(self, request: OpenRequest, title: str, text: str) -> OpenRequest:
        body = {"title": title, "description": text}
        return self._read(self._api.ask("PUT", f"{self._path}/{request.number}", body))

    def close(self, request: OpenRequest) -> None:
        self._api.ask("PUT", f"{self._path}/{request.number}", {"state_event": "close"})

    def _read(self, found: Any) -> OpenRequest:
        state = str(_field(found, "state"))
        return OpenRequest(
            number=int(_field(found, "iid")),
            state="merged" if state == "merged" else "open" if state == "opened" else "closed",
            title=str(found.get("title") or ""),
            text=str(found.get("description") or ""),
            url=str(found.get("web_url") or ""),
        )


class _Pulls:
    """GitHub's pull requests, and Forgejo's and Gitea's, which follow them."""

    def __init__(self, api: _Api) -> None:
        self._api = api
        self._path = f"repos/{quote(api.place.project, safe='/')}/pulls"

    def find(self, branch: str) -> list[OpenRequest]:
        owner = self._api.place.project.partition("/")[0]
        query = "state=all"
        if self._api.place.kind == "github":
            query += f"&head={quote(f'{owner}:{branch}', safe='')}&sort=created&direction=desc"
        found = self._api.ask("GET", f"{self._path}?{query}")
        own = [one for one in found if (one.get("head") or {}).get("ref") == branch]
        return sorted(map(self._read, own), key=lambda one: one.number, reverse=True)

    def create(self, branch: str, target: str, title: str, text: str) -> OpenRequest:
        body = {"title": title, "head": branch, "base": target, "body": text}
        return self._read(self._api.ask("POST", self._path, body))

    def change(self, request: OpenRequest, title: str, text: str) -> OpenRequest:
        body = {"title": title, "body": text}
        return self._read(self._api.ask("PATCH", f"{self._path}/{request.number}", body))

    def close(self, request: OpenRequest) -> None:
        self._api.ask("PATCH", f"{self._path}/{request.number}", {"state": "closed"})

    def _read(self, found: Any) -> OpenRequest:
        merged = found.get("merged_at") or found.get("merged")
        state: Literal["open", "closed", "merged"] = "merged" if merged else "closed"
        if _field(found, "state") == "open":
            state = "open"
        return OpenRequest(
            number=int(_field(found, "number")),
            state=state,
            title=str(found.get("title") or ""),
            text=str(found.get("body") or ""),
            url=str(found.get("html_url") or ""),
        )


def _field(found: Any, name: str) -> Any:
    if not isinstance(found, dict) or found.get(name) is None:
        raise ForgeRefused(f"the forge's answer has no {name}")
    return found[name]
