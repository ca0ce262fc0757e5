"""Images and indexes as they come: what is checked when a manifest is opened."""

from __future__ import annotations

import json

import pytest

from builders.images import MemoryContents, artifact, attestation_of, everything, image, index
from homeport.content.digest import Digest
from homeport.errors import HomeportError, IntegrityError, TooLarge
from homeport.images.image import (
    COUNT_LIMIT,
    DEPTH_LIMIT,
    Child,
    Image,
    Index,
    Missing,
    child_of,
    new_index,
    open_contents,
    open_descriptor,
    walk,
)
from homeport.images.platforms import platforms_of
from homeport.oci import media_types
from homeport.oci.documents import BadDocument


def contents(value: Image | Index) -> MemoryContents:
    return MemoryContents(everything(value))


def test_what_is_opened_is_what_was_there_and_nothing_is_read_too_early() -> None:
    value = index()
    place = contents(value)
    opened = open_descriptor(place, value.descriptor())
    assert opened.document.raw == value.document.raw
    place.data.clear()
    assert isinstance(opened, Index)
    with pytest.raises(Missing):
        opened.children[0].open()


def test_unknown_fields_and_blanks_survive_as_bytes() -> None:
    value = image()
    raw = json.dumps({**json.loads(value.document.raw), "x": 1.0}, indent=3).encode()
    assert open_contents(contents(value), raw).document.raw == raw


def test_the_platform_comes_from_the_index_or_else_from_the_config() -> None:
    value = image("linux/arm/v7")
    assert open_descriptor(contents(value), value.document.descriptor()).platform == value.platform
    listed = open_descriptor(contents(value), value.descriptor())
    assert isinstance(listed, Image)
    assert str(listed.platform) == "linux/arm/v7"


def test_children_come_before_parents_and_each_once() -> None:
    one, two = image(), image("linux/arm64")
    inner = index([two, one])
    value = index([one, inner])
    assert [node.digest for node in walk(value)] == [
        one.digest, two.digest, inner.digest, value.digest,
    ]  # fmt: skip


def test_an_attestation_says_what_it_is_about() -> None:
    about = image()
    child = attestation_of(about)
    assert child.attests == str(about.digest)
    assert child_of(about).attests == ""


def test_a_subject_does_not_make_an_artifact_an_image() -> None:
    found = artifact(image())
    assert found.is_artifact
    assert found.descriptor().artifact_type == "application/vnd.example.report"


@pytest.mark.parametrize("fault", ["changed", "longer", "missing"])
def test_a_manifest_that_is_not_what_its_descriptor_says_is_refused(fault: str) -> None:
    value = image()
    place = contents(value)
    raw = place.data.pop(str(value.digest))
    if fault == "changed":
        place.data[str(value.digest)] = raw.replace(b"linux", b"minux").replace(b"v1", b"v2")
    elif fault == "longer":
        place.data[str(value.digest)] = raw + b" "
    with pytest.raises(HomeportError) as caught:
        open_descriptor(place, value.document.descriptor())
    expected = Missing if fault == "missing" else IntegrityError
    assert isinstance(caught.value, expected)
    assert str(value.digest) in f"{caught.value.what}{caught.value.where}"


def test_indexes_nested_too_deep_are_refused() -> None:
    value: Image | Index = image()
    for _ in range(DEPTH_LIMIT + 1):
        value = index([value])
    place = contents(value)
    with pytest.raises(TooLarge, match=f"more than {DEPTH_LIMIT} deep"):
        list(walk(open_descriptor(place, value.descriptor())))


def test_an_index_of_too_many_manifests_is_refused() -> None:
    def children(n: int) -> Child:
        value = image(annotations={"n": str(n)}, layers=[])
        return child_of(value)

    value = new_index([children(n) for n in range(COUNT_LIMIT)])
    with pytest.raises(TooLarge, match=f"more than {COUNT_LIMIT} manifests"):
        list(walk(value))


def test_an_index_that_claims_to_hold_itself_cannot_be_verified() -> None:
    value = index([image()])
    document = json.loads(value.document.raw)
    document["manifests"][0] = {
        "mediaType": media_types.OCI_INDEX, "digest": str(value.digest), "size": 100,
    }  # fmt: skip
    raw = json.dumps(document).encode()
    place = MemoryContents({str(value.digest): raw})
    with pytest.raises(IntegrityError):
        list(walk(open_contents(place, raw)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"config": None}, "config"),
        ({"manifests": []}, "both a manifest and an index"),
        ({"schemaVersion": 1}, "schema 1"),
        ({"mediaType": media_types.OCI_INDEX}, "but its fields are of another type"),
        ({"mediaType": "application/json"}, "not an image"),
        ({"layers": [{"mediaType": "x", "digest": "md5:00", "size": 1}]}, "invalid digest"),
        (
            {"layers": [{"mediaType": "x", "digest": "sha256:../../etc", "size": 1}]},
            "invalid digest",
        ),
        ({"layers": [{"mediaType": "x", "digest": "sha256:" + "0" * 64, "size": -1}]}, "size -1"),
        ({"layers": [{"mediaType": "x", "digest": "sha256:" + "0" * 64, "size": 1 << 63}]}, "size"),
        ({"annotations": {"a": 1}}, "annotations"),
    ],
)
def test_a_malicious_manifest_is_a_bad_document(change, says: str) -> None:
    value = image()
    raw = json.dumps({**json.loads(value.document.raw), **change}).encode()
    with pytest.raises(BadDocument, match=says):
        open_contents(contents(value), raw)


@pytest.mark.parametrize("raw", [b"", b"[" * 200_000, b'{"a":' * 200_000, b"\xff", b"NaN", b"1"])
def test_bytes_that_are_no_json_are_a_bad_document(raw: bytes) -> None:
    with pytest.raises(BadDocument):
        open_contents(MemoryContents(), raw)


def test_one_digest_with_two_sizes_is_a_bad_document() -> None:
    value = image()
    document = json.loads(value.document.raw)
    document["layers"].append({**document["layers"][0], "size": 1})
    with pytest.raises(BadDocument, match="two sizes"):
        open_contents(contents(value), json.dumps(document).encode())


def test_a_nondistributable_layer_may_be_absent() -> None:
    value = image()
    document = json.loads(value.document.raw)
    document["layers"].append(
        {
            "mediaType": media_types.DOCKER_NONDISTRIBUTABLE_LAYER,
            "digest": "sha256:" + "0" * 64,
            "size": 9,
            "urls": ["https://registry.example/layer"],
        }
    )
    opened = open_contents(contents(value), json.dumps(document).encode())
    assert len(everything(opened)) == 3


def test_a_config_larger_than_allowed_is_not_read() -> None:
    value = image()
    document = json.loads(value.document.raw)
    document["config"]["size"] = 9 << 20
    with pytest.raises(TooLarge, match=r"config is larger than 8\.39 MB"):
        open_contents(contents(value), json.dumps(document).encode())


def test_an_index_that_lists_one_below_it_many_times_opens_it_once() -> None:
    """Depth 6 with 4 entries each would be 4096 images; the steps grow with the distinct ones."""
    value: Image | Index = image()
    opened: list[Digest] = []

    def counted(child: Image | Index) -> Child:
        def opener() -> Image | Index:
            opened.append(child.digest)
            return child

        return Child(descriptor=child.document.descriptor(), opener=opener)

    for _ in range(6):
        value = new_index([counted(value)] * 4)
    assert len(platforms_of(value)) == 1
    assert len(opened) <= 7


@pytest.mark.parametrize("raw", [b"", b"{}", b"name: agent\n", b"[]", b'{"created":0}'])
def test_a_config_that_is_none_is_copied(raw: bytes) -> None:
    """Copying needs no understanding: only who uses the config complains."""
    value = image()
    document = json.loads(value.document.raw)
    digest = Digest.of(raw)
    document["config"].update(digest=str(digest), size=len(raw))
    place = contents(value)
    place.data[str(digest)] = raw
    opened = open_contents(place, json.dumps(document).encode())
    assert isinstance(opened, Image)
    assert opened.platform is None
    assert str(digest) in everything(opened)
