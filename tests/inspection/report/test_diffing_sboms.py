"""Bills of materials of two images side by side, wherever they are attached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builders.building import BuildWorld
from builders.deb import deb
from builders.inspection import file, layer, made
from builders.runtime import runtime
from homeport.attest.keys.private_key import encrypt_key, generate_key
from homeport.cli.main import run
from homeport.content.blob import BytesBlob
from homeport.images.address import LayoutAddress
from homeport.images.image import Image
from homeport.images.transports.oci_layout import OciLayout
from homeport.oci import media_types
from homeport.oci.documents import Descriptor, Manifest, written

STATUS = "Package: {}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n\n"
RECIPE = (
    "steps: {usrmerge: false, accounts: false, os_release: false, ca_bundle: false,"
    " status_database: true, copyright: true, tmp: false, layout: false, alternatives: false,"
    " packaged_state: false, java_keystore: false}\n"
)
COPYRIGHT = (
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
    "Files: *\nCopyright: 2020 A\nLicense: {}\n"
)
SPDX, CYCLONEDX = "application/spdx+json", "application/vnd.cyclonedx+json"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOMEPORT_NO_PROGRESS", "1")
    monkeypatch.setenv("COSIGN_PASSWORD", "")
    monkeypatch.chdir(tmp_path)


def image(name: str, **packages: str) -> Image:
    """An image in the layout ``name`` whose database records the packages. Times differ."""
    status = "".join(STATUS.format(*one) for one in packages.items()).encode()
    value = made(layer(file("var/lib/dpkg/status", status), file("mark", mtime=len(name))))
    OciLayout(LayoutAddress(path=Path(name), tag="1")).write(value, runtime())
    return value


def attach(name: str, about: Image, document: Any, media_type: str = SPDX) -> None:
    """A bare referrer, as ``homeport attest`` and scanners write it."""
    data, empty = BytesBlob(json.dumps(document).encode()), BytesBlob(b"{}")
    manifest = Manifest(
        schema_version=2, media_type=media_types.OCI_MANIFEST, artifact_type=media_type,
        config=Descriptor(media_type=media_types.OCI_EMPTY, digest=str(empty.digest), size=2),
        layers=(Descriptor(media_type=media_type, digest=str(data.digest), size=data.size),),
        subject=about.document.descriptor(),
    )  # fmt: skip
    value = Image(
        document=written(manifest, media_types.OCI_MANIFEST),
        blobs={data.digest: data, empty.digest: empty},
    )
    OciLayout(LayoutAddress(path=Path(name))).write_referrer(value, runtime())


def spdx(*purls: str, license: str = "NOASSERTION") -> dict[str, Any]:
    return {
        "spdxVersion": "SPDX-2.3",
        "packages": [{"name": "image"}]
        + [
            {"licenseDeclared": license,
             "externalRefs": [{"referenceType": "purl", "referenceLocator": purl}]}
            for purl in purls
        ],
    }  # fmt: skip


def cyclonedx(*purls: str) -> dict[str, Any]:
    """One component inside the other, as some tools write them."""
    component: dict[str, Any] = {"type": "application", "name": "outer"}
    for purl in purls:
        component = {"purl": purl, "licenses": [{"license": {"id": "MIT"}}],
                     "components": [component]}  # fmt: skip
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [component]}


def diff(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert run(["diff", *arguments, "--format", "json"]) == code, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def texts(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["diff", *arguments]) == 0
    return capsys.readouterr().out


def test_the_sboms_of_builds_are_compared_and_agree_with_their_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, version, license in (("one", "1.9", "GPL-2+"), ("two", "1.10", "Expat")):
        docs = {"usr/share/doc/libx/copyright": COPYRIGHT.format(license)}
        packages = [deb("app", version, depends="libx", files={"usr/bin/app": b"x"}),
                    deb("libx", files=docs)]  # fmt: skip
        world = BuildWorld(tmp_path / f"of-{name}", packages)
        text = f"{RECIPE}platforms: [linux/amd64, linux/arm64]\npackages: [app]\n"
        world.build(text, outputs=(LayoutAddress(path=tmp_path / name),))
    found, other = diff(capsys, "oci:one", "oci:two")["sboms"]
    assert other["packages"] == found["packages"]
    assert found["compared"]
    assert found["packages"] == [
        {"change": "upgraded", "manager": "dpkg", "name": "app", "architecture": "all",
         "before": "1.9", "after": "1.10"}
    ]  # fmt: skip
    assert found["licenses"] == [
        {"manager": "dpkg", "name": "libx", "before": "GPL-2.0-or-later", "after": "MIT"}
    ]
    for side in (found["before"], found["after"]):
        assert (side["form"], side["found_as"], side["packages"]) == ("spdx", "index", 2)
        assert "disagreements" not in side
    text = texts(capsys, "oci:one", "oci:two")
    assert "SBOM before: SPDX, 2 packages, in the index" in text
    assert "GPL-2.0-or-later" in text
    (same,) = diff(capsys, "oci:one", "--platform", "linux/amd64,linux/arm64")["sboms"]
    assert same["compared"]
    assert not same["packages"]


def test_documents_of_two_forms_from_two_places_are_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, other = image("first", app="1", libx="2:3"), image("two", app="2", libx="2:3")
    attach("first", one, spdx("pkg:deb/debian/app@1?arch=amd64",
                            "pkg:deb/debian/libx@3?arch=amd64&epoch=2", license="MIT"))  # fmt: skip
    document = cyclonedx("pkg:deb/debian/app@2?arch=amd64", "pkg:deb/debian/libx@2%3A3?arch=amd64",
                         "pkg:golang/example.com/x/y@v1")  # fmt: skip
    Path("bill.json").write_text(json.dumps(document))
    Path("us.key").write_bytes(encrypt_key(generate_key(), b""))
    assert run(["attest", "oci:two:1", "--type", "cyclonedx", "--predicate", "bill.json",
                "--key", "us.key"]) == 0  # fmt: skip
    capsys.readouterr()
    (found,) = diff(capsys, "oci:first:1", "oci:two:1")["sboms"]
    assert (found["before"]["found_as"], found["after"]["form"]) == ("referrer", "cyclonedx")
    assert found["after"]["found_as"] in ("bundle", "tag")
    assert [(row["name"], row["change"]) for row in found["packages"]] == [
        ("app", "upgraded"), ("example.com/x/y", "added"),
    ]  # fmt: skip
    assert not found["licenses"]
    assert "disagreements" not in {**found["before"], **found["after"]}
    assert other.digest != one.digest


def test_a_bill_that_lists_other_packages_than_the_image_records_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, other = image("first", app="1", hidden="1"), image("two", app="1")
    attach(
        "first", one, spdx("pkg:deb/debian/app@0.9?arch=amd64", "pkg:deb/debian/gone@1?arch=amd64")
    )
    attach("two", other, spdx("pkg:deb/debian/app@1?arch=amd64", "pkg:npm/%40a/b@1"))
    (found,) = diff(capsys, "oci:first:1", "oci:two:1")["sboms"]
    rows = [(row["name"], row.get("listed", ""), row.get("found", ""))
            for row in found["before"]["disagreements"]]  # fmt: skip
    assert rows == [("app", "0.9", "1"), ("gone", "1", ""), ("hidden", "", "1")]
    assert [row["name"] for row in found["after"]["disagreements"]] == ["@a/b"]
    text = texts(capsys, "oci:first:1", "oci:two:1")
    assert "warning: SBOM before and image disagree on 3 packages" in text
    assert "not found" in text
    assert "not listed" in text


def test_an_image_without_a_bill_falls_back_to_what_is_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = image("first", app="1")
    image("two", app="2")
    assert diff(capsys, "oci:first:1", "oci:two:1")["sboms"] == []
    attach("first", one, spdx("pkg:deb/debian/app@1?arch=amd64"))
    whole = diff(capsys, "oci:first:1", "oci:two:1")
    (found,) = whole["sboms"]
    assert (found["compared"], found["after"], found["packages"]) == (False, None, [])
    assert [row["name"] for row in whole["images"][0]["packages"]] == ["app"]
    assert "SBOM before: SPDX, 1 package, attached, after: none" in texts(
        capsys, "oci:first:1", "oci:two:1"
    )


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"spdxVersion": "SPDX-3.0"}, "neither SPDX 2 nor CycloneDX: 'SPDX-3.0'"),
        ({"spdxVersion": "SPDX-2.3", "packages": "\u202e"}, "not valid"),
        ([], "not a JSON object"),
        (cyclonedx(*("pkg:npm/a@1",) * 60), "nested more than 50 deep"),
    ],
)
def test_a_document_that_cannot_be_used_is_named_and_not_compared(
    capsys: pytest.CaptureFixture[str], document: Any, why: str
) -> None:
    one, other = image("first", app="1"), image("two", app="2")
    attach("first", one, document)
    attach("two", other, spdx("pkg:deb/debian/app@2?arch=amd64"))
    (found,) = diff(capsys, "oci:first:1", "oci:two:1")["sboms"]
    assert why in found["before"]["problem"]
    assert not found["compared"]
    text = texts(capsys, "oci:first:1", "oci:two:1")
    assert "warning: SBOM before not used: " in text
    assert "\u202e" not in text


def test_a_document_about_another_image_counts_for_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A publisher's list may point at a document that is about something else."""
    one, other = image("first", app="1"), image("two", app="2")
    attach("first", other, spdx("pkg:deb/debian/app@1?arch=amd64"))
    index = json.loads(Path("first/index.json").read_text())
    for entry in index["manifests"]:
        for name, value in entry.get("annotations", {}).items():
            if value == str(other.digest):
                entry["annotations"][name] = str(one.digest)
    Path("first/index.json").write_text(json.dumps(index))
    attach("two", other, spdx("pkg:deb/debian/app@2?arch=amd64"))
    (found,) = diff(capsys, "oci:first:1", "oci:two:1")["sboms"]
    assert "about another image" in found["before"]["problem"]
    assert not found["compared"]


def test_bills_that_differ_are_a_difference_though_the_images_record_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, other = image("first"), image("two")
    assert diff(capsys, "oci:first:1", "oci:two:1")["same"]
    attach("first", one, spdx("pkg:pypi/a@1"))
    attach("two", other, spdx("pkg:pypi/a@2"))
    assert not diff(capsys, "oci:first:1", "oci:two:1")["same"]
