"""What git knows of the audited files: those that changed since a commit; a branch for edits."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from homeport.errors import HomeportError, UsageError
from homeport.printable import printable

#: Nothing that a repository configures is run: no monitor of files, no diff program, no pager.
_GIT = ("git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null",
        "-c", "diff.external=")  # fmt: skip
_SECONDS = 120
_FETCH = (
    "name a commit, branch or tag that this checkout has; CI systems often fetch one commit only"
    " (fetch-depth: 0, GIT_DEPTH: 0)"
)


class GitFailed(HomeportError):
    """git could not tell what changed."""

    id = "git-failed"


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
    command: Sequence[str] = (*_GIT, *arguments)
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, check=False, timeout=_SECONDS,
            stdin=subprocess.DEVNULL, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )  # fmt: skip
    except FileNotFoundError as error:
        raise GitFailed("git is needed for this, and not installed") from error
    except subprocess.TimeoutExpired as error:
        raise GitFailed(f"git {arguments[0]} did not end within {_SECONDS} s") from error
    if done.returncode:
        reason = printable(done.stderr.decode("utf-8", "replace").strip().partition("\n")[0])
        raise GitFailed(f"git {arguments[0]} failed: {reason or 'it gave no reason'}", hint=hint)
    return done.stdout.decode("utf-8", "surrogateescape")
