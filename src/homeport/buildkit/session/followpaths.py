"""Follow-paths: the part of a directory that an engine requests, symbolic links included.

A path may hold wildcards in each component; what it names is wanted with all below. Where
it leads through a link, the link and what it points to are wanted. Rules: fsutil's
FollowLinks. Everything stays in the root: links are followed by hand, ``..`` stops there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

import msgspec

from homeport.copying.patterns import Pattern, has_wildcard

_MOST_LINKS = 255


class Wanted(msgspec.Struct):
    """A tree of names. ``all``: everything below is wanted too."""

    all: bool = False
    names: dict[bytes, Wanted] = msgspec.field(default_factory=dict)
    patterns: list[tuple[Pattern, Wanted]] = msgspec.field(default_factory=list)

    def add(self, parts: list[bytes]) -> None:
        """Want a path, of which components may be patterns."""
        node = self
        for part in parts:
            if has_wildcard(part):
                known = next((w for p, w in node.patterns if p.text == part), None)
                if known is None:
                    known = Wanted()
                    node.patterns.append((Pattern(part), known))
                node = known
            else:
                node = node.names.setdefault(part, Wanted())
        node.all = True

    def below(self, name: bytes) -> list[Wanted]:
        """What is wanted in ``name``; empty if nothing."""
        found = [self.names[name]] if name in self.names else []
        found += [node for pattern, node in self.patterns if pattern.matches(name)]
        return found


def follow(root: int, paths: Iterable[bytes]) -> Wanted | None:
    """The part of the directory ``root`` that the paths name; ``None`` for all of it."""
    wanted = Wanted()
    pending = [_clean(path) for path in paths]
    if not pending:
        return None
    seen: set[tuple[bytes, ...]] = set()
    while pending:
        parts = pending.pop()
        if not parts:
            return None
        if tuple(parts) in seen or len(seen) > 1_000_000:
            continue
        seen.add(tuple(parts))
        wanted.add(parts)
        for link, leads_to in _links(root, parts):
            wanted.add(link)
            pending.append(leads_to)
    return wanted


def _links(root: int, parts: list[bytes]) -> list[tuple[list[bytes], list[bytes]]]:
    """The links on the way, each with the path from the root that it makes of the whole."""
    found: list[tuple[list[bytes], list[bytes]]] = []
    places: list[list[bytes]] = [[]]
    for number, part in enumerate(parts):
        following = []
        for place in places:
            for name in _matching(root, place, part):
                target = _target(root, [*place, name])
                if target is None:
                    following.append([*place, name])
                elif len(found) < _MOST_LINKS * len(parts):
                    whole = _joined(place, target, parts[number + 1 :])
                    found.append(([*place, name], whole))
        places = following
    return found


def _matching(root: int, place: list[bytes], part: bytes) -> list[bytes]:
    if not has_wildcard(part):
        return [part]
    pattern = Pattern(part)
    directory = open_directory(root, place)
    if directory is None:
        return []
    try:
        with os.scandir(directory) as entries:
            names = [os.fsencode(entry.name) for entry in entries]
    finally:
        os.close(directory)
    return [name for name in names if pattern.matches(name)]


def _target(root: int, parts: list[bytes]) -> bytes | None:
    directory = open_directory(root, parts[:-1])
    if directory is None:
        return None
    try:
        status = os.stat(parts[-1], dir_fd=directory, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            return None
        return os.readlink(parts[-1], dir_fd=directory)
    except OSError:
        return None
    finally:
        os.close(directory)


def _joined(place: list[bytes], target: bytes, rest: list[bytes]) -> list[bytes]:
    start = b"" if target.startswith(b"/") else b"/".join(place)
    return _clean(start + b"/" + target + b"/" + b"/".join(rest))


def open_directory(root: int, parts: list[bytes]) -> int | None:
    """A descriptor of a directory below ``root``, no link followed; ``None`` if there is none."""
    if b".." in parts:
        return None
    current = os.dup(root)
    for part in parts:
        try:
            following = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
        except OSError:
            return None
        finally:
            os.close(current)
        current = following
    return current


def _clean(path: bytes) -> list[bytes]:
    found: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            del found[-1:]
        elif part not in (b"", b"."):
            found.append(part)
    return found
