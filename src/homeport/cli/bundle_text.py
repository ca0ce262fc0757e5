"""What commands about bundles say of what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeport.printable import printable
from homeport.quantities import human_size

if TYPE_CHECKING:
    from homeport.bundling.model import BundledSources, ListResult, LoadResult

_CONTENTS = {
    "verified": "contents as {} signed them",
    "unverified": "contents as listed, signature not verified",
    "none": "no list of contents",
}


def contents_text(result: ListResult | LoadResult) -> str:
    """The verdict on the list of contents."""
    return _CONTENTS[result.contents].format(" and ".join(map(printable, result.signers)))


def sources_text(sources: BundledSources | None) -> str:
    """How many source packages, how large, and the verdict on them."""
    if sources is None:
        return "none"
    text = f"{sources.packages}, {human_size(sources.size)}"
    if sources.verdict:
        return f"{text}, {printable(sources.verdict)}"
    return f"{text}, {len(sources.missing)} missing" if sources.missing else text
