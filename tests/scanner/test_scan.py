"""The SBOM scanner by BuildKit's protocol: roots in, statements out, the same bytes each time."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import homeport
from homeport.recipe.entries import LocalFiles
from homeport.recipe.loading import find_and_load
from homeport.recipe.model import Recipe
from homeport.scanner.run import BadScan, main, scan

STATUS = """\
Package: libc6
Status: install ok installed
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Architecture: amd64
Source: glibc
Version: 2.41-12+deb13u3

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""
OS_RELEASE = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'
APK = "P:musl\nV:1.2.5-r9\nA:x86_64\nL:MIT\no:musl\n\n"
DEBIAN = {
    "etc/os-release": OS_RELEASE,
    "var/lib/dpkg/status": STATUS,
    "var/lib/dpkg/info/libc6:amd64.list": "/.\n/usr\n/usr/lib\n/usr/lib/libc.so.6\n",
    "usr/lib/libc.so.6": "library",
    "usr/share/doc/libc6/copyright": "Format: https://www.debian.org/doc/packaging-manuals/"
    "copyright-format/1.0/\n\nFiles: *\nCopyright: x\nLicense: LGPL-2.1+\n",
    "srv/own": "own file",
}


def lay(root: Path, files: dict[str, str], mtime: int = 1_700_000_000) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (mtime, mtime))
    return root


def scanned(tmp_path: Path, core: Path, **more: str) -> dict[str, Any]:
    """File name → statement, of one run."""
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    environment = {
        "BUILDKIT_SCAN_DESTINATION": f"{out}/", "BUILDKIT_SCAN_SOURCE": str(core),
        "BUILDKIT_SCAN_OTHER": "K=V",
    }  # fmt: skip
    notes: list[str] = []
    scan(environment | more, notes.append)
    found = {path.name: json.loads(path.read_bytes()) for path in out.iterdir()}
    return found | {"notes": notes}


def packages(statement: dict[str, Any]) -> dict[str, str]:
    return {
        one["name"]: one.get("versionInfo", "")
        for one in statement["predicate"]["packages"]
        if one.get("primaryPackagePurpose") not in ("CONTAINER", "OPERATING-SYSTEM", "SOURCE")
    }


def test_packages_files_and_licenses_of_a_debian_root(tmp_path: Path) -> None:
    found = scanned(tmp_path, lay(tmp_path / "sbom", DEBIAN))
    assert sorted(found) == ["notes", "sbom.spdx.json"]
    statement = found["sbom.spdx.json"]
    assert statement["predicateType"] == "https://spdx.dev/Document"
    assert packages(statement) == {"libc6": "2.41-12+deb13u3"}
    document = statement["predicate"]
    (libc,) = (one for one in document["packages"] if one["name"] == "libc6")
    assert libc["sourceInfo"].startswith("built package from: glibc ")
    assert libc["licenseDeclared"] == "LGPL-2.1-or-later"
    purl = libc["externalRefs"][0]["referenceLocator"]
    assert purl.startswith("pkg:deb/debian/libc6@2.41-12%2Bdeb13u3?arch=amd64&distro=debian-13")
    names = {one["fileName"] for one in document["files"]}
    assert {"./usr/lib/libc.so.6", "./srv/own"} <= names
    assert document["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
    assert "checksums" not in document["packages"][0]


def test_the_same_root_gives_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    first = scanned(tmp_path, lay(tmp_path / "a" / "sbom", DEBIAN))
    backwards = dict(reversed(DEBIAN.items()))
    second = scanned(tmp_path, lay(tmp_path / "b" / "sbom", backwards))
    assert first == second
    other = scanned(tmp_path, lay(tmp_path / "c" / "sbom", {**DEBIAN, "srv/own": "else"}))
    document = other["sbom.spdx.json"]["predicate"]
    assert (
        document["documentNamespace"] != (first["sbom.spdx.json"]["predicate"]["documentNamespace"])
    )
    epoch = scanned(tmp_path, tmp_path / "a" / "sbom", SOURCE_DATE_EPOCH="0")
    created = epoch["sbom.spdx.json"]["predicate"]["creationInfo"]["created"]
    assert created == "1970-01-01T00:00:00Z"


def test_core_and_extras_each_have_a_statement(tmp_path: Path) -> None:
    core = lay(tmp_path / "core" / "sbom", DEBIAN)
    extras = tmp_path / "extras"
    lay(extras / "sbom-context", {"app.py": "x"})
    lay(extras / "sbom-build", {"lib/apk/db/installed": APK, "etc/alpine-release": "3.22.1\n"})
    (extras / "not-a-root").write_text("")
    found = scanned(tmp_path, core, BUILDKIT_SCAN_SOURCE_EXTRAS=str(extras))
    assert sorted(found) == [
        "notes", "sbom-build.spdx.json", "sbom-context.spdx.json", "sbom.spdx.json",
    ]  # fmt: skip
    assert packages(found["sbom-build.spdx.json"]) == {"musl": "1.2.5-r9"}
    assert packages(found["sbom-context.spdx.json"]) == {}


def test_slices_record_their_packages_one_by_one(tmp_path: Path) -> None:
    files = {"var/lib/dpkg/status.d/libc6": STATUS.partition("\n\n")[0] + "\n",
             "etc/os-release": OS_RELEASE}  # fmt: skip
    found = scanned(tmp_path, lay(tmp_path / "sbom", files))
    assert packages(found["sbom.spdx.json"]) == {"libc6": "2.41-12+deb13u3"}


def test_an_empty_root_gives_a_document_without_packages(tmp_path: Path) -> None:
    (tmp_path / "sbom").mkdir()
    found = scanned(tmp_path, tmp_path / "sbom")
    document = found["sbom.spdx.json"]["predicate"]
    assert [one["SPDXID"] for one in document["packages"]] == ["SPDXRef-Image"]
    assert document["files"] == []


def test_links_pipes_and_what_cannot_be_read_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    root = lay(tmp_path / "sbom", {"usr/lib/os-release": OS_RELEASE, "a/file": "x"})
    (root / "etc").mkdir()
    (root / "etc" / "os-release").symlink_to("../usr/lib/os-release")
    (root / "etc" / "passwd").symlink_to(tmp_path / "secret")
    (root / "out").symlink_to(tmp_path, target_is_directory=True)
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    found = scanned(tmp_path, root)
    document = found["sbom.spdx.json"]["predicate"]
    assert {one["fileName"] for one in document["files"]} == {"./a/file", "./usr/lib/os-release"}
    systems = [one for one in document["packages"]
               if one.get("primaryPackagePurpose") == "OPERATING-SYSTEM"]  # fmt: skip
    assert [one["name"] for one in systems] == ["debian"]


def test_what_vanishes_is_told_and_the_rest_is_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lay(tmp_path / "sbom", {"a": "x", "b": "y"})
    real = os.open

    def failing(path: Any, *arguments: Any, **more: Any) -> int:
        if os.fsencode(path).endswith(b"sbom/a"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments, **more)

    monkeypatch.setattr(os, "open", failing)
    found = scanned(tmp_path, root)
    assert "warning: not read: /a: Permission denied" in found["notes"]
    document = found["sbom.spdx.json"]["predicate"]
    assert [one["fileName"] for one in document["files"]] == ["./b"]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "BUILDKIT_SCAN_DESTINATION is not set"),
        ({"BUILDKIT_SCAN_DESTINATION": "/"}, "BUILDKIT_SCAN_SOURCE is not set"),
        ({"BUILDKIT_SCAN_DESTINATION": "/", "BUILDKIT_SCAN_SOURCE": "/none"}, "not a directory"),
        ({"BUILDKIT_SCAN_DESTINATION": "/", "BUILDKIT_SCAN_SOURCE": "/etc",
          "SOURCE_DATE_EPOCH": "today"}, "invalid SOURCE_DATE_EPOCH"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(BadScan, match=said):
        scan(environment, lambda _text: None)


def test_errors_are_lines_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BUILDKIT_SCAN_DESTINATION", raising=False)
    assert main() == 1
    assert capsys.readouterr().err.startswith("error: BUILDKIT_SCAN_DESTINATION is not set")


def test_the_image_holds_what_the_scanner_imports() -> None:
    """Modules of Homeport: the recipe copies them one by one, so that nothing else is in it."""
    code = (
        "import sys, homeport.scanner.run\n"
        "print([m.__file__ for n, m in sys.modules.items() if n.partition('.')[0] == 'homeport'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    needed = {Path(one) for one in ast.literal_eval(done.stdout)}
    taken = [each.source.resolve() for each in shipped_recipe().files
             if isinstance(each, LocalFiles)]  # fmt: skip
    lost = [one for one in needed if not any(one.is_relative_to(source) for source in taken)]
    assert lost == []
    assert all(any(one.is_relative_to(source) for one in needed) for source in taken)


def shipped_recipe() -> Recipe:
    return find_and_load("sbom-scanner", ())


def test_it_needs_nothing_but_msgspec_and_zstandard() -> None:
    """What the image must hold besides Python; accelerators may be missing."""
    code = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(('isal', 'typing_extensions'))\n"
        "import homeport.scanner.run\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c",
         f"import sys; sys.path[:0] = {[*sys.path]!r}\n{code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = ast.literal_eval(done.stdout)
    assert set(names) - {"__main__", "isal", "typing_extensions"} == {
        "homeport", "msgspec", "zstandard",
    }  # fmt: skip
    assert Path(homeport.__file__).is_file()
