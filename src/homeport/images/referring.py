"""What refers to images of a registry: referrers, theirs too, and what is under cosign's tags.

What a registry lists wrongly or does not let us see is left out and named. Not for what is
attached to images in layouts (``homeport.attest.attached``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from homeport.content.digest import Digest
from homeport.errors import HomeportError, TooLarge
from homeport.images.image import Image, Index, Missing, open_descriptor
from homeport.images.transports.registry import Contents, RegistryTransport
from homeport.oci.documents import BadDocument, Descriptor
from homeport.registry.errors import Denied, NotFound, RegistryError
from homeport.registry.referrers import fallback_tag
from homeport.registry.sources import RepositorySources
from homeport.runtime import Runtime

#: How far referrers of referrers are followed, and how many there may be in all.
DEPTH_LIMIT = 8
COUNT_LIMIT = 2000
_Report = Callable[[str], None]
#: cosign's tags after the digest: signatures, attestations, SBOMs.
COSIGN_ENDINGS = (".sig", ".att", ".sbom")
_DIGEST_TAG = re.compile(r"(sha256|sha512)-([0-9a-f]{64,128})\.[A-Za-z0-9._-]+")


class Referring(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    artifacts: what says that it refers to an image or to one of these, in an order in which
               each comes after what it refers to
    tagged:    what is under cosign's tags of the images and artifacts, with its tag
    """

    artifacts: Sequence[Image | Index] = ()
    tagged: Sequence[tuple[str, Image | Index]] = ()


def find_referring(
    source: RegistryTransport, subjects: Iterable[Digest], runtime: Runtime
) -> Referring:
    """Everything in the source's repository that belongs to the images ``subjects``.

    What the registry denies is named in the progress. Raises ``TooLarge``, ``RegistryError``.
    """

    def report(text: str) -> None:
        runtime.progress.note("referrers", f"warning: {text}")

    contents = Contents(source.sources, runtime)
    collector = _Collector(source.sources, contents, report)
    wanted = list(subjects)
    for digest in wanted:
        collector.collect(digest)
    digests = {*wanted, *collector.found}
    return Referring(
        artifacts=tuple(collector.found.values()),
        tagged=tuple(_tagged(source.sources, contents, digests, report)),
    )


class _Collector:
    """Finds the referrers of images, theirs too; what is referred to before what refers to it."""

    def __init__(self, origin: RepositorySources, contents: Contents, report: _Report) -> None:
        self._origin = origin
        self._contents = contents
        self._report = report
        self.found: dict[Digest, Image | Index] = {}

    def collect(self, subject: Digest, depth: int = 0) -> None:
        if depth > DEPTH_LIMIT:
            raise TooLarge(f"referrers refer to referrers more than {DEPTH_LIMIT} deep")
        for one in self._origin.referrers(subject, report=self._report):
            try:
                value = _open(self._contents, one)
            except (BadDocument, Missing) as error:
                self._report(f"the referrer {one.digest} is not copied: {error.what}")
                continue
            if value.digest in self.found:
                continue
            self.found[value.digest] = value
            if len(self.found) > COUNT_LIMIT:
                raise TooLarge(f"more than {COUNT_LIMIT} referrers")
            self.collect(value.digest, depth + 1)


def _signature_tags(
    origin: RepositorySources, digests: set[Digest], report: _Report
) -> Iterator[str]:
    """The tags that cosign gives to what belongs to a digest; by name where no list is given."""
    names = {fallback_tag(digest) for digest in digests}
    try:
        tags = origin.tags()
    except RegistryError as error:
        if error.status not in (401, 403, 404, 405):
            raise
        report(f"the registry lists no tags ({error.status}): only cosign's usual tags are tried")
        yield from (name + ending for name in sorted(names) for ending in COSIGN_ENDINGS)
        return
    for tag in tags:
        match = _DIGEST_TAG.fullmatch(tag)
        if match is not None and f"{match[1]}-{match[2]}" in names:
            yield tag


def _open(contents: Contents, descriptor: Descriptor) -> Image | Index:
    try:
        return open_descriptor(contents, descriptor)
    except HomeportError as error:
        raise error.at(referrer=descriptor.digest)  # noqa: B904  the same error, with its place


def _tagged(
    origin: RepositorySources, contents: Contents, digests: set[Digest], report: _Report
) -> Iterator[tuple[str, Image | Index]]:
    """Images under cosign's tags of one of the digests."""
    for tag in _signature_tags(origin, digests, report):
        try:
            found = origin.manifest(tag, suggest=False)
        except (NotFound, Denied):
            continue  # a tag that was tried by its name
        descriptor = Descriptor(
            media_type=found.media_type, digest=str(found.digest), size=len(found.raw)
        )
        yield tag, _open(contents, descriptor)
