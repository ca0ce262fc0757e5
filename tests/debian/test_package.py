"""Stanzas of a Packages index as packages."""

from __future__ import annotations

import pytest

from builders.packages import package
from homeport.content.digest import Digest
from homeport.debian.package import BadPackage, PackageFile, PackageId, parse_package
from homeport.debian.relations import BadRelation
from homeport.errors import HomeportError

STANZA = f"""\
Package: zlib1g
Source: zlib (1:1.3-1)
Version: 1:1.3-1+b1
Architecture: amd64
Multi-Arch: same
Pre-Depends: dpkg
Depends: libc6 (>= 2.14),
 libfoo | libbar
Provides: libz1 (= 1:1.3), zlib
Priority: required
Filename: pool/main/z/zlib/zlib1g_1.3-1+b1_amd64.deb
Size: 88730
SHA256: {"0a" * 32}
"""


def test_a_stanza_becomes_a_package_with_the_fields_that_decide_something() -> None:
    found = parse_package(STANZA.encode(), "debian", "trixie")
    assert found.file == PackageFile(
        id=PackageId(name="zlib1g", version="1:1.3-1+b1", architecture="amd64"),
        path="pool/main/z/zlib/zlib1g_1.3-1+b1_amd64.deb",
        size=88730,
        sha256=Digest("sha256", "0a" * 32),
        archive="debian",
    )
    assert (found.source_name, found.source_version) == ("zlib", "1:1.3-1")
    assert [[str(r) for r in group] for group in found.depends] == [
        ["libc6 (>= 2.14)"],
        ["libfoo", "libbar"],
    ]
    assert [str(relation) for relation in found.provides] == ["libz1 (= 1:1.3)", "zlib"]
    assert (found.multi_arch, found.essential, found.priority) == ("same", False, "required")
    assert (found.suite, found.stanza) == ("trixie", STANZA.encode())


def test_without_a_source_field_the_source_is_the_package_itself() -> None:
    found = package("hello", "2.10-3")
    assert (found.source_name, found.source_version) == ("hello", "2.10-3")


@pytest.mark.parametrize(
    ("line", "broken", "error", "field"),
    [
        ("Package: zlib1g\n", "", BadPackage, "Package"),
        ("Package: zlib1g\n", "Package: ../zlib1g\n", BadPackage, "Package"),
        ("Version: 1:1.3-1+b1\n", "Version: one\x7f\n", HomeportError, None),
        ("Architecture: amd64\n", "Architecture: a/b\n", BadPackage, "Architecture"),
        ("Size: 88730\n", "Size: -1\n", BadPackage, "Size"),
        ("Size: 88730\n", "Size: ²\n", BadPackage, "Size"),
        (f"SHA256: {'0a' * 32}\n", "SHA256: 0a\n", BadPackage, "SHA256"),
        (f"SHA256: {'0a' * 32}\n", "", BadPackage, "SHA256"),
        ("Filename: pool", "Filename: /pool", BadPackage, "Filename"),
        ("Filename: pool", "Filename: ../../pool", BadPackage, "Filename"),
        ("Filename: pool/main", "Filename: pool/./../main", BadPackage, "Filename"),
        ("Pre-Depends: dpkg", "Pre-Depends: dpkg (", BadRelation, "Pre-Depends"),
        ("zlib (1:1.3-1)", "zlib (1:1.3-1", BadPackage, "Source"),
    ],
)
def test_a_broken_field_is_named_with_its_package(
    line: str, broken: str, error: type[HomeportError], field: str | None
) -> None:
    assert line in STANZA
    with pytest.raises(error) as caught:
        parse_package(STANZA.replace(line, broken).encode(), "debian", "trixie")
    assert caught.value.where.get("field") == field
    assert caught.value.where["suite"] == "trixie"


def test_ids_sort_by_name_first() -> None:
    ids = [PackageId(name=n, version="1", architecture="all") for n in ("b", "a")]
    assert [str(id) for id in sorted(ids)] == ["a 1 all", "b 1 all"]
