"""Random faults at random moments of a push of seven platforms: it arrives all the same.

What one seed does is always the same. ``.ci/run --full`` runs many more of them.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from builders.fault_proxy import Fault, fault_proxy
from builders.net import FakeClock, quick_client
from builders.registry import Running, docker_registry, seven_platforms
from homeport.content.digest import Digest
from homeport.registry.client import Registry
from homeport.registry.endpoint import endpoint_for
from homeport.registry.push import PushRequest, push
from homeport.registry.repository import Repository

pytestmark = pytest.mark.peer("docker-registry")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


def random_fault(dice: random.Random) -> Fault:
    """Any fault that a request may meet and that is over when it is made again."""
    skip = dice.randrange(12)
    return dice.choice(
        [
            Fault(path="/v2/.+", status=dice.choice([429, 500, 502, 503, 504]), skip=skip),
            Fault(path="/v2/.+", lose_answer=True, skip=skip),
            Fault(path="/v2/.+", raw=b"", skip=skip),
            Fault(path="/v2/.+", forget_token=True, skip=skip),
            Fault(path="/token", status=503, skip=dice.randrange(3)),
            Fault(method="PUT", cut_request_at=dice.randrange(5000), skip=skip),
            Fault(method="PUT", path="digest=", flip_request=True, skip=skip),
            Fault(
                method="PUT", path="/manifests/", status=404, skip=skip,
                body=b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}',
            ),
            Fault(method="PUT", path="digest=", status=404, skip=skip),
            Fault(method="HEAD", path="/blobs/", status=405, skip=skip),
        ]
    )  # fmt: skip


def chaos(registry: Running, seed: int) -> None:
    """One push, which must arrive: so few faults in all are no reason to give up."""
    dice = random.Random(seed)
    push_request = seven_platforms(5000 + seed)
    name = f"chaos/{seed}"
    with (
        fault_proxy(registry.host, tokens=True) as proxy,
        quick_client(clock=FakeClock(), stall=5) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        faults = [random_fault(dice) for _ in range(dice.randrange(1, 9))]
        # A second flipped bit in one blob ends the push, rightly: one is all that may be.
        flips = [fault for fault in faults if fault.flip_request]
        proxy.faults += [fault for fault in faults if fault not in flips[1:]]
        repository = Repository(Registry(client, endpoint_for(proxy.host, plain_http=True)), name)
        push(repository, push_request, pool)
        check(registry, name, push_request)
    assert registry.damaged() == []


def check(registry: Running, name: str, push_request: PushRequest) -> None:
    with quick_client(stall=5) as client:
        repository = Repository(Registry(client, endpoint_for(registry.host)), name)
        assert repository.manifest("latest").raw == push_request.manifests[-1].raw
        for statement in push_request.manifests:
            assert repository.manifest(statement.digest).raw == statement.raw
    for digest, blob in push_request.blobs.items():
        assert registry.content(digest) == blob.open().read()


@pytest.mark.parametrize("seed", range(12))
def test_a_push_in_chaos_arrives(registry: Running, seed: int) -> None:
    chaos(registry, seed)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1000, 1300))
def test_many_pushes_in_chaos_arrive(registry: Running, seed: int) -> None:
    chaos(registry, seed)


def test_two_pushers_of_the_same_image_both_succeed(registry: Running) -> None:
    push_request = seven_platforms(20_000)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with quick_client(stall=5) as client, ThreadPoolExecutor(4) as pool:
                endpoint = endpoint_for(registry.host)
                push(Repository(Registry(client, endpoint), "both"), push_request, pool)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    check(registry, "both", push_request)


def test_a_blob_pushed_to_one_repository_is_mounted_into_the_next(registry: Running) -> None:
    push_request = seven_platforms(7777)
    with quick_client(stall=5) as client, ThreadPoolExecutor(4) as pool:
        opened = Registry(client, endpoint_for(registry.host))
        assert push(Repository(opened, "first"), push_request, pool).sent == 15
        second = push(Repository(opened, "second"), push_request, pool)
        assert (second.sent, second.mounted) == (0, 15)
    assert Digest.of(b"") not in push_request.blobs
