"""The files of one commit of a git repository, as a tar.

The ``git`` program fetches them, so that a user's credentials and settings hold; no file is checked
out, so nothing that the repository configures is run. A commit's hash is that of its content, which
git verifies: what was fetched once is kept in the cache.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from homeport.catalogs.artifact import CATALOG_LIMIT
from homeport.catalogs.source import GitSource
from homeport.content.blob import Blob
from homeport.content.kept_blobs import recall_blob, remember_blob
from homeport.errors import UsageError
from homeport.gitprogram import GitFailed, GitTooLarge, run_git
from homeport.runtime import Runtime

_NAMESPACE = "catalogs-git"
#: The user names the catalog, so it may be a repository on this machine.
_PROTOCOLS = "https:http:ssh:git:file"


def fetch_commit(source: GitSource, runtime: Runtime, *, offline: bool) -> Blob:
    """A tar of the commit's files. Raises ``GitFailed``, ``UsageError``."""
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
        tree = f"{source.commit}:{source.folder}" if source.folder else source.commit
        # Never onto the disk: a small pack may hold terabytes of zeros.
        packed = _git(folder, "archive", "--format=tar", tree)
        blob = runtime.store.put(io.BytesIO(packed))
    remember_blob(runtime.store, _NAMESPACE, key, blob)
    return blob


def _fetch(folder: Path, source: GitSource) -> None:
    common = ("fetch", "-q", "--no-tags", "--no-write-fetch-head")
    try:
        _git(folder, *common, "--depth=1", "--", source.url, source.commit)
    except GitTooLarge:
        raise
    except GitFailed:
        # A server may refuse commits that no branch is at; then its branches and tags have it.
        _git(folder, *common, "--", source.url, "+refs/heads/*:refs/heads/*",
             "+refs/tags/*:refs/tags/*")  # fmt: skip
        _git(folder, "cat-file", "-e", f"{source.commit}^{{commit}}")


def _git(folder: Path, *arguments: str) -> bytes:
    return run_git(
        folder, *arguments, strangers=True, env={"GIT_ALLOW_PROTOCOL": _PROTOCOLS},
        # One pack, however few objects it has, so that the bound is on all of them.
        limit=CATALOG_LIMIT, largest=CATALOG_LIMIT, settings=("fetch.unpackLimit=1",),
    )  # fmt: skip
