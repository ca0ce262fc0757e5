"""Where a server may send us: to its own class of addresses or to a more public one."""

from __future__ import annotations

import pytest

from builders.http_server import serving
from builders.net import quick_client
from builders.networks import FORBIDDEN, LOOPBACK, PRIVATE, PUBLIC, Hosts
from homeport.net.address_class import AddressClass
from homeport.net.errors import ForbiddenAddress
from homeport.net.proxies import Proxies
from homeport.net.response import Sender
from homeport.net.retries import ONCE
from homeport.net.url import Url


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    return Hosts(monkeypatch)


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        (LOOPBACK, LOOPBACK, True), (LOOPBACK, PRIVATE, True), (LOOPBACK, PUBLIC, True),
        (PRIVATE, PRIVATE, True), (PRIVATE, PUBLIC, True), (PUBLIC, PUBLIC, True),
        (PRIVATE, LOOPBACK, False), (PUBLIC, LOOPBACK, False), (PUBLIC, PRIVATE, False),
        (LOOPBACK, FORBIDDEN, False), (PRIVATE, FORBIDDEN, False), (PUBLIC, FORBIDDEN, False),
    ],
)  # fmt: skip
def test_a_redirect_is_followed_to_the_own_class_or_a_more_public_one(
    hosts: Hosts, source: AddressClass, target: AddressClass, allowed: bool
) -> None:
    hosts.name("registry.example", source)
    hosts.name("storage.example", target)
    with (
        serving(address=hosts.address("registry.example")) as registry,
        serving(address=hosts.address("storage.example")) as storage,
        quick_client() as client,
    ):
        storage.file("/blob", b"content")
        location = storage.url("/blob", host="storage.example")
        registry.answer("/blob", 307, Location=location)
        url = registry.url("/blob", host="registry.example")
        if allowed:
            with client.request("GET", url) as response:
                assert response.read() == b"content"
            return
        with pytest.raises(ForbiddenAddress) as caught:
            client.request("GET", url)
        assert storage.requests == []
        assert caught.value.what == (
            f"registry.example ({source.words}) refers to another host: refused to connect to "
            f"storage.example, {target.words} ({hosts.address('storage.example')})"
        )
        assert caught.value.hint == "if you trust it, set HOMEPORT_TRUSTED_HOSTS=storage.example"


def test_each_hop_is_judged_by_the_one_before(hosts: Hosts) -> None:
    for name, found in (("first.example", PRIVATE), ("second.example", PUBLIC)):
        hosts.name(name, found)
    hosts.name("third.example", PRIVATE)
    with (
        serving(address=hosts.address("first.example")) as first,
        serving(address=hosts.address("second.example")) as second,
        serving(address=hosts.address("third.example")) as third,
        quick_client() as client,
    ):
        first.answer("/", 302, Location=second.url("/", host="second.example"))
        second.answer("/", 302, Location=third.url("/", host="third.example"))
        with pytest.raises(ForbiddenAddress, match=r"second\.example"):
            client.request("GET", first.url("/", host="first.example"))
        assert third.requests == []


def test_a_host_with_a_private_address_counts_as_private_for_a_public_server(hosts: Hosts) -> None:
    hosts.name("registry.example", PUBLIC)
    hosts.name("split.example", PUBLIC, PRIVATE)
    with (
        serving(address=hosts.address("registry.example")) as registry,
        serving(address=hosts.address("split.example")) as storage,
        quick_client() as client,
    ):
        registry.answer("/", 302, Location=storage.url("/", host="split.example"))
        with pytest.raises(ForbiddenAddress, match="a private address"):
            client.request("GET", registry.url("/", host="registry.example"))
        assert storage.requests == []


def test_a_name_that_changes_its_mind_gains_nothing(hosts: Hosts) -> None:
    """The source counts by the address of the connection that answered, also when it is reused."""
    hosts.name("registry.example", PUBLIC)
    hosts.name("internal.example", PRIVATE)
    with (
        serving(address=hosts.address("registry.example")) as registry,
        serving(address=hosts.address("internal.example")) as internal,
        quick_client() as client,
    ):
        registry.file("/a", b"a")
        registry.answer("/", 302, Location=internal.url("/", host="internal.example"))
        with client.request("GET", registry.url("/a", host="registry.example")) as response:
            response.read()
        hosts.name("registry.example", PRIVATE)  # too late: the connection is kept
        with pytest.raises(ForbiddenAddress):
            client.request("GET", registry.url("/", host="registry.example"))
        assert (internal.requests, registry.connections) == ([], 1)


def test_a_connection_that_the_user_asked_for_serves_no_server(hosts: Hosts) -> None:
    """A kept connection to a private host is not used for a public server that names it."""
    hosts.name("registry.example", PUBLIC)
    hosts.name("internal.example", PRIVATE)
    with (
        serving(address=hosts.address("registry.example")) as registry,
        serving(address=hosts.address("internal.example")) as internal,
        quick_client() as client,
    ):
        url = internal.file("/", b"secret").replace("127.0.0.1", "internal.example")
        with client.request("GET", url) as response:
            assert response.read() == b"secret"
        registry.answer("/", 302, Location=url)
        with pytest.raises(ForbiddenAddress):
            client.request("GET", registry.url("/", host="registry.example"))
        assert len(internal.requests) == 1


def test_addresses_that_serve_no_registry_are_refused_whoever_names_them(hosts: Hosts) -> None:
    hosts.name("metadata.example", FORBIDDEN)
    with (
        serving(address=hosts.address("metadata.example")) as server,
        quick_client() as client,
    ):
        url = server.url("/", host="metadata.example")
        with pytest.raises(ForbiddenAddress, match=r"^refused to connect to metadata\.example"):
            client.request("GET", url, rule=ONCE)
        assert server.requests == []
    for literal in ("169.254.169.254", "[fe80::1%25eth0]", "[fd00:ec2::254]", "0.0.0.0"):
        with quick_client() as client, pytest.raises(ForbiddenAddress):
            client.request("GET", f"http://{literal}/", rule=ONCE)


def test_a_trusted_host_may_be_anywhere(hosts: Hosts) -> None:
    hosts.name("registry.example", PUBLIC)
    hosts.name("storage.example", PRIVATE)
    hosts.name("metadata.example", FORBIDDEN)
    trusted = frozenset({"storage.example", "metadata.example"})
    with serving(address=hosts.address("registry.example")) as registry:
        for name in sorted(trusted):
            with (
                serving(address=hosts.address(name)) as server,
                quick_client(trusted_hosts=trusted) as client,
            ):
                server.file("/x", b"there")
                registry.answer("/", 302, Location=server.url("/x", host=name))
                with client.request("GET", registry.url("/", host="registry.example")) as response:
                    assert response.read() == b"there"


@pytest.mark.parametrize("spelled", ["10.0.0.1", "[::ffff:10.0.0.1]", "0x0a000001", "localhost"])
def test_through_a_proxy_names_that_spell_addresses_are_judged(hosts: Hosts, spelled: str) -> None:
    with serving() as proxy:
        proxy.answer("http://registry.example/", 302, Location=f"http://{spelled}/x")
        proxies = Proxies(http=Url.parse(proxy.url()))
        with quick_client(proxies=proxies) as client, pytest.raises(ForbiddenAddress):
            client.request("GET", "http://registry.example/")
        assert proxy.paths() == ["http://registry.example/"]


def test_a_url_that_a_public_answer_names_is_judged_like_a_redirect(hosts: Hosts) -> None:
    sender = Sender(url=Url.parse("http://registry.example/v2/"), address_class=PUBLIC)
    hosts.name("auth.example", PRIVATE)
    with serving(address=hosts.address("auth.example")) as server, quick_client() as client:
        with pytest.raises(ForbiddenAddress):
            client.request("GET", server.url("/", host="auth.example"), named_by=sender)
        assert server.requests == []
