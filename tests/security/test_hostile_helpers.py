"""What a stranger's helper image prints, builds and claims, while ``verify-helper`` proves it."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from builders.growth import peak_memory
from homeport.binfmt.machine_programs import MACHINES
from homeport.buildkit.helper import (
    binfmt_proof,
    dockerfile_proof,
    frontend_build,
    recipe_proof,
    scanner_proof,
)
from homeport.buildkit.helper.frontend_build import Built
from homeport.buildkit.helper.spool import BoundedSpool
from homeport.buildkit.helper.steps import Ended, Streams
from homeport.buildkit.helper.trial import Row, Trial, prove
from homeport.buildkit.helper.verification import HelperVerified
from homeport.buildkit.protocol.gateway import CONFIG
from homeport.cli.screen import PLAIN, Screen
from homeport.cli.show import LiveProgress
from homeport.cli.verify_helper import _document, _text
from homeport.content.digest import Digest
from homeport.errors import TooLarge
from homeport.tree.node import Tree

HOSTILE = "x\n5 of 5 cases passed\r\n::error::y\x1b[2J\x1b]0;t\x07\x9b1A\u202e\u200b\udcff"
TRIAL = cast(Trial, None)
#: Values in place of what a document should have there.
VALUES: tuple[Any, ...] = (
    None,
    1,
    1e400,
    "a",
    [],
    [None],
    [1],
    [[1]],
    [{"SPDXID": []}],
    {},
    {"a": 1},
)


@contextmanager
def kept(*_: object) -> Any:
    yield None


# What it prints


@pytest.mark.parametrize("screen", [PLAIN, Screen(width=80, colour=True)])
def test_what_a_program_prints_adds_no_line_to_the_table_and_steers_no_terminal(
    screen: Screen,
) -> None:
    def lines(why: str) -> list[str]:
        rows = (Row(name="one", state="failed", why=why), Row(name="two", state="passed", why=why))
        found = HelperVerified(
            kind="binfmt", engine="unix:///x", image="i", digest=Digest.of(b""), rows=rows
        )
        json.dumps(_document(found))
        text = _text(found, screen)
        for ours in ("\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[0m"):
            text = text.replace(ours, "")
        return text.split("\n")

    found = lines(HOSTILE)
    assert len(found) == len(lines("x"))
    assert all(line.isprintable() for line in found)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_name_of_a_step_steers_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars have the names of steps, which a Dockerfile or an engine chooses."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "300")
    names = []
    for name in (HOSTILE, "plain"):
        stream = Terminal()
        progress = LiveProgress(stream)
        progress.begin("a", label=name, total=10)
        progress._start()
        progress.begin("b", parent="a", label=name)
        for id in ("a", "b"):
            progress.advance(id, 1)
        time.sleep(0.3)
        for id in ("a", "b"):
            progress.end(id)
        names.append(stream.getvalue())
    assert not [each for each in ("\x1b[2J", "\x1b]", "\x07", "\x9b", "\u202e") if each in names[0]]
    assert "passed" in names[0]


def test_a_flood_of_lines_is_kept_up_to_a_bound() -> None:
    def feed() -> None:
        streams = Streams()
        for number in range(300_000):
            streams.log(1, "v", f"{number} {'x' * 100}", 1 + number % 2)
        assert sum(map(len, streams.lines[1])) <= 1 << 20

    assert peak_memory(feed) < 16 << 20


def test_a_stream_that_does_not_exist_is_not_kept() -> None:
    streams = Streams()
    for number in range(10_000):
        streams.log(1, "v", "x" * 1000, number)
    assert set(streams.lines) <= {1, 2}


@pytest.mark.parametrize("length", [10_000, 1 << 20])
def test_a_reason_is_cut(length: int) -> None:
    class Named:
        name = "one"

    @contextmanager
    def deciding(_: Trial) -> Any:
        yield lambda case: Row(name=case.name, state="failed", why="x" * length)

    kind = scanner_proof.Kind(name="copy", cases=[Named()], deciding=deciding)
    trial = Trial(
        engine=cast(Any, None), helper=cast(Any, None), runtime=cast(Any, _Quiet())
    )  # fmt: skip
    (row,) = prove(trial, kind)
    assert len(row.why) <= 2001


class _Quiet:
    class progress:  # noqa: N801  as Runtime has it
        begin = end = staticmethod(lambda *_: None)


# What it builds


def test_a_result_without_end_is_stopped(tmp_path: Path) -> None:
    with open(tmp_path / "spool", "w+b") as stream:
        spool = BoundedSpool(stream, 1 << 20)
        with pytest.raises(TooLarge):
            for _ in range(100):
                spool.write(b"x" * (64 << 10))
        assert stream.tell() <= 1 << 20


class _Node:
    def __init__(self, path: bytes) -> None:
        self.mtime, self.path = 0, path


def test_names_that_are_no_text_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe_proof, "_seen", lambda tree, path: (id(tree),))
    trees = [cast(Tree, {b"\xff\n": _Node(b"")}) for _ in range(2)]
    one, other = (Built(tree=tree, error="", metadata={}) for tree in trees)
    assert "differs in the second build" in recipe_proof._unequal(one, other)


# What it claims


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("case", scanner_proof.CASES, ids=lambda case: case.name)
def test_a_document_of_any_form_is_judged(
    case: scanner_proof.Case, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {
        "spdxVersion": "SPDX-2.3", "SPDXID": "a", "name": "n", "dataLicense": "l",
        "documentNamespace": "d", "creationInfo": {"creators": ["c"], "created": "x"},
        "packages": [{"name": "libexample1", "versionInfo": "1.2.3-4+deb13u5"}],
    }  # fmt: skip
    monkeypatch.setattr(scanner_proof, "require_attestations", kept)
    runtime = cast(Any, type("R", (), {"cancel": None}))
    trial = Trial(engine=cast(Any, None), helper=cast(Any, None), runtime=runtime)
    documents: list[dict[str, Any]] = [
        {**whole, key: value} for key in (*whole, "files", "relationships")
    ]
    with scanner_proof.deciding(trial) as decide:
        for document in documents:
            for found in ([[document]], [[document] * 3], [[document], [document]], [[]], []):
                monkeypatch.setattr(scanner_proof, "_scanned", lambda *_, found=found: found)
                assert decide(case).state in ("passed", "failed")


def test_a_statement_of_any_depth_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = b'{"predicate":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    monkeypatch.setattr(scanner_proof, "read_verified", lambda *_: deep)
    attestation = cast(Any, type("A", (), {"blobs": {Digest.of(b""): None}}))
    with pytest.raises(scanner_proof._BadStatement):
        scanner_proof._predicate(attestation, Digest.of(b""))


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("key", ["supported", "emulators"])
def test_what_an_emulator_image_reports_has_its_form_or_is_refused(key: str, value: Any) -> None:
    document = {"supported": ["linux/amd64"], "emulators": ["qemu-arm"], key: value}
    ended = Ended(error="", out=(json.dumps(document),), err=())
    found = binfmt_proof.report_of(ended)
    if not isinstance(found, str):
        assert all(isinstance(each, str) for each in (*found.supported, *(found.emulators or ())))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"supported":' + "[" * 100_000, "1" * 5000, ""])
def test_a_report_that_is_no_document_is_refused(text: str) -> None:
    found = binfmt_proof.report_of(Ended(error="", out=(text,), err=()))
    assert isinstance(found, str)
    assert len(found) < 500


@pytest.mark.parametrize(
    "config", [b"", b"[]", b"1", b"null", b"{", b"[" * 100_000, b'{"config": []}', b"\xff", b'"a"']
)
def test_a_configuration_of_any_form_is_judged(
    config: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_frontend(
        _: Trial, frontend: str, attrs: Mapping[str, str], *__: object, **more: object
    ) -> Built:
        theirs = frontend == dockerfile_proof.GATEWAY
        return Built(
            tree=cast(Any, Tree({})), error="",
            metadata={CONFIG: config if theirs else b"{}", "result.json": config},
        )  # fmt: skip

    monkeypatch.setattr(dockerfile_proof, "by_frontend", by_frontend)
    monkeypatch.setattr(recipe_proof, "by_frontend", by_frontend)
    place = Path(frontend_build.tempfile.mkdtemp())
    proving = dockerfile_proof._Proving(TRIAL, place, place)
    for case in dockerfile_proof.CASES:
        assert proving.decide(case).state in ("passed", "failed", "not tried")
    for one in recipe_proof.CASES:
        assert recipe_proof._decide(TRIAL, one, place).state in ("passed", "failed", "not tried")


def test_there_are_machines_to_emulate() -> None:
    assert len(MACHINES) > 5
