"""Inputs of a recipe besides packages: images named by digest whose tag moved, ended or is gone.

One question to the registry for each image, without its document. A registry that refuses or
limits answers is not one that has lost the image.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from homeport.content.digest import Digest
from homeport.errors import HomeportError
from homeport.freshness.model import Input, Level, Unknown
from homeport.images.address import RegistryAddress, parse_source
from homeport.recipe.entries import ImageFiles
from homeport.recipe.model import Recipe
from homeport.recipe.parts import ImageInput, RunPart

TagsOf = Callable[[str], Sequence[str]]
DigestOf = Callable[[str], Digest]
#: ``v1.2.3-slim``: a prefix, numbers, and what must stay the same.
_VERSION = re.compile(r"(v?)([0-9]+(?:\.[0-9]+)*)((?:[-_][A-Za-z0-9][A-Za-z0-9._-]*)?)")
#: A number of so many digits is a date or a build, not a version.
_DATE_DIGITS = 8
#: What a registry says of something that it does not have.
_GONE = frozenset(("not-found", "image-not-found"))


def named_images(recipe: Recipe) -> dict[str, Digest]:
    """The images that a recipe takes files of, with the digests that it names."""
    found = {f.image: f.digest for f in recipe.files if isinstance(f, ImageFiles)}
    for part in recipe.parts:
        if isinstance(part, RunPart):
            found |= {i.image: i.digest for i in part.inputs if isinstance(i, ImageInput)}
    return found


def moved_images(
    recipe: Recipe, digest_of: DigestOf, tags_of: TagsOf | None = None
) -> Iterator[Input | Unknown]:
    """One line for each image that is not as the recipe has it, or cannot be asked about.

    tags_of: to look for newer versions too
    """
    for image, digest in named_images(recipe).items():
        address = parse_source(image)
        if not isinstance(address, RegistryAddress):
            continue
        reference = address.reference
        asked = (
            f"{reference.name}:{reference.tag}" if reference.tag else f"{reference.name}@{digest}"
        )
        try:
            now = digest_of(asked)
        except HomeportError as error:
            if error.id in _GONE:
                text = "is gone from its registry: a copy at home is the only one"
                yield Input(level="warning", what=asked, text=text)
            else:
                yield Unknown(what=asked, why=error.what)
            continue
        if tags_of is not None and reference.tag:
            yield from _newer_tags(reference.name, reference.tag, tags_of)
        if now != digest:
            text = f"moved: the recipe names {digest}, the tag is {now} now"
            yield Input(level="error", what=asked, text=text)


def newer_tag(tag: str, tags: Sequence[str]) -> tuple[str, bool] | None:
    """The highest newer version of the same form, and whether it is a patch: only the last
    of three numbers or more differs.

    The form is prefix, count of numbers and suffix: ``3.13-slim`` is not updated by ``3.14``, nor
    ``1.2`` by ``20260101``, nor a release by a prerelease.
    """
    current = _version(tag)
    if current is None:
        return None
    form, numbers = current
    found = [(other[1], name) for name in tags if (other := _version(name)) and other[0] == form]
    best = max(found, default=(numbers, tag))
    if best[0] <= numbers:
        return None
    patches = [each for each in found if each[0][:-1] == numbers[:-1] and each[0] > numbers]
    if patches and len(numbers) > 2:
        return max(patches)[1], True
    return best[1], False


def _version(tag: str) -> tuple[tuple[object, ...], tuple[int, ...]] | None:
    match = _VERSION.fullmatch(tag)
    if match is None:
        return None
    words = match[2].split(".")
    dated = tuple(len(word) >= _DATE_DIGITS for word in words)
    return (match[1], dated, match[3]), tuple(map(int, words))


def _newer_tags(name: str, tag: str, tags_of: TagsOf) -> Iterator[Input | Unknown]:
    try:
        newer = newer_tag(tag, tags_of(name))
    except HomeportError as error:
        yield Unknown(what=f"the tags of {name}", why=error.what)
        return
    if newer is not None:
        level: Level = "error" if newer[1] else "note"
        yield Input(level=level, what=f"{name}:{tag}", text=f"{newer[0]} is newer")
