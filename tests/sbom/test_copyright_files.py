"""Licenses as Debian's copyright files declare them (DEP-5), as SPDX expressions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.sbom.copyright_files import LONGEST_FILE, read_license
from homeport.sbom.license_names import SPDX_IDS, spdx_id
from homeport.sbom.model import License

HEADER = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
WHERE = "/usr/share/doc/x/copyright"


def declared(*paragraphs: str) -> License:
    return read_license("\n".join((HEADER, *paragraphs)).encode(), "src", WHERE)


def files(license: str, globs: str = "*") -> str:
    return f"Files: {globs}\nCopyright: 2020 A\nLicense: {license}\n"


@pytest.mark.parametrize(
    ("short", "expression"),
    [
        ("GPL-2", "GPL-2.0-only"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-1+", "GPL-1.0-or-later"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("LGPL-3", "LGPL-3.0-only"),
        ("GPLv3+", "GPL-3.0-or-later"),
        ("AGPL-3+", "AGPL-3.0-or-later"),
        ("GFDL-1.3+", "GFDL-1.3-or-later"),
        ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
        ("Expat", "MIT"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("Artistic", "Artistic-1.0-Perl"),
        ("zlib/libpng", "Zlib"),
        ("Apache-2", "Apache-2.0"),
        ("GPL-3+ with Bison exception", "GPL-3.0-or-later WITH Bison-exception-2.2"),
        ("GPL-1+ or Artistic", "GPL-1.0-or-later OR Artistic-1.0-Perl"),
        ("GPL-2+ and Expat", "GPL-2.0-or-later AND MIT"),
        ("GPL-2+ or Artistic, and Expat", "(GPL-2.0-or-later OR Artistic-1.0-Perl) AND MIT"),
        ("Expat or GPL-2+ and Zlib", "MIT OR GPL-2.0-or-later AND Zlib"),
    ],
)
def test_debian_names_become_spdx_expressions(short: str, expression: str) -> None:
    found = declared(files(short)).expression
    # A conjunction is sorted; a disjunction keeps the order in which it was written.
    assert sorted(found.split(" AND ")) == sorted(expression.split(" AND "))


@pytest.mark.parametrize("short", ["MIT", "public-domain", "permissive", "GPL", "GPL-7+", "BSD"])
def test_what_spdx_does_not_list_becomes_a_reference_with_its_text(short: str) -> None:
    found = declared(files(f"{short}\n The text\n .\n of it."))
    reference = f"LicenseRef-Debian-src-{short.replace('+', '').rstrip('-')}"
    assert found == License(expression=reference, texts={reference: "The text\n\nof it."})


def test_an_unlisted_exception_makes_a_reference() -> None:
    found = declared(files("GPL-3 with OpenSSL-xxhash exception"))
    assert found.expression == "LicenseRef-Debian-src-GPL-3-with-OpenSSL-xxhash-exception"


def test_the_text_may_stand_in_a_paragraph_of_its_own() -> None:
    found = declared(files("odd"), "License: odd\n Do as you like.\n")
    assert found.texts == {"LicenseRef-Debian-src-odd": "Do as you like."}


def test_without_a_text_the_reference_names_the_file() -> None:
    assert declared(files("odd")).texts == {"LicenseRef-Debian-src-odd": f"see {WHERE}"}


def test_all_files_paragraphs_count_and_each_license_once() -> None:
    found = declared(files("GPL-2+"), files("Expat", "b/*"), files("Expat and GPL-2+", "c/*"))
    assert found.expression == "GPL-2.0-or-later AND MIT"


def test_the_headers_license_counts_only_without_another() -> None:
    header = HEADER + "License: ISC\n"
    alone = read_license(header.encode(), "src", WHERE)
    with_files = read_license(f"{header}\n{files('Expat')}".encode(), "src", WHERE)
    assert (alone.expression, with_files.expression) == ("ISC", "MIT")


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        (b"This package was debianized by hand.\n\nGPL.\n", "it is not machine readable"),
        (b"", "it is not machine readable"),
        (b"Format: https://example.org/own-format\n\nFiles: *\n", "it is not machine readable"),
        (HEADER.encode(), "it names no license"),
        (b"x" * (LONGEST_FILE + 1), f"larger than {LONGEST_FILE >> 20} MB"),
    ],
)
def test_a_file_that_no_program_can_read_gives_a_comment_and_no_guess(
    text: bytes, comment: str
) -> None:
    found = read_license(text, "src", WHERE)
    assert (found.expression, found.texts) == ("", {})
    assert comment in found.comment
    assert WHERE in found.comment


@given(st.text(max_size=300))
def test_any_text_gives_words_of_the_spdx_grammar(short: str) -> None:
    found = declared(files(short.replace("\r", "").replace("\n", "\n ")))
    for word in found.expression.replace("(", "").replace(")", "").split():
        known = word in ("AND", "OR", "WITH") or word in SPDX_IDS or word in found.texts
        assert (
            known
            or word.endswith(("-only", "-or-later", "-exception", "-note"))
            or ("exception" in word or word == "MIT")
        )


def test_names_are_found_whatever_their_case() -> None:
    assert {spdx_id(name.upper()) for name in SPDX_IDS} == SPDX_IDS
