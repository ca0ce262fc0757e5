"""Against Debian's docker-registry: everything that it speaks, with every way in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from builders.certificates import authority, issue
from builders.fault_proxy import fault_proxy
from builders.net import quick_client
from builders.registry import (
    Running,
    docker_registry,
    image,
    seven_platforms,
    statement,
)
from builders.token_server import token_server
from homeport.content.blob import BytesBlob, FileBlob
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.net.client import Client
from homeport.net.errors import TlsError
from homeport.net.tls_settings import Trust
from homeport.oci.documents import Descriptor
from homeport.registry import errors
from homeport.registry.client import Registry
from homeport.registry.deleting import delete
from homeport.registry.endpoint import endpoint_for
from homeport.registry.login import Login
from homeport.registry.push import Pushed, PushRequest, push
from homeport.registry.referrers import referrers
from homeport.registry.repository import Repository
from homeport.registry.retagging import retag
from homeport.registry.upload import upload_blob

pytestmark = pytest.mark.peer("docker-registry")

ME = Login(username="me", password="s:e c√ret", source="the test")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def client() -> Iterator[Client]:
    with quick_client(stall=5) as client:
        yield client


def open_repository(
    client: Client, host: str, name: str = "a/b", login: Login | None = None
) -> Repository:
    return Repository(Registry(client, endpoint_for(host), lambda _rejected: login), name)


def send(repository: Repository, push_request: PushRequest, **more: bool) -> Pushed:
    with ThreadPoolExecutor(4) as pool:
        return push(repository, push_request, pool, **more)


def small() -> PushRequest:
    manifest, blobs = image(b"a layer")
    return PushRequest(blobs=blobs, manifests=(manifest,), tags=("latest",))


# what works


def test_seven_platforms_arrive_and_each_blob_travels_once(
    client: Client, registry: Running
) -> None:
    with fault_proxy(registry.host) as proxy:
        push_request = seven_platforms()
        pushed = send(open_repository(client, proxy.host, "seven"), push_request)
        assert pushed.sent == len(push_request.blobs) == 15
        assert len(proxy.requests("POST")) == 15
        sent = sum(one.body for one in proxy.requests("PUT", "/blobs/"))
        assert sent == pushed.sent_bytes == sum(blob.size for blob in push_request.blobs.values())
        order = [one.path for one in proxy.requests("PUT")]
        manifests = [path for path in order if "/manifests/" in path]
        assert order[-len(manifests) :] == manifests
        assert manifests[-1].endswith("/manifests/latest")


def test_a_second_push_sends_no_body(client: Client, registry: Running) -> None:
    send(open_repository(client, registry.host, "twice"), seven_platforms())
    with fault_proxy(registry.host) as proxy:
        pushed = send(open_repository(client, proxy.host, "twice"), seven_platforms())
        assert (pushed.sent, pushed.manifests) == (0, 0)
        assert {one.method for one in proxy.seen} == {"GET", "HEAD"}
        assert sum(one.body for one in proxy.seen) == 0


def test_a_manifest_that_exists_does_not_prove_its_parts(client: Client, registry: Running) -> None:
    repository = open_repository(client, registry.host, "parts")
    push_request = small()
    send(repository, push_request)
    layer = Digest.of(b"a layer")
    assert repository.delete_blob(layer)
    assert repository.manifest_digest("latest") == push_request.manifests[0].digest
    assert send(repository, push_request).sent == 1
    assert repository.has_blob(layer, 7)


def test_a_blob_is_mounted_from_where_it_is(client: Client, registry: Running) -> None:
    push_request = small()
    send(open_repository(client, registry.host, "origin"), push_request)
    origins = dict.fromkeys(push_request.blobs, "origin")
    moved = PushRequest(
        blobs=push_request.blobs,
        manifests=push_request.manifests,
        tags=("latest",),
        origins=origins,
    )
    pushed = send(open_repository(client, registry.host, "target"), moved)
    assert (pushed.sent, pushed.mounted) == (0, 2)


def test_a_mount_from_where_it_is_not_becomes_an_upload(client: Client, registry: Running) -> None:
    manifest, blobs = image(b"a layer that nobody has")
    origins = dict.fromkeys(blobs, "no/such/place")
    push_request = PushRequest(blobs=blobs, manifests=(manifest,), tags=("x",), origins=origins)
    pushed = send(open_repository(client, registry.host, "target2"), push_request)
    assert (pushed.sent, pushed.mounted) == (2, 0)


@pytest.mark.parametrize("size", [0, 1, 2, 65_536, 65_537, 1 << 20])
@pytest.mark.parametrize("piece", [None, 65_536])
def test_blobs_of_every_size_arrive_whole_and_in_pieces(
    client: Client, registry: Running, size: int, piece: int | None
) -> None:
    repository = open_repository(client, registry.host, f"size/{size}/{piece or 0}")
    repository.registry.quirks.largest_piece = piece
    blob = BytesBlob(bytes(size % 251 for size in range(size)))
    assert upload_blob(repository, blob)
    assert repository.has_blob(blob.digest, size)
    assert registry.content(blob.digest) == blob.data


def test_a_sha512_digest_is_pushed_and_pulled(
    client: Client, registry: Running, tmp_path: Path
) -> None:
    data = b"content with a longer name"
    path = tmp_path / "blob"
    path.write_bytes(data)
    digest = Digest.of(data, "sha512")
    repository = open_repository(client, registry.host, "sha512")
    try:
        upload_blob(repository, FileBlob(path, digest, len(data)))
    except errors.RegistryError as error:
        pytest.skip(f"this registry takes no sha512: {error}")
    descriptor = Descriptor(media_type="", digest=str(digest), size=len(data))
    with repository.fetch_blob(descriptor, Store(tmp_path / "store")).open() as stream:
        assert stream.read() == data


def test_docker_and_oci_types_artifacts_and_annotations_are_kept(
    client: Client, registry: Running
) -> None:
    repository = open_repository(client, registry.host, "types")
    for number, (manifest, blobs) in enumerate(
        [image(b"x", docker=True), image(b"x"), image(), image(b"x", annotation="ü<&>")]
    ):
        send(
            repository,
            PushRequest(blobs=blobs, manifests=(manifest,), tags=(f"t{number}",)),
        )
        found = repository.manifest(f"t{number}")
        assert (found.raw, found.media_type) == (manifest.raw, manifest.media_type)


def test_tags_are_listed_page_by_page(
    client: Client, registry: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = open_repository(client, registry.host, "tags")
    push_request = small()
    send(repository, push_request)
    names = [f"v{number}" for number in range(23)]
    retag(repository, "latest", names)
    monkeypatch.setattr("homeport.registry.listing.PAGE", 4)
    assert sorted(repository.tags()) == sorted([*names, "latest"])


def test_no_clobber_keeps_a_tag_where_it_is(client: Client, registry: Running) -> None:
    repository = open_repository(client, registry.host, "clobber")
    first = small()
    send(repository, first)
    manifest, blobs = image(b"another layer")
    second = PushRequest(blobs=blobs, manifests=(manifest,), tags=("latest",))
    with pytest.raises(errors.TagTaken, match="already exists with digest"):
        send(repository, second, no_clobber=True)
    assert repository.manifest_digest("latest") == first.manifests[0].digest
    send(repository, first, no_clobber=True)


def test_deleting_a_tag_never_deletes_more(client: Client, registry: Running) -> None:
    repository = open_repository(client, registry.host, "delete")
    send(repository, small())
    retag(repository, "latest", ["other"])
    with pytest.raises(errors.Unsupported, match="cannot delete a tag alone"):
        delete(repository, "other")
    assert set(repository.tags()) == {"latest", "other"}
    assert delete(repository, "other", with_all_tags=True)
    assert repository.manifest_digest("latest") is None


def test_a_referrer_is_listed_under_the_fallback_tag(client: Client, registry: Running) -> None:
    repository = open_repository(client, registry.host, "referrers")
    push_request = small()
    send(repository, push_request)
    subject = push_request.manifests[0]
    signatures = []
    for number in range(3):
        signature = statement(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "artifactType": "application/vnd.example.signature",
                "config": json.loads(subject.raw)["config"],
                "layers": [],
                "subject": {
                    "mediaType": subject.media_type,
                    "digest": str(subject.digest),
                    "size": len(subject.raw),
                },
                "annotations": {"number": str(number)},
            }
        )
        signatures.append(signature)
        for _ in range(2):  # the second time changes nothing
            send(
                repository,
                PushRequest(
                    blobs=push_request.blobs,
                    manifests=push_request.manifests,
                    referrers=(signature,),
                    tags=("latest",),
                ),
            )  # fmt: skip
    found = referrers(repository, subject.digest)
    assert [one.digest for one in found] == [str(one.digest) for one in signatures]
    assert {one.artifact_type for one in found} == {"application/vnd.example.signature"}
    assert [one.annotations["number"] for one in found] == ["0", "1", "2"]


# ways in


def test_a_password_opens_the_registry(client: Client, tmp_path: Path) -> None:
    with docker_registry(tmp_path, htpasswd={"me": ME.password}) as running:
        send(open_repository(client, running.host, login=ME), small())
        with pytest.raises(errors.Unauthorized, match="anonymously") as caught:
            send(open_repository(client, running.host), small())
        assert "homeport login" in str(caught.value.hint)
        wrong = Login(username="me", password="wr0ng", source="the test")
        with pytest.raises(errors.Unauthorized, match="from the test") as caught:
            send(open_repository(client, running.host, login=wrong), small())
        assert "wr0ng" not in repr(caught.value.to_json())


def test_tls_with_an_authority_of_ones_own(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    server = issue(ca, tmp_path, "server", alternative="IP:127.0.0.1")
    tls = (server.certificate, server.key)
    with docker_registry(tmp_path / "r", tls=tls, htpasswd={"me": ME.password}) as running:
        with quick_client(stall=5, trust=Trust(ca_files=(ca.certificate,))) as client:
            send(open_repository(client, running.host, login=ME), small())
        with (
            quick_client(stall=5) as client,
            pytest.raises(TlsError, match="certificate not trusted") as caught,
        ):
            send(open_repository(client, running.host, login=ME), small())
        assert "--ca" in str(caught.value.hint)


def test_tls_for_another_name_is_refused(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    server = issue(ca, tmp_path, "server", alternative="DNS:registry.example")
    with (
        docker_registry(tmp_path / "r", tls=(server.certificate, server.key)) as running,
        quick_client(stall=5, trust=Trust(ca_files=(ca.certificate,))) as client,
        pytest.raises(TlsError, match=r"127\.0\.0\.1"),
    ):
        send(open_repository(client, running.host), small())


def test_tokens_are_asked_for_once_per_scope(client: Client, tmp_path: Path) -> None:
    with (
        token_server(tmp_path, {"me": ME.password}) as tokens,
        docker_registry(tmp_path / "r", token=tokens.registry_options()) as running,
    ):
        send(open_repository(client, running.host, login=ME), seven_platforms())
        assert tokens.asked == ["repository:a/b:pull,push"]
        tokens.asked.clear()
        assert open_repository(client, running.host).manifest("latest")
        assert tokens.asked == ["repository:a/b:pull"]


def test_without_rights_the_scope_is_named(client: Client, tmp_path: Path) -> None:
    with (
        token_server(tmp_path, {"me": ME.password}) as tokens,
        docker_registry(tmp_path / "r", token=tokens.registry_options()) as running,
    ):
        with pytest.raises(errors.RegistryError) as caught:
            send(open_repository(client, running.host), small())
        assert "repository:a/b:pull,push" in repr(caught.value.to_json())
        assert len(tokens.asked) <= 4 * 3, "three for each request of the four that are under way"
        wrong = Login(username="me", password="wr0ng", source="the test")
        with pytest.raises(errors.Unauthorized, match="from the test") as caught:
            send(open_repository(client, running.host, login=wrong), small())
        assert "incorrect username or password" in caught.value.what
        assert "wr0ng" not in repr(caught.value.to_json())


def test_an_identity_token_is_exchanged(client: Client, tmp_path: Path) -> None:
    with (
        token_server(tmp_path, {"me": ME.password}) as tokens,
        docker_registry(tmp_path / "r", token=tokens.registry_options()) as running,
    ):
        tokens.identity_tokens["refresh"] = "me"
        login = Login(identity_token="refresh", source="the test")
        send(open_repository(client, running.host, login=login), small())


def test_a_service_that_knows_oauth2_only_is_asked_so(client: Client, tmp_path: Path) -> None:
    with (
        token_server(tmp_path, {"me": ME.password}) as tokens,
        docker_registry(tmp_path / "r", token=tokens.registry_options()) as running,
    ):
        tokens.oauth_only = True
        send(open_repository(client, running.host, login=ME), small())


def test_tokens_of_two_seconds_last_through_a_push(client: Client, tmp_path: Path) -> None:
    with (
        token_server(tmp_path, {"me": ME.password}) as tokens,
        docker_registry(tmp_path / "r", token=tokens.registry_options()) as running,
    ):
        tokens.life = 2
        repository = open_repository(client, running.host, login=ME)
        clock = client.clock
        send(repository, small())
        clock.now += 1.7  # type: ignore[attr-defined]  # the test's clock
        asked = len(tokens.asked)
        assert repository.manifest_digest("latest", scopes=repository.push_scope)
        assert len(tokens.asked) == asked + 1, "renewed before it ended, not after a refusal"
