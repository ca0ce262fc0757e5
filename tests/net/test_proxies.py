"""Which requests go through a proxy, and what the proxy sees of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.certificates import authority, issue
from builders.http_server import free_port, server_tls, serving
from builders.net import quick_client
from homeport.net.credentials import Credential
from homeport.net.errors import ForbiddenAddress, ProxyFailed, Refused
from homeport.net.proxies import BadProxy, Proxies, from_environment
from homeport.net.tls_settings import Trust
from homeport.net.url import Url

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environment", "url", "proxied"),
    [
        ({"http_proxy": PROXY}, "http://a.example/", True),
        ({"http_proxy": PROXY}, "https://a.example/", False),
        ({"HTTPS_PROXY": PROXY}, "https://a.example/", True),
        ({"all_proxy": PROXY}, "https://a.example/", True),
        ({"https_proxy": ""}, "https://a.example/", False),
        ({"http_proxy": "proxy.example:3128"}, "http://a.example/", True),
        ({"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "http://a.example/", False),
        ({"http_proxy": PROXY}, "http://localhost/", False),
        ({"http_proxy": PROXY}, "http://127.0.0.1:80/", False),
        ({"http_proxy": PROXY, "no_proxy": "a.example"}, "http://a.example/", False),
        ({"http_proxy": PROXY, "no_proxy": "a.example"}, "http://b.a.example/", False),
        ({"http_proxy": PROXY, "no_proxy": "a.example"}, "http://xa.example/", True),
        ({"http_proxy": PROXY, "no_proxy": ".a.example"}, "http://a.example/", True),
        ({"http_proxy": PROXY, "no_proxy": "*"}, "http://a.example/", False),
        ({"http_proxy": PROXY, "NO_PROXY": "x, 10.0.0.0/8 "}, "http://10.1.2.3/", False),
        ({"http_proxy": PROXY, "no_proxy": "10.0.0.0/8"}, "http://11.1.2.3/", True),
        ({"http_proxy": PROXY, "no_proxy": "a.example:8080"}, "http://a.example/", True),
        ({"http_proxy": PROXY, "no_proxy": "a.example:80"}, "http://a.example/", False),
        ({"http_proxy": PROXY, "no_proxy": "[fd00::1]"}, "http://[fd00::1]/", False),
        ({"http_proxy": PROXY, "no_proxy": "fd00::/8"}, "http://[fd00::1]/", False),
        ({"http_proxy": PROXY, "HTTP_PROXY": "http://other/"}, "http://a.example/", True),
    ],
)
def test_the_environment_decides(environment: dict[str, str], url: str, proxied: bool) -> None:
    found = from_environment(environment).proxy_for(Url.parse(url))
    assert (found is not None and found.host == "proxy.example") == proxied


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("https_proxy", "ftp://user:geheim@proxy/", "invalid proxy URL"),
        ("https_proxy", "http://user:geheim@[::bad/", "invalid proxy URL"),
        ("ALL_PROXY", "socks5://user:geheim@proxy:1080", "names a socks5:// proxy"),
        ("all_proxy", "socks5h://user:geheim@proxy:1080", "names a socks5h:// proxy"),
        ("HTTPS_PROXY", "SOCKS4://user:geheim@proxy", "names a socks4:// proxy"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_by_requests_that_need_it(
    name: str, text: str, why: str
) -> None:
    proxies = from_environment({name: text, "no_proxy": "inside.example"})
    with pytest.raises(BadProxy) as caught:
        proxies.proxy_for(Url.parse("https://outside.example/"))
    assert name in caught.value.what
    assert why in caught.value.what
    assert "geheim" not in repr(caught.value.to_json())
    assert proxies.proxy_for(Url.parse("https://inside.example/")) is None
    assert proxies.proxy_for(Url.parse("https://localhost/")) is None


def test_plain_requests_go_through_the_proxy_with_its_credentials() -> None:
    with serving() as proxy:
        proxy.answer("http://a.example/x", 200, b"from far")
        url = Url.parse(f"http://me:secret@127.0.0.1:{proxy.port}")

        def provide(asked: Url) -> Credential:
            return Credential(username="site", password="secret")

        with (
            quick_client(proxies=Proxies(http=url), credentials=provide) as client,
            client.request("GET", "http://a.example/x") as response,
        ):
            assert response.read() == b"from far"
        (request,) = proxy.requests
        assert request.path == "http://a.example/x"
        assert request.headers["host"] == "a.example"
        assert request.headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"
        assert "authorization" not in request.headers, "no password in clear to another machine"


@pytest.fixture
def tunnels() -> Iterator[list[str]]:
    """A proxy that takes CONNECT for any name to one port of this machine; port in ``[0]``."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen = [str(listener.getsockname()[1])]
    thread = threading.Thread(target=_tunnel, args=(listener, seen), daemon=True)
    thread.start()
    yield seen
    listener.close()
    thread.join(2)


def _tunnel(listener: socket.socket, seen: list[str]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        line = client.recv(65536).split(b"\r\n")[0].decode()
        seen.append(line)
        port = int(line.split()[1].rpartition(":")[2])
        if port == 1:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            client.close()
            continue
        server = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        target.close()


def test_secure_requests_go_through_a_tunnel(tmp_path: Path, tunnels: list[str]) -> None:
    ca = authority(tmp_path)
    pair = issue(ca, tmp_path, "server", alternative="DNS:a.example")
    proxies = Proxies(https=Url.parse(f"http://127.0.0.1:{tunnels[0]}"))
    with (
        serving(server_tls(pair.certificate, pair.key)) as server,
        quick_client(proxies=proxies, trust=Trust(ca_files=(ca.certificate,)), stall=3) as client,
    ):
        server.file("/x", b"secret")
        with client.request("GET", f"https://a.example:{server.port}/x") as response:
            assert response.read() == b"secret"
        assert tunnels[1:] == [f"CONNECT a.example:{server.port} HTTP/1.0"]


def test_a_proxy_that_wants_a_password_is_not_taken_for_the_server(tunnels: list[str]) -> None:
    proxies = Proxies(https=Url.parse(f"http://127.0.0.1:{tunnels[0]}"))
    with (
        quick_client(proxies=proxies, stall=3) as client,
        pytest.raises(ProxyFailed, match="proxy"),
    ):
        client.request("GET", "https://a.example:1/x")


@pytest.mark.parametrize("url", ["http://a.example/x", "https://a.example/x"])
def test_a_proxy_that_is_not_there_is_named_as_the_proxy(url: str) -> None:
    proxy = Url.parse(f"http://127.0.0.1:{free_port()}")
    with (
        quick_client(proxies=Proxies(http=proxy, https=proxy)) as client,
        pytest.raises(Refused) as caught,
    ):
        client.request("GET", url)
    assert caught.value.where["proxy"] == proxy.netloc
    assert "no_proxy" in str(caught.value.hint)


def test_a_redirect_through_a_proxy_cannot_name_a_private_address() -> None:
    with serving() as proxy:
        proxy.answer("http://a.example/x", 302, b"", Location="http://169.254.169.254/")
        proxies = Proxies(http=Url.parse(proxy.url()))
        with quick_client(proxies=proxies) as client, pytest.raises(ForbiddenAddress):
            client.request("GET", "http://a.example/x")
