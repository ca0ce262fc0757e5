"""A registry with its token service, uploads, storage and lists under names of their own.

On one private network all of it works; a public registry reaches nothing private through any of
them. Every place where a registry names a URL is one of ``WAYS``.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builders.http_server import Received, Server, serving
from builders.images import windows_image
from builders.net import quick_client
from builders.networks import FORBIDDEN, LOOPBACK, PRIVATE, PUBLIC, Hosts
from builders.runtime import runtime
from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import HomeportError
from homeport.images.address import LayoutAddress
from homeport.images.image import Image
from homeport.images.nondistributable import NonDistributableLayers
from homeport.images.transports.oci_layout import OciLayout
from homeport.net.address_class import AddressClass
from homeport.net.errors import ForbiddenAddress
from homeport.oci.documents import Descriptor
from homeport.registry.client import Registry
from homeport.registry.endpoint import endpoint_for
from homeport.registry.repository import Repository
from homeport.registry.upload import upload_blob

CONTENT = b"content"
DIGEST = Digest.of(CONTENT)
REGISTRY, TOKENS = "registry.example", "tokens.example"
UPLOADS, STORAGE, PAGES = "uploads.example", "storage.example", "pages.example"
NAMES = (REGISTRY, TOKENS, UPLOADS, STORAGE, PAGES)


@dataclass(frozen=True)
class World:
    """Servers by name, and the repository ``a`` of the registry among them."""

    hosts: Hosts
    servers: dict[str, Server]
    repository: Repository
    store: Store


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    return Hosts(monkeypatch)


@contextmanager
def world(hosts: Hosts, folder: Path, classes: dict[str, AddressClass]) -> Iterator[World]:
    with ExitStack() as stack:
        servers = {}
        for name in NAMES:
            hosts.name(name, classes.get(name, classes[REGISTRY]))
            servers[name] = stack.enter_context(serving(address=hosts.address(name)))
        answer(servers)
        client = stack.enter_context(quick_client())
        endpoint = endpoint_for(f"{REGISTRY}:{servers[REGISTRY].port}", plain_http=True)
        repository = Repository(Registry(client, endpoint), "a")
        yield World(hosts, servers, repository, Store(folder / "store"))


def answer(servers: dict[str, Server]) -> None:
    """Every request to the registry needs a token; every answer of it leads elsewhere."""

    def place(name: str, path: str) -> str:
        return servers[name].url(path, host=name)

    def guarded(status: int, body: bytes = b"", **headers: str) -> Callable[[Received], Any]:
        def answer(request: Received) -> tuple[int, dict[str, str], bytes]:
            if request.headers.get("authorization") == "Bearer token":
                return status, headers, body
            challenge = f'Bearer realm="{place(TOKENS, "/token")}"'
            return 401, {"WWW-Authenticate": challenge}, b"{}"

        return answer

    registry = servers[REGISTRY].answers
    registry["/v2/"] = guarded(200, b"{}")
    registry["/v2/a/blobs/uploads/"] = guarded(202, Location=place(UPLOADS, "/1"))
    registry[f"/v2/a/blobs/{DIGEST}"] = guarded(307, Location=place(STORAGE, "/blob"))
    following = f'<{place(PAGES, "/more")}>; rel="next"'
    registry["/v2/a/tags/list"] = guarded(200, b'{"tags": ["1"]}', Link=following)
    servers[TOKENS].answer("/token", 200, b'{"token": "token"}')
    servers[UPLOADS].answer("/1", 201)
    servers[STORAGE].file("/blob", CONTENT)
    servers[PAGES].answer("/more", 200, b'{"tags": ["2"]}')


def get_a_token(world: World) -> None:
    world.repository.registry.ping()


def upload(world: World) -> None:
    assert upload_blob(world.repository, BytesBlob(CONTENT))


def download(world: World) -> None:
    descriptor = Descriptor(media_type="", digest=str(DIGEST), size=len(CONTENT))
    with world.repository.fetch_blob(descriptor, world.store).open() as stream:
        assert stream.read() == CONTENT


def list_tags(world: World) -> None:
    assert list(world.repository.tags()) == ["1", "2"]


#: What the registry names a URL for, and whose.
WAYS = {TOKENS: get_a_token, UPLOADS: upload, STORAGE: download, PAGES: list_tags}


@pytest.mark.parametrize("found", [LOOPBACK, PRIVATE, PUBLIC])
def test_names_on_one_network_reach_each_other(
    hosts: Hosts, tmp_path: Path, found: AddressClass
) -> None:
    with world(hosts, tmp_path, {REGISTRY: found}) as there:
        for use in WAYS.values():
            use(there)
        assert all(there.servers[name].requests for name in NAMES)
        elsewhere = [there.servers[name] for name in NAMES if name != REGISTRY]
        assert not any("authorization" in one.headers for s in elsewhere for one in s.requests)


@pytest.mark.parametrize("target", WAYS)
@pytest.mark.parametrize(
    ("registry", "found"), [(PUBLIC, PRIVATE), (PUBLIC, LOOPBACK), (PRIVATE, LOOPBACK),
                            (PUBLIC, FORBIDDEN), (PRIVATE, FORBIDDEN), (LOOPBACK, FORBIDDEN)]
)  # fmt: skip
def test_a_registry_sends_nobody_to_a_more_private_network(
    hosts: Hosts, tmp_path: Path, target: str, registry: AddressClass, found: AddressClass
) -> None:
    with world(hosts, tmp_path, {REGISTRY: registry, target: found}) as there:
        with pytest.raises(ForbiddenAddress) as caught:
            WAYS[target](there)
        assert there.servers[target].requests == []
        assert f"refused to connect to {target}" in caught.value.what
        assert f"{REGISTRY} ({registry.words}) refers to another host" in caught.value.what


@pytest.mark.parametrize("target", WAYS)
def test_a_name_that_changes_between_lookups_gains_nothing(
    hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """A name server that answers public and private in turn never leads to the private host."""
    with world(hosts, tmp_path, {REGISTRY: PUBLIC}) as there:
        inside = hosts.name("inside.example", PRIVATE)
        public = hosts.alias("public.example", target)
        with serving(address=hosts.address(inside), port=there.servers[target].port) as internal:
            resolve, lookups = socket.getaddrinfo, []

            def alternate(host: Any, *arguments: Any, **more: Any) -> Any:
                if host in (target, target.encode()):
                    lookups.append(host)
                    hosts.alias(target, inside if len(lookups) % 2 == 0 else public)
                return resolve(host, *arguments, **more)

            monkeypatch.setattr(socket, "getaddrinfo", alternate)
            for _ in range(3):
                with suppress(ForbiddenAddress):
                    WAYS[target](there)
                there.repository.registry.client.close()  # no connection is used again
            assert internal.requests == []
            assert lookups


@pytest.mark.parametrize("target", [UPLOADS, PAGES])
def test_a_registry_that_moves_inside_counts_as_public(
    hosts: Hosts, tmp_path: Path, target: str
) -> None:
    """Once it has answered from a public address it names no private one, whatever DNS says."""
    with world(hosts, tmp_path, {REGISTRY: PUBLIC, target: PRIVATE}) as there:
        get_a_token(there)
        there.repository.registry.client.close()
        inside = hosts.name("inside.example", PRIVATE)
        port = there.servers[REGISTRY].port
        with serving(address=hosts.address(inside), port=port) as internal:
            internal.answers.update(there.servers[REGISTRY].answers)
            hosts.alias(REGISTRY, inside)
            with pytest.raises(ForbiddenAddress):
                WAYS[target](there)
            assert internal.requests
        assert there.servers[target].requests == []


@pytest.mark.parametrize("found", [PRIVATE, LOOPBACK, FORBIDDEN])
def test_a_manifest_sends_nobody_to_a_private_network(
    hosts: Hosts, tmp_path: Path, found: AddressClass
) -> None:
    """The URLs of a layer come from whoever wrote the manifest: they count as a public server's."""
    hosts.name("owner.example", found)
    layout = OciLayout(LayoutAddress(path=tmp_path / "layout", tag="1"))
    run = runtime(Store(tmp_path))
    with serving(address=hosts.address("owner.example")) as owner, quick_client() as client:
        url = owner.file("/layer", CONTENT).replace("http://127.0.0.1", "https://owner.example")
        layout.write(windows_image(CONTENT, (url,)), run)
        with layout.open(run) as value:
            taken = NonDistributableLayers(client=client, runtime=run).take(value)
            assert isinstance(taken, Image)
            with pytest.raises(HomeportError, match=r"refused to connect to owner\.example"):
                taken.blobs[DIGEST].open()
        assert (owner.requests, owner.connections) == ([], 0)


@pytest.mark.parametrize(
    "spelled",
    ["[::127.0.0.1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "127.1",
     "0x7f000001", "169.254.169.254", "[64:ff9b::a9fe:a9fe]"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v2/a/blobs/uploads/", f"/v2/a/blobs/{DIGEST}"])
def test_an_address_spelled_inside_another_is_judged_by_what_it_reaches(
    hosts: Hosts, tmp_path: Path, path: str, spelled: str
) -> None:
    with world(hosts, tmp_path, {REGISTRY: PUBLIC}) as there:
        status = 202 if path.endswith("/") else 307
        there.servers[REGISTRY].answer(path, status, Location=f"http://{spelled}/x")
        with pytest.raises(ForbiddenAddress):
            (upload if status == 202 else download)(there)
