"""``homeport sbom``: the same facts from a build and from its image, in every form."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from builders.building import BuildWorld
from builders.deb import deb
from builders.runtime import runtime
from builders.small_registry import small_registry
from homeport.building.request import BuildResult
from homeport.building.statements import bill_of
from homeport.cli.main import homeport
from homeport.content.thread_pools import Pools
from homeport.errors import Faults, HomeportError
from homeport.inspection.image.opened_image import open_layers
from homeport.inspection.report.image_bill import image_bill
from homeport.progress import CancelToken
from homeport.sbom import documents
from homeport.sbom.model import Bill, Subject

COPYRIGHT = (
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
    "Files: *\nCopyright: 2020 A\nLicense: GPL-2+\n"
)
RECIPE = (
    "steps: {usrmerge: false, accounts: false, os_release: false, ca_bundle: false,"
    " status_database: true, copyright: true, tmp: false,"
    " layout: false, alternatives: false, packaged_state: false, java_keystore: false}\n"
    "packages: [hello]\nfiles: [{text: 'mine', to: /etc/mine}]\n"
)
SUBJECT = Subject(name="tool", digest=f"sha256:{'ab' * 32}", created=1_700_000_000)


@pytest.fixture
def built(tmp_path: Path) -> BuildResult:
    packages = [
        deb("hello", depends="libx", maintainer="A <a@example.org>",
            files={"usr/bin/hello": b"hi", "usr/bin/empty": b"",
                   "usr/share/doc/hello/copyright": COPYRIGHT}),
        deb("libx", source="lib-src (3-1)",
            files={"usr/lib/x": b"x", "usr/share/doc/libx/copyright": COPYRIGHT}),
    ]  # fmt: skip
    return BuildWorld(tmp_path, packages).build(RECIPE)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(homeport, arguments)


def found_in_image(result: BuildResult) -> Bill:
    with Pools(CancelToken(), processor=2) as pools:
        image = result.built.images[0].image
        return image_bill(open_layers(image, runtime(pools=pools), "oci:out"))


def test_an_inspection_finds_the_packages_and_files_that_the_build_put_in(
    built: BuildResult,
) -> None:
    made, found = bill_of(built.built.images[0], built.locked.lockfile), found_in_image(built)

    def packages(bill: Bill) -> list[tuple[Any, ...]]:
        return [
            (one.name, one.version, one.architecture, one.source_name, one.source_version,
             one.maintainer, one.license)
            for one in bill.packages
        ]  # fmt: skip

    def contents(bill: Bill) -> dict[str, tuple[Any, ...]]:
        return {one.path: (one.size, one.sha1, one.sha256) for one in bill.files}

    def packaged(bill: Bill) -> dict[str, str]:
        return {one.path: one.owner for one in bill.files if one.origin == "package"}

    assert packages(found) == packages(made)
    assert contents(found) == contents(made)
    assert packaged(found) == packaged(made)
    assert (made.made_from, found.made_from) == ("build", "image")


def test_an_image_of_others_says_that_it_was_inspected(built: BuildResult) -> None:
    document = json.loads(documents.write_document(found_in_image(built), SUBJECT, "spdx"))
    assert "inspecting the image" in document["creationInfo"]["comment"]
    cyclone = json.loads(documents.write_document(found_in_image(built), SUBJECT, "cyclonedx"))
    assert cyclone["compositions"][0]["aggregate"] == "incomplete"


def test_cyclonedx_has_what_scanners_match_by(built: BuildResult) -> None:
    bill = bill_of(built.built.images[0], built.locked.lockfile)
    document = json.loads(documents.write_document(bill, SUBJECT, "cyclonedx"))
    library = next(one for one in document["components"] if one["name"] == "libx")
    properties = {one["name"].rpartition(":")[2]: one["value"] for one in library["properties"]}
    assert properties == {
        "PkgType": "debian", "SrcName": "lib-src", "SrcVersion": "3", "SrcRelease": "1",
    }  # fmt: skip
    assert "upstream=lib-src%403-1" in library["purl"]
    assert library["licenses"] == [
        {"expression": "GPL-2.0-or-later", "acknowledgement": "declared"}
    ]
    (own,) = (one for one in document["components"] if one["name"] == "/etc/mine")
    assert own["type"] == "file"


def test_csv_has_a_line_for_each_package(built: BuildResult) -> None:
    bill = bill_of(built.built.images[0], built.locked.lockfile)
    rows = list(csv.DictReader(io.StringIO(documents.write_document(bill, SUBJECT, "csv"))))
    assert [row["package"] for row in rows] == ["hello", "libx"]
    assert [row["source"] for row in rows] == ["hello 1.0-1", "lib-src 3-1"]
    assert all(len(row["sha256"]) == 64 for row in rows)


def test_an_image_is_described_from_the_command_line(
    built: BuildResult,
    tmp_path: Path,
) -> None:
    layout = str(built.written[0].address).rpartition(":")[0]
    text = invoke("sbom", layout)
    assert text.exit_code == 0
    assert [line.split()[:2] for line in text.stdout.splitlines()[2:5]] == [
        ["package", "version"], ["hello", "1.0-1"], ["libx", "1.0-1"],
    ]  # fmt: skip
    file = tmp_path / "out.spdx.json"
    assert invoke("sbom", layout, "--format", "spdx", "-o", str(file)).exit_code == 0
    assert json.loads(file.read_text())["spdxVersion"] == "SPDX-2.3"


@pytest.mark.parametrize("prefix", ["", "docker://"])
def test_an_image_of_a_registry_is_called_by_its_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    release = (
        '{text: "ID=debian\\nVERSION_ID=13\\nVERSION_CODENAME=trixie\\n", to: /etc/os-release}'
    )
    libx = deb("libx", source="lib-src (3-1)", files={"usr/lib/x": b"x"})
    recipe = RECIPE.replace("files: [", f"files: [{release}, ").replace("hello", "libx")
    built = BuildWorld(tmp_path, [libx]).build(recipe)
    with small_registry() as registry:
        name = f"{registry.host}/team/tool"  # a host with a port
        assert invoke("push", str(built.written[0].address), f"{name}:1").exit_code == 0
        image = f"{prefix}{name}:1"
        spdx = json.loads(invoke("sbom", image, "--format", "spdx").stdout)
        assert spdx["packages"][0]["name"] == name
        file = tmp_path / "tracker.json"
        file.write_text('{"lib-src": {"CVE-2026-1": {"releases": {"trixie": {"status": "open"}}}}}')
        vex = invoke("vex", image, "--tracker", str(file))
        assert vex.exit_code == 0, vex.output
        ids = [one["@id"] for one in json.loads(vex.stdout)["statements"][0]["products"]]
        digest = built.built.images[0].image.digest
        assert ids[0] == f"pkg:oci/tool@{digest}?arch=amd64&repository_url={name}"


def test_what_is_neither_a_recipe_nor_an_image_is_an_error() -> None:
    failed = invoke("sbom", "./not-here")
    assert isinstance(failed.exception, HomeportError)
    assert "./not-here" in str(failed.exception)


VEX = """
vex:
  - {vulnerability: CVE-2026-1, packages: [libx], status: not_affected, reason: not called,
     justification: vulnerable_code_not_in_execute_path, by: Jane, date: "2026-11-28"}
"""


def test_a_recipe_says_of_vulnerabilities_what_a_person_said(
    built: BuildResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    recipe = built.recipe.path
    without = invoke("vex", str(recipe), "--offline")
    assert "no statements: no --tracker" in str(without.exception)
    (tmp_path / "app").mkdir()
    folder = invoke("vex", "./app").exception
    assert isinstance(folder, HomeportError)
    assert (
        folder.hint == "app is a directory without an image; audit its files: homeport audit ./app"
    )
    recipe.write_text(recipe.read_text() + VEX)
    done = invoke("vex", str(recipe), "--offline", "--taken", "0")
    assert done.exception is None, done.exception
    (statement,) = json.loads(done.stdout)["statements"]
    assert statement["impact_statement"] == "not called"
    (address,) = (written.address for written in built.written)
    done = invoke("vex", str(address), "--recipe", str(recipe), "--taken", "0")
    (statement,) = json.loads(done.stdout)["statements"]
    digest = built.built.images[0].image.digest
    assert statement["products"][-2]["@id"] == digest.hex
    recipe.write_text(recipe.read_text().replace("not_affected", "fixed"))
    refused = invoke("recipe", "check", str(recipe)).exception
    assert isinstance(refused, Faults)
    assert "not_affected requires a justification" in str(refused.faults[0])
