"""The SBOM scanner beside syft, over the same roots: the same packages in the same versions.

HOMEPORT_SYFT names syft, which takes ten minutes of a processor to compile: ``.ci/run --full``
does. apk's and status.d's files are written here as apk and distroless write them; dpkg's and
rpm's are made by dpkg and rpm.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.parse
from pathlib import Path

import msgspec
import pytest

from homeport.scanner.run import scan
from peers.test_inspection_rpm import filled_root

SYFT = os.environ.get("HOMEPORT_SYFT", "")
APK = """\
C:Q1JaDEHQHBbizhEzoWK1YxuraNU/4=
P:musl
V:1.2.5-r9
A:x86_64
S:411209
I:659456
T:the musl c library (libc) implementation
U:https://musl.libc.org/
L:MIT
o:musl
m:Maintainer <maintainer@example.org>
F:lib
R:ld-musl-x86_64.so.1

P:ca-certificates-bundle
V:20250911-r0
A:x86_64
T:Pre generated bundle of Mozilla certificates
L:MPL-2.0 AND MIT
o:ca-certificates
F:etc/ssl/certs
R:ca-certificates.crt

"""
STATUS_D = """\
Package: {name}
Architecture: amd64
Maintainer: Somebody <somebody@example.org>
{source}Version: {version}
Description: a package
"""
DISTROLESS = [
    ("libc6", "2.41-12+deb13u3", "Source: glibc\n"),
    ("libssl3t64", "3.5.4-1~deb13u2", "Source: openssl\n"),
    ("tzdata", "2026b-0+deb13u1", ""),
    ("libgcc-s1", "14.2.0-19", "Source: gcc-14\n"),
]

pytestmark = [
    pytest.mark.root,
    pytest.mark.peer("mmdebstrap", "rpm", "rpmbuild"),
    pytest.mark.skipif(not SYFT, reason="HOMEPORT_SYFT names no syft; .ci/run --full does"),
]


def of_dpkg(top: Path) -> Path:
    root = top / "root"
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=essential", "trixie", str(root)], check=True
    )
    return root


def of_status_d(top: Path) -> Path:
    root = top / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").write_text('ID=debian\nVERSION_ID="13"\n')
    (root / "var/lib/dpkg/status.d").mkdir(parents=True)
    for name, version, source in DISTROLESS:
        text = STATUS_D.format(name=name, version=version, source=source)
        (root / "var/lib/dpkg/status.d" / name).write_text(text)
    return root


def of_apk(top: Path) -> Path:
    root = top / "root"
    (root / "lib/apk/db").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text("ID=alpine\nVERSION_ID=3.22.1\n")
    (root / "lib/apk/db/installed").write_text(APK)
    return root


def of_programs(top: Path) -> Path:
    """A Go program with its modules, which is syft itself, and modules of Python."""
    root = top / "root"
    (root / "usr/bin").mkdir(parents=True)
    shutil.copy(SYFT, root / "usr/bin/tool")
    modules = Path(msgspec.__file__).parents[1]
    for folder in modules.glob("msgspec-*.dist-info"):
        shutil.copytree(folder, root / "usr/lib/python3/dist-packages" / folder.name)
    return root


def packages_of_syft(root: Path) -> set[str]:
    done = subprocess.run(
        [SYFT, "scan", f"dir:{root}", "--output", "syft-json", "--quiet"],
        env={**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"},
        capture_output=True, timeout=600, check=True,
    )  # fmt: skip
    # Programs of Debian's packages have no versions of their own in syft's list.
    return {
        _plain(one["purl"])
        for one in json.loads(done.stdout)["artifacts"]
        if one["purl"] and one["version"] != "UNKNOWN"
    }


def packages_of_ours(root: Path, out: Path) -> set[str]:
    out.mkdir()
    scan({"BUILDKIT_SCAN_DESTINATION": f"{out}/", "BUILDKIT_SCAN_SOURCE": str(root)}, print)
    (statement,) = out.iterdir()
    return {
        _plain(reference["referenceLocator"])
        for package in json.loads(statement.read_bytes())["predicate"]["packages"]
        for reference in package.get("externalRefs", ())
        if reference["referenceType"] == "purl"
    }


def _plain(purl: str) -> str:
    """Without the point release, which syft reads in /etc/debian_version; advisories have none."""
    return urllib.parse.unquote(re.sub(r"(distro=debian-\d+)\.\d+", r"\1", purl))


@pytest.mark.parametrize("make", [of_dpkg, of_status_d, of_apk, filled_root, of_programs])
def test_packages_are_those_that_syft_finds(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root = make(tmp_path)
    ours = packages_of_ours(root, tmp_path / "out")
    assert ours == packages_of_syft(root)
    assert len(ours) >= 2
