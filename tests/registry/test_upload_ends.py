"""How uploads begin and end: mounted if the registry can, and never left open."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builders.net import quick_client
from builders.registry import image, seven_platforms
from builders.small_registry import SmallRegistry, small_registry
from homeport.content.blob import BytesBlob, FileBlob
from homeport.content.digest import Digest
from homeport.content.hash_cache import KnownGoodFiles
from homeport.content.store import Store
from homeport.content.thread_pools import LOOKUP_WORKERS, Pools
from homeport.errors import IntegrityError, Interrupted
from homeport.net.client import Client
from homeport.net.errors import NetError, SourceChanged
from homeport.progress import CancelToken
from homeport.registry.client import Registry
from homeport.registry.endpoint import endpoint_for
from homeport.registry.push import PushRequest, push
from homeport.registry.repository import Repository
from homeport.registry.upload import upload_blob

LARGE = BytesBlob(bytes(1 << 20))


@pytest.fixture
def registry() -> Iterator[SmallRegistry]:
    with small_registry() as found:
        yield found


def repository(registry: SmallRegistry, client: Client, name: str = "team/a") -> Repository:
    return Repository(Registry(client, endpoint_for(registry.host, plain_http=True)), name)


def test_an_interrupted_upload_is_closed_at_the_registry(registry: SmallRegistry) -> None:
    cancel = CancelToken()
    with quick_client(cancel=cancel, stall=5) as client, pytest.raises(Interrupted):
        upload_blob(repository(registry, client), LARGE, on_sent=lambda _count: cancel.cancel())
    assert registry.sessions == {}
    assert registry.blobs == {}
    assert [line.partition(" ")[0] for line in registry.requests].count("DELETE") == 1


def test_an_upload_of_damaged_content_is_closed_at_the_registry(registry: SmallRegistry) -> None:
    damaged = BytesBlob(LARGE.data)
    object.__setattr__(damaged, "digest", Digest.of(b"something else"))
    with quick_client(stall=5) as client, pytest.raises(IntegrityError):
        upload_blob(repository(registry, client), damaged)
    assert registry.sessions == {}
    assert registry.blobs == {}


def test_what_another_repository_has_is_mounted_though_nobody_named_it(
    registry: SmallRegistry,
) -> None:
    push_request = seven_platforms()
    with quick_client(stall=5) as client, ThreadPoolExecutor(4) as pool:
        push(repository(registry, client), push_request, pool)
    with quick_client(stall=5) as client, ThreadPoolExecutor(4) as pool:  # which knows nothing
        pushed = push(repository(registry, client, "team/b"), push_request, pool)
    assert pushed.sent == 0
    assert pushed.mounted == len(push_request.blobs)
    assert registry.sessions == {}


def test_a_push_asks_for_every_part_at_the_same_time(registry: SmallRegistry) -> None:
    push_request = seven_platforms()
    with quick_client(stall=5) as client, ThreadPoolExecutor(4) as pool:
        push(repository(registry, client), push_request, pool)
    parts = len(push_request.blobs) + len(push_request.manifests) + len(push_request.tags)
    registry.heads_wait_for = threading.Barrier(parts)
    with quick_client(stall=65) as client, Pools(CancelToken(), network=1) as pools:
        assert parts <= LOOKUP_WORKERS
        pushed = push(
            repository(registry, client), push_request, pools.network, lookups=pools.lookups
        )
    assert (pushed.sent, pushed.present) == (0, len(push_request.blobs))


def test_a_failed_lookup_ends_the_push_after_the_uploads_that_were_begun(
    registry: SmallRegistry,
) -> None:
    push_request = seven_platforms()
    registry.heads_wait_for = threading.Barrier(2)
    registry.heads_wait_for.abort()  # every HEAD is cut
    with quick_client(stall=1) as client, Pools(CancelToken(), network=1) as pools:
        with pytest.raises(NetError):
            push(repository(registry, client), push_request, pools.network, lookups=pools.lookups)
        assert registry.blobs == {}


def test_where_nothing_can_be_mounted_no_request_is_lost() -> None:
    push_request = seven_platforms()
    with small_registry(automatic_mount=False) as registry:
        with quick_client(stall=5) as client, ThreadPoolExecutor(4) as pool:
            pushed = push(repository(registry, client), push_request, pool)
        posts = [line for line in registry.requests if line.startswith("POST")]
    assert pushed.sent == len(posts) == len(push_request.blobs)


def _layer_in(path: Path, content: bytes) -> tuple[FileBlob, PushRequest]:
    """An image whose layer should be ``LARGE`` and lies in a file with that content."""
    path.write_bytes(content)
    blob = FileBlob(path, LARGE.digest, LARGE.size)
    manifest, blobs = image(LARGE.data)
    return blob, PushRequest(blobs={**blobs, LARGE.digest: blob}, manifests=(manifest,))


@pytest.mark.usefixtures("later")
def test_a_file_that_an_earlier_push_has_verified_is_hashed_again_once_it_is_touched(
    tmp_path: Path,
) -> None:
    blob, push_request = _layer_in(tmp_path / "blob", LARGE.data)
    files = KnownGoodFiles(Store(tmp_path / "store"))

    def send() -> None:
        with (
            small_registry() as registry,
            quick_client(stall=5) as client,
            ThreadPoolExecutor(4) as pool,
        ):
            push(repository(registry, client), push_request, pool, files=files)
            assert registry.blobs["team/a", str(LARGE.digest)] == LARGE.data

    send()
    assert files.has(files.state(blob))
    send()
    time.sleep(0.02)  # longer than the steps of a filesystem's clock
    with blob.path.open("r+b") as stream:
        stream.write(b"\xff")
    with pytest.raises(IntegrityError):
        send()


@pytest.mark.usefixtures("later")
def test_a_wrong_memory_of_a_file_does_no_harm(registry: SmallRegistry, tmp_path: Path) -> None:
    blob, push_request = _layer_in(tmp_path / "blob", b"\xff" + LARGE.data[1:])
    files = KnownGoodFiles(Store(tmp_path / "store"))
    files.add(files.state(blob), blob)
    for error in (SourceChanged, IntegrityError):  # it is believed once, then looked at
        with (
            quick_client(stall=5) as client,
            ThreadPoolExecutor(4) as pool,
            pytest.raises(error),
        ):
            push(repository(registry, client), push_request, pool, files=files)
    assert ("team/a", str(LARGE.digest)) not in registry.blobs
    assert registry.manifests == {}
