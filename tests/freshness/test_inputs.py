"""Commits, files and copies that recipes name: what became of them, asked of real servers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builders.http_server import Fault, Server, serving
from builders.net import quick_client
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.freshness.git_refs import list_refs, moved_commit, read_refs
from homeport.freshness.model import Input, Unknown
from homeport.freshness.upstreams import UpstreamAccess, moved_upstream
from homeport.freshness.web_files import digest_of_url, moved_file
from homeport.images.importing import Origin
from homeport.recipe.parts import GitInput, UrlInput
from homeport.registry.errors import NotFound, RateLimited, Unauthorized
from homeport.yamlfile.position import FilePosition

PLACE = FilePosition(file="homeport.yaml", line=1)
Said = list[tuple[str, str]]


def said(found: Iterator[Input | Unknown]) -> Said:
    """``(level or "unknown", text)`` of each line."""
    return [
        (each.level, each.text) if isinstance(each, Input) else ("unknown", each.why)
        for each in found
    ]


class Repository:
    """A git repository behind a web server that only has its files."""

    def __init__(self, root: Path, server: Server) -> None:
        self.path, self._server = root / "tool.git", server
        self.url = server.url("/tool.git")
        self._git("init", "-q", "-b", "main", str(self.path))

    def _git(self, *arguments: str) -> str:
        where = ["-C", str(self.path)] if arguments[0] != "init" else []
        who = ["-c", "user.name=T", "-c", "user.email=t@x.example"]
        done = subprocess.run(
            ["git", *who, *where, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, *tags: str) -> str:
        self._git("commit", "-q", "--allow-empty", "-m", f"For {tags}")
        for tag in tags:
            self._git("tag", "-am", tag, tag)
        return self._git("rev-parse", "HEAD")

    def ask(self, commit: str, ref: str = "") -> Said:
        self._git("update-server-info")
        for path in sorted((self.path / ".git").rglob("*")):
            if path.is_file():
                name = path.relative_to(self.path / ".git").as_posix()
                self._server.file(f"/tool.git/{name}", path.read_bytes())
        wanted = GitInput(url=self.url, commit=commit, ref=ref, to="/x", place=PLACE)
        return said(moved_commit(wanted, list_refs))


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with serving() as server:
        yield Repository(tmp_path, server)


def test_a_branch_that_moved_is_told(repository: Repository) -> None:
    first = repository.commit()
    assert repository.ask(first, "main") == []
    second = repository.commit()
    text = f"moved: the recipe names {first[:12]}, it is {second[:12]} now"
    assert repository.ask(first, "main") == [("error", text)]
    assert repository.ask(first, "refs/heads/main") == [("error", text)]
    assert repository.ask(first) == []  # of no tag, and no branch is named: nothing is said


def test_newer_tags_are_told_by_the_tag_that_a_commit_has(repository: Repository) -> None:
    first = repository.commit("v1.2.3")
    repository.commit("v1.2.4", "v2.0.0-rc1")
    assert repository.ask(first) == [("error", "v1.2.4 is newer")]
    repository.commit("v2.0.0")
    assert repository.ask(first, "v1.2.3") == [("error", "v1.2.4 is newer")]
    older = repository.commit("release-7.1", "sha-1234567")
    repository.commit("release-7.2", "sha-9999999")
    assert repository.ask(older) == [("note", "release-7.2 is newer")]


def test_a_tag_that_was_moved_or_removed_is_told(repository: Repository) -> None:
    first = repository.commit("v1")
    repository._git("tag", "-d", "v1")
    gone = ("warning", "is gone: no branch or tag has this name")
    assert repository.ask(first, "v1") == [gone]
    second = repository.commit("v1")
    assert repository.ask(first, "v1") == [
        ("error", f"moved: the recipe names {first[:12]}, it is {second[:12]} now")
    ]


@pytest.mark.parametrize(
    ("fault", "level", "text"),
    [
        (Fault(status=404), "warning", "is gone"),
        (Fault(status=401, headers={"WWW-Authenticate": "Basic"}), "unknown", "git ls-remote"),
        (Fault(status=503), "unknown", "503"),
    ],
)
def test_a_repository_that_is_gone_is_not_one_that_refuses(
    repository: Repository, fault: Fault, level: str, text: str
) -> None:
    commit = repository.commit("v1")
    repository._server.faults += [fault] * 9
    ((found, why),) = repository.ask(commit)
    assert found == level
    assert text in why
    repository._server.faults.clear()


def test_of_an_annotated_tag_the_commit_counts() -> None:
    lines = b"1" * 40 + b"\trefs/tags/v1\n" + b"2" * 40 + b"\trefs/tags/v1^{}\n"
    assert read_refs(lines) == {"refs/tags/v1": "2" * 40}


class WebFile:
    """A file of a web server, and what is asked about it."""

    def __init__(self, root: Path, server: Server) -> None:
        self.server, self.store = server, Store(root / "cache")
        self.url = server.url("/tool.tar")

    def ask(self, sha256: Digest) -> Said:
        wanted = UrlInput(url=self.url, sha256=sha256, to="/x", place=PLACE)
        with quick_client() as client:
            return said(moved_file(wanted, lambda url: digest_of_url(url, client, self.store)))

    def methods(self) -> list[str]:
        found = [request.method for request in self.server.requests]
        self.server.requests.clear()
        return found


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebFile]:
    with serving() as server:
        yield WebFile(tmp_path, server)


OLD, NEW = Digest.of(b"old"), Digest.of(b"new")


def test_a_file_that_changed_is_told(web: WebFile) -> None:
    web.server.file("/tool.tar", b"old")
    assert web.ask(OLD) == []
    web.server.file("/tool.tar", b"new")
    assert web.ask(OLD) == [("error", f"changed: the recipe names {OLD}, it is {NEW} now")]


def test_what_the_server_names_the_same_is_not_read_again(web: WebFile) -> None:
    def answer(tag: str, body: bytes) -> None:
        web.server.answers["/tool.tar"] = lambda _request: (200, {"ETag": tag}, body)

    answer('"1"', b"old")
    assert web.ask(OLD) == []
    assert web.methods() == ["HEAD", "GET"]
    assert web.ask(OLD) == []
    assert web.methods() == ["HEAD"]
    answer('"2"', b"new")
    assert web.ask(OLD)[0][0] == "error"
    assert web.methods() == ["HEAD", "GET"]
    answer('W/"3"', b"old")
    assert web.ask(OLD) == web.ask(OLD) == []
    assert web.methods() == ["HEAD", "GET"] * 2  # a weak tag says nothing about bytes


@pytest.mark.parametrize(
    ("status", "level"), [(404, "warning"), (410, "warning"), (401, "unknown"), (429, "unknown")]
)
def test_a_file_that_is_gone_is_not_one_that_is_refused(
    web: WebFile, status: int, level: str
) -> None:
    web.server.answers["/tool.tar"] = lambda _request: (status, {}, b"")
    assert [found for found, _ in web.ask(OLD)] == [level]


def test_a_server_without_head_is_asked_with_get(web: WebFile) -> None:
    web.server.answers["/tool.tar"] = lambda request: (
        (405, {}, b"") if request.method == "HEAD" else (200, {}, b"old")
    )
    assert web.ask(OLD) == []


HOME, UPSTREAM = "home.example/tool@sha256:1", "up.example/tool:1"
THEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("answer", "made", "expected"),
    [
        (OLD, THEN - timedelta(days=300), []),
        (OLD, None, []),
        (OLD, datetime(2021, 12, 31, tzinfo=UTC),
         [("warning", "had no update for 4.0 years: its newest image is of 2021-12-31")]),
        (NEW, None, [("error", f"moved: the copy is of {OLD}, upstream is {NEW} now")]),
        (NotFound("404"), None,
         [("warning", "is gone from its registry: the copy is the only one")]),
        (Unauthorized("401 now"), None, [("unknown", "401 now")]),
        (RateLimited("429"), None, [("unknown", "429")]),
    ],
)  # fmt: skip
def test_the_upstream_of_a_copy_moved_is_gone_or_fell_silent(
    answer: Digest | Exception, made: datetime | None, expected: Said
) -> None:
    def digest_of(image: str, address: str) -> Digest:
        assert (image, address) == (HOME, UPSTREAM)
        if isinstance(answer, Exception):
            raise answer
        return answer

    access = UpstreamAccess(
        origins=lambda _image: [Origin(name=UPSTREAM, digest=OLD)],
        digest_of=digest_of,
        made=lambda _image, _address: made,
    )
    assert said(moved_upstream(HOME, access, THEN)) == expected
