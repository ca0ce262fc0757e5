"""/etc/ld.so.conf: folders with libraries beside the dynamic loader's own (ldconfig(8)).

A line is a folder, or ``include`` with a pattern, whose files count in the order of names.
Not for the cache that is made of them (``steps.ld_cache``).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator

_CONF = "/etc/ld.so.conf"
_MOST_FILES = 1000

#: The text of a file; ``None`` if there is none.
ReadText = Callable[[str], str | None]
#: Names of the files in a folder, in byte order.
ListNames = Callable[[str], list[str]]


def configured_folders(read: ReadText, names_in: ListNames) -> list[str]:
    """The folders in their order, each once."""
    found: dict[str, None] = {}
    todo = [_CONF]
    for _ in range(_MOST_FILES):
        if not todo:
            break
        for line in (read(todo.pop(0)) or "").splitlines():
            words = line.partition("#")[0].split()
            if words[:1] == ["include"]:
                todo += [path for word in words[1:] for path in _matching(word, names_in)]
            elif words[:1] not in ([], ["hwcap"]):
                found[words[0].rstrip("/") or "/"] = None
    return list(found)


def _matching(pattern: str, names_in: ListNames) -> Iterator[str]:
    folder, _, name = pattern.rpartition("/")
    folder = folder if pattern.startswith("/") else f"/etc/{folder}".rstrip("/")
    for each in names_in(folder):
        if fnmatch.fnmatchcase(each, name):
            yield f"{folder}/{each}"
