"""Symbolic links in the way of a path, followed within a tree as engines follow them."""

from __future__ import annotations

from collections.abc import Callable

MOST = 255  # links followed for one path, as containerd


def followed(
    path: bytes, target_of: Callable[[bytes], bytes | None], *, last: bool = True
) -> tuple[bytes, int]:
    """``path`` with links followed, never out of the root, and how many there were.

    target_of: the text of the symbolic link at a path, ``None`` where there is none
    last:      whether a link at the very end is followed too

    More than ``MOST`` links are a circle: the answer is ``path`` itself.
    """
    todo = path.split(b"/")[::-1] if path else []
    done: list[bytes] = []
    hops = 0
    while todo:
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
        if hops > MOST:
            return path, hops
        if target.startswith(b"/"):
            done = []
        todo.extend(target.split(b"/")[::-1])
    return b"/".join(done), hops
