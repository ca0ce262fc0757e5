"""A server that repeats the request that it rejects does not make us print credentials."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from homeport.attest.keys.private_key import encrypt_key, generate_key
from homeport.attest.keys.sources import load_private_key
from homeport.attest.sigstore.identity_token import find_token
from homeport.cli import main
from homeport.net.client import Client
from homeport.printable import output_text

PASSWORD = "correct-horse/battery"
TOKEN = "eyJhbGciOi.token.of.the.service"


class Echo(BaseHTTPRequestHandler):
    """Requires a login, and quotes what it was sent in every error."""

    scheme = ""

    def do_GET(self) -> None:
        sent = self.headers.get("Authorization", "")
        host = self.headers["Host"]
        if self.path.startswith("/token"):
            self.answer(200, {"token": TOKEN})
        elif not sent:
            challenge = f'Bearer realm="http://{host}/token"' if self.scheme else 'Basic realm="r"'
            self.answer(401, {}, ("WWW-Authenticate", challenge))
        elif self.path == "/v2/":
            self.answer(200, {})
        else:
            text = f"{sent} {PASSWORD} {quote(PASSWORD, safe='')}"
            self.answer(400, {"errors": [{"code": "X", "message": text}]})

    def answer(self, status: int, document: object, *headers: tuple[str, str]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in (("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture(params=["basic", "bearer"])
def host(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    handler = type("Handler", (Echo,), {"scheme": "Bearer" if request.param == "bearer" else ""})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_form_of_a_secret_comes_back(
    host: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["manifest", f"{host}/a:1", "--creds", f"user:{PASSWORD}", "-vv", "--format", form]
    assert main.run(words) == 1
    shown = "".join(capsys.readouterr())
    assert "<hidden>" in shown, "the server's answer is shown, without the secrets"
    pair = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    for secret in (PASSWORD, quote(PASSWORD, safe=""), pair, pair[8:-4], TOKEN):
        assert secret not in shown


def test_what_opens_a_key_and_what_signs_without_one_is_secret(tmp_path: Path) -> None:
    key = encrypt_key(generate_key(), b"pass of the key").decode()
    load_private_key("env://KEY", {"KEY": key, "COSIGN_PASSWORD": "pass of the key"})
    load_private_key("env://KEY", {"KEY": key}, lambda: b"pass of the key")
    claims = {"iss": "https://ci.example", "sub": "job", "exp": 4_000_000_000}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    token = f"e30.{payload}.c2lnbmF0dXJl"

    def no_network() -> Client:
        raise AssertionError("a token that is given is not requested")

    find_token("", {"SIGSTORE_ID_TOKEN": token}, no_network, datetime(2026, 1, 1, tzinfo=UTC))
    shown = output_text(f"could not sign with {token}, key opened by 'pass of the key'")
    assert shown == "could not sign with <hidden>, key opened by '<hidden>'"
