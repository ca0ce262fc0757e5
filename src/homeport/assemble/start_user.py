"""The user that a container starts as: a name of ``config.user`` must be in the image.

A recipe of slices and files alone has its own accounts only, and is checked when it is read;
whole packages bring accounts, which are known when the image is put together.
"""

from __future__ import annotations

from collections.abc import Iterator

from homeport.content.blob import read_verified
from homeport.errors import UsageError
from homeport.tree.node import Tree

_LARGEST = 1 << 20  # bytes of /etc/passwd or /etc/group


def check_user(user: str, tree: Tree) -> None:
    """Raise ``UsageError`` if ``USER[:GROUP]`` names an account that ``tree`` does not have."""
    name, _, group = user.partition(":")
    for text, kind, path in ((name, "user", b"etc/passwd"), (group, "group", b"etc/group")):
        if text and not text.isdigit() and text not in (names := list(_names(tree, path))):
            near = [each for each in names if text in each or each in text]
            raise UsageError(
                f"the image has no {kind} {text!r} (config.user)",
                hint=f"add it to accounts.{kind}s in the recipe"
                + (f"; the image has {', '.join(near[:5])}" if near else ""),
            )


def _names(tree: Tree, path: bytes) -> Iterator[str]:
    node = tree.get(path)
    if node is None or node.content is None:
        return
    text = read_verified(node.content, _LARGEST, f"/{path.decode()}").decode("utf-8", "replace")
    for line in text.splitlines():
        yield line.partition(":")[0]
