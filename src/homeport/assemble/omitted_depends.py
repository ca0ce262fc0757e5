"""What packages of an image declare to depend on, and the image does not have.

Slices need less than their package declares, and a recipe may leave a dependency out. That is
no fault; only the build report lists it (the lockfile, the status database
and SBOMs list what is in the image).
"""

from __future__ import annotations

from collections.abc import Iterable

from homeport.debian.deb.contents import PackageContents
from homeport.debian.deb822 import parse_paragraph
from homeport.debian.relations import (
    Alternatives,
    parse_dependencies,
    parse_relations,
    show,
)

_FIELDS = ("Pre-Depends", "Depends")


def omitted_depends(packages: Iterable[PackageContents]) -> tuple[str, ...]:
    """``PACKAGE: ALTERNATIVES`` for every dependency that no package of the image fulfils by name.

    Versions are not compared: locking did that for what it followed.
    """
    fields = {each.id.name: parse_paragraph(each.control) for each in packages}
    there = set(fields)
    for paragraph in fields.values():
        there.update(relation.name for relation in parse_relations(paragraph.get("Provides", "")))
    return tuple(
        f"{name}: {show(group)}"
        for name, paragraph in fields.items()
        for field in _FIELDS
        for group in parse_dependencies(paragraph.get(field, ""))
        if not _fulfilled(group, there)
    )


def _fulfilled(group: Alternatives, there: set[str]) -> bool:
    return any(relation.name in there for relation in group)
