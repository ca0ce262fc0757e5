"""The files of a tree that may be read, in a fixed order, without following links.

Symbolic links to directories are not entered, so no loop is possible; folders that hold
other people's code or a version control system's own files are left out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from homeport.audit.reading.tree_files import NotReadable, check_inside, reason_of
from homeport.audit.scan.file_types import may_be_read

#: Folders that are never entered when a tree is walked.
LEFT_OUT = frozenset(
    (".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", ".tox", ".mypy_cache",
     ".terraform", ".direnv")
)  # fmt: skip
MOST_FILES = 1_000_000
DEEPEST = 100


def walk(root: Path, start: str, complain: Callable[[str, str], None]) -> Iterator[str]:
    """Files at or below ``start``, a path relative to ``root``; faults go to ``complain``."""
    try:
        check_inside(root, start)
        info = (root / start).stat()
    except (NotReadable, OSError) as error:
        complain(start, reason_of(error) if isinstance(error, OSError) else str(error))
        return
    if not stat.S_ISDIR(info.st_mode):
        # A file that was named is read whatever it is called.
        yield start
        return
    count = 0
    stack = ["" if start == "." else start]
    while stack:
        folder = stack.pop()
        if folder.count("/") > DEEPEST:
            complain(folder, f"nested more than {DEEPEST} folders deep")
            continue
        try:
            with os.scandir(root / folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            complain(folder or ".", reason_of(error))
            continue
        folders = []
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in LEFT_OUT:
                    folders.append(path)
            elif may_be_read(entry.name) and _is_file(entry, path, complain):
                count += 1
                if count > MOST_FILES:
                    complain(start, f"more than {MOST_FILES} files; the rest is left out")
                    return
                yield path
        stack.extend(reversed(folders))


def _is_file(entry: os.DirEntry[str], path: str, complain: Callable[[str, str], None]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError as error:
        complain(path, reason_of(error))
        return False
