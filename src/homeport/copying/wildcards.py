"""The sources that a word with wildcards means, in byte order of their paths.

The part of the word before its first wildcard is walked to, links followed inside the
root; below it no link to a directory is entered, and a directory that matches is not
looked into. Names are matched as a whole path, exactly as Go does.
"""

from homeport.copying.patterns import Pattern, split
from homeport.copying.resolve import resolve

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeport.copying.filesystem import Directory, Filesystem


def expand(
    filesystem: "Filesystem", names: "list[bytes]", bad_is_error: bool
) -> "list[list[bytes]]":
    """Paths that match, as names from the root of ``filesystem``; none is empty.

    bad_is_error: a malformed pattern is a ``CopyError``; else it matches nothing
    """
    literal, wild = split(names)
    resolved = resolve(filesystem, literal)
    try:
        if resolved.rest:
            return []
        found = _walk(resolved.directory, wild, bad_is_error)
        return [literal + names for names in found]
    finally:
        resolved.close()


def _walk(top: "Directory", wild: "list[bytes]", bad_is_error: bool) -> "Iterator[list[bytes]]":
    whole = Matcher(b"/".join(wild), bad_is_error)
    steps = [Matcher(part, bad_is_error) for part in wild] if _one_name_each(whole) else None
    here = top
    above: list[object] = []
    names: list[bytes] = []
    pending = [_sorted(here)]
    try:
        while pending:
            if not pending[-1]:
                pending.pop()
                if pending:
                    up = here.open_parent(above.pop())
                    if here is not top:
                        here.close()
                    here = up
                    names.pop()
                continue
            name = pending[-1].pop()
            if steps is not None and not steps[len(names)].matches(name):
                continue
            path = [*names, name]
            if whole.matches(b"/".join(path)):
                yield path
                continue
            if steps is not None and len(path) == len(steps):
                continue
            info = here.stat(name)
            if info is None or info.kind != "directory":
                continue
            below = here.open_directory(name)
            above.append(here.info().identity)
            if here is not top:
                here.close()
            here = below
            names.append(name)
            pending.append(_sorted(here))
    finally:
        if here is not top:
            here.close()


def _sorted(directory: "Directory") -> "list[bytes]":
    """Names to be taken from the end."""
    return sorted((name for name, _ in directory.entries()), reverse=True)


def _one_name_each(whole: "Matcher") -> bool:
    """Whether each part of the pattern can only match one name of a path.

    A class may match a slash, and a malformed part must be judged as part of the whole.
    """
    for _, tokens in whole.pattern.chunks:
        if tokens is None:
            return False
        for token in tokens:
            if isinstance(token, tuple):
                negated, ranges = token
                if any(low <= 47 <= high for low, high in ranges) != negated:
                    return False
    return True


class Matcher:
    """A pattern, and what a malformed one means."""

    __slots__ = ("bad_is_error", "pattern")

    def __init__(self, text: bytes, bad_is_error: bool) -> None:
        self.pattern = Pattern(text)
        self.bad_is_error = bad_is_error

    def matches(self, name: bytes) -> bool:
        from homeport.copying.errors import CopyError

        try:
            return self.pattern.matches(name)
        except CopyError:
            if self.bad_is_error:
                raise
            return False
