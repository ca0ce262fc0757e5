"""The cases of the OCI distribution specification's conformance suite, from the client's side.

They run over Debian's docker-registry, over crane's and over the small one of these tests,
each on what it defines; so the small one is itself checked by the other two. A zot, a GitLab
or any other is one more when it is named:

    HOMEPORT_TEST_REGISTRY=HOST[/PREFIX]        repositories are made below PREFIX
    HOMEPORT_TEST_REGISTRY_CREDS=USER:PASSWORD
    HOMEPORT_TEST_REGISTRY_HAS=lists_referrers,deletes_tags    what it does of ``Home``

A zot 2 has pages, looks_for_parts, looks_at_ranges, lists_referrers, deletes_tags and
mounts_without_from.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from builders.net import quick_client
from builders.registry import (
    crane_registry,
    docker_registry,
    image,
    seven_platforms,
    statement,
)
from builders.small_registry import small_registry
from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import IntegrityError
from homeport.net.errors import HttpFailure
from homeport.oci import media_types
from homeport.oci.documents import Descriptor
from homeport.registry import errors
from homeport.registry.client import Registry, scope
from homeport.registry.deleting import delete
from homeport.registry.endpoint import endpoint_for
from homeport.registry.login import Login
from homeport.registry.push import Pushed, PushManifest, PushRequest, push
from homeport.registry.referrers import referrers
from homeport.registry.repository import Repository
from homeport.registry.retagging import retag
from homeport.registry.upload import upload_blob

NOWHERE = Digest.of(b"nobody has this")


@dataclass(frozen=True, kw_only=True)
class Home:
    """A registry under test, and what it defines beyond the common ground."""

    name: str
    host: str
    prefix: str = "conformance"
    login: Login | None = None
    deletes_tags: bool = False
    lists_referrers: bool = False
    mounts_without_from: bool = False
    pages: bool = True
    looks_at_ranges: bool = True
    looks_for_parts: bool = True
    names_missing_parts: bool = True
    keeps_untagged: bool = True


def named_home(environ: Mapping[str, str]) -> Home | None:
    """The registry that the environment names; nothing in it is in the way of a second run."""
    host, _, prefix = environ.get("HOMEPORT_TEST_REGISTRY", "").partition("/")
    if not host:
        return None
    user, _, password = environ.get("HOMEPORT_TEST_REGISTRY_CREDS", "").partition(":")
    has = set(filter(None, environ.get("HOMEPORT_TEST_REGISTRY_HAS", "").split(",")))
    doubtful = {"deletes_tags", "lists_referrers", "mounts_without_from", "pages"}
    doubtful |= {"looks_at_ranges", "looks_for_parts", "names_missing_parts", "keeps_untagged"}
    assert has <= doubtful, f"unknown: {has - doubtful}"
    return Home(
        name="named", host=host,
        prefix=f"{prefix}/run-{secrets.token_hex(4)}".lstrip("/"),
        login=Login(username=user, password=password) if user else None,
        **{name: name in has for name in doubtful},
    )  # fmt: skip


REGISTRIES = ["docker-registry", "crane", "small", *(["named"] if named_home(os.environ) else [])]


@pytest.fixture(scope="module", params=REGISTRIES)
def home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("registry")
    with contextlib.ExitStack() as stack:
        match request.param:
            case "docker-registry":
                running = stack.enter_context(docker_registry(folder))
                yield Home(name=request.param, host=running.host, looks_at_ranges=False)
            case "crane":
                host = stack.enter_context(crane_registry(folder))
                yield Home(
                    name=request.param, host=host, deletes_tags=True, pages=False,
                    looks_for_parts=False,
                )  # fmt: skip
            case "named":
                found = named_home(os.environ)
                assert found is not None
                yield found
            case _:
                small = stack.enter_context(small_registry())
                yield Home(
                    name=request.param, host=small.host, deletes_tags=True, lists_referrers=True,
                    mounts_without_from=True,
                )  # fmt: skip


@pytest.fixture
def repository(home: Home, request: pytest.FixtureRequest) -> Iterator[Repository]:
    name = f"{home.prefix}/{request.node.originalname.removeprefix('test_')[:60]}"
    with quick_client(stall=5) as client:
        yield Repository(
            Registry(client, endpoint_for(home.host), lambda _rejected: home.login), name
        )


def send(repository: Repository, push_request: PushRequest) -> Pushed:
    with ThreadPoolExecutor(2) as pool:
        return push(repository, push_request, pool)


def small(data: bytes = b"a layer") -> PushRequest:
    manifest, blobs = image(data)
    return PushRequest(blobs=blobs, manifests=(manifest,), tags=("v1",))


def signature(of: PushManifest, config: dict[str, object], number: int = 0) -> PushManifest:
    return statement(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "artifactType": "application/vnd.example.signature",
            "config": config,
            "layers": [],
            "subject": {
                "mediaType": of.media_type, "digest": str(of.digest), "size": len(of.raw),
            },
            "annotations": {"number": str(number)},
        }
    )  # fmt: skip


def test_a_registry_is_named_by_the_environment() -> None:
    assert named_home({}) is None
    found = named_home(
        {
            "HOMEPORT_TEST_REGISTRY": "registry.example/team/x",
            "HOMEPORT_TEST_REGISTRY_CREDS": "me:secret",
            "HOMEPORT_TEST_REGISTRY_HAS": "pages,deletes_tags",
        }
    )
    assert found is not None
    assert found.host == "registry.example"
    assert found.prefix.startswith("team/x/run-")
    assert found.login == Login(username="me", password="secret")
    assert (found.pages, found.deletes_tags, found.lists_referrers) == (True, True, False)


# pull


def test_a_blob_that_is_not_there_is_not_there(repository: Repository, tmp_path: Path) -> None:
    send(repository, small())
    assert not repository.has_blob(NOWHERE, None)
    descriptor = Descriptor(media_type="", digest=str(NOWHERE), size=5)
    with pytest.raises(HttpFailure, match="404"):
        repository.fetch_blob(descriptor, Store(tmp_path))


def test_a_blob_that_is_there_is_read_whole_and_from_the_middle(
    repository: Repository, tmp_path: Path
) -> None:
    blob = BytesBlob(bytes(range(256)) * 40)
    upload_blob(repository, blob)
    assert repository.has_blob(blob.digest, blob.size)
    assert not repository.has_blob(blob.digest, blob.size + 1)
    descriptor = Descriptor(media_type="", digest=str(blob.digest), size=blob.size)
    store = Store(tmp_path)
    with store.partial(blob.digest) as stream:  # as if an earlier run had been cut
        stream.write(blob.data[:1000])
    with repository.fetch_blob(descriptor, store).open() as content:
        assert content.read() == blob.data


def test_a_manifest_that_is_not_there_is_not_there(repository: Repository) -> None:
    send(repository, small())
    for reference in ("nope", NOWHERE):
        assert repository.manifest_digest(reference) is None
        with pytest.raises(errors.NotFound):
            repository.manifest(reference)


def test_a_manifest_is_read_by_tag_and_by_digest(repository: Repository) -> None:
    push_request = small()
    send(repository, push_request)
    (manifest,) = push_request.manifests
    for reference in ("v1", manifest.digest):
        assert repository.manifest_digest(reference) == manifest.digest
        found = repository.manifest(reference)
        assert (found.raw, found.media_type) == (manifest.raw, media_types.OCI_MANIFEST)


# push


def test_a_blob_is_pushed_at_once(repository: Repository) -> None:
    blob = BytesBlob(b"content" * 100)
    assert upload_blob(repository, blob)
    assert repository.has_blob(blob.digest, blob.size)


def test_a_blob_is_pushed_in_pieces(repository: Repository) -> None:
    blob = BytesBlob(bytes(range(256)) * 512)
    repository.registry.quirks.largest_piece = 50_000
    assert upload_blob(repository, blob)
    assert repository.has_blob(blob.digest, blob.size)


def test_an_empty_blob_is_a_blob(repository: Repository) -> None:
    assert upload_blob(repository, BytesBlob(b""))
    assert repository.has_blob(BytesBlob(b"").digest, 0)


def test_pieces_out_of_order_are_refused_and_the_offset_is_told(
    repository: Repository, home: Home
) -> None:
    """Debian's registry is lax here: it appends whatever comes."""
    registry = repository.registry
    scopes = repository.push_scope
    with registry.request("POST", f"{repository.name}/blobs/uploads/", scopes, body=b"") as answer:
        place = answer.url.join(answer.headers["location"])
    headers = {"Content-Type": "application/octet-stream", "Content-Range": "5-9"}
    with registry.request("PATCH", place, scopes, body=b"later", headers=headers) as answer:
        assert answer.status == (416 if home.looks_at_ranges else 202)


def test_a_wrong_digest_is_refused(repository: Repository) -> None:
    registry, scopes = repository.registry, repository.push_scope
    with registry.request("POST", f"{repository.name}/blobs/uploads/", scopes, body=b"") as answer:
        place = answer.url.join(answer.headers["location"]).with_query(f"digest={NOWHERE}")
    with registry.request("PUT", place, scopes, body=b"something else") as answer:
        assert answer.status == 400
    assert not repository.has_blob(NOWHERE, None)


def test_a_blob_is_mounted_from_a_repository_that_has_it(
    repository: Repository, home: Home
) -> None:
    other = Repository(repository.registry, f"{home.prefix}/mounting/from")
    blob = BytesBlob(b"mount me")
    upload_blob(other, blob)
    upload_blob(repository, blob, mount_from=other.name)
    assert repository.has_blob(blob.digest, blob.size)


def test_a_blob_is_mounted_from_wherever_it_is(repository: Repository, home: Home) -> None:
    blob = BytesBlob(b"mount me from anywhere")
    upload_blob(Repository(repository.registry, f"{home.prefix}/any"), blob)
    was_sent = upload_blob(repository, blob, mount_from="")
    assert was_sent != home.mounts_without_from or home.name == "crane"
    assert repository.has_blob(blob.digest, blob.size)


def test_an_index_is_pushed_after_its_children(repository: Repository) -> None:
    push_request = seven_platforms()
    pushed = send(repository, push_request)
    assert pushed.manifests == 8
    assert repository.manifest("latest").raw == push_request.manifests[-1].raw
    assert send(repository, push_request).manifests == 0


def test_a_tag_moves_and_the_old_manifest_stays(repository: Repository, home: Home) -> None:
    """Zot forgets what no tag leads to any more."""
    first, second = small(b"one"), small(b"two")
    send(repository, first)
    send(repository, second)
    assert repository.manifest_digest("v1") == second.manifests[0].digest
    old = first.manifests[0]
    assert repository.manifest_digest(old.digest) == (old.digest if home.keeps_untagged else None)


def test_a_manifest_without_its_parts_is_refused(repository: Repository, home: Home) -> None:
    """Crane's registry takes it all the same; zot does not say what is missing."""
    manifest, _ = image(b"nobody pushed this layer")
    kind = errors.PartsMissing if home.names_missing_parts else errors.RegistryError
    refusal = pytest.raises(kind) if home.looks_for_parts else contextlib.nullcontext()
    with refusal:
        repository.put_manifest(manifest.raw, manifest.media_type, "v1", manifest.digest)


def test_a_manifest_under_a_wrong_digest_is_refused(repository: Repository) -> None:
    push_request = small()
    send(repository, push_request)
    (manifest,) = push_request.manifests
    with pytest.raises((errors.RegistryError, IntegrityError)):
        repository.put_manifest(manifest.raw, manifest.media_type, NOWHERE, NOWHERE)


# content discovery


def test_tags_are_listed_in_pages(
    repository: Repository, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(repository, small())
    retag(repository, "v1", [f"v{number}" for number in range(2, 10)])
    if home.pages:
        monkeypatch.setattr("homeport.registry.listing.PAGE", 2)
    assert sorted(repository.tags()) == [f"v{number}" for number in range(1, 10)]


def test_tags_of_an_unknown_repository_are_an_error(repository: Repository) -> None:
    with pytest.raises(errors.NotFound):
        list(repository.tags())


def test_referrers_are_found_with_and_without_the_registrys_help(
    repository: Repository, home: Home
) -> None:
    push_request = small()
    send(repository, push_request)
    subject = push_request.manifests[0]
    config = json.loads(subject.raw)["config"]
    signatures = tuple(signature(subject, config, number) for number in range(5))
    assert referrers(repository, subject.digest) == []
    for _ in range(2):
        send(
            repository,
            PushRequest(
                blobs=push_request.blobs, manifests=push_request.manifests, referrers=signatures,
                tags=("v1",),
            ),
        )  # fmt: skip
        found = referrers(repository, subject.digest)
        assert {one.digest for one in found} == {str(one.digest) for one in signatures}
        assert {one.artifact_type for one in found} == {"application/vnd.example.signature"}
    has_fallback = str(subject.digest).replace(":", "-") in set(repository.tags())
    assert has_fallback != home.lists_referrers
    assert referrers(repository, subject.digest, artifact_type="other") == []


# content management


def test_a_tag_is_deleted_alone_or_not_at_all(repository: Repository, home: Home) -> None:
    send(repository, small())
    retag(repository, "v1", ["v2"])
    if home.deletes_tags:
        assert delete(repository, "v2")
    else:
        with pytest.raises(errors.Unsupported):
            delete(repository, "v2")
    assert ("v1" in set(repository.tags())) is True


def test_a_manifest_is_deleted_by_its_digest(repository: Repository, home: Home) -> None:
    push_request = small()
    send(repository, push_request)
    assert delete(repository, push_request.manifests[0].digest)
    assert repository.manifest_digest(push_request.manifests[0].digest) is None
    assert delete(repository, NOWHERE) is False


def test_a_blob_is_deleted(repository: Repository) -> None:
    blob = BytesBlob(b"delete me")
    upload_blob(repository, blob)
    assert repository.delete_blob(blob.digest)
    assert not repository.has_blob(blob.digest, blob.size)


# what only the small registry has


def test_pieces_are_as_large_as_the_registry_asks() -> None:
    with small_registry(chunk_minimum=40 << 20) as registry, quick_client(stall=5) as client:
        repository = Repository(Registry(client, endpoint_for(registry.host)), "x")
        blob = BytesBlob(bytes(90 << 20))
        upload_blob(repository, blob)
        pieces = [line for line in registry.requests if line.startswith("PATCH")]
        assert len(pieces) == 3
        assert registry.blobs["x", str(blob.digest)] == blob.data


@pytest.mark.parametrize("minimum", ["-5", "many", str(1 << 40), ""])
def test_an_absurd_minimum_is_left_alone(minimum: str) -> None:
    with small_registry(chunk_minimum=minimum) as registry, quick_client(stall=5) as client:
        repository = Repository(Registry(client, endpoint_for(registry.host)), "x")
        upload_blob(repository, BytesBlob(bytes(1000)))
        assert not [line for line in registry.requests if line.startswith("PATCH")]


def test_a_sha512_image_travels(tmp_path: Path) -> None:
    data = b"long digest"
    path = tmp_path / "blob"
    path.write_bytes(data)
    from homeport.content.blob import FileBlob

    digest = Digest.of(data, "sha512")
    with small_registry() as registry, quick_client(stall=5) as client:
        repository = Repository(Registry(client, endpoint_for(registry.host)), "x")
        upload_blob(repository, FileBlob(path, digest, len(data)))
        descriptor = Descriptor(media_type="", digest=str(digest), size=len(data))
        with repository.fetch_blob(descriptor, Store(tmp_path / "store")).open() as stream:
            assert stream.read() == data


def test_what_refers_to_an_image_comes_after_it_and_before_its_tag() -> None:
    """GitLab refuses a manifest whose subject is missing; watchers of a tag want signatures."""
    with small_registry(require_subject=True) as registry, quick_client(stall=5) as client:
        repository = Repository(Registry(client, endpoint_for(registry.host)), "x")
        push_request = small()
        subject = push_request.manifests[0]
        signed = signature(subject, json.loads(subject.raw)["config"])
        send(
            repository,
            PushRequest(
                blobs=push_request.blobs, manifests=push_request.manifests, referrers=(signed,),
                tags=("v1",),
            ),
        )  # fmt: skip
        puts = [line for line in registry.requests if line.startswith("PUT /v2/x/manifests/")]
        assert [line.rpartition("/")[2] for line in puts] == [
            str(subject.digest), str(signed.digest), "v1",
        ]  # fmt: skip


def test_two_writers_of_the_fallback_tag_both_end_up_in_it() -> None:
    with small_registry(referrers=False) as registry, quick_client(stall=5) as client:
        repository = Repository(Registry(client, endpoint_for(registry.host)), "x")
        push_request = small()
        send(repository, push_request)
        subject = push_request.manifests[0]
        config = json.loads(subject.raw)["config"]
        with ThreadPoolExecutor(4) as pool:
            for future in [
                pool.submit(
                    send,
                    repository,
                    PushRequest(
                        blobs=push_request.blobs,
                        manifests=push_request.manifests,
                        referrers=(signature(subject, config, number),),
                    ),
                )
                for number in range(4)
            ]:
                future.result()
        numbers = {one.annotations["number"] for one in referrers(repository, subject.digest)}
        assert numbers == {"0", "1", "2", "3"}


def test_a_fallback_tag_that_is_another_image_is_left_alone() -> None:
    with small_registry(referrers=False) as registry, quick_client(stall=5) as client:
        repository = Repository(Registry(client, endpoint_for(registry.host)), "x")
        push_request = small()
        send(repository, push_request)
        subject = push_request.manifests[0]
        tag = str(subject.digest).replace(":", "-")
        # The subject itself under this tag is how GitLab reads a digest: that is no other image.
        other = msgspec.structs.replace(small(b"another layer"), tags=(tag,))
        send(repository, other)
        signed = signature(subject, json.loads(subject.raw)["config"])
        with pytest.raises(
            errors.RegistryError, match="is an image, expected the list of referrers"
        ):
            send(
                repository,
                PushRequest(
                    blobs=push_request.blobs, manifests=push_request.manifests, referrers=(signed,)
                ),
            )
        assert referrers(repository, subject.digest) == []
        assert repository.manifest_digest(tag) == other.manifests[0].digest


def test_scopes_name_what_is_done_and_where_a_blob_comes_from() -> None:
    assert scope("a", "pull", "push", mount_from=["b", "a"]) == {
        "repository:a:pull,push", "repository:b:pull",
    }  # fmt: skip
