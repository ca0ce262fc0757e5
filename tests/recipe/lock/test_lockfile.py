"""A lockfile's text: the same value gives the same bytes, and nothing odd is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from homeport.content.digest import Digest
from homeport.debian.package import PackageFile, PackageId
from homeport.oci.platform import parse_platform
from homeport.recipe.lock.model import (
    AccountNumbers,
    LockedFile,
    LockedPackage,
    LockedPart,
    LockedSource,
    LockedSuite,
    LockedTree,
    Lockfile,
)
from homeport.recipe.lock.reading import BadLockfile, parse_lockfile, read_lockfile
from homeport.recipe.lock.writing import format_lockfile, write_lockfile
from homeport.recipe.slices.model import Slice, SliceName, SliceNeed, SlicePath

_LIBS = SliceName(package="libc6", slice="libs")
_STATE = LockedSuite(
    archive="debian",
    suite="trixie",
    read_as="stable",
    codename="trixie",
    date=datetime(2026, 9, 12, 7, 55, 41, tzinfo=UTC),
    valid_until=None,
    release=Digest.of(b"release"),
    signers=("4CB50190207B4758A3F73A796ED0E7B82643E131",),
)
_PACKAGE = LockedPackage(
    file=PackageFile(
        id=PackageId(name="libc6", version="2.41-12+deb13u3", architecture="amd64"),
        path="pool/main/g/glibc/libc6_2.41-12+deb13u3_amd64.deb",
        size=2846580,
        sha256=Digest.of(b"libc6"),
        archive="debian",
    ),
    suite="trixie",
    source_name="glibc",
    source_version="2.41-12+deb13u3",
    slices=("copyright", "libs"),
)
LOCK = Lockfile(
    recipe="test",
    request=Digest.of(b"request"),
    homeport="0.1.0",
    epoch=1789200000,
    as_of=datetime(2026, 9, 20, tzinfo=UTC),
    without=("perl-base",),
    archives=(_STATE, replace(_STATE, suite="x", valid_until=datetime(2027, 1, 1, tzinfo=UTC))),
    platforms={parse_platform("amd64"): (_PACKAGE,), parse_platform("arm64"): ()},
    accounts=AccountNumbers(users={"redis": 187}, groups={"redis": 187, "ssl-cert": 333}),
    slices={
        _LIBS: Slice(
            name=_LIBS,
            paths=(
                SlicePath(path="/usr/lib/*/libc.so.6"),
                SlicePath(path="/x", architectures=("armhf",)),
            ),
            needs=(SliceNeed(name=SliceName(package="libm1", slice="a")),),
        )
    },
)  # fmt: skip


def test_what_is_written_is_read_again_and_written_the_same() -> None:
    text = format_lockfile(LOCK)
    assert parse_lockfile(text) == LOCK
    assert format_lockfile(parse_lockfile(text)) == text
    json.loads(text)


def test_parts_are_read_again_and_written_the_same() -> None:
    part = LockedPart(
        inputs=Digest.of(b"inputs"),
        root=LOCK,
        sources=(
            LockedSource(
                name="hello", version="2.10-3", archive="debian", suite="trixie",
                files=(
                    LockedFile(path="pool/hello.dsc", sha256=Digest.of(b"dsc"), size=3),
                    LockedFile(path="pool/hello.tar.xz", sha256=Digest.of(b"tar"), size=4),
                ),
            ),
        ),
        materials=("./src@sha256:0", "git+https://host.example/x@0"),
        outputs={parse_platform("amd64"): LockedTree(digest=Digest.of(b"tree"), size=17)},
    )  # fmt: skip
    lock = replace(LOCK, parts={"a": replace(part, root=None, sources=()), "b": part})
    text = format_lockfile(lock)
    assert parse_lockfile(text) == lock
    assert format_lockfile(parse_lockfile(text)) == text
    json.loads(text)


def test_a_source_outside_of_its_archive_is_refused() -> None:
    files = (LockedFile(path="../x.dsc", sha256=Digest.of(b""), size=0),)
    source = LockedSource(name="x", version="1", archive="debian", suite="trixie", files=files)
    part = LockedPart(inputs=Digest.of(b""), sources=(source,))
    with pytest.raises(BadLockfile, match="leads out of the archive"):
        parse_lockfile(format_lockfile(replace(LOCK, parts={"a": part})))


_NAMES = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,8}", fullmatch=True)
_VERSIONS = st.from_regex(r"[0-9]{1,2}:[0-9][a-z0-9.+~]{0,6}-[0-9][a-z0-9.+~]{0,3}", fullmatch=True)


@given(
    names=st.lists(_NAMES, max_size=5, unique=True),
    version=_VERSIONS,
    without=st.lists(_NAMES, max_size=3),
    text=st.text(max_size=10),
)
def test_any_lockfile_survives_its_text(
    names: list[str], version: str, without: list[str], text: str
) -> None:
    packages = [
        replace(
            _PACKAGE,
            file=replace(_PACKAGE.file, id=PackageId(name=n, version=version, architecture="all")),
            slices=(),
        )
        for n in names
    ]
    lock = replace(
        LOCK,
        homeport=text,
        without=tuple(without),
        platforms={parse_platform("s390x"): tuple(sorted(packages, key=lambda p: p.name))},
    )
    assert parse_lockfile(format_lockfile(lock)) == lock


def test_a_package_is_one_line_that_the_documented_renovate_pattern_reads() -> None:
    page = Path(__file__).parents[3].joinpath("docs/formats/lockfile.md").read_text()
    manager = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[1])
    pattern = manager["matchStrings"][0].replace("(?<", "(?P<")
    lines = [line for line in format_lockfile(LOCK).decode().splitlines() if "libc6_2.41" in line]
    assert len(lines) == 1
    found = re.search(pattern, lines[0])
    assert found is not None
    assert found.groupdict() == {
        "depName": "libc6", "currentValue": "2.41-12+deb13u3", "arch": "amd64",
    }  # fmt: skip


def test_the_documented_example_has_the_fields_that_are_written() -> None:
    page = Path(__file__).parents[3].joinpath("docs/formats/lockfile.md").read_text()
    example = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    written = json.loads(format_lockfile(LOCK))
    assert list(example) == list(written)
    assert list(example["archives"][0]) == list(written["archives"][0])
    assert list(example["platforms"]["linux/amd64"][0]) == list(
        written["platforms"]["linux/amd64"][0]
    )


def _edit(change: Callable[[dict[str, Any]], object]) -> bytes:
    found = json.loads(format_lockfile(LOCK))
    change(found)
    return json.dumps(found).encode()


def _package(found: dict[str, Any]) -> dict[str, Any]:
    package: dict[str, Any] = found["platforms"]["linux/amd64"][0]
    return package


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda lock: lock.update(format=2), "unknown lockfile format 2; this Homeport reads 1"),
        (lambda lock: lock.update(more=1), "unknown field `more`"),
        (lambda lock: lock.pop("epoch"), "required field `epoch`"),
        (lambda lock: lock.update(epoch=-1), "invalid epoch -1"),
        (lambda lock: lock.update(request="sha256:xyz"), "invalid digest"),
        (lambda lock: lock.update(as_of="2026-09-20T00:00:00"), "time without a time zone"),
        (lambda lock: lock.update(as_of="0001-01-01T00:00:00+23:59"), "is out of range"),
        (lambda lock: lock["platforms"].update({"a/b/c/d": []}), "invalid platform"),
        (lambda lock: lock["platforms"].update({"amd64": []}), "duplicate platform"),
        (lambda lock: lock["platforms"]["linux/amd64"].append(_package(lock)),
         "duplicate package"),
        (lambda lock: _package(lock).update(path="../../etc/passwd"), "leads out of the archive"),
        (lambda lock: _package(lock).update(path="/etc/passwd"), "leads out of the archive"),
        (lambda lock: _package(lock).update(name="../x"), "invalid package name"),
        (lambda lock: _package(lock).update(size=-1), "invalid size -1"),
        (lambda lock: _package(lock).update(sha256="00"), "invalid digest"),
        (lambda lock: _package(lock).update(slices=["bin"]), "the slice libc6_bin is not defined"),
        (lambda lock: lock["accounts"]["users"].update(x=0), "invalid number 0"),
        (lambda lock: lock["accounts"]["groups"].update(x=4294967295), "invalid number 42949"),
        (lambda lock: lock["accounts"]["users"].update(x=187), "number 187: redis has it too"),
        (lambda lock: lock["accounts"].pop("groups"), "required field `groups`"),
    ],
)  # fmt: skip
def test_a_lockfile_with_a_fault_is_refused(
    change: Callable[[dict[str, Any]], object], what: str
) -> None:
    with pytest.raises(BadLockfile) as caught:
        parse_lockfile(_edit(change))
    assert what in caught.value.what


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "not a lockfile: it is empty"),
        (b"\n", "not a lockfile: it is empty"),
        (
            b'{\n<<<<<<< HEAD\n"format": 1\n=======\n',
            "not a lockfile: it contains git merge conflict markers",
        ),
        (b'{"format": 1', "not a lockfile: Input data was truncated"),
    ],
)
def test_a_damaged_lockfile_says_how_and_what_to_do(data: bytes, what: str) -> None:
    with pytest.raises(BadLockfile) as caught:
        parse_lockfile(data)
    assert caught.value.what == what
    assert caught.value.hint is not None
    assert "homeport lock" in caught.value.hint


@given(st.binary(max_size=100))
def test_no_bytes_make_the_reader_fail_otherwise(data: bytes) -> None:
    with pytest.raises(BadLockfile):
        parse_lockfile(data)


def test_files_are_written_whole_and_a_missing_one_is_none(tmp_path: Path) -> None:
    path = tmp_path / "test.lock"
    assert read_lockfile(path) is None
    write_lockfile(LOCK, path)
    assert read_lockfile(path) == LOCK
    path.write_bytes(b"{")
    with pytest.raises(BadLockfile) as caught:
        read_lockfile(path)
    assert caught.value.where["file"] == str(path)
