"""Inputs of a recipe besides packages: images, files of web servers and commits that it names.

Each is named by its digest or hash in the recipe, so nothing changes unasked; here is asked what
its tag, address or branch has now. One question for each, without its content where that
suffices. A server that refuses or limits answers is not one that has lost it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from homeport.content.digest import Digest
from homeport.errors import HomeportError, Interrupted
from homeport.freshness.git_refs import RefsOf, moved_commit
from homeport.freshness.model import Input, Level, Unknown
from homeport.freshness.newer_tags import newer_tag
from homeport.freshness.upstreams import UpstreamAccess, moved_upstream
from homeport.freshness.web_files import DigestOfUrl, moved_file
from homeport.images.address import RegistryAddress, parse_source
from homeport.recipe.entries import ImageFiles
from homeport.recipe.model import Recipe
from homeport.recipe.parts import GitInput, ImageInput, RunPart, UrlInput

TagsOf = Callable[[str], Sequence[str]]
DigestOf = Callable[[str], Digest]
#: What a registry says of something that it does not have.
_GONE = frozenset(("not-found", "image-not-found"))


class InputAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask about inputs; ``None``: no one is asked.

    tags_of:   for newer versions of images
    upstreams: for what copies of images came from
    """

    digest_of: DigestOf
    tags_of: TagsOf | None = None
    upstreams: UpstreamAccess | None = None
    refs_of: RefsOf | None = None
    digest_of_url: DigestOfUrl | None = None


def moved_inputs(recipe: Recipe, access: InputAccess, today: datetime) -> Iterator[Input | Unknown]:
    """One line for each input that is not as the recipe has it, or cannot be asked about."""
    yield from moved_images(recipe, access.digest_of, access.tags_of)
    if access.upstreams is not None:
        for image, digest in named_images(recipe).items():
            address = parse_source(image)
            if isinstance(address, RegistryAddress):
                copy = f"{address.reference.name}@{digest}"
                yield from moved_upstream(copy, access.upstreams, today)
    for each in dict.fromkeys(_run_inputs(recipe.parts)):
        if isinstance(each, GitInput) and access.refs_of is not None:
            yield from moved_commit(each, access.refs_of)
        elif isinstance(each, UrlInput) and access.digest_of_url is not None:
            yield from moved_file(each, access.digest_of_url)


def _run_inputs(parts: Iterable[object]) -> Iterator[object]:
    for part in parts:
        if isinstance(part, RunPart):
            yield from part.inputs


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
        except Interrupted:
            raise
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


def _newer_tags(name: str, tag: str, tags_of: TagsOf) -> Iterator[Input | Unknown]:
    try:
        newer = newer_tag(tag, tags_of(name))
    except Interrupted:
        raise
    except HomeportError as error:
        yield Unknown(what=f"the tags of {name}", why=error.what)
        return
    if newer is not None:
        level: Level = "error" if newer[1] else "note"
        yield Input(level=level, what=f"{name}:{tag}", text=f"{newer[0]} is newer")
