"""SBOMs against the validators of the two specifications: spdx-tools and CycloneDX's schema.

Both are installed by ``.ci/run`` in an environment of its own, whose Python is beside
``pyspdxtools``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from builders.building import BuildWorld
from builders.deb import deb
from builders.runtime import runtime
from homeport.building.statements import bill_of
from homeport.content.thread_pools import Pools
from homeport.inspection.image.opened_image import open_layers
from homeport.inspection.report.image_bill import image_bill
from homeport.progress import CancelToken
from homeport.sbom import documents
from homeport.sbom.model import Bill, Component, Material, Subject

pytestmark = pytest.mark.peer("pyspdxtools")

SPDX = """
import sys
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
for message in validate_full_spdx_document(parse_file(sys.argv[1])):
    print(message.validation_message)
"""
CYCLONEDX = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
if found is not None:
    print(found)
"""
PURL = """
import json, sys
from packageurl import PackageURL
for text in json.load(open(sys.argv[1])):
    if PackageURL.from_string(text).to_string() != text:
        print(text, PackageURL.from_string(text).to_string())
"""
COPYRIGHT = (
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
    "Files: *\nCopyright: 2020 A\n"
    "License: GPL-2+ with Libtool exception or Artistic, and public-domain\n Free.\n\n"
    "Files: b/*\nCopyright: B\nLicense: MIT\n A text.\n .\n More.\n"
)
RECIPE = (
    "steps: {usrmerge: false, accounts: false, os_release: false, ca_bundle: false,"
    " status_database: true, copyright: true, tmp: false,"
    " layout: false, alternatives: false, packaged_state: false, java_keystore: false}\n"
    "packages: [libstdc++6, tool]\nfiles: [{text: 'mine', to: /etc/mine}]\n"
)
SUBJECT = Subject(name="team/tool", digest=f"sha256:{'ab' * 32}", created=1_700_000_000)


def bills(folder: Path) -> list[Bill]:
    packages = [
        deb("libstdc++6", "1:2.0~rc1+b2", source="gcc (2:9-1)", maintainer="A B <a@example.org>",
            files={"usr/lib/x": b"", "usr/share/doc/libstdc++6/copyright": COPYRIGHT}),
        deb("tool", depends="libstdc++6", homepage="https://example.org/",
            files={"usr/bin/tool": b"t", "usr/share/doc/tool/copyright": "by hand"}),
    ]  # fmt: skip
    built = BuildWorld(folder, packages).build(RECIPE)
    made = bill_of(built.built.images[0], built.locked.lockfile)
    with Pools(CancelToken(), processor=2) as pools:
        opened = open_layers(built.built.images[0].image, runtime(pools=pools), "oci:out")
        found = image_bill(opened)
    more = Bill(
        platform=made.platform,
        distribution=None,
        packages=made.packages,
        files=made.files,
        components=(
            Component(kind="golang", name="github.com/a/b", version="v1.2.3+x", location="/bin/x"),
        ),
        materials=(Material(name="source", uri="https://example.org/x.git@abc"),),
    )
    return [made, found, more]


def complaints(script: str, document: str, folder: Path, name: str) -> str:
    program = shutil.which("pyspdxtools")
    assert program is not None
    file = folder / name
    file.write_text(document)
    done = subprocess.run(
        [Path(program).parent / "python", "-c", script, file],
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_document_satisfies_its_specification(tmp_path: Path) -> None:
    for bill in bills(tmp_path):
        spdx = documents.write_document(bill, SUBJECT, "spdx")
        cyclonedx = documents.write_document(bill, SUBJECT, "cyclonedx")
        assert complaints(SPDX, spdx, tmp_path, "a.spdx.json") == ""
        assert complaints(CYCLONEDX, cyclonedx, tmp_path, "a.cdx.json") == ""
        purls = [
            reference["referenceLocator"]
            for package in json.loads(spdx)["packages"]
            for reference in package.get("externalRefs", ())
        ]
        assert complaints(PURL, json.dumps(purls), tmp_path, "purls.json") == ""


def test_a_wrong_document_is_noticed(tmp_path: Path) -> None:
    document = json.loads(documents.write_document(bills(tmp_path)[0], SUBJECT, "spdx"))
    del document["files"][0]["checksums"][0]  # SHA-1, which the specification requires
    assert "SHA1" in complaints(SPDX, json.dumps(document), tmp_path, "a.spdx.json")
