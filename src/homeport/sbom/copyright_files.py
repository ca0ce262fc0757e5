"""Reading Debian copyright files (DEP-5, "Machine-readable debian/copyright file", 1.0).

A package's license is declared by its source's copyright file: the conjunction of all its
``Files`` paragraphs, so it may name more than one binary needs. Files that are not machine
readable give no expression; nothing is guessed from their text.
"""

from __future__ import annotations

import re

from homeport.debian.deb822 import Malformed, Paragraph, parse_paragraphs
from homeport.errors import HomeportError
from homeport.sbom.license_names import spdx_exception, spdx_id
from homeport.sbom.model import License

LONGEST_FILE = 8 << 20  # bytes; a larger copyright file is not read
_LONGEST_TEXT = 64 << 10  # characters of one license text
_MOST_NAMES = 64  # of one expression; nothing that people write has more
_FORMAT = re.compile(r"https?://(?:www\.|anonscm\.)?debian\.org/.*(?:copyright-format|dep5)")
#: From the weakest to the strongest.
_OPERATORS = (
    (re.compile(r",\s*or\s", re.IGNORECASE), "OR"),
    (re.compile(r",\s*and\s", re.IGNORECASE), "AND"),
    (re.compile(r"\sor\s", re.IGNORECASE), "OR"),
    (re.compile(r"\sand\s", re.IGNORECASE), "AND"),
)
_SLUG = re.compile(r"[^A-Za-z0-9.]+")


def read_license(data: bytes, source: str, where: str) -> License:
    """What a copyright file declares.

    source: the source package, for the names of licenses that SPDX does not list
    where:  the file's path, for the comment where there is no expression
    """
    if len(data) > LONGEST_FILE:
        return License(comment=f"{where} is larger than {LONGEST_FILE >> 20} MB")
    try:
        paragraphs = list(parse_paragraphs(data))
    except Malformed:
        return License(comment=f"see {where}: it is not machine readable")
    except HomeportError:
        return License(comment=f"see {where}: it cannot be read")
    if not paragraphs or not _FORMAT.match(paragraphs[0].get("Format")):
        return License(comment=f"see {where}: it is not machine readable")
    reader = _Reader(source, where, paragraphs)
    expression = reader.expression()
    if not expression:
        return License(comment=f"see {where}: it names no license")
    return License(expression=expression, texts=dict(sorted(reader.texts.items())))


class _Reader:
    def __init__(self, source: str, where: str, paragraphs: list[Paragraph]) -> None:
        self._source = source
        self._where = where
        self._paragraphs = paragraphs
        self.texts: dict[str, str] = {}
        self._standalone = {
            _short(each).lower(): _text(each)
            for each in paragraphs[1:]
            if "License" in each and "Files" not in each
        }

    def expression(self) -> str:
        """The conjunction of all Files paragraphs (or the header's license), sorted."""
        found: set[str] = set()
        for paragraph in self._paragraphs:
            counts = "Files" in paragraph or self._header(paragraph)
            if counts and (short := _short(paragraph)):
                made = self._converted(short, _text(paragraph))
                found.update([made] if " OR " in made else made.split(" AND "))
        whole = sorted(found)
        if len(whole) == 1:
            return whole[0]
        return " AND ".join(f"({each})" if " OR " in each else each for each in whole)

    def _header(self, paragraph: Paragraph) -> bool:
        # The header's license is for the whole only where no Files paragraph has one.
        return paragraph is self._paragraphs[0] and not any(
            "Files" in each and "License" in each for each in self._paragraphs
        )

    def _converted(self, short: str, text: str) -> str:
        """DEP-5's ``and``, ``or`` and commas as an SPDX expression (section "Syntax")."""
        if len(short.split()) > 4 * _MOST_NAMES:
            return self._reference("too-long", short)
        return self._grouped(short, text)

    def _grouped(self, short: str, text: str) -> str:
        for pattern, word in _OPERATORS:
            parts = pattern.split(short)
            if len(parts) > 1:
                made = [self._grouped(part, text) for part in parts if part.strip()]
                unique = list(dict.fromkeys(made))
                if word == "AND":
                    unique = [f"({one})" if " OR " in one else one for one in unique]
                return f" {word} ".join(unique)
        return self._single(short.strip().strip(","), text)

    def _single(self, name: str, text: str) -> str:
        base, _, exception = name.partition(" with ")
        if known := spdx_id(base.strip()):
            if not exception:
                return known
            words = re.sub(r"\s*exceptions?$", "", exception.strip(), flags=re.IGNORECASE)
            if known_exception := spdx_exception(words):
                return f"{known} WITH {known_exception}"
        return self._reference(name, text)

    def _reference(self, name: str, text: str) -> str:
        slug = _SLUG.sub("-", name).strip("-.")[:60] or "unnamed"
        reference = f"LicenseRef-Debian-{_SLUG.sub('-', self._source)}-{slug}"
        text = text or self._standalone.get(name.lower(), "") or f"see {self._where}"
        known = self.texts.get(reference)
        if known is None:
            self.texts[reference] = text[:_LONGEST_TEXT]
        elif text not in known:
            self.texts[reference] = f"{known}\n\n{text}"[:_LONGEST_TEXT]
        return reference


def _short(paragraph: Paragraph) -> str:
    return " ".join(paragraph.get("License").partition("\n")[0].split())


def _text(paragraph: Paragraph) -> str:
    """The lines after the first; a lone dot stands for an empty line (Debian Policy 5.1)."""
    lines = paragraph.get("License").split("\n")[1:]
    return "\n".join("" if line.strip() == "." else line for line in lines).strip("\n")
