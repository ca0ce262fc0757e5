"""What git knows of the audited files: those that changed since a commit; a branch for edits."""

from __future__ import annotations

from pathlib import Path

from homeport.errors import UsageError
from homeport.gitprogram import GitFailed, run_git

_SECONDS = 120
_FETCH = (
    "name a commit, branch or tag that this checkout has; CI systems often fetch one commit only"
    " (fetch-depth: 0, GIT_DEPTH: 0)"
)


def changed_files(root: Path, since: str) -> frozenset[str]:
    """Files below ``root`` that differ from ``since``, relative to it; those that git ignores not.

    Compared is with the commit that both branches come from, as a merge request shows it; what is
    not committed yet counts. Raises ``GitFailed``, ``UsageError``.
    """
    if since.startswith("-"):
        raise UsageError(f"--changed-since {since!r} is not a commit, branch or tag")
    base = _git(root, "merge-base", "--end-of-options", since, "HEAD", hint=_FETCH).strip()
    changed = _git(root, "diff", "--name-only", "--no-ext-diff", "--no-textconv", "--relative",
                   "-z", "--no-renames", "--diff-filter=d", base, "--")  # fmt: skip
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    return frozenset(name for name in (changed + new).split("\0") if name)


def start_branch(root: Path, name: str) -> None:
    """Begin a branch here, with the files as they are. Raises ``GitFailed``, ``UsageError``."""
    if name.startswith("-"):
        raise UsageError(f"--branch {name!r} is not a name of a branch")
    _git(root, "switch", "--create", name)


def _git(root: Path, *arguments: str, hint: str | None = None) -> str:
    try:
        output = run_git(root, *arguments, strangers=True, seconds=_SECONDS)
    except GitFailed as error:
        error.hint = error.hint or hint
        raise
    return output.decode("utf-8", "surrogateescape")
