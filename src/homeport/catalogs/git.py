"""The files of one commit of a git repository, as a tar.

The ``git`` program fetches them, so that a user's credentials and settings hold; no file is checked
out, so nothing that the repository configures is run. A commit's hash is that of its content, which
git verifies: what was fetched once is kept in the cache.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from homeport.catalogs.artifact import CATALOG_LIMIT
from homeport.catalogs.source import GitSource
from homeport.content.blob import Blob
from homeport.content.kept_blobs import recall_blob, remember_blob
from homeport.errors import HomeportError, TooLarge, UsageError
from homeport.printable import printable
from homeport.runtime import Runtime

_NAMESPACE = "catalogs-git"
_PATIENCE = 600.0  # seconds
#: No helper programs that an address could name, no hooks, no submodules.
_SAFE = ("-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null",
         "-c", "core.fsmonitor=false", "-c", "fetch.recurseSubmodules=false")  # fmt: skip


class GitFailed(HomeportError):
    """Git could not fetch a catalog; its own words are in the message."""

    id = "git"


def fetch_commit(source: GitSource, runtime: Runtime, *, offline: bool) -> Blob:
    """A tar of the commit's files. Raises ``GitFailed``, ``TooLarge``, ``UsageError``."""
    key = f"{source.commit} {source.folder}"
    if (found := recall_blob(runtime.store, _NAMESPACE, key)) is not None:
        return found
    if offline:
        raise UsageError(
            f"the catalog {source.url}@{source.commit} is not in the cache",
            hint="run the command once without --offline",
        )
    runtime.progress.note("catalog", f"fetching {source.url} at {source.commit[:12]}")
    with tempfile.TemporaryDirectory(prefix="homeport-catalog-") as name:
        folder = Path(name)
        _git(folder, "init", "-q", "--bare")
        _fetch(folder, source)
        packed = folder / "catalog.tar"
        tree = f"{source.commit}:{source.folder}" if source.folder else source.commit
        _git(folder, "archive", "--format=tar", f"--output={packed}", tree)
        if packed.stat().st_size > CATALOG_LIMIT:
            raise TooLarge(f"the catalog is larger than {CATALOG_LIMIT >> 20} MiB")
        with packed.open("rb") as stream:
            blob = runtime.store.put(stream)
    remember_blob(runtime.store, _NAMESPACE, key, blob)
    return blob


def _fetch(folder: Path, source: GitSource) -> None:
    common = ("fetch", "-q", "--no-tags", "--no-write-fetch-head")
    try:
        _git(folder, *common, "--depth=1", "--", source.url, source.commit)
    except GitFailed:
        # A server may refuse commits that no branch is at; then its branches and tags have it.
        _git(folder, *common, "--", source.url, "+refs/heads/*:refs/heads/*",
             "+refs/tags/*:refs/tags/*")  # fmt: skip
        _git(folder, "cat-file", "-e", f"{source.commit}^{{commit}}")


def _git(folder: Path, *arguments: str) -> None:
    command: Sequence[str] = ("git", "-C", str(folder), *_SAFE, *arguments)
    environment = {
        name: value
        for name, value in os.environ.items()
        # Of another repository, where a hook of it runs us.
        if name not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")
    }
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_PATIENCE, check=False, env=environment,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise GitFailed("git is not installed", hint="apt install git") from error
    except subprocess.TimeoutExpired as error:
        raise GitFailed(f"git did not answer within {_PATIENCE:.0f} s") from error
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise GitFailed(f"git {arguments[0]} failed: {printable(' '.join(words[-4:]))[:400]}")
