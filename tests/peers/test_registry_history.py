"""Three failures that image clients are known for, each made to happen: here they cannot.

They have one cause, a body that can be read only once (docs/registry.md, "Why bodies can be
sent again"). And: whatever is damaged in a layout is named, and does not reach a registry.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

from builders.fault_proxy import Fault, fault_proxy
from builders.images import index
from builders.net import FakeClock, quick_client
from builders.registry import Running, docker_registry, seven_platforms
from builders.runtime import runtime
from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.errors import HomeportError
from homeport.images.address import LayoutAddress, RegistryAddress
from homeport.images.copy import copy
from homeport.images.transports.oci_layout import OciLayout
from homeport.images.transports.registry import RegistryTransport
from homeport.oci.reference import parse_reference
from homeport.registry.client import Registry
from homeport.registry.endpoint import endpoint_for
from homeport.registry.errors import NotFound
from homeport.registry.push import push
from homeport.registry.registries import Registries
from homeport.registry.repository import Repository
from homeport.registry.upload import upload_blob

pytestmark = pytest.mark.peer("docker-registry")

WHOLE = r"/blobs/uploads/.*digest="


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@dataclass
class CountingBlob:
    """A Blob that counts how often it was opened, and whether every reader was closed."""

    data: bytes
    opened: list[int] = field(default_factory=list)
    readers: list[BinaryIO] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def digest(self) -> Digest:
        return Digest.of(self.data)

    @property
    def size(self) -> int:
        return len(self.data)

    def open(self, offset: int = 0) -> BinaryIO:
        reader = io.BytesIO(self.data[offset:])
        with self.lock:
            self.opened.append(offset)
            self.readers.append(reader)
        return reader

    def local_path(self) -> Path | None:
        return None


def test_cannot_reuse_body_request_must_be_retried(registry: Running) -> None:
    """A token that ends and connections that drop, in a push of seven platforms sharing layers.

    containerd's pusher of 2021 to 2022 could not send a body again and gave up here.
    """
    push_request = seven_platforms(200_000)
    with (
        fault_proxy(registry.host, tokens=True) as proxy,
        quick_client(stall=5) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        proxy.faults += [
            Fault(method="PUT", path=WHOLE, forget_token=True),
            Fault(method="PUT", path=WHOLE, cut_request_at=50_000),
            Fault(method="PUT", path=WHOLE, forget_token=True, skip=4),
            Fault(method="PUT", path=WHOLE, lose_answer=True, skip=2),
            Fault(method="PUT", path="/manifests/", forget_token=True, skip=3),
            Fault(method="PUT", path="/manifests/", status=503, skip=5),
        ]
        repository = Repository(Registry(client, endpoint_for(proxy.host, plain_http=True)), "h/1")
        pushed = push(repository, push_request, pool)
        assert proxy.faults == []
        assert pushed.sent == len(push_request.blobs)
    for digest, blob in push_request.blobs.items():
        assert registry.content(digest) == blob.open().read()
    assert registry.damaged() == []


def test_seek_on_closed_reader_after_a_retry(registry: Running) -> None:
    """Each attempt opens the content anew, where the registry asks for it, and closes it."""
    blob = CountingBlob(bytes(range(256)) * 2000)
    with fault_proxy(registry.host) as proxy, quick_client(stall=5) as client:
        proxy.faults += [
            Fault(method="PUT", path=WHOLE, cut_request_at=100_000),
            Fault(method="PUT", path=WHOLE, status=429),
            Fault(method="PUT", path=WHOLE, status=502),
        ]
        repository = Repository(Registry(client, endpoint_for(proxy.host, plain_http=True)), "h/2")
        assert upload_blob(repository, blob)
        bodies = [one for one in proxy.seen if one.method in ("PUT", "PATCH") and one.body]
        assert len(blob.opened) == len(bodies) >= 3
    assert all(reader.closed for reader in blob.readers)
    assert registry.content(blob.digest) == blob.data


def test_expected_n_bytes_but_got_0_after_a_429(registry: Running) -> None:
    """A manifest that is refused for the moment is sent again with all its bytes."""
    push_request = seven_platforms(3000)
    clock = FakeClock()
    with (
        fault_proxy(registry.host) as proxy,
        quick_client(stall=5, clock=clock) as client,
        ThreadPoolExecutor(2) as pool,
    ):
        proxy.faults.append(
            Fault(method="PUT", path="/manifests/", status=429, headers={"Retry-After": "7"})
        )
        repository = Repository(Registry(client, endpoint_for(proxy.host, plain_http=True)), "h/3")
        push(repository, push_request, pool)
        sent = proxy.requests("PUT", "/manifests/")
    sizes = {str(one.digest): len(one.raw) for one in push_request.manifests}
    sizes |= dict.fromkeys(push_request.tags, len(push_request.manifests[-1].raw))
    assert all(one.body == sizes[one.path.rpartition("/")[2]] for one in sent)
    assert len(sent) == len(sizes) + 1, "one was sent twice"
    assert 7 in clock.waits


def damages(folder: Path) -> list[tuple[Path, str]]:
    blobs = sorted((folder / "blobs/sha256").iterdir())
    return [(path, how) for path in blobs for how in ("digest", "size", "absence")]


def test_everything_that_is_damaged_in_a_layout_is_named_and_not_pushed(
    registry: Running, tmp_path: Path
) -> None:
    folder = tmp_path / "layout"
    OciLayout(LayoutAddress(path=folder, tag="1")).write(index(), runtime())
    number = 0
    for path, how in damages(folder):
        number += 1
        good = path.read_bytes()
        if how == "digest":
            path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        elif how == "size":
            path.write_bytes(good + b"!")
        else:
            path.unlink()
        with quick_client(stall=5) as client:
            address = RegistryAddress(
                reference=parse_reference(f"{registry.host}/damaged/{number}:1")
            )
            target = RegistryTransport(address, Registries(client))
            with pytest.raises(HomeportError) as caught:
                copy(OciLayout(LayoutAddress(path=folder, tag="1")), target, runtime())
            shown = f"{caught.value.what} {caught.value.where}"
            assert path.name in shown, (how, shown)
            with pytest.raises(NotFound):
                target.repository.manifest("1")
        path.write_bytes(good)
    assert number >= 60
    assert registry.damaged() == []


def test_content_that_changes_under_our_hands_never_arrives(
    registry: Running, tmp_path: Path
) -> None:
    class Liar(CountingBlob):
        @property
        def digest(self) -> Digest:
            return Digest.of(b"something else of the same length!"[: len(self.data)])

    blob = Liar(b"x" * 30)
    with quick_client(stall=5) as client:
        repository = Repository(Registry(client, endpoint_for(registry.host)), "h/4")
        with pytest.raises(HomeportError) as caught:
            upload_blob(repository, blob)
    assert str(blob.digest) in f"{caught.value.what} {caught.value.where}"
    assert not registry.has_file(blob.digest)
    assert not registry.has_file(BytesBlob(blob.data).digest)
