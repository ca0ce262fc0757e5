"""Web servers whose files a recipe names: pages, redirects, floods, drips, other encodings."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.http_server import Fault, Server, serving
from builders.net import FakeClock, quick_client
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import HomeportError
from homeport.freshness import web_files
from homeport.freshness.model import Unknown
from homeport.freshness.web_files import digest_of_url, moved_file
from homeport.parts import root
from homeport.parts.root import fetch_url
from homeport.recipe.parts import UrlInput
from homeport.recipe.schema.values import GIT_URL, WEB_URL
from homeport.yamlfile.position import FilePosition

PLACE = FilePosition(file="homeport.yaml", line=1)
BODY = b"the file\n" * 100
DIGEST = Digest.of(BODY)


class HastyClock(FakeClock):
    """An hour passes at each look."""

    hasty = False

    def monotonic(self) -> float:
        if self.hasty:
            self.now += 3600
        return self.now


class World:
    def __init__(self, folder: Path, server: Server) -> None:
        self.server, self.folder, self.store = server, folder, Store(folder / "cache")
        self.url, self.clock = server.url("/tool.tar"), HastyClock()

    def check(self) -> list[Any]:
        wanted = UrlInput(url=self.url, sha256=DIGEST, to="/in/", place=PLACE)
        with quick_client(clock=self.clock) as client:
            return list(moved_file(wanted, lambda url: digest_of_url(url, client, self.store)))

    def fetch(self) -> bytes:
        wanted = UrlInput(url=self.url, sha256=DIGEST, to="/in/", place=PLACE)
        with quick_client(clock=self.clock) as client:
            blob = fetch_url(wanted, lambda: client, self.store)
        with blob.open() as stream:
            return stream.read()

    def blobs(self) -> list[Path]:
        found = [path for path in (self.folder / "cache").rglob("*") if path.is_file()]
        return [path for path in found if path.stat().st_size > 500]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with serving() as server:
        server.file("/tool.tar", BODY)
        yield World(tmp_path, server)


ANSWERS = {
    "a login page": (200, {"Content-Type": "text/html"}, b"<html>log in</html>"),
    "compressed": (200, {"Content-Encoding": "gzip"}, gzip.compress(BODY)),
    "a redirect to a file of this machine": (302, {"Location": "file:///etc/passwd"}, b""),
    "a redirect to itself": (302, {"Location": "/tool.tar"}, b""),
    "a redirect to another scheme": (302, {"Location": "ftp://127.0.0.1/x"}, b""),
    "a redirect to cloud metadata": (302, {"Location": "http://169.254.169.254/x"}, b""),
    "a redirect with escapes": (302, {"Location": "http://\x1b[2J/"}, b""),
    "a server error": (500, {}, b"\x1b[2J" * 100),
    "partial content that nobody asked for": (206, {"Content-Range": "bytes 5-9/10"}, b"wrong"),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_such_an_answer_is_not_the_file_and_no_change_of_it(
    answer: tuple[int, dict[str, str], bytes], world: World
) -> None:
    world.server.answers["/tool.tar"] = lambda _: answer
    (found,) = world.check()
    assert isinstance(found, Unknown)
    assert len(found.why) < 500
    with pytest.raises(HomeportError):
        world.fetch()
    assert world.blobs() == []


def test_the_right_bytes_are_the_file_whatever_it_is_called(world: World) -> None:
    for headers in (
        {"Content-Disposition": 'attachment; filename="../../../tmp/owned"'},
        {"Content-Disposition": "attachment; filename*=UTF-8''%2Fetc%2Fpasswd"},
        {"Content-Type": "x" * 5000}, {"Content-Location": "file:///etc/passwd"},
    ):  # fmt: skip
        world.server.file("/tool.tar", BODY, **{k.replace("-", "_"): v for k, v in headers.items()})
        assert world.check() == []
        assert world.fetch() == BODY


def test_a_file_of_another_size_than_fits_is_not_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_files, "_LARGEST", 100)
    monkeypatch.setattr(root, "_LARGEST", 100)
    (found,) = world.check()
    assert isinstance(found, Unknown)
    assert "larger than" in found.why
    with pytest.raises(HomeportError, match="larger than"):
        world.fetch()
    assert world.blobs() == []


def test_a_body_without_a_length_is_read_to_the_bound(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_files, "_LARGEST", 1000)
    raw = b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100_000
    world.server.faults += [Fault(raw=raw, method=method) for method in ("HEAD", "GET")]
    (found,) = world.check()
    assert isinstance(found, Unknown)


def test_a_server_that_drips_holds_up_the_others_no_longer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte at a time keeps a connection from counting as silent."""
    monkeypatch.setattr(world.clock, "hasty", True)
    (found,) = world.check()
    assert isinstance(found, Unknown)
    assert "timed out" in found.why
    with pytest.raises(HomeportError, match="timed out"):
        world.fetch()


@pytest.mark.parametrize("kind", [WEB_URL, GIT_URL], ids=["web", "git"])
@pytest.mark.parametrize(
    "url",
    ["https://user:secret@host.example/x", "https://token@host.example/x", "https://h.example/\x1b[2J",
     "https://[x/y", "file:///etc/passwd", "https://h.example/x y", "ext::sh -c id", "--x=y"],
)  # fmt: skip
def test_such_an_address_is_a_fault_of_the_recipe(kind: Any, url: str) -> None:
    assert not is_taken(kind, url)


@pytest.mark.parametrize(
    "url", ["https://h.example/in/..", "https://h.example/.", "https://h/..?x/y"]
)
def test_an_address_whose_file_would_leave_its_folder_is_a_fault(url: str) -> None:
    assert not is_taken(WEB_URL, url)


def test_addresses_that_name_a_file_are_taken() -> None:
    assert is_taken(WEB_URL, "http://h.example:8080/a/b.tar.gz?token=1")
    assert is_taken(GIT_URL, "ssh://git@h.example/x.git")


def is_taken(kind: Any, url: str) -> bool:
    if not re.fullmatch(kind.pattern, url):
        return False
    try:
        return bool(kind.convert(url) == url)
    except HomeportError:
        return False
