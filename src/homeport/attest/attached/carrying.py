"""Taking along what is attached to an image: signatures, SBOMs, kits and whatever refers to it.

From a layout this costs no request for what is not there; a registry is asked only when the user
asks for it. Not for copies between registries with everything in one push (``images.mirror``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import msgspec

from homeport.attest.attached.archive import add_to_archive
from homeport.attest.attached.base import Attached, require_artifact
from homeport.attest.attached.collecting import legacy_tag
from homeport.attest.attached.layout import LayoutAttached
from homeport.attest.attached.select import (
    NoPlaceForSignatures,
    RegistryMaker,
    attached_at,
    open_attached,
)
from homeport.content.digest import Digest
from homeport.errors import TooLarge
from homeport.images.address import Address, ArchiveAddress, RegistryAddress
from homeport.images.image import Image, open_contents, walk
from homeport.images.platforms import select
from homeport.images.referring import COSIGN_ENDINGS, find_referring
from homeport.images.storage.layout import lists_attached
from homeport.oci.platform import Platform
from homeport.quantities import counted
from homeport.runtime import Runtime

#: Artifacts of one image; no image has more signatures than that.
MOST = 1000


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is attached to an image: artifacts that refer to it, and images under cosign's tags."""

    artifacts: Sequence[Image] = ()
    tagged: Sequence[tuple[str, Image]] = ()

    def __len__(self) -> int:
        return len(self.artifacts) + len(self.tagged)


def carry_image(
    source: Address,
    destination: Address,
    platforms: Sequence[Platform] | None,
    registry: RegistryMaker,
    runtime: Runtime,
) -> str:
    """Carry what is attached to the image that was just copied; what was done, in words."""
    with _found_at(source, platforms, registry, runtime) as found:
        if not len(found):
            return ""
        count = counted(len(found), "attached artifact")
        target = attached_at(destination, registry, runtime)
        if target is not None:
            _write(found, target)
        elif isinstance(destination, ArchiveAddress) and destination.holds_attached:
            add_to_archive(destination, found.artifacts, found.tagged, runtime)
        else:
            return f"warning: {count} left out: {destination} cannot hold any"
        return f"{count} copied along"


def carry(subjects: Iterable[Digest], source: Attached, destination: Attached) -> int:
    """Write what is attached to ``subjects`` in ``source`` to ``destination``; how much it was.

    What refers to an artifact comes, too. Safe to run again. Raises ``TooLarge`` past ``MOST``.
    """
    found = _attached_to(list(subjects), source)
    _write(found, destination)
    return len(found)


@contextmanager
def _found_at(
    source: Address, platforms: Sequence[Platform] | None, registry: RegistryMaker, runtime: Runtime
) -> Iterator[_Found]:
    """What is attached to the image at ``source``, to be read inside the ``with`` block."""
    with ExitStack() as stack:
        try:
            value, attached = stack.enter_context(
                open_attached(source, registry, runtime, archives=True)
            )
        except NoPlaceForSignatures:
            yield _Found()
            return
        subjects = [node.digest for node in walk(select(value, platforms))]
        if isinstance(source, RegistryAddress):
            found = find_referring(registry(source), subjects, runtime)
            yield _Found(
                artifacts=[one for one in found.artifacts if isinstance(one, Image)],
                tagged=[(tag, one) for tag, one in found.tagged if isinstance(one, Image)],
            )
        elif isinstance(attached, LayoutAttached) and lists_attached(attached.files):
            yield _attached_to(subjects, attached)
        else:
            yield _Found()


def attached_to(subjects: Sequence[Digest], source: Attached) -> list[Image]:
    """Everything that is attached to ``subjects``, as ``carry`` takes it along."""
    found = _attached_to(list(subjects), source)
    return [*found.artifacts, *(value for _, value in found.tagged)]


def _attached_to(subjects: list[Digest], source: Attached) -> _Found:
    artifacts = _referrers(subjects, source)
    tagged = list(_tagged([*subjects, *artifacts], source))
    return _Found(artifacts=list(artifacts.values()), tagged=tagged)


def _write(found: _Found, destination: Attached) -> None:
    if found.artifacts:
        destination.write_referrers(found.artifacts)
    for tag, value in found.tagged:
        destination.change_tagged(tag, partial(_joined, value))


def _referrers(subjects: list[Digest], source: Attached) -> dict[Digest, Image]:
    found: dict[Digest, Image] = {}
    pending = list(subjects)
    while pending:
        subject = pending.pop()
        for descriptor in source.referrers(subject):
            value = open_contents(
                source, source.manifest(descriptor), descriptor.media_type, descriptor
            )
            if not isinstance(value, Image) or value.digest in found:
                continue
            named = value.document.parsed.subject
            if named is not None and named.digest == str(subject):
                found[value.digest] = value
                pending.append(value.digest)
                if len(found) > MOST:
                    raise TooLarge(f"more than {MOST} artifacts refer to the image")
    return found


def _tagged(subjects: list[Digest], source: Attached) -> Iterator[tuple[str, Image]]:
    for subject in subjects:
        for ending in COSIGN_ENDINGS:
            tag = legacy_tag(subject, ending)
            found = source.tagged(tag)
            if found is not None:
                opened = open_contents(source, found.raw, found.media_type)
                yield tag, require_artifact(opened, tag)


def _joined(value: Image, current: Image | None) -> Image:
    """What a tag leads to afterwards: signatures that are there are never taken away."""
    if current is None:
        return value
    ours = value.document.parsed.layers
    return value if all(one in ours for one in current.document.parsed.layers) else current
