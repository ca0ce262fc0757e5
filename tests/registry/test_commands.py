"""What the options of registry commands mean, without a registry of Debian's."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builders.certificates import authority, issue
from builders.http_server import Received, Server, server_tls, serving
from homeport.cli.main import homeport
from homeport.errors import HomeportError


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "CI_REGISTRY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    """A registry that wants me:secret and has two tags."""

    def guarded(body: bytes):
        def answer(request: Received) -> tuple[int, dict[str, str], bytes]:
            wanted = "Basic " + base64.b64encode(b"me:secret").decode()
            if request.headers.get("authorization") == wanted:
                return 200, {}, body
            return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b"{}"

        return answer

    with serving() as server:
        server.answers["/v2/"] = guarded(b"{}")
        server.answers["/v2/a/tags/list"] = guarded(b'{"tags":["1","2"]}')
        yield server


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(homeport, list(arguments), input=stdin)


def test_credentials_come_as_option_variable_and_on_standard_input(server: Server) -> None:
    host = f"127.0.0.1:{server.port}"
    for result in (
        run("tags", f"{host}/a", "--creds", "me:secret"),
        run("tags", f"{host}/a", "-u", "me", "--password-stdin", stdin="secret\n"),
    ):
        assert result.stdout.split() == ["1", "2"]


def test_verbose_says_which_credentials_are_used_and_never_the_secret(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = f"127.0.0.1:{server.port}"
    monkeypatch.setenv("HOMEPORT_REGISTRY_HOST", host)
    monkeypatch.setenv("HOMEPORT_REGISTRY_USER", "me")
    monkeypatch.setenv("HOMEPORT_REGISTRY_PASSWORD", "secret")
    result = run("tags", f"{host}/a", "-v")
    assert f"{host}: logging in as me (from HOMEPORT_REGISTRY_PASSWORD)" in result.stderr
    assert "secret" not in result.output


def test_login_is_remembered_and_logout_forgets_it(server: Server, tmp_path: Path) -> None:
    host = f"127.0.0.1:{server.port}"
    wrong = run("login", host, "-u", "me", "--password-stdin", stdin="wrong")
    assert isinstance(wrong.exception, HomeportError)
    assert not (tmp_path / ".docker").exists()
    assert run("login", host, "-u", "me", "--password-stdin", stdin="secret\n").exit_code == 0
    assert host in json.loads((tmp_path / ".docker/config.json").read_text())["auths"]
    assert run("tags", f"{host}/a").stdout.split() == ["1", "2"]
    assert "as me (from" in run("ping", host).stdout
    assert "logged out" in run("logout", host).stdout
    assert isinstance(run("tags", f"{host}/a").exception, HomeportError)
    assert "no credentials are saved" in run("logout", host).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tags", "r.example/a", "--creds", "x"], "USER:PASSWORD"),
        (["tags", "r.example/a", "-u", "me"], "no terminal to ask for a password"),
        (["login", "r.example"], "--username NAME --password-stdin"),
        (["tags", "r.example/a", "--password-stdin"], "requires --username"),
        (["tags", "r.example/a", "--creds", "a:b", "-u", "x"], "cannot be combined with"),
        (["tags", "r.example/a", "--offline"], "--offline"),
        (["blob", "r.example/a:1"], "a digest is required"),
        (["delete", "r.example/a"], "a tag or digest is required"),
        (["mirror", "r.example/a"], "SOURCE and DESTINATION"),
        (["mirror", "r.example/a:1", "r.example/b", "--all-tags"], "has a tag or digest"),
        (["mirror", "oci:x", "oci:y"], "writes to a registry"),
        (["import", "oci:x", "r.example/y"], "two registry addresses"),
        (["retag", "r.example/a:1", "no/tag"], "does not fit in a tag"),
        (["login", "not a host"], "invalid registry name"),
    ],
)
def test_a_usage_error_says_what_to_write(arguments: list[str], says: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, HomeportError), result
    assert says in f"{result.exception.what} {result.exception.hint}"
    assert result.exception.exit_code == 2


def test_login_asks_for_user_and_password_on_a_terminal(server: Server, tmp_path: Path) -> None:
    host = f"127.0.0.1:{server.port}"
    ours, its = os.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "homeport", "login", host],
        stdin=its, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "HOME": str(tmp_path), "HOMEPORT_CACHE_DIR": str(tmp_path / "c")},
    )  # fmt: skip
    os.close(its)
    assert program.stdout is not None
    assert program.stderr is not None
    asked = b""
    for question, answer in ((b"User name: ", b"me\n"), (b"Password: ", b"secret\n")):
        while not asked.endswith(question) and (more := program.stderr.read(1)):
            asked += more
        os.write(ours, answer)
    out, err = program.communicate(timeout=60)
    os.close(ours)
    assert program.returncode == 0, err
    assert b"secret" not in out + err
    assert f"logged in to {host} as me" in out.decode()


def test_an_empty_password_is_none(server: Server, tmp_path: Path) -> None:
    result = run("login", f"127.0.0.1:{server.port}", "-u", "me", "--password-stdin", stdin="\n")
    assert isinstance(result.exception, HomeportError)
    assert result.exception.what == "standard input is empty; a password was expected"
    assert not (tmp_path / ".docker").exists()


def test_certificates_of_certs_d_are_used(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    pair = issue(ca, tmp_path, "server")
    with serving(server_tls(pair.certificate, pair.key)) as secure:
        secure.answer("/v2/", 200, b"{}")
        host = f"127.0.0.1:{secure.port}"
        assert isinstance(run("ping", host).exception, HomeportError)
        folder = tmp_path / ".docker/certs.d" / host
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(ca.certificate.read_bytes())
        assert run("ping", host).exit_code == 0


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [(404, "text/plain", "not a registry"), (403, "text/plain", "cannot access the registry"),
     (200, "text/html", "web page")],
)  # fmt: skip
def test_what_lets_nobody_in_is_no_success(
    server: Server, status: int, kind: str, says: str
) -> None:
    server.answer("/v2/", status, b"", Content_Type=kind)
    result = run("ping", f"127.0.0.1:{server.port}")
    assert isinstance(result.exception, HomeportError)
    assert says in result.exception.what


def test_a_timeout_ends_everything(server: Server) -> None:
    server.answer("/v2/", 503, b"")
    result = run("ping", f"127.0.0.1:{server.port}", "--timeout", "0.4")
    assert isinstance(result.exception, HomeportError)
    assert result.exception.exit_code == 1
