"""Copies of images, compared with what they came from.

``import`` records the upstream's name and digest beside the copy; builders write the same two
annotations for the image that they built on. The upstream may have moved on, be gone, be quiet for
long, or not answer, which is not the same as gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from homeport.content.digest import Digest
from homeport.errors import HomeportError, Interrupted
from homeport.freshness.model import Input, Unknown
from homeport.images.importing import Origin
from homeport.oci.reference import parse_reference

#: An image that was not rebuilt for so long has no security updates either.
_SILENT = timedelta(days=365)
_GONE = frozenset(("not-found", "image-not-found"))


class UpstreamAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked.

    What an image says of its origin is a stranger's word: ``digest_of`` and ``made`` are given
    the image, too, so that it leads to no address inside a network that is not its own.

    origins:   address of an image → what it says of where it came from
    digest_of: the image, an address → the digest that this has now
    made:      the image, an address → when that was made, if it says so
    """

    origins: Callable[[str], Sequence[Origin]]
    digest_of: Callable[[str, str], Digest]
    made: Callable[[str, str], datetime | None]


def moved_upstream(
    image: str, access: UpstreamAccess, today: datetime
) -> Iterator[Input | Unknown]:
    """What became of the images that ``image`` is a copy of, or was built on, by ``today``."""
    try:
        origins = access.origins(image)
    except Interrupted:
        raise
    except HomeportError as error:
        if error.id not in _GONE:  # of the image itself others tell
            yield Unknown(what=f"where {image} came from", why=error.what)
        return
    for origin in origins:
        yield from _judged(image, origin, access, today)


def _judged(
    image: str, origin: Origin, access: UpstreamAccess, today: datetime
) -> Iterator[Input | Unknown]:
    try:
        asked = _asked(origin)
        now = access.digest_of(image, asked)
        if now != origin.digest:
            text = f"moved: the copy is of {origin.digest}, upstream is {now} now"
            yield Input(level="error", what=origin.name, text=text)
            return
        made = access.made(image, asked)
    except Interrupted:
        raise
    except HomeportError as error:
        if error.id in _GONE:
            text = "is gone from its registry: the copy is the only one"
            yield Input(level="warning", what=origin.name, text=text)
        else:
            yield Unknown(what=origin.name, why=error.what)
        return
    if made is not None and today - made > _SILENT:
        years = (today - made).days / 365
        text = f"had no update for {years:.1f} years: its newest image is of {made:%Y-%m-%d}"
        yield Input(level="warning", what=origin.name, text=text)


def _asked(origin: Origin) -> str:
    """The name with its tag; by its digest where no tag was recorded."""
    reference = parse_reference(origin.name, default_tag="")
    return str(reference if reference.tag else reference.at_digest(origin.digest))
