"""``--tag``: the tags of destinations that name none, for every command that writes images.

A layout takes any number of tags, an archive one name. A tag that no destination can keep is an
error. Not for tags of registries (``registry``), which an address names itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from homeport.errors import UsageError
from homeport.images.address import Address, ArchiveAddress, LayoutAddress

#: A tag as the distribution specification has it.
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def check_tags(outputs: Sequence[Address], tags: Sequence[str], *, used_otherwise: bool) -> None:
    """Raise ``UsageError`` for a tag that would have no effect.

    used_otherwise: the image is loaded or pushed under it, too
    """
    if used_otherwise:
        return
    without = [each for each in outputs if isinstance(each, LayoutAddress | ArchiveAddress)
               and each.tag == ""]  # fmt: skip
    named = any(map(is_docker_archive, without))
    for tag in tags:
        if not without:
            raise UsageError(
                f"--tag {tag}: no output takes it",
                hint=f"add --push or --load, an output without a tag, such as -o oci:DIR,"
                f" or leave out --tag {tag}",
            )
        if "/" in tag and not named:
            raise UsageError(
                f"--tag {tag}: layouts and archives of OCI keep a tag, not a name",
                hint=f"to push it, add -o docker://{tag}; to keep its tag, write"
                f" --tag {tag.rpartition(':')[2]}",
            )


def tagged(
    output: Address, tags: Sequence[str], name_of: Callable[[str], str]
) -> Sequence[Address]:
    """A destination with each of the tags, if it has none; ``name_of`` makes a name of a tag."""
    match output:
        case LayoutAddress(tag=""):
            return [msgspec.structs.replace(output, tag=_short_tag(tag)) for tag in tags]
        case ArchiveAddress(tag=""):
            if len(tags) > 1:
                raise UsageError(
                    f"{output} holds one image under one name, but there are {len(tags)} tags",
                    hint=f"write {output}:TAG, or use oci:DIR",
                )
            name = name_of if is_docker_archive(output) else _short_tag
            return [msgspec.structs.replace(output, tag=name(tags[0]))]
        case _:
            return [output]


def is_docker_archive(output: Address) -> bool:
    return isinstance(output, ArchiveAddress) and output.format == "docker-archive"


def _short_tag(tag: str) -> str:
    """The part of ``NAME:TAG`` that is a tag."""
    short = tag.rpartition(":")[2]
    if not _TAG.fullmatch(short):
        raise UsageError(
            f"invalid tag {tag!r}",
            hint="use up to 128 letters, digits, _ . and -; the first is not . or -",
        )
    return short
