"""The files of one commit of a git repository, as a tar.

The ``git`` program fetches them, so that a user's credentials and settings hold; no file is checked
out, so nothing that the repository configures is run. A commit's hash is that of its content, which
git verifies: what was fetched once is kept in the cache.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from homeport.catalogs.artifact import CATALOG_LIMIT
from homeport.catalogs.source import GitSource
from homeport.content.blob import Blob
from homeport.content.kept_blobs import recall_blob, remember_blob
from homeport.errors import TooLarge, UsageError
from homeport.gitprogram import GitFailed, run_git
from homeport.runtime import Runtime

_NAMESPACE = "catalogs-git"
#: The user names the catalog, so it may be a repository on this machine.
_PROTOCOLS = "https:http:ssh:git:file"


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
    run_git(folder, *arguments, strangers=True, env={"GIT_ALLOW_PROTOCOL": _PROTOCOLS})
