"""The locales that a recipe names, out of Debian's package of all of them.

locales-all has one folder a locale, and links between them where files are equal. Of
these a wanted locale keeps its own files and gets those behind links that lead elsewhere.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

import msgspec

from homeport.debian.deb.deb import Entry
from homeport.errors import UsageError

#: All locales, and translations of glibc's messages, which locales-all depends on.
PACKAGE = "locales-all"
PACKAGES = (PACKAGE, "libc-l10n")
_FOLDER = b"usr/lib/locale/"
_MESSAGES = b"usr/share/locale/"


def only_locales(
    package: str, placed: Mapping[bytes, Entry], wanted: Sequence[str]
) -> dict[bytes, Entry]:
    """What a package of locales gives of the ``wanted`` ones. Raises ``UsageError``."""
    folders = {
        path[len(_FOLDER) :].decode("utf-8", "replace")
        for path, entry in placed.items()
        if path.startswith(_FOLDER) and path.count(b"/") == _FOLDER.count(b"/")
        if entry.type == "directory"
    }
    names = {_folder_of(name, folders) for name in wanted} if package == PACKAGE else set[str]()
    kept = {path: entry for path, entry in placed.items() if _is_kept(path, names, wanted)}
    return dict(_without_foreign_links(kept, placed))


def _folder_of(name: str, folders: set[str]) -> str:
    """The folder that glibc finds a locale in: de_DE.UTF-8 in de_DE.utf8."""
    place, _, modifier = name.partition("@")
    language, _, charset = place.partition(".")
    # As _nl_normalize_codeset: letters and digits in lower case.
    charset = re.sub(r"[^a-z0-9]", "", charset.lower())
    end = f"@{modifier}" if modifier else ""
    candidates = [f"{language}.{charset}{end}" if charset else f"{language}{end}"]
    if charset == "utf8":
        candidates.append(f"{language}{end}")  # of a language with this one alone
    found = next((each for each in candidates if each in folders), None)
    if found is None:
        near = get_close_matches(candidates[0], sorted(folders), n=3)
        raise UsageError(
            f"{PACKAGE} has no locale {name!r} (locales)",
            hint=f"did you mean {', '.join(near)}?" if near else "write a name such as de_DE.UTF-8",
        )
    return found


def _is_kept(path: bytes, names: set[str], wanted: Sequence[str]) -> bool:
    for folder, allowed in ((_FOLDER, names), (_MESSAGES, _languages(wanted))):
        if path.startswith(folder):
            name = path[len(folder) :].partition(b"/")[0].decode("utf-8", "replace")
            return name in allowed
    return True


def _languages(wanted: Sequence[str]) -> set[str]:
    """Where gettext looks for translations: de_CH@x, de_CH, de@x, de."""
    found = set()
    for name in wanted:
        place, at, modifier = name.partition("@")
        country = place.partition(".")[0]
        for each in (country, country.partition("_")[0]):
            found |= {each, each + at + modifier}
    return found


def _without_foreign_links(
    kept: Mapping[bytes, Entry], placed: Mapping[bytes, Entry]
) -> Iterator[tuple[bytes, Entry]]:
    """The first link to a file that is left out becomes the file, others lead there."""
    moved: dict[bytes, bytes] = {}
    for path, entry in sorted(kept.items()):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.target))
        file = placed.get(target)
        if entry.type != "symlink" or target in kept or file is None or file.type != "file":
            yield path, entry
        elif target in moved:
            link = posixpath.relpath(moved[target], posixpath.dirname(path))
            yield path, msgspec.structs.replace(entry, target=link)
        else:
            moved[target] = path
            yield path, file
