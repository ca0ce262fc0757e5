"""Choosing platforms: what is not changed stays as it was received."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from builders.images import SEVEN, artifact, attestation_of, everything, image, index, layer
from builders.runtime import runtime
from homeport.errors import HomeportError
from homeport.images.address import LayoutAddress
from homeport.images.copy import copy
from homeport.images.image import Image, ImageNotFound, Index, child_of, new_index
from homeport.images.platforms import platforms_of, select
from homeport.images.transports.oci_layout import OciLayout
from homeport.inspection.image.platform_choice import platform_rows
from homeport.oci.documents import Descriptor
from homeport.oci.platform import parse_platform
from homeport.progress import Silent

AMD64, ARM64, S390X = (parse_platform(f"linux/{name}") for name in ("amd64", "arm64", "s390x"))


def attested() -> Index:
    images = [image(str(one)) for one in (AMD64, ARM64, S390X)]
    return new_index([*map(child_of, images), *map(attestation_of, images)])


def test_everything_is_the_index_as_received() -> None:
    value = attested()
    assert select(value, None) is value
    assert select(value, [S390X, AMD64, ARM64]) is value


def test_one_platform_is_its_image() -> None:
    value = attested()
    found = select(value, [ARM64])
    assert isinstance(found, Image)
    assert str(found.digest) == value.children[1].descriptor.digest
    assert found.platform == ARM64


def test_several_platforms_keep_their_descriptors_order_and_attestations() -> None:
    value = attested()
    found = select(value, [S390X, AMD64])
    assert isinstance(found, Index)
    wanted: list[Descriptor] = [value.children[n].descriptor for n in (0, 2, 3, 5)]
    assert [child.descriptor for child in found.children] == wanted
    assert list(found.document.parsed.manifests) == wanted
    assert found.document.media_type == value.document.media_type


def test_a_choice_from_dockers_list_is_dockers_list() -> None:
    found = select(index(docker=True), SEVEN[:3])
    assert found.document.media_type == "application/vnd.docker.distribution.manifest.list.v2+json"


def test_a_platform_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ImageNotFound, match="no image for linux/riscv64") as caught:
        select(attested(), [AMD64, parse_platform("linux/riscv64")])
    assert caught.value.hint == "available: linux/amd64, linux/arm64, linux/s390x"


def test_an_image_of_one_platform_is_only_chosen_for_that() -> None:
    value = image("linux/arm64")
    assert select(value, [ARM64]) is value
    with pytest.raises(ImageNotFound, match="no image for linux/s390x"):
        select(value, [S390X])


def test_variants_are_told_apart_and_their_spellings_are_not() -> None:
    value = index([image("linux/arm/v6"), image("linux/arm/v7"), image("linux/arm64")])
    found = select(value, [parse_platform("linux/arm")])
    assert str(found.digest) == value.children[1].descriptor.digest
    assert select(value, [parse_platform("linux/arm64/v8")]).digest == image("linux/arm64").digest


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ("linux/arm/v7", "linux/arm/v6"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/amd64/v4", "linux/amd64/v2"),
        ("linux/amd64", "linux/amd64"),
    ],
)
def test_where_a_variant_is_missing_the_newest_that_it_runs_is_taken(
    wanted: str, taken: str
) -> None:
    """As docker and podman do: containerd's platforms/compare.go."""
    names = ["linux/arm/v5", "linux/arm/v6", "linux/amd64", "linux/amd64/v2", "linux/arm64"]
    found = select(index([image(name) for name in names]), [parse_platform(wanted)])
    assert found.digest == image(taken).digest
    single = image(taken)
    assert select(single, [parse_platform(wanted)]) is single


def test_a_newer_variant_is_not_taken_for_an_older_one() -> None:
    value = index([image("linux/arm/v7"), image("linux/amd64/v3")])
    for wanted in ("linux/arm/v6", "linux/amd64", "linux/arm64"):
        with pytest.raises(ImageNotFound, match=f"no image for {wanted}"):
            select(value, [parse_platform(wanted)])


def test_platforms_are_found_in_nested_indexes() -> None:
    value = index([index([image("linux/amd64"), image("linux/s390x")]), image("linux/arm64")])
    assert platforms_of(value) == [AMD64, S390X, ARM64]
    found = select(value, [AMD64, ARM64])
    assert platforms_of(found) == [AMD64, ARM64]


def test_an_index_that_names_no_platforms_is_answered_from_the_configs() -> None:
    images = [image("linux/amd64"), image("linux/s390x")]
    children = [child_of(one) for one in images]
    silent = [
        type(child)(descriptor=images[n].document.descriptor(), opener=child.opener)
        for n, child in enumerate(children)
    ]
    value = new_index(silent)
    assert platforms_of(value) == [AMD64, S390X]
    assert select(value, [S390X]).digest == images[1].digest


def test_a_chosen_index_is_whole() -> None:
    found = select(attested(), [AMD64, S390X])
    assert len(everything(found)) == 1 + 2 * 3 + 2 * 2 + 1  # the empty config is shared


def test_an_error_of_a_copy_says_from_where_to_where(tmp_path: Path) -> None:
    source = OciLayout(LayoutAddress(path=tmp_path / "source", tag="1.0"))
    source.write(image(), runtime())
    blob = next((tmp_path / "source/blobs/sha256").iterdir())
    blob.write_bytes(bytes(blob.stat().st_size))
    target = OciLayout(LayoutAddress(path=tmp_path / "target"))
    with pytest.raises(HomeportError) as caught:
        copy(source, target, runtime())
    assert caught.value.where["source"] == f"oci:{tmp_path}/source:1.0"
    assert caught.value.where["destination"] == f"oci:{tmp_path}/target"


def versions() -> Index:
    """Two versions of windows, and linux twice, as gzip and as zstd."""
    names = ["windows/amd64:10.0.17763.6054", "windows/amd64:10.0.20348.2582"]
    linux = [image("linux/amd64", [layer({"a": b"1"}, codec)]) for codec in ("gzip", "zstd")]
    return new_index([*map(image, names), *linux])


def test_versions_of_a_system_are_a_choice_and_never_the_first_one() -> None:
    value = versions()
    with pytest.raises(ImageNotFound) as caught:
        select(value, [parse_platform("windows/amd64")])
    assert caught.value.what == (
        "several images for windows/amd64: windows/amd64:10.0.17763.6054, "
        "windows/amd64:10.0.20348.2582"
    )
    assert caught.value.hint == "choose one: --platform windows/amd64:10.0.17763.6054"
    found = select(value, [parse_platform("windows/amd64:10.0.20348")])
    assert str(found.digest) == value.children[1].descriptor.digest
    both = select(value, [parse_platform("windows/amd64"), parse_platform("linux/s390x")][:1] * 2)
    assert isinstance(both, Index)


def test_of_images_for_the_same_platform_the_others_are_named(tmp_path: Path) -> None:
    value = versions()
    notes: list[str] = []

    class Noting(Silent):
        def note(self, id: str, text: str) -> None:
            notes.append(text)

    source, target = (
        OciLayout(LayoutAddress(path=tmp_path / name, tag="1")) for name in ("from", "to")
    )
    source.write(value, runtime())
    copy(source, target, runtime(progress=Noting()), platforms=[AMD64])
    first, other = (child.descriptor.digest for child in value.children[2:])
    assert notes == [
        f"warning: 1 other image for linux/amd64 left out: {other}; took the first, {first}"
    ]


SOCI = "application/vnd.amazon.soci.index.v2+json"


def with_soci() -> Index:
    """An image of two platforms, one with an index of SOCI's beside it, as ECR lists it."""
    two = index([image("linux/amd64"), image("linux/arm64")])
    soci = child_of(artifact())
    listed = replace(soci.descriptor, artifact_type=SOCI, platform=AMD64)
    return new_index([*two.children, replace(soci, descriptor=listed)])


def test_artifacts_of_a_platform_are_no_images_and_are_named_when_left_out(tmp_path: Path) -> None:
    value = with_soci()
    soci = value.children[2].descriptor.digest
    assert [str(each) for each in platforms_of(value)] == ["linux/amd64", "linux/arm64"]
    notes: list[str] = []

    class Noting(Silent):
        def note(self, id: str, text: str) -> None:
            notes.append(text)

    source, target = (
        OciLayout(LayoutAddress(path=tmp_path / name, tag="1")) for name in ("from", "to")
    )
    source.write(value, runtime())
    copy(source, target, runtime(progress=Noting()), platforms=[AMD64])
    assert notes == [
        f"warning: linux/amd64: left out {soci}, an artifact of the type {SOCI}; "
        "several platforms, or all, keep it"
    ]
    three = new_index([*value.children, child_of(image("linux/s390x"))])
    kept = select(three, [AMD64, parse_platform("linux/arm64")])
    assert isinstance(kept, Index)
    assert soci in [child.descriptor.digest for child in kept.children]


def test_each_entry_of_an_index_is_listed_with_what_differs() -> None:
    value = versions()
    shown = select(value, [AMD64])
    assert isinstance(shown, Image)
    rows = platform_rows(value, shown)
    assert [(row.platform, row.shown) for row in rows] == [
        ("windows/amd64:10.0.17763.6054", False), ("windows/amd64:10.0.20348.2582", False),
        ("linux/amd64", True), ("linux/amd64", False),
    ]  # fmt: skip
    oci = "application/vnd.oci.image.layer.v1.tar"
    assert rows[3].differs == (f"layers: {oci}+gzip → {oci}+zstd",)
