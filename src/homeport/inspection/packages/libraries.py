"""Whether an image has the libraries and interpreters that its programs need.

Searched like the loaders do: RUNPATH with ``$ORIGIN``, ``ld.so.conf``, the directories built in,
which on Debian are those named after the machine. Not for versions of symbols.
"""

from __future__ import annotations

from collections.abc import Iterator

from homeport.inspection.binaries.facts import BinaryFacts
from homeport.inspection.image.opened_image import OpenedImage

_BUILT_IN = (b"lib", b"usr/lib", b"lib64", b"usr/lib64", b"usr/local/lib")


class Libraries:
    """The library directories of one image."""

    def __init__(self, opened: OpenedImage) -> None:
        self._history = opened.history
        self._there: dict[bytes, bool] = {}
        self._places = (*_configured(opened), *_BUILT_IN, *_of_machines(opened))

    def missing(self, path: bytes, facts: BinaryFacts) -> Iterator[str]:
        """The libraries and interpreters that the file at ``path`` needs and the image lacks."""
        script = facts.script.interpreter if facts.script is not None else ""
        for program in (facts.interpreter, script):
            if program.startswith("/") and not self._has(_encoded(program).lstrip(b"/")):
                yield program
        if not facts.needed:
            return
        places = (*_search(path, facts), *self._places)
        for name in facts.needed:
            wanted = _encoded(name)
            if b"/" in wanted:
                if not self._has(wanted.lstrip(b"/")):
                    yield name
            elif not any(self._has(place + b"/" + wanted) for place in places):
                yield name

    def _has(self, path: bytes) -> bool:
        found = self._there.get(path)
        if found is None:
            found = self._there[path] = self._history.resolve(path) is not None
        return found


def _search(path: bytes, facts: BinaryFacts) -> Iterator[bytes]:
    origin = b"/" + path.rpartition(b"/")[0]
    for each in facts.runpath:
        place = _encoded(each)
        yield place.replace(b"${ORIGIN}", origin).replace(b"$ORIGIN", origin).strip(b"/")


def _configured(opened: OpenedImage) -> Iterator[bytes]:
    for conf in opened.metadata_paths:
        inside = conf.startswith(b"etc/ld.so.conf.d/") and conf.endswith(b".conf")
        if inside or conf == b"etc/ld.so.conf":
            for line in (opened.metadata(conf) or b"").splitlines():
                if line.startswith(b"/"):
                    yield line.strip().strip(b"/")


def _of_machines(opened: OpenedImage) -> Iterator[bytes]:
    """Directories of an architecture, such as ``usr/lib/x86_64-linux-gnu``."""
    for path, place in opened.history.final.items():
        if b"-linux-" in path and place.entry.kind == "directory":
            parent = path.rpartition(b"/")[0]
            if parent in (b"lib", b"usr/lib"):
                yield path


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
