"""TLS: who is believed. Passwords: who gets them."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from builders.certificates import authority, issue
from builders.http_server import server_tls, serving
from builders.net import quick_client
from homeport.errors import UsageError
from homeport.net.credentials import Credential, authorization, netrc_provider
from homeport.net.errors import NetError, TlsError
from homeport.net.tls import tls_context
from homeport.net.tls_settings import Trust
from homeport.net.url import Url


def test_an_authority_of_ones_own_is_believed_besides_the_systems(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    pair = issue(ca, tmp_path, "server")
    with serving(server_tls(pair.certificate, pair.key)) as server:
        url = server.file("/a", b"x")
        with (
            quick_client(trust=Trust(ca_files=(ca.certificate,)), stall=3) as client,
            client.request("GET", url) as response,
        ):
            assert response.read() == b"x"
        with (
            quick_client(stall=3) as client,
            pytest.raises(TlsError, match="certificate not trusted"),
        ):
            client.request("GET", url)
        with (
            quick_client(trust=Trust(verify=False), stall=3) as client,
            client.request("GET", url) as response,
        ):
            assert response.status == 200


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    pair = issue(ca, tmp_path, "server", alternative="DNS:other.example")
    with serving(server_tls(pair.certificate, pair.key)) as server:
        with (
            quick_client(trust=Trust(ca_files=(ca.certificate,)), stall=3) as client,
            pytest.raises(TlsError, match=r"127\.0\.0\.1") as caught,
        ):
            client.request("GET", server.url("/"))
        assert "valid for" in str(caught.value.hint)


def test_a_client_certificate_is_shown_to_whoever_asks(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    pair = issue(ca, tmp_path, "server")
    own = issue(ca, tmp_path, "client", alternative="DNS:client.example")
    tls = server_tls(pair.certificate, pair.key)
    tls.load_verify_locations(ca.certificate)
    tls.verify_mode = ssl.CERT_REQUIRED
    trust = Trust(ca_files=(ca.certificate,), client_certificate=(own.certificate, own.key))
    with serving(tls) as server:
        url = server.file("/a", b"x")
        with (
            quick_client(trust=trust, stall=3) as client,
            client.request("GET", url) as response,
        ):
            assert response.status == 200


@pytest.mark.parametrize("kept", ["authority", "no verification", "client certificate"])
def test_the_trust_of_a_request_ends_at_a_redirect_to_another_host(
    tmp_path: Path, kept: str
) -> None:
    """What a registry's configuration says about its host says nothing about its storage."""
    ca, elsewhere = authority(tmp_path), authority(tmp_path, "elsewhere")
    pair, other = issue(ca, tmp_path, "server"), issue(elsewhere, tmp_path, "other")
    own = issue(ca, tmp_path, "client", alternative="DNS:client.example")
    tls = server_tls(other.certificate, other.key)
    of_client, of_request = Trust(), Trust(ca_files=(ca.certificate, elsewhere.certificate))
    if kept == "no verification":
        of_request = Trust(verify=False)
    elif kept == "client certificate":
        tls.load_verify_locations(ca.certificate)
        tls.verify_mode = ssl.CERT_REQUIRED
        of_client = of_request
        of_request = Trust(client_certificate=(own.certificate, own.key))
    with (
        serving(server_tls(pair.certificate, pair.key)) as server,
        serving(tls) as storage,
        quick_client(trust=of_client, stall=3) as client,
    ):
        url = server.answer("/a", 307, Location=storage.file("/b", b"x"))
        with pytest.raises(NetError):
            client.request("GET", url, trust=of_request)
        with client.request("GET", storage.url("/b"), trust=of_request) as response:
            assert response.read() == b"x", "asked itself, it is trusted"
        assert (set(server.paths()), storage.paths()) == ({"/a"}, ["/b"])


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        tls_context(Trust(ca_files=(path,)))
    assert caught.value.where["file"] == str(path)


NETRC = """\
# apt's auth.conf
machine a.example login u password p
machine b.example/sub login sub password p
machine http://c.example:8080 login c password p
machine d.example
  login d
  password p
"""


@pytest.mark.parametrize(
    ("url", "user"),
    [
        ("https://a.example/x", "u"),
        ("https://a.example:8443/x", "u"),
        ("http://a.example/x", None),
        ("https://xa.example/", None),
        ("https://b.example/sub/x", "sub"),
        ("https://b.example/sub", "sub"),
        ("https://b.example/subway", None),
        ("https://b.example/", None),
        ("http://c.example:8080/", "c"),
        ("http://c.example/", None),
        ("https://d.example/", "d"),
    ],
)
def test_an_auth_file_is_read_as_apt_reads_it(url: str, user: str | None) -> None:
    found = netrc_provider(NETRC)(Url.parse(url))
    assert (found.username if found else None) == user


@pytest.mark.parametrize("text", ["login x", "machine", "machine a login", "word word"])
def test_a_broken_auth_file_names_the_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        netrc_provider(f"# x\n{text}\n", "auth.conf")
    assert caught.value.where == {"file": "auth.conf", "line": 2}


def test_a_password_goes_over_tls_or_within_this_machine() -> None:
    def provide(url: Url) -> Credential:
        return Credential(username="u", password="p")

    assert authorization(Url.parse("https://a.example/"), provide)
    assert authorization(Url.parse("http://127.0.0.1/"), provide)
    assert authorization(Url.parse("http://a.example/"), provide) is None
    assert authorization(Url.parse("http://u:p@a.example/"), provide), "the user wrote it so"


def test_a_credential_prints_no_password() -> None:
    credential = Credential(username="u", password="geheim", source="netrc")
    assert "geheim" not in f"{credential} {credential!r} {[credential]}"
