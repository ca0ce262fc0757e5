"""Binaries read without running them: packed, stripped, of every kind; and where they came from."""

from __future__ import annotations

import contextlib
import json
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.elf import elf
from builders.inspection import file, layer, opened, symlink
from homeport.elf import read_elf
from homeport.errors import UsageError
from homeport.inspection.binaries import upx
from homeport.inspection.binaries.facts import examine
from homeport.inspection.binaries.gobuildinfo import MAGIC, read_buildinfo
from homeport.inspection.packages.provenance import inspect_binaries, inspect_binary
from homeport.inspection.packages.verification import verify_files
from homeport.inspection.report.builder import report_image

DATA = Path(__file__).parents[2] / "data/inspection"
GO = (DATA / "go1.15-gopath.upx").read_bytes()
TINY = (DATA / "tiny").read_bytes()


# -- packed


@pytest.mark.parametrize("method", ["nrv2b", "nrv2d", "nrv2e", "lzma"])
def test_a_packed_file_unpacks_to_what_was_packed_byte_for_byte(method: str) -> None:
    packed = (DATA / f"tiny.{method}").read_bytes()
    assert upx.unpack(packed) == TINY
    facts = examine(packed)
    assert facts.packer is not None
    assert (facts.packer.name, facts.packer.version) == ("UPX", "4.22")
    assert facts.packer.method.lower() == method
    assert facts.linking == "static"


def test_the_main_package_of_a_stripped_and_packed_go_program_comes_out() -> None:
    """As the upstream copy helper: no sections, Go before modules, NRV2E."""
    facts = examine(GO)
    assert facts.packer is not None
    assert facts.packer.method == "NRV2E"
    go = facts.go
    assert go is not None
    assert (go.version, go.main, go.main_evidence) == (
        "go1.15.15", "github.com/example/copy/cmd/copy", "source path",
    )  # fmt: skip
    assert go.packages == ("github.com/example/copy/pkg/rules", "github.com/other/lib")
    assert go.source == "/go/src/github.com/example/copy/cmd/copy/main.go"


@pytest.mark.parametrize("at", range(0, 7800, 390))
def test_a_damaged_packed_file_is_never_taken_for_whole(at: int) -> None:
    """Every byte counts: with one flipped, the checksum or the format gives it away."""
    packed = bytearray((DATA / "tiny.nrv2e").read_bytes())
    packed[at] ^= 0xFF
    with contextlib.suppress(upx.CannotUnpack, upx.TooLarge):
        assert upx.unpack(bytes(packed)) == TINY  # a byte of the stub, which is not unpacked


def test_a_packed_file_that_claims_to_unpack_to_too_much_is_refused() -> None:
    packed = bytearray((DATA / "tiny.lzma").read_bytes())
    header = upx.find_header(bytes(packed))
    assert header is not None
    struct.pack_into("<I", packed, header.overlay + 4, 1 << 31)
    with pytest.raises(upx.TooLarge, match="too many for its length"):
        upx.unpack(bytes(packed))
    facts = examine(bytes(packed))
    assert facts.packer is not None
    assert "too many" in facts.packer.problem


@given(st.binary(max_size=200), st.integers(2, 15), st.integers(0, 4000))
def test_any_bytes_inflate_to_the_promised_size_or_are_refused(
    raw: bytes, method: int, size: int
) -> None:
    with contextlib.suppress(upx.CannotUnpack):
        assert len(upx.inflate(raw, method, size, lambda: None)) == size


# -- formats


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ("386", "386"), ("arm", "arm"), ("x86_64", "amd64"), ("aarch64", "arm64"),
        ("ppc64le", "ppc64le"), ("s390x", "s390x"), ("riscv64", "riscv64"),
    ],
)  # fmt: skip
def test_programs_of_every_machine_are_read(machine: str, name: str) -> None:
    facts = examine(elf(machine, interpreter="/lib/ld.so", needed=["libc.so.6"], runpath="/a:/b"))
    assert (facts.architecture, facts.linking, facts.interpreter, facts.needed, facts.runpath) == (
        name, "dynamic", "/lib/ld.so", ("libc.so.6",), ("/a", "/b"),
    )  # fmt: skip


@given(st.binary(max_size=300))
def test_no_bytes_make_examining_fail(raw: bytes) -> None:
    examine(b"\x7fELF\x02\x01" + raw)
    examine(b"#!" + raw)
    examine(b"PK\x03\x04" + raw)
    examine(raw)


@given(st.integers(0, len(TINY) - 1), st.integers(0, 255))
def test_no_changed_byte_makes_examining_an_elf_file_fail(at: int, value: int) -> None:
    examine(TINY[:at] + bytes([value]) + TINY[at + 1 :])
    examine(TINY[:at])


@pytest.mark.parametrize(
    ("line", "language"),
    [
        (b"#!/bin/sh", "shell"), (b"#!/usr/bin/env python3", "Python"),
        (b"#! /usr/bin/python3.11 -I", "Python"), (b"#!/usr/bin/env -S node --x", "Node"),
        (b"#!/opt/own", "own"),
    ],
)  # fmt: skip
def test_scripts_name_their_language(line: bytes, language: str) -> None:
    facts = examine(line + b"\nbody\n")
    assert (facts.format, facts.language) == ("script", language)


def test_a_zipapp_is_told_from_a_script_and_a_jar_from_a_zip() -> None:
    def zipped(names: dict[str, str]) -> bytes:
        buffer = BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, text in names.items():
                archive.writestr(name, text)
        return buffer.getvalue()

    app = examine(b"#!/usr/bin/python3\n" + zipped({"__main__.py": "", "pkg/a.py": ""}))
    assert (app.format, app.script and app.script.modules) == ("zipapp", ("__main__.py", "pkg"))
    jar = examine(zipped({"META-INF/MANIFEST.MF": "Main-Class: org.example.Main\n"}))
    assert (jar.format, jar.script and jar.script.main) == ("jar", "org.example.Main")
    assert examine(zipped({"a": ""})).format == "zip"


# -- Go and Rust


def elf_with(sections: dict[str, bytes]) -> bytes:
    """An ELF file of sections alone."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    body, rows = b"", [struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)]
    at = 1
    for name, data in (*sections.items(), (".shstrtab", names)):
        offset = 64 + len(body)
        rows.append(struct.pack("<IIQQQQIIQQ", at, 1, 0, 0x400000 + offset & ~15 if data[:1] ==
                                b"\xff" else 0, offset, len(data), 0, 0, 1, 0))  # fmt: skip
        at += len(name) + 1
        body += data
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 64 + len(body), 0, 64, 56, 0, 64, len(rows), len(rows) - 1
    )
    return head + body + b"".join(rows)


def buildinfo(version: str, lines: list[str]) -> bytes:
    text = b"x" * 16 + "\n".join([*lines, ""]).encode() + b"y" * 16
    assert len(version) < 128

    def varint(number: int) -> bytes:
        out = b""
        while number > 127:
            out += bytes([number & 127 | 128])
            number >>= 7
        return out + bytes([number])

    head = (MAGIC + bytes([8, 2])).ljust(32, b"\0")
    return head + varint(len(version)) + version.encode() + varint(len(text)) + text


def test_inline_build_information_is_read_with_all_its_lines() -> None:
    blob = buildinfo(
        "go1.22.1",
        [
            "path\texample.org/tool/cmd/tool",
            "mod\texample.org/tool\tv1.2.3\th1:abc=",
            "dep\tgithub.com/a/b\tv0.1.0\th1:x=",
            "=>\t./local\t",
            "dep\tgithub.com/c/d\tv2.0.0+incompatible\th1:y=",
            "build\t-trimpath=true",
            "build\tvcs=git",
            "build\tvcs.revision=0123456789abcdef",
            "build\tvcs.modified=true",
        ],
    )
    info = read_buildinfo(read_elf(elf_with({".go.buildinfo": blob})))
    assert info is not None
    assert (info.version, info.path) == ("go1.22.1", "example.org/tool/cmd/tool")
    assert info.module is not None
    assert info.module.version == "v1.2.3"
    assert [(one.path, one.replaced_by) for one in info.dependencies] == [
        ("github.com/a/b", "./local"), ("github.com/c/d", ""),
    ]  # fmt: skip
    image = opened(layer(file("tool", elf_with({".go.buildinfo": blob}), mode=0o755)))
    assert inspect_binary(image, "/tool").verdict == (
        "built from example.org/tool/cmd/tool@v1.2.3 at git 0123456789ab, modified with go1.22.1"
    )
    packages = {(one.manager, one.name, one.version) for one in report_image(image).packages}
    assert ("go", "github.com/c/d", "v2.0.0+incompatible") in packages


def test_rusts_audit_data_and_strings_are_told_apart() -> None:
    crates = [{"name": "tool", "version": "1.0.0", "root": True}, {"name": "a", "version": "0.2.0"}]
    audit = zlib.compress(json.dumps({"packages": crates}).encode())
    image = opened(layer(file("tool", elf_with({".dep-v0": audit}), mode=0o755)))
    assert inspect_binary(image, "tool").verdict == "built from crate tool@1.0.0 with rustc"
    strings = b"/rustc/" + b"a" * 40 + b"/library/core\0/cargo/registry/src/x-1/serde-1.0.200/src/l"
    rust = examine(elf_with({".rodata": strings})).rust
    assert rust is not None
    assert (rust.crates_evidence, [(one.name, one.version) for one in rust.crates]) == (
        "strings", [("serde", "1.0.200")],
    )  # fmt: skip


def test_a_bomb_in_the_audit_data_is_bounded() -> None:
    bomb = zlib.compress(b"[" * (64 << 20))
    assert examine(elf_with({".dep-v0": bomb})).rust is None


# -- provenance

LIBRARY = elf("x86_64", needed=[])
PROGRAM = elf("x86_64", interpreter="/lib64/ld-linux-x86-64.so.2", needed=["liba.so", "libb.so"])
STATUS = b"Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0\n\n"


def md5(data: bytes) -> bytes:
    import hashlib

    return hashlib.md5(data).hexdigest().encode()


def debian(program: bytes):  # type: ignore[no-untyped-def]
    return opened(
        layer(
            file("var/lib/dpkg/status", STATUS),
            file("var/lib/dpkg/info/tool.list", b"/.\n/bin\n/bin/tool\n/usr/lib/liba.so\n/gone\n"),
            file("var/lib/dpkg/info/tool.md5sums", md5(PROGRAM) + b"  bin/tool\n"),
            symlink("bin", "usr/bin"),
            file("usr/bin/tool", program, mode=0o755),
            file("usr/lib/liba.so", LIBRARY),
            file("usr/local/bin/own", b"#!/no/such\n", mode=0o755),
        )
    )


def test_a_file_of_a_package_is_verified_through_usrmerges_links() -> None:
    found = inspect_binary(debian(PROGRAM), "/bin/tool")
    assert (found.path, found.matches, found.verdict) == (
        "/usr/bin/tool", True, "from package dpkg tool 1.0 (verified)",
    )  # fmt: skip


def test_a_changed_file_of_a_package_is_said_so() -> None:
    found = inspect_binary(debian(PROGRAM + b"!"), "/bin/tool")
    assert found.verdict == "from package dpkg tool 1.0 (CHANGED since it was installed)"


def test_what_a_program_lacks_is_named() -> None:
    assert inspect_binary(debian(PROGRAM), "/bin/tool").missing == (
        "/lib64/ld-linux-x86-64.so.2", "libb.so",
    )  # fmt: skip


def test_every_binary_gets_a_verdict() -> None:
    assert [(one.path, one.verdict) for one in inspect_binaries(debian(PROGRAM))] == [
        ("/usr/bin/tool", "from package dpkg tool 1.0 (verified)"),
        ("/usr/lib/liba.so", "from package dpkg tool 1.0 (not verifiable)"),
        ("/usr/local/bin/own", "unknown"),
    ]


def test_verifying_lists_changed_missing_and_unowned_files() -> None:
    found = verify_files(debian(PROGRAM + b"!"))
    assert {(one.path, one.status) for one in found.findings if "dpkg" not in one.path} == {
        ("/usr/bin/tool", "changed"), ("/gone", "missing"), ("/usr/local/bin/own", "unowned"),
    }  # fmt: skip
    assert found.checked == 1


def test_what_is_no_file_has_no_origin() -> None:
    with pytest.raises(UsageError, match="cannot examine /usr: it is a directory, not a file"):
        inspect_binary(debian(PROGRAM), "/usr")


def test_powerpc_branches_are_restored_with_a_link_and_without() -> None:
    """Words of a program that UPX 4.2.4 packed, at the places where they stood."""
    packed = struct.pack(">III", 0x48083551, 0x60000000, 0x48000E70)
    plain = struct.pack(">III", 0x480826CD, 0x60000000, 0x4BFFFFE4)
    assert upx.unfilter(bytes(3716) + packed, 0xD0, 0)[3716:] == plain
