"""A tree as files of this machine: directories and regular files alone, in a new directory.

For what strangers send that is read by path afterwards: a link could lead out of the directory.
Links are written only where the reader says that it opens nothing by its name alone.
"""

from __future__ import annotations

import os
from pathlib import Path

from homeport.content.blob import verified
from homeport.content.files import explained
from homeport.errors import AnswerNo
from homeport.progress import CancelToken
from homeport.tree.node import Node, Tree


def write_plain_folder(
    tree: Tree, folder: Path, what: str, cancel: CancelToken, *,
    links_below: tuple[bytes, ...] = (),
) -> None:  # fmt: skip
    """Write ``tree`` into ``folder``, which only this user can write to and is made here.

    what:        the thing that it is, such as ``rebuild kit``
    links_below: how paths begin that may be symbolic links
    Raises ``AnswerNo`` for other links and devices, ``CannotWrite`` for a name that is too long.
    """
    links: list[tuple[Path, bytes]] = []
    folder.mkdir(mode=0o700)
    for path, node in tree.items():
        if not path:
            continue
        to = folder / os.fsdecode(path)
        with explained(to):
            if node.type == "directory":
                to.mkdir(mode=0o700)
            elif node.type == "file":
                _write(node, to, what, cancel)
            elif node.type == "symlink" and links_below and path.startswith(links_below):
                links.append((to, node.target))
            else:
                raise AnswerNo(f"invalid {what}: it holds a {node.type}, {to.relative_to(folder)}")
    for to, target in links:  # last, so that nothing is written through one
        with explained(to):
            os.symlink(target, os.fsencode(to))


def _write(node: Node, to: Path, what: str, cancel: CancelToken) -> None:
    with to.open("xb") as file:
        if node.content is not None:
            with verified(node.content, f"a file of the {what}") as stream:
                while data := stream.read(1 << 20):
                    cancel.check()
                    file.write(data)
    to.chmod(node.mode & 0o777 | 0o600)
