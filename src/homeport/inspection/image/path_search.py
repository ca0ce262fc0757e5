"""Finding paths: by globs or by name, and the error for a path that does not exist.

A glob without a slash matches names anywhere. A path without wildcards matches itself and all
below it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from shlex import quote

from homeport.copying.errors import shown
from homeport.errors import HomeportError
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.image.path_globs import Glob, is_glob
from homeport.layers.history import GONE, History

_MAX_NEAR = 3
_SHORT_NAME = 3


class PathNotFound(HomeportError):
    """A missing path; the error names the layer that removed it, or similar paths."""

    id = "path-not-found"


def matcher(pattern: bytes) -> Callable[[bytes], bool]:
    """A function that tells whether a (relative) path matches ``pattern``."""
    if not is_glob(pattern):
        exact = _plain(pattern)
        below = exact + b"/" if exact else b""
        return lambda path: path == exact or path.startswith(below)
    glob = Glob(pattern.strip(b"/") if b"/" in pattern else pattern)
    if b"/" not in pattern:
        return lambda path: glob.matches(path.rpartition(b"/")[2])
    return glob.matches


def find_path(opened: OpenedImage, text: str) -> bytes:
    """The path of the final tree that ``text`` names, links followed in all but the last name.

    Raises ``PathNotFound``.
    """
    history = opened.history
    path = _plain(text.encode("utf-8", "surrogateescape"))
    if path in history.final or not path:
        return path
    parent, _, name = path.rpartition(b"/")
    resolved = history.resolve(parent)
    if resolved is not None:
        through = (resolved + b"/" if resolved else b"") + name
        if through in history.final:
            return through
    raise not_found(opened, path)


def not_found(opened: OpenedImage, path: bytes) -> PathNotFound:
    """The error for a missing path: which layer removed it, or which paths are similar."""
    history, text = opened.history, "/" + shown(path)
    events = list(history.of(path))
    if events and events[-1][1].action in GONE:
        number, change = events[-1]
        how = f" with /{shown(change.by)}" if change.by else ""
        assert change.before is not None
        return PathNotFound(
            f"{text} was removed{how} by layer {number}; it exists in layer {change.before.layer}",
            where={"path": text},
            hint=f"homeport inspect {quote(opened.address)} --path {quote(text)}"
            if opened.address
            else None,
        )
    near = _near(history, path)
    return PathNotFound(
        f"path not found in the image: {text}",
        where={"path": text},
        hint="similar paths: " + ", ".join("/" + shown(one) for one in near) if near else None,
    )


def _near(history: History, path: bytes) -> list[bytes]:
    """Paths of the same name, else similar names, else other names of the same directory."""
    name = path.rpartition(b"/")[2]
    same = [each for each in history.final if each.rpartition(b"/")[2] == name]
    if same:
        return sorted(same, key=len)[:_MAX_NEAR]
    prefix, wanted = _first_missing(history, path)
    siblings = {
        each[len(prefix) :].decode("utf-8", "surrogateescape"): each
        for each in history.final
        if each and each.startswith(prefix) and b"/" not in each[len(prefix) :]
    }
    text = wanted.decode("utf-8", "surrogateescape")
    # In a name of two letters one letter is half of the name.
    alike = 0.6 if len(text) > _SHORT_NAME else 0.5
    near = difflib.get_close_matches(text, siblings, _MAX_NEAR, alike)
    return [siblings[one] for one in near or sorted(siblings)[:_MAX_NEAR]]


def _first_missing(history: History, path: bytes) -> tuple[bytes, bytes]:
    """The deepest existing directory of ``path``, with its slash, and the name after it."""
    parent, _, name = path.rpartition(b"/")
    while parent and parent not in history.final:
        parent, _, name = parent.rpartition(b"/")
    return (parent + b"/" if parent else b""), name


def _plain(path: bytes) -> bytes:
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)
