"""A registry that answers nonsense, or worse, gets a clear error and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.http_server import Received, Server, serving
from builders.net import FakeClock, quick_client
from builders.registry import image
from builders.runtime import runtime
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import HomeportError, TooLarge
from homeport.images.image import open_contents, walk
from homeport.images.transports.registry import Contents
from homeport.net.url import Url
from homeport.oci import media_types
from homeport.oci.documents import Descriptor
from homeport.quantities import human_size
from homeport.registry import errors, listing
from homeport.registry.client import Registry
from homeport.registry.endpoint import endpoint_for
from homeport.registry.listing import Bounds
from homeport.registry.referrers import referrers
from homeport.registry.repository import Repository
from homeport.registry.sources import RepositorySources
from homeport.registry.upload_session import upgraded

SUBJECT = Digest.of(b"subject")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.answer("/v2/", 200, b"{}")
        yield server


@pytest.fixture
def repository(server: Server) -> Iterator[Repository]:
    with quick_client() as client:
        yield Repository(Registry(client, endpoint_for(f"127.0.0.1:{server.port}")), "a/b")


def pages(server: Server, *bodies: bytes, link: str = "") -> None:
    """The list of tags in pages."""

    def answer(request: Received) -> tuple[int, dict[str, str], bytes]:
        number = len(server.paths("GET")) - 2
        headers = {"Link": link} if link else {}
        if not link and number + 1 < len(bodies):
            headers = {"Link": f'</v2/a/b/tags/list?page={number + 1}>; rel="next"'}
        return 200, headers, bodies[min(number, len(bodies) - 1)]

    server.answers["/v2/a/b/tags/list"] = answer


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"name":"a/b","tags":["x","y"]}', ["x", "y"]),
        (b'{"name":"a/b","tags":null}', []),
        (b'{"name":"a/b"}', []),
        (b'{"tags":["x","x"]}', ["x"]),
        (b'{"tags":["x"],"extra":{"deep":[1,2]}}', ["x"]),
    ],
)
def test_a_list_of_tags_in_every_form(
    server: Server, repository: Repository, body: bytes, found: list[str]
) -> None:
    pages(server, body)
    assert list(repository.tags()) == found


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"tags":"x"}', b'{"tags":[1]}', b'{"tags":[[[', b"\xff\xfe",
     b"[" * 200_000, b'{"tags":' + b"[" * 200_000],
)  # fmt: skip
def test_a_list_of_tags_that_is_none_is_refused(
    server: Server, repository: Repository, body: bytes
) -> None:
    pages(server, body)
    with pytest.raises(errors.ProtocolBroken, match="list of tags"):
        list(repository.tags())


def test_pages_that_go_round_end(server: Server, repository: Repository) -> None:
    pages(server, b'{"tags":["x"]}', link='</v2/a/b/tags/list?n=1&last=x>; rel="next"')
    with pytest.raises(errors.ProtocolBroken, match="form a loop"):
        list(repository.tags())


def endless(server: Server, page: bytes, every: Callable[[], None] = lambda: None) -> None:
    """A list of tags whose every page names another one. ``every``: called for each page."""

    def answer(request: Received) -> tuple[int, dict[str, str], bytes]:
        every()
        number = len(server.requests)
        body = page.replace(b"NUMBER", str(number).encode())
        return 200, {"Link": f'</v2/a/b/tags/list?page={number}>; rel="next"'}, body

    server.answers["/v2/a/b/tags/list"] = answer


@pytest.mark.parametrize(
    "bounds",
    [Bounds(pages=3), Bounds(size=40), Bounds(entries=5)],
    ids=["pages", "bytes", "entries"],
)
def test_a_list_without_end_is_refused(
    server: Server, repository: Repository, monkeypatch: pytest.MonkeyPatch, bounds: Bounds
) -> None:
    monkeypatch.setattr(listing, "BOUNDS", bounds)
    endless(server, b'{"tags":["aNUMBER","bNUMBER"]}')
    with pytest.raises(errors.ProtocolBroken) as caught:
        list(repository.tags())
    assert caught.value.what == (
        f"{repository}: the list of tags is too long (limits: {bounds.pages} pages, "
        f"{human_size(bounds.size)}, {bounds.entries} entries, 600 s)"
    )
    assert len(server.requests) - 1 == 3


def test_a_list_that_takes_too_long_is_refused(server: Server, repository: Repository) -> None:
    clock = repository.registry.client.clock
    assert isinstance(clock, FakeClock)

    def pass_time() -> None:
        clock.now += 250

    endless(server, b'{"tags":["NUMBER"]}', pass_time)
    with pytest.raises(errors.ProtocolBroken, match=r"too long \(limits: .* 600 s\)$"):
        list(repository.tags())
    assert len(server.requests) - 1 == 3


def test_a_page_of_many_megabytes_is_not_read(server: Server, repository: Repository) -> None:
    pages(server, b'{"tags":["' + b"x" * (4 << 20) + b'"]}')
    with pytest.raises(TooLarge, match=r"a page of the list of .* is larger than"):
        list(repository.tags())


@pytest.mark.parametrize(
    "link",
    ["<javascript:x>; rel=next", "<http://a b/>; rel=next", '<file:///etc/passwd>; rel="next"'],
)
def test_a_next_page_that_is_no_url_is_refused(
    server: Server, repository: Repository, link: str
) -> None:
    pages(server, b'{"tags":["x"]}', link=link)
    with pytest.raises(errors.ProtocolBroken, match="next page"):
        list(repository.tags())


@pytest.mark.parametrize("link", ['</x>; rel="prev"', "garbage", "<>", '<x>; title="next"'])
def test_other_links_are_not_a_next_page(server: Server, repository: Repository, link: str) -> None:
    pages(server, b'{"tags":["x"]}', link=link)
    assert list(repository.tags()) == ["x"]


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (404, "application/json", b""),
        (200, "text/html", b"<html>"),
        (405, "application/json", b""),
        (200, media_types.OCI_INDEX, b'{"schemaVersion":2,"manifests":null}'),
        (200, media_types.OCI_INDEX, b'{"schemaVersion":2,"manifests":[]}'),
    ],
)
def test_no_referrers_are_no_referrers(
    server: Server, repository: Repository, status: int, kind: str, body: bytes
) -> None:
    server.answer(f"/v2/a/b/referrers/{SUBJECT}", status, body, Content_Type=kind)
    assert referrers(repository, SUBJECT) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"manifests":[{}]}', b'{"manifests":[{"digest":1}]}', b"[" * 100_000,
     b'{"manifests":[{"mediaType":"x","digest":"sha256:y","size":"z"}]}'],
)  # fmt: skip
def test_a_list_of_referrers_that_is_none_is_refused(
    server: Server, repository: Repository, body: bytes
) -> None:
    path = f"/v2/a/b/referrers/{SUBJECT}"
    server.answer(path, 200, body, Content_Type=media_types.OCI_INDEX)
    with pytest.raises(errors.ProtocolBroken, match="referrers"):
        referrers(repository, SUBJECT)


def put(server: Server, raw: bytes, kind: str = media_types.OCI_INDEX) -> Descriptor:
    digest = Digest.of(raw)
    path = f"/v2/a/b/manifests/{digest}"
    server.answer(path, 200, raw, Content_Type=kind, Docker_Content_Digest=str(digest))
    return Descriptor(media_type=kind, digest=str(digest), size=len(raw))


def child(digest: str, size: object = 2, kind: str = media_types.OCI_MANIFEST) -> bytes:
    document = {
        "schemaVersion": 2, "mediaType": media_types.OCI_INDEX,
        "manifests": [{"mediaType": kind, "digest": digest, "size": size}],
    }  # fmt: skip
    return json.dumps(document).encode()


GOOD = image(b"layer")[0]
HOSTILE = {
    "nested arrays": b"[" * 100_000,
    "not a number": b'{"schemaVersion":NaN}',
    "a huge number": b'{"schemaVersion":' + b"9" * 5000 + b"}",
    "no UTF-8": b'{"schemaVersion":2,"mediaType":"\xff"}',
    "a list": b"[]",
    "nothing": b"",
    "a manifest and an index at once": json.dumps(
        {**json.loads(GOOD.raw), "manifests": []}
    ).encode(),
    "another type inside than outside": json.dumps(
        {**json.loads(GOOD.raw), "mediaType": media_types.DOCKER_MANIFEST}
    ).encode(),
    "schema 1": b'{"schemaVersion":1,"fsLayers":[]}',
    "a digest that climbs out": child("sha256:../../etc/passwd"),
    "a digest of an unknown kind": child("md5:" + "0" * 32),
    "a short digest": child("sha256:abc"),
    "capital digits": child("sha256:" + "A" * 64),
    "a negative size": child("sha256:" + "0" * 64, -1),
    "an endless size": child("sha256:" + "0" * 64, 1 << 63),
    "a size that is a text": child("sha256:" + "0" * 64, "12"),
    "a child that is not there": child("sha256:" + "0" * 64),
    "a child of gigabytes": child("sha256:" + "0" * 64, 5 << 30),
    "layers that are null": json.dumps({**json.loads(GOOD.raw), "layers": [None]}).encode(),
    "an annotation that is a number": json.dumps(
        {**json.loads(GOOD.raw), "annotations": {"a": 1}}
    ).encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_manifest_is_refused_with_its_place(
    server: Server, repository: Repository, tmp_path: Path, name: str
) -> None:
    kind = media_types.OCI_INDEX if b'"manifests"' in HOSTILE[name] else media_types.OCI_MANIFEST
    descriptor = put(server, HOSTILE[name], kind)
    contents = Contents(RepositorySources(origin=repository), runtime(Store(tmp_path)))
    with pytest.raises(HomeportError) as caught:
        raw = contents.manifest(descriptor)
        list(walk(open_contents(contents, raw, descriptor.media_type, descriptor)))
    assert caught.value.what


def test_a_chain_of_indexes_ends(server: Server, repository: Repository, tmp_path: Path) -> None:
    descriptor = put(server, child("sha256:" + "0" * 64))
    for _ in range(50):
        descriptor = put(server, child(descriptor.digest, descriptor.size, media_types.OCI_INDEX))
    contents = Contents(RepositorySources(origin=repository), runtime(Store(tmp_path)))
    with pytest.raises(HomeportError, match="nested more than"):
        raw = contents.manifest(descriptor)
        list(walk(open_contents(contents, raw, "", descriptor)))


@pytest.mark.parametrize(
    "body",
    [b'{"errors":null}', b'{"errors":"x"}', b'{"errors":[null,1,"x",[]]}', b"<html>", b"",
     b'{"errors":[{"code":1,"message":{},"detail":[]}]}', b"[" * 100_000, b"\xff" * 1000,
     b'{"message":"text alone"}', b'{"errors":[{"code":"DENIED","message":"' + b"x" * 100_000],
)  # fmt: skip
def test_any_error_body_gives_a_short_clear_error(
    server: Server, repository: Repository, body: bytes
) -> None:
    server.answer("/v2/a/b/manifests/x", 400, body)
    with pytest.raises(errors.RegistryError) as caught:
        repository.manifest("x")
    assert len(caught.value.what) < 600
    assert caught.value.what.isprintable()
    assert caught.value.where["repository"] == "a/b"


def test_a_secret_in_an_error_body_is_not_repeated(server: Server, repository: Repository) -> None:
    body = b'{"errors":[{"code":"X","message":"see https://u:geheim@h/?token=geheim"}]}'
    server.answer("/v2/a/b/manifests/x", 400, body)
    with pytest.raises(errors.RegistryError) as caught:
        repository.manifest("x")
    assert "geheim" not in repr(caught.value.to_json())


def test_http_behind_a_proxy_that_ends_tls_means_https() -> None:
    """Docker's registry names http in Location and Link when it does not know better."""
    seen = Url.parse("https://r.example:8443/v2/a/blobs/uploads/")
    for said, meant in (
        ("http://r.example/v2/a/1", "https://r.example:8443/v2/a/1"),
        ("http://r.example:5000/v2/a/1", "https://r.example:5000/v2/a/1"),
        ("http://other.example/v2/a/1", "http://other.example/v2/a/1"),
        ("https://r.example/v2/a/1", "https://r.example/v2/a/1"),
    ):
        assert upgraded(seen.join(said), seen).wire() == meant
