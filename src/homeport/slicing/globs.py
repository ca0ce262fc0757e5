"""Paths of one build of a package as globs that other architectures and versions match."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from homeport.printable import path_text

_TRIPLET = re.compile(r"^/usr/lib/[a-z0-9_]+-linux-gnu[a-z0-9_]*/")
_VERSIONED = re.compile(r"\.so\.\d[\w.]*$")
_PRIVATE = re.compile(r"-\d[\w.]*\.so$")
_CPYTHON = re.compile(r"\.cpython-[^/]*\.so$")
#: Folders of many packages: never taken as a whole.
_SHARED = re.compile(
    r"/|/(?:etc|usr|var|opt|srv|usr/(?:bin|sbin|games|lib|libexec|share|include|local|src)"
    r"|usr/lib/(?:\*|python3(?:\.\d+)?(?:/(?:dist-packages|lib-dynload))?)|etc/[a-z-]+\.d"
    r"|usr/share/(?:perl5|python3|applications|icons|pixmaps)|var/(?:lib|cache|log))"
)
_MAGIC = re.compile(r"[*?\[\]]")


def globs_for(taken: Collection[bytes], all_paths: Iterable[bytes]) -> tuple[str, ...]:
    """Globs that match every path of ``taken`` and no other of a package's ``all_paths``.

    A folder of the package alone is taken as ``FOLDER/**`` if all of it is.
    """
    wanted = set(taken)
    whole = _whole_folders(wanted, set(all_paths))
    found: set[str] = set()
    for path in wanted:
        folder = next((each for each in _folders(path) if each in whole), None)
        found.add(_general(folder) + "/**" if folder is not None else _general(path))
    return tuple(sorted(found))


def _folders(path: bytes) -> list[bytes]:
    """The folders above a path, outermost first."""
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts))]


def _whole_folders(taken: set[bytes], all_paths: set[bytes]) -> set[bytes]:
    there: dict[bytes, int] = {}
    for path in all_paths:
        for folder in _folders(path):
            there[folder] = there.get(folder, 0) + 1
    ours: dict[bytes, int] = {}
    for path in taken:
        for folder in _folders(path):
            ours[folder] = ours.get(folder, 0) + 1
    return {
        folder for folder, count in ours.items()
        if count == there.get(folder) and count > 1 and not _SHARED.fullmatch(_general(folder))
    }  # fmt: skip


def _general(path: bytes) -> str:
    text = _MAGIC.sub("?", path_text(path))
    text = _TRIPLET.sub("/usr/lib/*/", text + "/")[:-1]
    if "/lib" in text and "/dist-packages/" not in text:
        text = _VERSIONED.sub(".so.*", text)
        text = _PRIVATE.sub("-*.so", text) if text.startswith("/usr/lib/*/lib") else text
    return _CPYTHON.sub(".cpython-*.so", text)
