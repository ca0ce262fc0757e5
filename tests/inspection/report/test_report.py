"""What an image is said to be."""

from __future__ import annotations

import base64
import json
import sqlite3
import struct
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from builders.images import artifact, attestation_of, index
from builders.inspection import (
    directory,
    file,
    layer,
    made,
    opened,
    symlink,
    whiteout,
)  # fmt: skip
from builders.runtime import runtime
from homeport.content.store import Store
from homeport.images.image import ImageNotFound, child_of
from homeport.inspection.layers.examine_layer import CannotRead
from homeport.inspection.model import InspectReport
from homeport.inspection.packages.databases import find_packages
from homeport.inspection.report.builder import report_image
from homeport.inspection.report.inspect_image import inspect
from homeport.oci import media_types
from homeport.oci.documents import written
from homeport.oci.platform import parse_platform

STATUS = b"""Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc (2.36-8)
Version: 2.36-9

Package: gone
Status: deinstall ok config-files
Version: 1

"""
APK = b"""P:musl
V:1.2.3-r4
A:x86_64
L:MIT
o:musl
F:lib
R:ld-musl-x86_64.so.1

"""


def packages(*members) -> list[tuple[str, str, str]]:  # type: ignore[no-untyped-def]
    found, problems = find_packages(opened(layer(*members)))
    assert problems == []
    return [(one.manager, one.name, one.version) for one in found]


def test_dpkgs_packages_are_those_that_are_installed() -> None:
    assert packages(file("var/lib/dpkg/status", STATUS)) == [("dpkg", "libc6", "2.36-9")]


def test_distroless_packages_are_read_from_status_d() -> None:
    stanza = STATUS.split(b"\n\n", maxsplit=1)[0]
    assert packages(
        file("var/lib/dpkg/status.d/libc6", stanza),
        file("var/lib/dpkg/status.d/libc6.md5sums", b"0" * 32 + b"  usr/x\n"),
    ) == [("dpkg", "libc6", "2.36-9")]


def test_apk_python_and_node_packages_are_found() -> None:
    assert packages(
        file("lib/apk/db/installed", APK),
        file("usr/lib/python3/dist-packages/six-1.16.dist-info/METADATA",
             b"Metadata-Version: 2.1\nName: six\nVersion: 1.16\n\nName: body\n"),
        file("app/node_modules/@a/b/package.json", b'{"name":"@a/b","version":"3.0.1"}'),
    ) == [
        ("apk", "musl", "1.2.3-r4"), ("npm", "@a/b", "3.0.1"), ("python", "six", "1.16"),
    ]  # fmt: skip


def rpm_header(name: str, version: str, release: str) -> bytes:
    data, entries = b"", b""
    for tag, value in ((1000, name), (1001, version), (1002, release), (1022, "x86_64")):
        entries += struct.pack(">IIII", tag, 6, len(data), 1)
        data += value.encode() + b"\0"
    return struct.pack(">II", 4, len(data)) + entries + data


def test_rpms_sqlite_and_ndb_databases_are_read(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "db")
    database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
    database.execute("INSERT INTO Packages VALUES (1, ?)", [rpm_header("bash", "5.2", "1.fc39")])
    database.commit()
    database.close()
    sqlite = (tmp_path / "db").read_bytes()
    assert packages(file("var/lib/rpm/rpmdb.sqlite", sqlite)) == [("rpm", "bash", "5.2-1.fc39")]
    header = rpm_header("zypper", "1.14", "lp155")
    slots = struct.pack("<4sIII", b"Slot", 1, 256, 2).ljust(4096 - 32, b"\0")
    ndb = struct.pack("<4sIII", b"RpmP", 0, 1, 1).ljust(32, b"\0") + slots
    ndb += struct.pack("<4sIII", b"BlbS", 1, 1, len(header)) + header
    assert packages(file("usr/lib/sysimage/rpm/Packages.db", ndb)) == [
        ("rpm", "zypper", "1.14-lp155")
    ]


@pytest.mark.parametrize(
    ("path", "data", "problem"),
    [
        (
            "var/lib/dpkg/status", b"Package: a\n\xff\0: no\nbroken",
            "dpkg database: expected a line of the form 'Field: value'",
        ),
        (
            "var/lib/rpm/rpmdb.sqlite", b"SQLite format 3\0 but no more",
            "rpm database: sqlite: file is not a database",
        ),
        (
            "var/lib/rpm/Packages.db", b"RpmP" + b"\xff" * 100,
            "rpm database: invalid number of slot pages: 4294967295",
        ),
        (
            "var/lib/rpm/Packages", b"\0" * 12 + b"\x61\x15\x06\x00" + b"\0" * 100,
            "rpm database: the Berkeley DB format is not supported",
        ),
        ("var/lib/rpm/Packages", b"\1" * 100, "rpm database: unknown format"),
    ],
)  # fmt: skip
def test_a_damaged_database_is_a_problem_of_the_report(
    path: str, data: bytes, problem: str
) -> None:
    _, problems = find_packages(opened(layer(file(path, data))))
    assert problems == [f"cannot read the whole {problem}"]


def odd(*members) -> dict[str, tuple[str, ...]]:  # type: ignore[no-untyped-def]
    report = report_image(opened(layer(*members)))
    return {one.kind: one.examples for one in report.anomalies}


def test_odd_things_are_named() -> None:
    assert odd(
        file("etc/passwd", b"root:x:0:0::/root:/bin/sh\n"),
        file("usr/bin/su", mode=0o4755),
        file("app/open", mode=0o666),
        directory("app/free", mode=0o777),
        directory("tmp", mode=0o1777),
        file("root/.ssh/id_rsa"),
        file("home/x", uid=1000),
        symlink("lost", "nowhere"),
        symlink("fine", "/proc/self"),
    ) == {
        "world-writable directory without sticky bit": ("/app/free: 0777",),
        "world-writable file": ("/app/open: 0666",),
        "owner not in /etc/passwd": ("/home/x: 1000",),
        "broken symbolic link": ("/lost → nowhere",),
        "possible secret, by its name": ("/root/.ssh/id_rsa",),
        "setuid": ("/usr/bin/su: 4755 0:0",),
    }


SECRETS = """
id_rsa id_dsa id_ecdsa id_ed25519 .netrc .npmrc .pypirc .git-credentials .pgpass .docker/config.json
.aws/credentials .kube/config .env .htpasswd .bash_history a.pem a.KEY a.p12 a.pfx a.jks a.keystore
a.kdbx credentials.json service-account-1.json a.tfstate secrets.yaml secret.yml secrets.json
secret.txt secrets.env vault-pass vault_password.sh
"""


@pytest.mark.parametrize("name", SECRETS.split())
def test_names_of_secrets_are_odd(name: str) -> None:
    kind = "possible secret, by its name"
    assert odd(directory("srv"), file(f"srv/{name}")) == {kind: (f"/srv/{name}",)}
    page = {kind: (f"/srv/{name}.html",)} if "vault" in name else {}
    assert odd(file(f"srv/{name}.html", b"1")) == page


def test_a_deleted_package_database_is_odd() -> None:
    image = opened(
        layer(file("lib/apk/db/installed", APK), file("lib/ld-musl-x86_64.so.1",
              b"\0musl libc\0\x001.2.3\0")),
        layer(whiteout("lib/apk")),
    )  # fmt: skip
    report = report_image(image)
    assert {one.kind: one.examples for one in report.anomalies} == {
        "package database deleted": ("/lib/apk/db/installed: by layer 1",),
        "package database missing": (
            "/lib/ld-musl-x86_64.so.1: the musl loader, as on Alpine, but no apk database",
        ),
    }
    assert report.base.libc == "musl 1.2.3"


def test_the_distribution_comes_from_os_release_through_its_link() -> None:
    base = report_image(
        opened(
            layer(
                file(
                    "usr/lib/os-release", b'ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian 13"\n'
                ),
                symlink("etc/os-release", "../usr/lib/os-release"),
                file("etc/debian_version", b"13.1\n"),
            )
        )
    ).base
    assert (base.distribution, base.version, base.pretty_name) == ("debian", "13.1", "Debian 13")


def test_stamps_that_tell_nothing_are_said_so() -> None:
    age = report_image(opened(layer(file("a", mtime=5), file("b", mtime=5)))).age
    assert age.notes == (
        "the creation time (1970-01-01T00:00:00Z) is a fixed value, not a date",
        "all files have the same modification time, set by the build",
    )


def test_an_index_shows_its_platforms_and_attestations() -> None:
    one = made(layer(file("a")), platform="linux/s390x")
    other = made(layer(file("a")), platform="linux/riscv64")
    value = index([child_of(one), child_of(other), attestation_of(one)])  # type: ignore[list-item]
    report = inspect(value, "x", runtime(), platform=parse_platform("s390x"))
    assert [(row.platform, row.shown) for row in report.platforms] == [
        ("linux/s390x", True), ("linux/riscv64", False),
    ]  # fmt: skip
    assert [(one.kind, one.found_as) for one in report.image.attached] == [
        ("other", "attestation in the index")
    ]
    with pytest.raises(ImageNotFound) as caught:
        inspect(value, "x", runtime(), platform=parse_platform("arm64"))
    assert caught.value.hint == "available: linux/riscv64, linux/s390x"


def test_an_artifact_is_no_image() -> None:
    with pytest.raises(CannotRead, match="an artifact, not an image"):
        inspect(artifact(), "x", runtime())


@pytest.mark.parametrize(
    ("media_type", "urls", "what"),
    [
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", (), "layer 0 is encrypted"),
        (
            media_types.OCI_NONDISTRIBUTABLE_LAYER_GZIP,
            ("https://registry.example/x",),
            "layer 0 is a non-distributable layer",
        ),
    ],
)
def test_layers_that_cannot_be_read_are_named(
    media_type: str, urls: tuple[str, ...], what: str
) -> None:
    image = made(layer(file("a")))
    manifest = image.document.parsed
    changed = msgspec.structs.replace(manifest.layers[0], media_type=media_type, urls=urls)
    manifest = msgspec.structs.replace(manifest, layers=(changed,))
    blobs = {digest: blob for digest, blob in image.blobs.items() if str(digest) != changed.digest}
    other = replace(image, document=written(manifest, media_types.OCI_MANIFEST), blobs=blobs)
    with pytest.raises(CannotRead, match=what) as caught:
        inspect(other, "x", runtime())
    assert caught.value.hint


def test_a_second_look_reads_no_layer(tmp_path: Path) -> None:
    image, store = made(layer(file("a"))), Store(tmp_path)
    first = inspect(image, "x", runtime(store))
    image.blobs.clear()  # type: ignore[attr-defined]
    config = made(layer(file("a")))
    image.blobs.update({d: b for d, b in config.blobs.items() if b.size < 1000})  # type: ignore[attr-defined]
    assert inspect(image, "x", runtime(store)) == first


def test_the_report_is_json_that_can_be_read_back() -> None:
    report = inspect(made(layer(file("a", base64.b64decode("AAAA")))), "x", runtime())
    raw = msgspec.json.encode(report)
    assert json.loads(raw)["schema"] == "homeport-inspect/v1"
    assert msgspec.json.decode(raw, type=InspectReport) == report
