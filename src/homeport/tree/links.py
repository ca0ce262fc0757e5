"""Symbolic links in a path, followed inside a tree as engines do."""

from __future__ import annotations

from collections.abc import Callable

MAX_LINKS = 255  # for one path, as in containerd
MAX_COMPONENTS = 4096  # of one path with the links in it; Linux stops at 4096 bytes of each


def followed(
    path: bytes, target_of: Callable[[bytes], bytes | None], *, last: bool = True
) -> tuple[bytes, int]:
    """``path`` with links followed, never out of the root, and the number of links.

    target_of: the target of the symbolic link at a path, ``None`` for anything else
    last:      whether a link in the last component is followed, too

    More than ``MAX_LINKS`` links, or links with more than ``MAX_COMPONENTS`` components, are a
    loop: the result is ``path`` itself.
    """
    if path.count(b"/") >= MAX_COMPONENTS:
        return path, MAX_LINKS + 1
    todo = path.split(b"/")[::-1] if path else []
    done: list[bytes] = []
    hops = components = 0
    while todo:
        components += 1
        part = todo.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            del done[-1:]
            continue
        target = target_of(b"/".join([*done, part]))
        if target is None or (not todo and not last):
            done.append(part)
            continue
        hops += 1
        if hops > MAX_LINKS or components > MAX_COMPONENTS:
            return path, MAX_LINKS + 1
        if target.startswith(b"/"):
            done = []
        todo.extend(target.split(b"/")[::-1])
    return b"/".join(done), hops
