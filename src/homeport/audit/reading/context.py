"""Neighbours of a file: what readers may look at beside the file they read.

A reader names paths relative to its file; nothing outside the audited root is opened, and
everything is bounded and read once.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from homeport.audit.reading.programs import ALWAYS, Programs
from homeport.audit.reading.tree_files import NotReadable, list_folder, read_file
from homeport.audit.source import Source

if TYPE_CHECKING:
    from homeport.audit.source import Written


T = TypeVar("T")


class BuildCall(msgspec.Struct, frozen=True, kw_only=True):
    """Something that builds a Dockerfile with values of its own."""

    dockerfile: str
    args: dict[str, Written]
    contexts: tuple[str, ...]
    kind: str
    key: str


class Context(msgspec.Struct):
    """The tree that is audited.

    root:      what relative paths begin at, if any
    programs:  those whose commands are read in shell text
    edited:    files as they would be, instead of those on disk
    """

    root: Path
    programs: Programs = ALWAYS
    edited: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    calls: list[BuildCall] = msgspec.field(default_factory=list)
    #: Variables of templates: folder below which they count → name → value.
    scopes: dict[str, dict[str, Written]] = msgspec.field(default_factory=dict)
    #: Folders that are known to be inside the tree.
    inside: set[str] = msgspec.field(default_factory=set)
    _opened: dict[str, Source | None] = msgspec.field(default_factory=dict)
    _made: dict[tuple[str, str], Any] = msgspec.field(default_factory=dict)

    def read(self, path: str) -> bytes:
        """The content of a file of the tree. Raises ``NotReadable``."""
        if (data := self.edited.get(path)) is not None:
            return data
        return read_file(self.root, path, self.inside)

    def neighbour(self, source: Source, path: str) -> Source | None:
        """The file ``path`` as seen from ``source``, or ``None`` if it cannot be read."""
        name = resolve(source, path)
        if name is None:
            return None
        if name not in self._opened:
            self._opened[name] = self._open(name)
        return self._opened[name]

    def once(self, kind: str, folder: str, make: Callable[[], T]) -> T:
        """What ``make`` gives for a folder, made once for all files that ask for it."""
        key = (kind, folder)
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def names(self, source: Source, folder: str) -> list[str]:
        """The names in a folder as seen from ``source``, in order, bounded."""
        name = resolve(source, folder)
        return [] if name is None else list_folder(self.root, name)

    def _open(self, name: str) -> Source | None:
        try:
            return Source(name, self.read(name))
        except NotReadable:
            return None


def resolve(source: Source, path: str) -> str | None:
    """The path relative to the root that ``path`` means in ``source``."""
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(source.path), path))
    return None if joined.startswith(("..", "/")) or "\0" in joined else joined
