"""Forges that repeat tokens, redirect, answer without end, or list requests that mislead."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from builders.archive import DATE
from builders.forge import EveryPath, forge
from builders.growth import peak_memory
from builders.http_server import Answer, Received, Server, serving
from builders.net import quick_client
from builders.updating import UpdateWorld, entry, lib
from homeport.errors import HomeportError, UsageError
from homeport.printable import output_text
from homeport.updating.forges import (
    Forge,
    ForgeRefused,
    Kind,
    OpenRequest,
    Place,
    find_place,
    open_forge,
)
from homeport.updating.update import TOKEN

SECRET = "glpat-0123456789abcdef"
BRANCH = "homeport/update"
KINDS: list[Kind] = ["gitlab", "github", "forgejo"]


def at(server: Server, kind: Kind, answer: Callable[[Received], Answer]) -> Forge:
    server.answers = EveryPath(answer)
    url = server.url("")
    place = Place(kind=kind, api=f"{url}/api", web=url, project="group/images")
    return open_forge(place, SECRET, quick_client())


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def said(document: object, status: int = 200, **headers: str) -> Answer:
    return status, headers, json.dumps(document).encode()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ["message", "error", "error_description"])
def test_a_token_that_a_forge_repeats_is_not_shown(kind: Kind, shape: str, tmp_path: Path) -> None:
    world = UpdateWorld(tmp_path, {"trixie": [lib("lib1", "1-1")]})
    world.lock_recipe("packages: [lib1]")
    world.make_repository()
    world.move("trixie", [lib("lib1", "1-2")])
    with forge(kind) as running:
        running.instead = said({shape: f"you sent {SECRET}"}, 400)
        world.environment = {**running.variables, TOKEN: SECRET}
        with pytest.raises(ForgeRefused) as caught:
            world.update(request=True)
    shown = output_text(str(caught.value))
    assert SECRET not in shown
    assert "<hidden>" in shown


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_takes_no_token_along(kind: Kind, status: int, server: Server) -> None:
    with serving() as other:
        other.answers = EveryPath(lambda _request: said([]))
        asked = at(server, kind, lambda _request: (status, {"Location": other.url("/x")}, b""))
        asked.find(BRANCH)
        (received,) = other.requests
    assert SECRET not in f"{received.path} {dict(received.headers)} {received.body!r}"


LEADS_OUT = ["file:///etc/passwd", "http://169.254.169.254/latest", "ssh://127.0.0.1/x"]


@pytest.mark.parametrize("place", LEADS_OUT)
def test_a_redirect_leads_to_web_servers_only(place: str, server: Server) -> None:
    asked = at(server, "gitlab", lambda _request: (302, {"Location": place}, b""))
    with pytest.raises(ForgeRefused):
        asked.find(BRANCH)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000, b'{"message":' + b"[" * 200_000, b'["' + b"a" * (9 << 20), b"",
        b'[{"iid":1,"number":1,"state":"open","head":{},"base":{},"title":"\\ud800"}]',
        b'[{"iid":' + b"9" * 5_000 + b"}]", b"\xff\xfe\x1b[2J", b"<html>\x1b[2J\n::error::x",
    ],
    ids=["nests", "objects", "large", "empty", "surrogate", "number", "bytes", "page"],
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_is_none_is_one_error(
    kind: Kind, body: bytes, status: int, server: Server
) -> None:
    asked = at(server, kind, lambda _request: (status, {}, body))

    def refused() -> None:
        with pytest.raises(ForgeRefused) as caught:
            asked.find(BRANCH)
        assert len(str(caught.value)) < 1000
        assert "\x1b" not in str(caught.value)
        assert "\n" not in caught.value.what

    assert peak_memory(refused) < 64 << 20


def test_pages_end(server: Server) -> None:
    def page(_request: Received) -> Answer:
        side: dict[str, Any] = {"ref": "x", "repo": {"id": 7}}
        one = {"number": 1, "state": "open", "head": side, "base": side}
        return said([one] * 50, Link=f'<{server.url("/next")}>; rel="next"')

    for kind in KINDS:
        before = len(server.requests)
        if kind != "gitlab":
            assert at(server, kind, page).find(BRANCH) == []
        assert len(server.requests) - before <= 20


def test_news_of_a_package_does_not_stand_for_the_mark_of_a_request(tmp_path: Path) -> None:
    """What a person closed is not opened again, whatever a package writes about itself."""
    world = UpdateWorld(tmp_path, {"trixie": [lib("lib1", "1-1")]})
    world.lock_recipe("packages: [lib1]")
    world.make_repository()
    forged = f"* <!-- homeport-update {'0' * 40} --> ```\n  /merge"
    news = entry("lib1", "1-2", forged)
    world.move("trixie", [lib("lib1", "1-2", news=news)], date=DATE + timedelta(3))
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        assert (first := world.update(request=True).request) is not None
        text = running.requests[0]["description"]
        assert "homeport-update 0000" in text
        assert text.count("```") == 2, "a package's text does not end the code that it stands in"
        running.requests[0]["state"] = "closed"
        assert (second := world.update(request=True).request) is not None
    assert (first.action, second.action) == ("created", "declined")


def test_the_last_mark_counts() -> None:
    text = "".join(f"<!-- homeport-update {digit * 40} -->\n" for digit in "01")
    request = OpenRequest(number=1, state="open", title="", text=text, url="")
    assert request.mark == "1" * 40


@pytest.mark.parametrize("scheme", ["ftp", "ext+x", "svn"])
def test_a_remotes_password_is_in_no_message(scheme: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_place(f"{scheme}://me:{SECRET}@forge.example/x", {})
    assert SECRET not in str(caught.value)
    assert isinstance(caught.value, HomeportError)
