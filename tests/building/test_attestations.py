"""Attestations in the index of a build: the same bytes everywhere, and about the right image."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from builders.binaries import buildinfo, elf_with
from builders.building import BARE, BuildWorld
from builders.deb import deb, hardlink
from homeport.building.attestations import ARTIFACT_TYPE, STATEMENT
from homeport.building.compiled import programs_in_layers
from homeport.building.request import BuildResult, parse_kinds
from homeport.content.blob import verified
from homeport.content.store import Store
from homeport.errors import UsageError
from homeport.images.image import Image, digest_of
from homeport.oci.platform import UNKNOWN

COPYRIGHT = (
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
    "Files: *\nCopyright: 2020 A\nLicense: GPL-2+\n"
)
SPDX, SLSA = "https://spdx.dev/Document", "https://slsa.dev/provenance/v1"
TEXT = (
    BARE.replace("copyright: false", "copyright: true")
    + "packages: [hello]\nfiles: [{text: 'mine', to: /etc/mine}]\n"
)


def world(root: Path) -> BuildWorld:
    return BuildWorld(
        root,
        [
            deb(
                "hello", depends="libx (>= 1), gone | libx", source="hello-source (2:9-1)",
                maintainer="A Person <a@example.org>",
                files={"usr/bin/hello": b"hi", "usr/bin/zz": hardlink("usr/bin/hello"),
                       "usr/share/doc/hello/copyright": COPYRIGHT},
            ),
            deb("libx", files={"usr/lib/x": b"", "usr/share/doc/libx/copyright": "by hand"}),
        ],
    )  # fmt: skip


def attestations(result: BuildResult) -> list[Image]:
    opened = [child.open() for child in result.built.index.children if child.attests]
    return [one for one in opened if isinstance(one, Image)]


def statements(image: Image) -> dict[str, dict[str, Any]]:
    found = {}
    for layer in image.document.parsed.layers:
        assert layer.media_type == STATEMENT
        with verified(image.blobs[digest_of(layer)]) as stream:
            statement = json.loads(stream.readall())
        assert layer.annotations == {"in-toto.io/predicate-type": statement["predicateType"]}
        found[statement["predicateType"]] = statement
    return found


def test_each_image_has_an_sbom_and_provenance_about_its_digest(tmp_path: Path) -> None:
    built = world(tmp_path).build(TEXT)
    (attestation,) = attestations(built)
    image = built.built.images[0].image
    manifest = attestation.document.parsed
    assert manifest.artifact_type == ARTIFACT_TYPE
    assert manifest.subject == image.document.descriptor()
    made = statements(attestation)
    assert list(made) == [SPDX, SLSA]
    for statement in made.values():
        assert statement["subject"] == [{"name": "_", "digest": {"sha256": image.digest.hex}}]


def test_the_older_form_is_written_on_request_and_says_the_same(tmp_path: Path) -> None:
    whole = world(tmp_path)
    newer = whole.build(TEXT)
    older = whole.build(TEXT, attest=parse_kinds(["sbom,provenance,kit,oci-artifact=false"]))
    (first,), (second,) = attestations(newer), attestations(older)
    manifest = second.document.parsed
    assert (manifest.artifact_type, manifest.subject) == ("", None)
    with verified(second.blobs[digest_of(manifest.config)]) as stream:
        config = json.loads(stream.readall())
    layers = [layer.digest for layer in manifest.layers]
    rootfs = {"type": "layers", "diff_ids": layers}
    assert config == {"architecture": "unknown", "os": "unknown", "rootfs": rootfs}
    assert statements(second)[SPDX] == statements(first)[SPDX]
    assert [one.image.digest for one in older.built.images] == [
        one.image.digest for one in newer.built.images
    ]
    line = next(child for child in older.built.index.children if child.attests)
    image = older.built.images[0].image
    assert line.descriptor.annotations == {
        "vnd.docker.reference.digest": str(image.digest),
        "vnd.docker.reference.type": "attestation-manifest",
    }
    assert line.descriptor.platform == UNKNOWN


def test_the_sbom_has_packages_files_licenses_and_what_depends_on_what(tmp_path: Path) -> None:
    (attestation,) = attestations(world(tmp_path).build(TEXT))
    document = statements(attestation)[SPDX]["predicate"]
    packages = {one["name"]: one for one in document["packages"]}
    assert packages["hello"]["sourceInfo"] == "built package from: hello-source 2:9-1"
    assert packages["hello"]["originator"] == "Organization: A Person (a@example.org)"
    assert packages["hello"]["licenseDeclared"] == "GPL-2.0-or-later"
    assert packages["libx"]["licenseDeclared"] == "NOASSERTION"
    assert "/usr/share/doc/libx/copyright" in packages["libx"]["comment"]
    sums = {one["fileName"]: one["checksums"] for one in document["files"]}
    for name in ("./usr/bin/hello", "./usr/bin/zz"):
        assert sums[name] == [
            {"algorithm": "SHA1", "checksumValue": hashlib.sha1(b"hi").hexdigest()},
            {"algorithm": "SHA256", "checksumValue": hashlib.sha256(b"hi").hexdigest()},
        ]
    related = {
        (one["spdxElementId"], one["relationshipType"], one["relatedSpdxElement"])
        for one in document["relationships"]
    }
    assert ("SPDXRef-Package-hello-all", "DEPENDS_ON", "SPDXRef-Package-libx-all") in related
    mine = next(one["SPDXID"] for one in document["files"] if one["fileName"] == "./etc/mine")
    assert ("SPDXRef-Image", "OTHER", mine) in related


def test_provenance_names_every_package_index_and_file_by_digest(tmp_path: Path) -> None:
    built = world(tmp_path).build(TEXT)
    (attestation,) = attestations(built)
    predicate = statements(attestation)[SLSA]["predicate"]
    named = {
        one["name"]: one["digest"]["sha256"]
        for one in predicate["buildDefinition"]["resolvedDependencies"]
    }
    lockfile = built.locked.lockfile
    assert named["lockfile"] == built.locked.digest.hex
    for suite in lockfile.archives:
        assert named[f"InRelease of {suite.archive} {suite.suite}"] == suite.release.hex
    for package in built.built.images[0].packages:
        assert named[package.id.name] == package.sha256.hex
    assert named["/etc/mine"] == hashlib.sha256(b"mine").hexdigest()
    assert set(predicate["runDetails"]) == {"builder"}, "nothing of the run"


def test_the_images_keep_their_digests(tmp_path: Path) -> None:
    here = world(tmp_path)
    with_them, without = here.build(TEXT), here.build(TEXT, attest=())
    assert without.built.index.children == with_them.built.index.children[:1]
    assert without.built.images[0].image.digest == with_them.built.images[0].image.digest


def test_another_folder_and_an_empty_cache_give_the_same_index(tmp_path: Path) -> None:
    here = world(tmp_path)
    first = here.build(TEXT)
    folder = tmp_path / "somewhere" / "else"
    folder.mkdir(parents=True)
    proof = here.home / "test.lock.proof"
    for file in (first.recipe.path, first.locked.path, proof, here.home / "key.asc"):
        shutil.copy(file, folder)
    other = here.build(
        folder / first.recipe.path.name, store=Store(tmp_path / "empty"), locked=True
    )
    assert first.built.index.digest == other.built.index.digest


def test_another_mirror_gives_the_same_index(tmp_path: Path) -> None:
    here = world(tmp_path)
    first = here.build(TEXT)
    shutil.copytree(tmp_path / "mirror", tmp_path / "another")
    here.mirrors = [str(tmp_path / "another")]
    here.archive.lose("pool/*")
    other = here.build(TEXT, store=Store(tmp_path / "empty"), locked=True)
    assert first.built.index.digest == other.built.index.digest


def test_a_second_build_takes_them_from_the_cache_and_lost_parts_are_made_again(
    tmp_path: Path,
) -> None:
    here = world(tmp_path)
    first = here.build(TEXT)
    (attestation,) = attestations(first)
    layer = digest_of(attestation.document.parsed.layers[0])
    here.store.drop(layer)
    assert here.build(TEXT).built.index.digest == first.built.index.digest
    assert here.store.get(layer) is not None


def test_an_image_without_its_bill_is_built_again(tmp_path: Path) -> None:
    here = world(tmp_path)
    first = here.build(TEXT)
    here.store.drop(first.built.images[0].bill.digest)
    again = here.build(TEXT)
    assert not again.built.images[0].cached
    assert again.built.index.digest == first.built.index.digest


def test_kinds_are_chosen_by_name(tmp_path: Path) -> None:
    built = world(tmp_path).build(TEXT, attest=parse_kinds(["provenance"]))
    (attestation,) = attestations(built)
    assert list(statements(attestation)) == [SLSA]
    assert parse_kinds(["provenance,sbom"]) == ("sbom", "provenance")
    with pytest.raises(UsageError, match="of which none is chosen"):
        parse_kinds(["kit,oci-artifact=false"])
    with pytest.raises(UsageError, match="unknown attestation 'vex'"):
        parse_kinds(["sbom,vex"])


def test_check_compares_the_attestations_too(tmp_path: Path) -> None:
    built = world(tmp_path).build(TEXT, check=True, store=Store(tmp_path / "other"))
    assert len(attestations(built)) == 1


GO = ["path\texample.org/tool", "mod\texample.org/tool\tv1.2.3\th1:abc=",
      "dep\tgithub.com/a/b\tv0.1.0\th1:x="]  # fmt: skip


def test_programs_that_the_recipe_brings_are_listed_with_their_modules(tmp_path: Path) -> None:
    here = world(tmp_path)
    program = elf_with({".go.buildinfo": buildinfo("go1.22.1 X:nocoverageredesign", GO)})
    path = here.write_recipe(TEXT.replace("files: [", "files: [{from: tool, to: /usr/bin/tool}, "))
    (path.parent / "tool").write_bytes(program)
    (path.parent / "tool").chmod(0o755)
    built = here.build(path)
    (attestation,) = attestations(built)
    packages = statements(attestation)[SPDX]["predicate"]["packages"]
    found = {
        one["externalRefs"][0]["referenceLocator"] for one in packages if one.get("externalRefs")
    }
    assert {one for one in found if one.startswith("pkg:golang/")} == {
        "pkg:golang/example.org/tool@v1.2.3",
        "pkg:golang/github.com/a/b@v0.1.0",
        "pkg:golang/stdlib@1.22.1",
    }
    # Results of parts are found in the layers.
    in_layers = programs_in_layers(built.built.images[0], {"/usr/bin/tool", "/etc/mine"})
    assert [path for path, facts in in_layers.items() if facts.go] == [b"usr/bin/tool"]
