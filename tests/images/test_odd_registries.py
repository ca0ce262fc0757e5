"""Registries that answer in their own way: what can be had is copied, the rest is named."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from builders.images import image, index
from builders.runtime import runtime
from builders.small_registry import Manifest, SmallRegistry, digest_of, small_registry
from homeport.app import Settings, open_app
from homeport.cli.main import homeport
from homeport.images.address import LayoutAddress, parse_destination
from homeport.images.image import Image, Index
from homeport.images.transports.oci_layout import OciLayout
from homeport.oci.documents import BadDocument
from homeport.oci.media_types import OCI_INDEX, OCI_MANIFEST

Make = Callable[..., SmallRegistry]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    with ExitStack() as stack:
        yield lambda **setup: stack.enter_context(small_registry(**setup))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(homeport, list(arguments))


def mirrored(source: SmallRegistry, destination: SmallRegistry, *more: str) -> Result:
    return run("mirror", f"{source.host}/a:1", f"{destination.host}/b:1", *more)


def put(registry: SmallRegistry, value: Image | Index, tag: str, folder: Path) -> None:
    with open_app(Settings(cache_dir=folder / "other-cache")) as app:
        destination = app.destination(parse_destination(f"{registry.host}/a:{tag}"))
        destination.write(value, app.runtime)
    registry.requests.clear()


def fetched(registry: SmallRegistry) -> int:
    """Manifests that were fetched, which registries count as pulls."""
    return sum(line.startswith("GET ") and "/manifests/" in line for line in registry.requests)


def test_a_second_mirror_fetches_no_manifest(registry: Make, tmp_path: Path) -> None:
    source, destination = registry(), registry()
    value = index()
    put(source, value, "1", tmp_path)
    assert mirrored(source, destination).exit_code == 0
    assert fetched(source) > 1
    source.requests.clear()
    assert mirrored(source, destination).exit_code == 0
    assert (fetched(source), len(source.requests)) == (0, 2), "the version and one HEAD"
    assert any("HEAD /v2/b/blobs/" in line for line in destination.requests), "parts are asked for"


def test_a_tag_that_moved_is_fetched_anew(registry: Make, tmp_path: Path) -> None:
    source, destination = registry(), registry()
    put(source, image(), "1", tmp_path)
    assert mirrored(source, destination).exit_code == 0
    moved = image("linux/arm64")
    put(source, moved, "1", tmp_path)
    assert mirrored(source, destination).exit_code == 0
    assert destination.tags["b", "1"] == str(moved.digest)


def test_a_digest_that_is_not_the_destinations_is_refused(registry: Make, tmp_path: Path) -> None:
    source, destination = registry(), registry()
    put(source, image(), "1", tmp_path)
    other = f"{destination.host}/b:1@sha256:{'0' * 64}"
    result = run("mirror", f"{source.host}/a:1", other)
    assert result.exit_code
    assert destination.tags == {}


@pytest.mark.parametrize("status", [401, 403, 404, 405, 406])
def test_referrers_that_may_not_be_listed_do_not_end_a_mirror(
    status: int, registry: Make, tmp_path: Path
) -> None:
    source = registry(statuses={r"GET /v2/a/referrers/.*": status})
    destination = registry()
    put(source, image(), "1", tmp_path)
    result = mirrored(source, destination, "--referrers")
    assert result.exit_code == 0, result.stderr
    assert ("does not list referrers" in result.stderr) == (status in (401, 403, 406))


def test_a_list_of_referrers_that_fails_is_named_and_the_image_copied(
    registry: Make, tmp_path: Path
) -> None:
    source = registry(statuses={r"GET /v2/a/referrers/.*": 500})
    destination = registry()
    value = image()
    put(source, value, "1", tmp_path)
    result = mirrored(source, destination, "--referrers")
    assert result.exit_code == 0, result.stderr
    assert "referrers" in result.stderr
    assert destination.tags["b", "1"] == str(value.digest)


def test_signatures_are_found_by_name_where_tags_may_not_be_listed(
    registry: Make, tmp_path: Path
) -> None:
    source, destination = registry(statuses={r"GET /v2/a/tags/list": 403}), registry()
    value, signature = image(), image("linux/arm64")
    put(source, value, "1", tmp_path)
    tag = f"sha256-{value.digest.hex}.sig"
    put(source, signature, tag, tmp_path)
    result = mirrored(source, destination, "--referrers")
    assert result.exit_code == 0
    assert "lists no tags" in result.stderr
    assert destination.tags["b", tag] == str(signature.digest)


def test_what_a_registry_denies_when_it_is_absent_is_pushed(registry: Make, tmp_path: Path) -> None:
    shy = registry(denies_absent=True, referrers=False)
    root = tmp_path / "layout"
    OciLayout(LayoutAddress(path=root, tag="1")).write(image(), runtime())
    for _ in range(2):
        assert run("push", f"oci:{root}:1", f"{shy.host}/a:1").exit_code == 0
    result = mirrored(shy, registry(), "--referrers")
    assert result.exit_code == 0
    assert "cannot be read (403)" in result.stderr


def test_a_tag_that_is_the_subject_itself_is_no_list_of_referrers(
    registry: Make, tmp_path: Path
) -> None:
    """GitLab takes ``sha256-HEX`` for another spelling of the digest."""
    gitlab, destination = registry(digest_tags=True, referrers=False), registry()
    value = index()
    put(gitlab, value, "1", tmp_path)
    assert mirrored(gitlab, destination, "--referrers").exit_code == 0
    assert len([key for key in destination.manifests if key[0] == "b"]) == 1 + len(value.children)


@pytest.mark.parametrize("kind", ["", "text/html", "text/plain; charset=utf-8", "application/json"])
def test_a_right_document_beside_a_wrong_content_type_is_read(
    kind: str, registry: Make, tmp_path: Path
) -> None:
    """The index, its manifests, lists of tags and referrers, and blobs."""
    source, destination = registry(content_types={"GET /v2/a/.*": kind}), registry()
    value, signature = index(), image("linux/arm64")
    put(source, value, "1", tmp_path)
    put(source, signature, f"sha256-{value.digest.hex}.sig", tmp_path)
    raw = json.dumps(
        {
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "text/plain",
            "config": json.loads(signature.document.raw)["config"], "layers": [],
            "subject": {
                "mediaType": OCI_INDEX, "digest": str(value.digest),
                "size": len(value.document.raw),
            },
        }
    ).encode()  # fmt: skip
    source.manifests["a", digest_of(raw)] = Manifest(raw=raw, media_type=OCI_MANIFEST)
    result = mirrored(source, destination, "--referrers")
    assert result.exit_code == 0, result.stderr
    assert destination.tags["b", "1"] == str(value.digest)
    assert ("b", digest_of(raw)) in destination.manifests, "the referrer"


def test_a_document_that_is_sent_as_another_kind_is_refused_and_read_by_digest(
    registry: Make, tmp_path: Path
) -> None:
    """Clients should refuse it (distribution specification, "Pulling manifests")."""
    source, value = registry(content_types={"GET /v2/a/manifests/.*": OCI_INDEX}), image()
    put(source, value, "1", tmp_path)
    refused = run("inspect", f"{source.host}/a:1").exception
    assert isinstance(refused, BadDocument)
    assert refused.what.startswith(f"the document's mediaType is {OCI_MANIFEST}, but")
    assert "@DIGEST" in str(refused.hint)
    assert run("inspect", f"{source.host}/a@{value.digest}").exit_code == 0


@pytest.mark.parametrize("what", ["manifests/1", "blobs/.*"])
def test_what_a_proxy_compressed_is_named(what: str, registry: Make, tmp_path: Path) -> None:
    source = registry(compresses=f"GET /v2/a/{what}")
    put(source, image(), "1", tmp_path)
    result = run("pull", f"{source.host}/a:1", f"oci:{tmp_path / 'layout'}")
    assert "compressed (gzip), although it was requested" in str(result.exception)


def test_a_referrer_that_cannot_be_listed_is_pushed_and_named(
    registry: Make, tmp_path: Path
) -> None:
    gitlab = registry(digest_tags=True, referrers=False)
    value = image()
    put(gitlab, value, "1", tmp_path)
    result = run("import", f"{gitlab.host}/a:1", f"{gitlab.host}/c:1")
    assert result.exit_code == 0, result.stderr
    assert "keeps no list with the referrer" in result.stderr
    assert gitlab.manifests["c", str(value.digest)].raw == value.document.raw


def test_a_referrer_of_an_unknown_type_is_left_out_with_a_note(
    registry: Make, tmp_path: Path
) -> None:
    source, destination = registry(), registry()
    value = image()
    put(source, value, "1", tmp_path)
    raw = json.dumps({"subject": {"digest": str(value.digest)}, "mediaType": "x/y"}).encode()
    source.manifests["a", digest_of(raw)] = Manifest(raw=raw, media_type="x/y")
    result = mirrored(source, destination, "--referrers")
    assert result.exit_code == 0, result.stderr
    assert f"the referrer {digest_of(raw)} is not copied" in result.stderr
    assert destination.tags["b", "1"] == str(value.digest)


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_an_archive_has_the_name_of_the_image(kind: str, registry: Make, tmp_path: Path) -> None:
    source = registry()
    put(source, image(), "1", tmp_path)
    path = tmp_path / "x.tar"
    assert run("pull", f"{source.host}/a:1", f"{kind}:{path}").exit_code == 0
    with tarfile.open(path) as archive:
        documents: dict[str, Any] = {
            name: json.load(archive.extractfile(name))  # type: ignore[arg-type]
            for name in archive.getnames()
            if name in ("index.json", "manifest.json")
        }
    annotations = documents["index.json"]["manifests"][0]["annotations"]
    assert annotations["io.containerd.image.name"] == f"{source.host}/a:1"
    assert annotations["org.opencontainers.image.ref.name"] == "1"
    if kind == "docker-archive":
        assert documents["manifest.json"][0]["RepoTags"] == [f"{source.host}/a:1"]


def test_a_layout_with_parts_of_some_platforms_leads_to_platform(
    registry: Make, tmp_path: Path
) -> None:
    root = tmp_path / "layout"
    value = index()
    OciLayout(LayoutAddress(path=root, tag="1")).write(value, runtime())
    gone = value.children[0].descriptor.digest
    (root / "blobs/sha256" / gone[7:]).unlink()
    result = run("push", f"oci:{root}:1", f"{registry().host}/a:1")
    assert result.exit_code
    assert "--platform" in (getattr(result.exception, "hint", "") or "")


def test_delete_with_all_tags_lists_them(registry: Make, tmp_path: Path) -> None:
    old = registry(statuses={r"DELETE /v2/a/manifests/\d+": 405})
    for tag in ("1", "2"):
        put(old, image(), tag, tmp_path)
    put(old, image("linux/arm64"), "3", tmp_path)
    result = run("delete", f"{old.host}/a:1", "--with-all-tags")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == ["tags before: 1, 2, 3", "tags now: 3"]
