"""Globs for the paths of a package, as slices use them.

Absolute; ``?`` and ``*`` stop at ``/``, ``**`` crosses it. A glob that ends in ``/``
matches directories, any other glob everything else; one that ends in ``**`` matches both.
Works on bytes: ``?`` is one byte, and a path need not be UTF-8. No character classes, no
escapes: Debian's paths do without.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

import msgspec

from homeport.errors import UsageError

_MEANING = {"**": b".*", "*": b"[^/]*", "?": b"[^/]"}
_WILD = re.compile(r"(\*\*|\*|\?)")
_LONGEST = 4096


class BadGlob(UsageError):
    """An invalid path glob."""

    id = "bad-glob"


class PathGlobs(msgspec.Struct, frozen=True):
    """A set of globs; a path matches if any of them does."""

    globs: tuple[str, ...]

    @classmethod
    def of(cls, globs: Iterable[str]) -> PathGlobs:
        """The globs, each checked, in one order however they were given."""
        return cls(tuple(sorted({check_glob(glob) for glob in globs})))

    def match(self, path: bytes, *, directory: bool) -> bool:
        """Whether ``path`` (no slash at either end) matches."""
        return _together(self.globs).fullmatch(_absolute(path, directory)) is not None


#: Matches every path.
EVERYTHING = PathGlobs(("/**",))
#: Matches none.
NOTHING = PathGlobs(())


def check_glob(glob: str) -> str:
    """``glob`` itself, or ``BadGlob`` saying what is wrong with it."""
    if not glob.startswith("/"):
        raise BadGlob(f"path {glob!r} must start with /")
    steps = glob.strip("/").split("/")
    if "" in steps or "." in steps or ".." in steps or "\0" in glob:
        raise BadGlob(f"path {glob!r} has an empty, '.' or '..' part")
    if len(glob) > _LONGEST or "***" in glob:
        raise BadGlob(f"path {glob[:100]!r} is too long or has three * together")
    return glob


def matches(glob: str, path: bytes, *, directory: bool) -> bool:
    """Whether one glob matches ``path``."""
    return _pattern(glob).fullmatch(_absolute(path, directory)) is not None


def _absolute(path: bytes, directory: bool) -> bytes:
    return b"/" + path + (b"/" if directory else b"")


@functools.lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[bytes]:
    return re.compile(_regex(glob), re.DOTALL)


@functools.lru_cache(maxsize=1024)
def _together(globs: tuple[str, ...]) -> re.Pattern[bytes]:
    # With no alternative at all: something that never matches.
    return re.compile(b"|".join(map(_regex, globs)) if globs else b"(?!)", re.DOTALL)


def _regex(glob: str) -> bytes:
    # "/usr/share/**" is what lies below the directory, not the directory itself.
    below = glob.endswith("/**")
    parts = _WILD.split(glob.removesuffix("**") if below else glob)
    text = b"".join(
        _MEANING.get(part) or re.escape(part.encode("utf-8", "surrogateescape")) for part in parts
    )
    if below:
        return text + b".+"
    # "*" matches nothing too, but "/usr/*" must not match the directory "/usr/".
    return text if glob.endswith(("/", "**")) else text + b"(?<!/)"
