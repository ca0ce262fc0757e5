"""Debian source packages that parts take, compared with the Sources of their suites.

A fix in a source package shows in no package of the image: the part compiled it in. The index of
sources is fetched for recipes with such parts alone, by the chain of a lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from homeport.debian.version import parse_version
from homeport.errors import HomeportError, Interrupted
from homeport.freshness.model import Input, Unknown
from homeport.freshness.suites import SuiteView
from homeport.locking.archive_access import ArchiveAccess
from homeport.locking.source_packages import fetch_indexes, read_stanzas
from homeport.recipe.lock.model import LockedSource
from homeport.recipe.model import Recipe
from homeport.recipe.parts import RunPart, SourceInput


def newer_sources(
    recipe: Recipe,
    part: str,
    sources: Sequence[LockedSource],
    views: Sequence[SuiteView],
    access: ArchiveAccess,
) -> Iterator[Input | Unknown]:
    """One line for each source package that is not the newest, or that cannot be asked about."""
    if not sources:
        return
    try:
        listed = _listed({each.name for each in sources}, views, access)
    except Interrupted:
        raise
    except HomeportError as error:
        yield Unknown(what=f"source packages of the part {part}", why=error.what)
        return
    if listed is None:
        why = "no suite of the recipe lists source packages"
        yield Unknown(what=f"source packages of the part {part}", why=why)
        return
    held = _held(recipe, part)
    for each in sources:
        yield from _judged(each, part, listed.get(each.name, []), held=each.name in held)


def _judged(
    locked: LockedSource, part: str, listed: Sequence[tuple[str, str]], *, held: bool
) -> Iterator[Input]:
    what = f"source package {locked.name}"
    takes = f"the part {part} takes {locked.version}"
    if not listed:
        text = f"is in no suite any more: {takes}"
        yield Input(level="warning", what=what, text=text)
        return
    version, suite = max(listed, key=lambda pair: parse_version(pair[0]))
    if parse_version(version) > parse_version(locked.version):
        text = f"{version} is in {suite}: {takes}"
        if held:
            yield Input(level="note", what=what, text=f"{text}, which the recipe names")
        else:
            yield Input(level="error", what=what, text=text)
    elif parse_version(version) < parse_version(locked.version):
        text = f"{version} is the highest: {takes}, which was withdrawn"
        yield Input(level="warning", what=what, text=text)


def _listed(
    names: set[str], views: Sequence[SuiteView], access: ArchiveAccess
) -> Mapping[str, Sequence[tuple[str, str]]] | None:
    """Source package → its versions, each with its suite; ``None``: no suite has such an index."""
    found: dict[str, list[tuple[str, str]]] = {}
    read = False
    for view in views:
        if view.newest is None:
            continue
        for index, blob in fetch_indexes(view.newest, access):
            read = True
            for name, stanzas in read_stanzas(index, blob, names).items():
                known = found.setdefault(name, [])
                known += [(stanza.get("Version"), view.spec.suite) for stanza in stanzas]
    return found if read else None


def _held(recipe: Recipe, part: str) -> set[str]:
    """The source packages whose version the recipe names."""
    inputs = [
        each
        for own in recipe.parts
        if isinstance(own, RunPart) and own.name == part
        for each in own.inputs
    ]
    return {each.package for each in inputs if isinstance(each, SourceInput) and each.version}
