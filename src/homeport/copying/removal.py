"""Removing a real directory with all below it, from handles."""

import posix

from homeport.copying.rooted import RootedDirectory, encode


def remove_tree(parent: RootedDirectory, name: bytes) -> None:
    """Remove a directory with all below it; no recursion, two descriptors whatever the depth."""
    here = parent
    stack: list[tuple[object, list[bytes]]] = [(parent.info().identity, [name])]
    try:
        while True:
            below = stack[-1][1]
            if below:
                child = here.open_directory(below[-1])
                if here is not parent:
                    here.close()
                here = child
                stack.append((child.info().identity, _unlink_all(child)))
                continue
            stack.pop()
            if not stack:
                return
            up = parent if len(stack) == 1 else here.open_parent(stack[-1][0])
            here.close()
            here = up
            posix.rmdir(stack[-1][1].pop(), dir_fd=up.fd)
    finally:
        if here is not parent:
            here.close()


def _unlink_all(directory: RootedDirectory) -> "list[bytes]":
    """Unlink all that is no directory; the names of what is one."""
    below = []
    for name in posix.listdir(directory.fd):
        try:
            posix.unlink(name, dir_fd=directory.fd)
        except IsADirectoryError:
            below.append(encode(name))
    return below
