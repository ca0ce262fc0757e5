"""The key that authenticates the cache's answers; it lies outside the cache.

Anyone who can write to a cache can write any answer into it: another user, a job of a merge
request that shares a CI cache. Answers carry a MAC by this key (``content.store``), and
those of another key are not used. ``HOMEPORT_CACHE_KEY`` gives the key as a secret;
without it the key is a file in the user's state folder, made when first needed. Where
neither exists, each run has a key of its own, and answers of earlier runs are computed again.

Not a defence against programs of the same user, who can read the key.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from homeport.content.rooted_folders import open_file, open_folder, read_file, replace_file
from homeport.errors import UsageError

VARIABLE = "HOMEPORT_CACHE_KEY"
KEY_SIZE = 32
_SHORTEST = 32  # characters of a key from the environment


def find_answer_key(file: Path | None, cache: Path, environment: Mapping[str, str]) -> bytes:
    """The key for this run: from the environment, from ``file``, or a new one.

    file: not used if it lies below ``cache``, or belongs to another user
    """
    if given := environment.get(VARIABLE, ""):
        if len(given) < _SHORTEST:
            raise UsageError(
                f"{VARIABLE} is too short: {len(given)} characters, at least {_SHORTEST} required",
                hint="generate a key: openssl rand -hex 32",
            )
        return hashlib.blake2b(given.encode("utf-8", "surrogateescape"), digest_size=32).digest()
    if file is not None and not file.parent.resolve().is_relative_to(cache.resolve()):
        with contextlib.suppress(OSError):
            return _kept(file)
    return key_of_process()


@cache
def key_of_process() -> bytes:
    """A key that no other process has."""
    return os.urandom(KEY_SIZE)


def _kept(file: Path) -> bytes:
    """The key in ``file``, made if it is missing. Raises ``OSError`` if it cannot be used."""
    with contextlib.suppress(FileNotFoundError):
        return _read(file)
    with open_folder(file.parent, make=True) as folder:
        made = f"{file.name}.{os.urandom(8).hex()}"
        replace_file(made, folder, os.urandom(KEY_SIZE))
        try:  # another process may have made one meanwhile: the first stays
            with contextlib.suppress(FileExistsError):
                os.link(made, file.name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            os.unlink(made, dir_fd=folder)
    return _read(file)


def _read(file: Path) -> bytes:
    with open_folder(file.parent) as folder:
        descriptor = open_file(file.name, folder, os.O_RDONLY)
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise PermissionError(f"{file} must belong to the user and have mode 0600")
        key = read_file(file.name, folder)
    if len(key) != KEY_SIZE:
        raise OSError(f"{file} is not a key")
    return key
