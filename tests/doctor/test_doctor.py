"""``homeport doctor``: what it looks at, what it says, and whom it gives a login to."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builders.deb import deb
from builders.http_server import Received, Server, serving
from builders.locking import World
from builders.net import quick_client
from builders.recipe import recipe_file
from homeport.cli.main import run
from homeport.doctor.machine import examine_clock
from homeport.progress import CancelToken

TEXT = """
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
packages: [app]
"""
PASSWORD = "Basic " + base64.b64encode(b"me:secret").decode()


@pytest.fixture
def registry() -> Iterator[Server]:
    """A registry that wants me:secret."""

    def answer(request: Received) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("authorization") == PASSWORD:
            return 200, {}, b"{}"
        return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b"{}"

    with serving() as server:
        server.answers["/v2/"] = answer
        yield server


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Server) -> Path:
    """``./homeport.yaml`` with its archive, and a login for the registry."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "the-cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("BUILDKIT_HOST", f"unix://{tmp_path}/none.sock")
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "CI_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    world = World(tmp_path, [deb("app", files={"usr/bin/app": b"x"})], valid_for=None)
    (work / "key.asc").write_bytes(world.archive.certificate)
    recipe_file(work, TEXT.format(url=world.archive.url))
    auths = {f"127.0.0.1:{registry.port}": {"auth": PASSWORD.removeprefix("Basic ")}}
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": auths}))
    return work


def findings(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found = json.loads(capsys.readouterr().out)["findings"]
    return {each["area"]: each for each in found}


def test_what_works_is_ok_and_nothing_is_to_do(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--format", "json"]) == 0
    found = findings(capsys)
    assert {area: each["state"] for area, each in found.items()} == {
        "settings": "ok", "cache": "ok", "mirror": "ok", "login": "ok", "engine": "note",
    }  # fmt: skip
    assert found["login"]["text"].startswith("access granted as me, from ")
    assert [each["advice"] for each in found.values() if each["state"] == "ok"] == [""] * 4
    assert run(["doctor"]) == 0
    assert "4 checks passed, 0 failed" in capsys.readouterr().out


def test_what_fails_says_what_to_do_and_exits_3(
    home: Path, registry: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.answer("/v2/", 401, b"{}", WWW_Authenticate='Basic realm="x"')
    text = (home / "homeport.yaml").read_text()
    (home / "homeport.yaml").write_text(text.replace("/mirror", "/nowhere"))
    assert run(["doctor"]) == 3
    shown = capsys.readouterr()
    todo = shown.out.partition("to do:")[2]
    assert "mirror trixie at " in todo
    assert f"login 127.0.0.1:{registry.port}: " in todo
    assert shown.err.endswith("error: 2 checks failed\n")


def test_a_login_is_sent_to_its_own_registry_alone(
    home: Path, registry: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as other:
        other.answer("/v2/", 401, b"{}", WWW_Authenticate=f'Basic realm="{registry.url()}"')
        assert run(["doctor", f"127.0.0.1:{other.port}", "--format", "json"]) == 3
        assert [each for each in other.requests if "authorization" in each.headers] == []
        assert findings(capsys)["login"]["state"] == "failed"
    assert registry.requests == []


def test_nothing_is_asked_offline(
    home: Path, registry: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--offline", "--format", "json"]) == 0
    assert findings(capsys)["network"]["state"] == "skipped"
    assert registry.requests == []


def test_passwords_of_proxies_are_not_shown(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.example:3128")
    assert run(["doctor", "--offline"]) == 0
    shown = capsys.readouterr().out
    assert "proxy.example:3128" in shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("off", "age", "state"),
    [(0, 0, "ok"), (200, 0, "ok"), (-7200, 0, "failed"), (7200, 0, "failed"), (7200, 7200, "ok")],
)
def test_a_clock_beside_a_cached_date(off: int, age: int, state: str) -> None:
    now = datetime.now(UTC) + timedelta(seconds=off)  # the server sends its own Date
    with serving() as server:
        url = server.answer("/", 200, b"", Age=str(age))
        found = examine_clock(quick_client(cancel=CancelToken()), url, now)
    assert found.state == state, found
