"""Which package owns a file, by the databases of dpkg, apk and distroless; and what is verified."""

from __future__ import annotations

import base64
import hashlib

from builders.elf import elf
from builders.inspection import Member, file, hardlink, layer, opened
from homeport.inspection.packages.databases import find_packages
from homeport.inspection.packages.ownership import Owner, find_owners
from homeport.inspection.packages.provenance import inspect_binary
from homeport.inspection.packages.verification import verify_files

A, B = "a" * 32, "b" * 32
INFO = "var/lib/dpkg/info"


def owner(path: str, *members: Member) -> Owner | None:
    return find_owners(opened(layer(*members))).of(path.encode())


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def test_a_claim_with_a_checksum_wins_over_one_without() -> None:
    found = owner(
        "etc/x", file("etc/x"), file(f"{INFO}/a.list", b"/etc/x\n"),
        file(f"{INFO}/b.list", b"/etc/x\n"), file(f"{INFO}/b.md5sums", f"{B}  etc/x\n".encode()),
    )  # fmt: skip
    assert found == Owner(manager="dpkg", package="b", algorithm="md5", checksum=B)


def test_a_diverted_file_belongs_to_the_package_that_keeps_the_name() -> None:
    members = (
        file("bin/sh"), file("bin/sh.distrib"), file("var/lib/dpkg/diversions",
             b"/bin/sh\n/bin/sh.distrib\ndash\n"),
        file(f"{INFO}/bash.list", b"/bin/sh\n"), file(f"{INFO}/dash.list", b"/bin/sh\n"),
    )  # fmt: skip
    owners = find_owners(opened(layer(*members)))
    names = {path: one.package for path, one in owners.by_path.items()}
    assert names == {b"bin/sh": "dash", b"bin/sh.distrib": "bash"}


def test_a_conffile_has_the_checksum_of_the_status_file() -> None:
    status = f"Package: a\nConffiles:\n /etc/x {A}\n /etc/old short\nVersion: 1\n"
    found = owner(
        "etc/x", file("etc/x"), file("var/lib/dpkg/status", status.encode()),
        file(f"{INFO}/a.list", b"/etc/x\n"), file(f"{INFO}/a.md5sums", f"{B}  etc/x\n".encode()),
    )  # fmt: skip
    assert found == Owner(manager="dpkg", package="a", algorithm="md5", checksum=A, kind="config")


def test_distroless_checksums_are_claims() -> None:
    sums = file("var/lib/dpkg/status.d/a.md5sums", f"{A}  usr/x\n".encode())
    assert owner("usr/x", file("usr/x"), sums) == Owner(
        manager="dpkg", package="a", algorithm="md5", checksum=A
    )


def test_apks_checksums_are_sha1_and_sha256() -> None:
    raw = b"\1" * 20
    text = (
        f"P:musl\nF:lib\nZ:Q1AAAA\nR:one\nZ:Q1{base64.b64encode(raw).decode()}\nR:two\nZ:Q2AAAA\n"
    )
    members = (file("lib/one"), file("lib/two"), file("lib/apk/db/installed", text.encode()))
    owners = find_owners(opened(layer(*members)))
    found = {path: (one.algorithm, one.checksum) for path, one in owners.by_path.items()}
    assert found == {b"lib/one": ("sha1", raw.hex()), b"lib/two": ("sha256", "000000")}


def test_a_checksum_in_capitals_is_the_same_checksum() -> None:
    sums = file(f"{INFO}/a.md5sums", f"{md5(b'x').upper()}  usr/x\n".encode())
    found = verify_files(
        opened(layer(file("usr/x"), file("usr/none"), sums,
                     file(f"{INFO}/a.list", b"/usr/x\n/usr/none\n")))
    )  # fmt: skip
    assert (found.checked, found.unverifiable) == (1, 1)
    assert [one for one in found.findings if not one.path.startswith("/var")] == []


def test_files_of_no_package_are_findings_where_there_is_a_database() -> None:
    files = (file("usr/x"), file("y"), hardlink("z", "y"), file("m.pyc"), file("etc/ld.so.cache"))
    assert verify_files(opened(layer(*files))).findings == ()
    found = verify_files(opened(layer(*files, file(f"{INFO}/a.list", b"/usr/x\n")))).findings
    unowned = [one.path for one in found if one.status == "unowned"]
    assert unowned == [f"/{INFO}/a.list", "/y", "/z"]


def test_packages_that_are_not_installed_are_left_out_and_sizes_are_in_kib() -> None:
    status = (
        b"Package: a\nStatus: install ok installed\nVersion: 1\nInstalled-Size: 3\n\n"
        b"Package: b\nStatus: purge ok not-installed\nVersion: 1\n"
    )
    found, _ = find_packages(opened(layer(file("var/lib/dpkg/status", status))))
    assert [(one.name, one.size) for one in found] == [("a", 3072)]


def test_mariners_manifest_has_eight_columns() -> None:
    line = b"bash\t5.2-1\t1\t2\tvendor\t0\t100\tx86_64\nshort\t1\n"
    found, _ = find_packages(opened(layer(file("var/lib/rpmmanifest/container-manifest-2", line))))
    assert [(one.manager, one.name, one.version, one.architecture) for one in found] == [
        ("rpm", "bash", "5.2-1", "x86_64")
    ]


def test_libraries_beside_a_program_are_found_by_origin_in_both_spellings() -> None:
    for origin in ("$ORIGIN", "${ORIGIN}"):
        program = elf("x86_64", needed=["liba.so"], runpath=f"{origin}/../own")
        image = opened(layer(file("app/bin/x", program), file("app/own/liba.so")))
        assert inspect_binary(image, "/app/bin/x").missing == ()


def test_the_interpreter_of_a_script_is_missing() -> None:
    image = opened(layer(file("x", b"#!/bin/none -e\n", mode=0o755)))
    assert inspect_binary(image, "/x").missing == ("/bin/none",)
