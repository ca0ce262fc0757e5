"""What commands print on terminals of 80, 120 and 200 columns, whole (tests/data/screens).

To accept a change: HOMEPORT_UPDATE_SCREENS=1 pytest tests/cli/test_screens.py; look at the diff.
"""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

import pytest

from builders.freshness import FreshWorld, entry, package
from builders.images import index
from builders.inspection import file, layer, made, whiteout
from builders.runtime import runtime
from builders.small_registry import SmallRegistry, small_registry
from homeport.cli import options
from homeport.cli.main import run
from homeport.cli.screen import PLAIN, Column, Screen, marked, screen_of
from homeport.freshness.model import Report
from homeport.freshness.report.text import report_text
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout

SCREENS = Path(__file__).parents[1] / "data/screens"
WIDTHS = (80, 120, 200)
COMMANDS = {
    "inspect": ("inspect oci:one:1", 0),
    "inspect-index": ("inspect oci:seven:1", 0),
    "inspect-waste": ("inspect oci:one:1 --waste", 0),
    "inspect-rules": ("inspect oci:one:1 --rule max-size=1kB --rule min-efficiency=0.99", 3),
    "diff": ("diff oci:one:1 oci:other:1", 0),
    "catalog-list": ("catalog list", 0),
    "mirror-dry-run": (
        "mirror oci:seven:1 HOST/a/very/long/name/of/a/repository/where/images/are:1 "
        "--plain-http --dry-run", 0,
    ),
}  # fmt: skip
#: A repository as teams have it: a chart, CI of two systems, a build file, deep folders.
REPOSITORY = {
    "services/checkout/Dockerfile": (
        "# syntax=docker/dockerfile:1\nFROM node:16-bookworm-slim AS build\n"
        "FROM gcr.io/distroless/nodejs22-debian12:nonroot\n"
    ),
    "services/payments/connector-for-the-bank/build.gradle": (
        "plugins { id 'com.google.cloud.tools.jib' version '3.4.0' }\n"
        "jib.from.image = 'eclipse-temurin:11-jdk-focal'\n"
    ),
    ".github/workflows/release-of-all-services.yml": (
        "jobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - uses: docker/setup-qemu-action@v3\n"
        "      - uses: docker/setup-buildx-action@v3\n"
        "      - uses: docker/build-push-action@v6\n        with: {platforms: 'linux/arm64'}\n"
    ),
    ".gitlab-ci.yml": "test: {image: 'docker:29-cli', services: ['docker:29-dind'], script: [a]}\n",
    ".pre-commit-config.yaml": (
        "repos:\n  - repo: local\n    hooks:\n      - {id: a, name: a, language: docker_image, "
        "entry: ghcr.io/hadolint/hadolint:v2.12.0 hadolint}\n"
    ),
    "deploy/charts/checkout/templates/deployment-of-the-frontend.yaml": (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n"
        "    - {name: a, image: 'registry.k8s.io/ingress-nginx/kube-webhook-certgen:v1.5.0@sha256:"
        + "a" * 64 + "'}\n    - {name: b, image: REPLACE_ME}\n    - {name: c, image: busybox}\n"
    ),
    "compose.yaml": "services:\n  db: {image: 'postgres:16'}\n  queue: {image: 'redis:7.4'}\n",
    "docs/example/compose.yaml": "services: {a: {image: 'nginx:latest'}}\n",
}  # fmt: skip
AUDITS = {
    "audit": ("audit .", 0),
    "audit-registry": ("audit . --group-by registry --all --home registry.example/mirror", 0),
    "audit-file": ("audit . --group-by file", 0),
    "audit-denied": ("audit . -q --deny end-of-life", 3),
    "audit-nothing": ("audit deploy/empty", 0),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallRegistry]:
    """A working directory with images, and a registry."""
    folder = tmp_path_factory.mktemp("screens")
    one = made(
        layer(file("usr/bin/tool", b"1" * 5000), file("etc/name", b"hello\n")),
        layer(whiteout("usr/bin/tool"), file("usr/share/a/rather/long/path/of/a/file", b"2" * 99)),
    )
    other = made(
        layer(file("usr/bin/tool", b"1" * 5000), file("etc/name", b"bye\n")),
    )
    with pytest.MonkeyPatch.context() as patch, small_registry() as registry:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder))
        patch.setenv("HOMEPORT_CACHE_DIR", str(folder / "cache"))
        for name, value in (("one", one), ("other", other), ("seven", index())):
            OciLayout(LayoutAddress(path=Path(name), tag="1")).write(value, runtime())
        yield registry


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_screen_looks_as_it_is_kept(
    name: str, width: int, place: SmallRegistry, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    command, code = COMMANDS[name]
    monkeypatch.setattr(options, "screen_of", lambda *_args, **_more: Screen(width=width))
    assert run(command.replace("HOST", place.host).split()) == code
    _is_kept(f"{name}-{width}", capsys.readouterr().out.replace(place.host, "127.0.0.1:12345"))


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("name", AUDITS)
def test_an_audit_looks_as_it_is_kept(
    name: str, width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for path, text in REPOSITORY.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "deploy/empty").mkdir()
    monkeypatch.chdir(tmp_path)
    command, code = AUDITS[name]
    monkeypatch.setattr(options, "screen_of", lambda *_args, **_more: Screen(width=width))
    assert run(command.split()) == code
    _is_kept(f"{name}-{width}", capsys.readouterr().out)


@pytest.fixture(scope="module")
def outdated(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A recipe of three packages: one with many fixes, one built again, one as new as can be."""
    names = ("libssl3t64", "libzstd1", "base-files")
    old, new = "3.5.1-1+deb13u1", "3.5.1-1+deb13u4"
    first = [package(name, old, log=[entry(name, old)]) for name in names]
    world = FreshWorld(tmp_path_factory.mktemp("world"), {"trixie": first})
    world.lock_recipe("packages: [libssl3t64, libzstd1, base-files]")
    fixes = ", ".join(f"CVE-2026-{1000 + number}" for number in range(5))
    world.move(
        "trixie-security",
        [
            package(
                "libssl3t64", new,
                log=[entry("libssl3t64", new, f"* Fix {fixes}."), entry("libssl3t64", old)],
            ),
            package(
                "libzstd1", f"{old}+b1", rebuilds=[entry("libzstd1", f"{old}+b1")],
                log=[entry("libzstd1", old)],
            ),
        ],
    )  # fmt: skip
    return world.outdated(max_age=1)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["outdated", "outdated-verbose"])
def test_what_is_outdated_looks_as_it_is_kept(name: str, width: int, outdated: Report) -> None:
    _is_kept(
        f"{name}-{width}",
        report_text(outdated, verbose="verbose" in name, width=width) + "\n",
    )


def _is_kept(name: str, shown: str) -> None:
    """The same as in the file of this name."""
    kept = SCREENS / f"{name}.txt"
    if os.environ.get("HOMEPORT_UPDATE_SCREENS"):
        kept.write_text(shown)
    assert shown == kept.read_text()


COLUMNS = (
    Column(name="name", least=8),
    Column(name="digest"),
    Column(name="size", right=True, drop=1),
    Column(name="note", least=6, drop=2),
)
ROWS = [
    ("a-rather-long-name", "sha256:" + "ab" * 32, "1", "something to say"),
    ("名前", "sha256:" + "cd" * 32, "100", ""),
]


@pytest.mark.parametrize("width", [*range(40, 130, 7), 200])
def test_a_table_fits_and_a_digest_is_never_broken(width: int) -> None:
    text = Screen(width=width).table(COLUMNS, ROWS)
    for line in text.split("\n"):
        assert len(line) <= width or line.startswith("not shown")
    assert re.findall(r"sha256:\w+", text) == ["sha256:" + "ab" * 6, "sha256:" + "cd" * 6]


def test_room_is_given_up_by_priority() -> None:
    assert Screen(width=60).table(COLUMNS, ROWS).split("\n")[0].split() == [
        "NAME", "DIGEST", "SIZE", "NOTE",
    ]  # fmt: skip
    narrow = Screen(width=40).table(COLUMNS, ROWS).split("\n")
    assert narrow[0].split() == ["NAME", "DIGEST", "SIZE"]
    assert narrow[1].split()[0] == "a-rather-lon…"
    assert narrow[-1] == "not shown at this width: note (--full)"


def test_a_pipe_gets_everything_in_full_and_no_colour() -> None:
    rows = [(("bad", "bad"), "sha256:" + "ab" * 32, "1", "n" * 300)]
    text = PLAIN.table(COLUMNS, rows)
    assert "ab" * 32 in text
    assert "n" * 300 in text
    assert "\x1b" not in text


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 90, 0, 0))
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with open(slave, "w") as terminal, open(os.devnull, "w") as elsewhere:
        assert screen_of(terminal).colour
        assert screen_of(terminal, full=True).width is None
        assert not screen_of(terminal, "never").colour
        assert screen_of(elsewhere, "always") == Screen(colour=True)
        assert screen_of(elsewhere) == PLAIN
        monkeypatch.setenv("NO_COLOR", "1")
        assert not screen_of(terminal).colour
        monkeypatch.delenv("NO_COLOR")
        monkeypatch.setenv("TERM", "dumb")
        assert not screen_of(terminal).colour
    os.close(master)


def test_words_of_messages_have_their_colours() -> None:
    assert marked("error: no") == "\x1b[1;31merror:\x1b[0m no"
    assert marked("x\n  hint: yes") == "x\n  \x1b[36mhint:\x1b[0m yes"
    assert marked("lock: warning: old") == "lock: \x1b[33mwarning:\x1b[0m old"


def test_a_real_terminal_gets_colours_and_only_ours(tmp_path: Path) -> None:
    name = "usr/bin/\x1b[2Jtool"
    evil = made(layer(file(name, b"1" * 5000)), layer(whiteout(name)))
    OciLayout(LayoutAddress(path=tmp_path / "evil", tag="1")).write(evil, runtime())
    shown = in_terminal("inspect", f"oci:{tmp_path}/evil:1", cache=tmp_path / "cache")
    assert "\x1b[1mLayers\x1b[0m" in shown
    assert "\\x1b[2Jtool" in shown
    assert "\x1b[2J" not in shown
    failed = in_terminal("inspect", "./nowhere", cache=tmp_path / "cache")
    assert "\x1b[1;31merror:\x1b[0m ./nowhere" in failed
    plain = in_terminal("inspect", "./nowhere", "--color", "never", cache=tmp_path / "cache")
    assert "\x1b[" not in plain


def in_terminal(*arguments: str, cache: Path) -> str:
    """Everything that a command writes to a terminal of 80 columns."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {
        **os.environ, "TERM": "xterm", "HOMEPORT_CACHE_DIR": str(cache),
        "HOMEPORT_NO_PROGRESS": "1",
    }  # fmt: skip
    environment.pop("NO_COLOR", None)
    environment.pop("COLUMNS", None)
    with subprocess.Popen(
        [sys.executable, "-m", "homeport", *arguments], stdin=slave, stdout=slave, stderr=slave,
        env=environment,
    ) as process:  # fmt: skip
        os.close(slave)
        pieces = []
        while True:
            try:
                piece = os.read(master, 1 << 16)
            except OSError:  # the terminal is closed
                break
            if not piece:
                break
            pieces.append(piece)
        process.wait()
    os.close(master)
    return b"".join(pieces).decode()
