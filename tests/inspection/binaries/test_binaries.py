"""Binaries read without running them: packed, stripped, of every kind; and where they came from."""

from __future__ import annotations

import contextlib
import json
import struct
import zipfile
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.binaries import DATA, buildinfo, elf_with
from builders.elf import elf
from builders.inspection import file, layer, opened, symlink
from homeport.elf import read_elf
from homeport.errors import UsageError
from homeport.inspection.binaries import golang, upx
from homeport.inspection.binaries.facts import examine
from homeport.inspection.binaries.gobuildinfo import read_buildinfo
from homeport.inspection.packages.provenance import inspect_binaries, inspect_binary
from homeport.inspection.packages.verification import verify_files
from homeport.inspection.report.builder import report_image

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


# -- hostile programs: found by fuzzing, or built by hand from what fuzzing found


def go_table(count: int, functions_at: int, rest: bytes = b"") -> bytes:
    """Go 1.20's table of functions with everything but the functions at its beginning."""
    head = struct.pack("<I", 0xFFFFFFF1) + b"\0\0\x01\x08"
    return head + struct.pack("<8Q", count, 0, 0, 72, 72, 72, 72, functions_at) + rest


def test_a_table_of_functions_beyond_all_addresses_is_no_table() -> None:
    assert examine(elf_with({".gopclntab": go_table(1, 1 << 63)})).go is None


def test_names_of_functions_that_overlap_are_no_table() -> None:
    """Each of them 4 kB: a file of 64 MB could ask for 8 GB."""
    count = 4000
    names = b"n" * 5000 + b"\0"
    at = 72 + len(names)
    pairs = b"".join(struct.pack("<II", 0, 8 * count + 8 * n) for n in range(count))
    records = b"".join(struct.pack("<II", 0, 1000 + n) for n in range(count))
    raw = go_table(count, at, names + pairs + bytes(8) + records)
    assert examine(elf_with({".gopclntab": raw})).go is None


def test_a_module_cache_is_found_in_long_names_at_once() -> None:
    names = [b"pkg/mod/" * 500, b"/go/pkg/mod/a.example/!b@v1/pkg/mod/c.go"]
    assert [golang._package_of_file(name.decode()) for name in names] == [
        "", "a.example/B/pkg/mod",
    ]  # fmt: skip


def test_many_libraries_in_a_string_without_an_end_are_cut() -> None:
    """Ten thousand names of 16 MB each would be 160 GB."""
    strings = b"l" * 100_000
    entries = [(1, n) for n in range(1000)] + [(5, 64 + 56 * 2), (10, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    base = 64 + 56 * 2
    size = base + len(strings) + len(dynamic)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0
    )
    programs = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 8)
    programs += struct.pack(
        "<IIQQQQQQ", 2, 6, base + len(strings), 0, 0, len(dynamic), len(dynamic), 8
    )
    found = read_elf(header + programs + strings + dynamic).dynamic()
    assert len(found.needed) == 1000
    assert max(len(name) for name in found.needed) == 4096


def test_a_packed_file_unpacks_to_no_more_than_it_claims() -> None:
    """Each of a thousand segments may be the whole file again: refused at twice its size."""
    packed = bytearray((DATA / "tiny.nrv2e").read_bytes())
    header = upx.find_header(bytes(packed))
    assert header is not None
    block = header.overlay + 12
    struct.pack_into("<I", packed, block, 400 << 20)
    with pytest.raises(upx.CannotUnpack, match="more than the file claims"):
        upx.unpack(bytes(packed))


def test_a_segment_beyond_the_end_of_a_packed_file_is_refused() -> None:
    """Found by fuzzing: what lies before it had a length that no block can have."""
    head = bytearray(TINY[:176])
    struct.pack_into("<Q", head, 64 + 8, 1 << 40)  # where the first segment lies
    length = len(head)
    body = struct.pack("<IIIII4s", 0, 4096, 4096, length, length, bytes(4)) + bytes(head)
    tail = bytearray(b"UPX!" + bytes([13, 22, 8, 1]) + bytes(28))
    struct.pack_into("<I", tail, 24, 4096)
    tail[31] = sum(tail[4:31]) % 251
    with pytest.raises(upx.CannotUnpack, match="data after the segments was not found"):
        upx.unpack(body + bytes(64) + bytes(tail))


@pytest.mark.parametrize("flags", [0x01, 0x40])
def test_an_encrypted_jar_is_a_zip(flags: int) -> None:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Main-Class: a\n")
    data = bytearray(out.getvalue())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(mark) + place] |= flags
    assert examine(bytes(data)).format in ("zip", "data")
