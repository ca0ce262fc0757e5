"""Commits that a recipe names, compared with the branch or tag that they are of.

The ``git`` program asks (one ``ls-remote`` for each repository), outside of any work tree, so
that the user's credentials and certificates hold and settings of a cloned repository do not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from homeport.freshness.model import Input, Level, Unknown
from homeport.freshness.newer_tags import newer_tag
from homeport.gitprogram import GitFailed, run_git
from homeport.recipe.parts import GitInput

RefsOf = Callable[[str], Mapping[str, str]]
_PATIENCE = 60.0  # seconds
_LONGEST = 64 << 20  # bytes; the refs of the largest public repositories are some 20 MB
_TAGS, _HEADS, _PEELED = "refs/tags/", "refs/heads/", "^{}"
#: Before the version: ``release-`` of ``release-1.2``.
_WORDS = re.compile(r"(?:[A-Za-z][A-Za-z0-9]*[-_/])*")
#: What git says of a repository that is not there (also of one that hides from strangers).
_ABSENT = ("not found", "does not exist", "does not appear to be a git repository")


def list_refs(url: str) -> dict[str, str]:
    """Ref → commit; of an annotated tag the commit that it is of. Raises ``GitFailed``."""
    output = run_git(
        Path("/"), "ls-remote", "--quiet", "--", url,
        strangers=True, seconds=_PATIENCE, limit=_LONGEST,
    )  # fmt: skip
    return read_refs(output)


def read_refs(data: bytes) -> dict[str, str]:
    """The lines ``COMMIT<tab>REF`` of ``git ls-remote``."""
    found: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        commit, _, name = line.partition("\t")
        if name.endswith(_PEELED):
            found[name.removesuffix(_PEELED)] = commit
        elif name:
            found.setdefault(name, commit)
    return found


def moved_commit(wanted: GitInput, refs_of: RefsOf) -> Iterator[Input | Unknown]:
    """What is newer than the commit, by its branch or tag; without one by the tags it has."""
    try:
        refs = refs_of(wanted.url)
    except GitFailed as error:
        if any(each in error.words for each in _ABSENT):
            text = "is gone: its files are only where they were fetched before"
            yield Input(level="warning", what=wanted.url, text=text)
        else:
            yield Unknown(what=wanted.url, why=error.what)
        return
    names = [_full(wanted.ref, refs)] if wanted.ref else _tags_of(wanted.commit, refs)
    for name in names[:1]:
        yield from _judged(wanted, name, refs)


def _judged(wanted: GitInput, name: str, refs: Mapping[str, str]) -> Iterator[Input]:
    short = name.removeprefix(_TAGS).removeprefix(_HEADS)
    what = f"{wanted.url} {short}"
    now = refs.get(name)
    if now is None:
        yield Input(level="warning", what=what, text="is gone: no branch or tag has this name")
    elif now != wanted.commit:
        text = f"moved: the recipe names {wanted.commit[:12]}, it is {now[:12]} now"
        yield Input(level="error", what=what, text=text)
    if name.startswith(_TAGS):
        tags = [ref.removeprefix(_TAGS) for ref in refs if ref.startswith(_TAGS)]
        if (newer := _newer(short, tags)) is not None:
            level: Level = "error" if newer[1] else "note"
            yield Input(level=level, what=what, text=f"{newer[0]} is newer")


def _full(ref: str, refs: Mapping[str, str]) -> str:
    """As git resolves a short name: a tag before a branch."""
    names = (ref, f"{_TAGS}{ref}", f"{_HEADS}{ref}")
    return next((name for name in names if name in refs), names[1])


def _tags_of(commit: str, refs: Mapping[str, str]) -> list[str]:
    """The tags of a commit, those that name a version first."""
    found = [ref for ref, at in refs.items() if at == commit and ref.startswith(_TAGS)]
    return sorted(found, key=lambda ref: (not any(c.isdigit() for c in ref), ref))


def _newer(tag: str, tags: list[str]) -> tuple[str, bool] | None:
    words = _WORDS.match(tag)
    prefix = words[0] if words else ""
    found = newer_tag(
        tag.removeprefix(prefix), [t.removeprefix(prefix) for t in tags if t.startswith(prefix)]
    )
    return (prefix + found[0], found[1]) if found else None
