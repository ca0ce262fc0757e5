"""Inputs of a recipe besides packages: images named by digest whose tag moved, ended or is gone.

One question to the registry for each image, without its document. A registry that refuses or
limits answers is not one that has lost the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from homeport.content.digest import Digest
from homeport.errors import HomeportError
from homeport.freshness.model import Input, Unknown
from homeport.images.address import RegistryAddress, parse_source
from homeport.recipe.entries import ImageFiles
from homeport.recipe.model import Recipe
from homeport.recipe.parts import ImageInput, RunPart

DigestOf = Callable[[str], Digest]
#: What a registry says of something that it does not have.
_GONE = frozenset(("not-found", "image-not-found"))


def named_images(recipe: Recipe) -> dict[str, Digest]:
    """The images that a recipe takes files of, with the digests that it names."""
    found = {f.image: f.digest for f in recipe.files if isinstance(f, ImageFiles)}
    for part in recipe.parts:
        if isinstance(part, RunPart):
            found |= {i.image: i.digest for i in part.inputs if isinstance(i, ImageInput)}
    return found


def moved_images(recipe: Recipe, digest_of: DigestOf) -> Iterator[Input | Unknown]:
    """One line for each image that is not as the recipe has it, or cannot be asked about."""
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
        if now != digest:
            text = f"moved: the recipe names {digest}, the tag is {now} now"
            yield Input(level="error", what=asked, text=text)
