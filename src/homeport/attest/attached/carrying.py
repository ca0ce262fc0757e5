"""Taking along what is attached to an image: signatures, SBOMs, kits and whatever refers to it.

From a layout this costs no request for what is not there. Not for registries as a source:
``mirror --referrers`` copies those.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from homeport.attest.attached.base import Attached, require_artifact
from homeport.attest.attached.select import RegistryMaker, attached_at, open_attached
from homeport.content.digest import Digest
from homeport.errors import TooLarge
from homeport.images.address import Address, LayoutAddress
from homeport.images.image import Image, open_contents, walk
from homeport.images.platforms import select
from homeport.oci.platform import Platform
from homeport.quantities import counted
from homeport.runtime import Runtime

#: Artifacts of one image; no image has more signatures than that.
MOST = 1000
#: cosign's tags: signatures, attestations, SBOMs.
_ENDINGS = (".sig", ".att", ".sbom")


def carry_image(
    source: LayoutAddress,
    destination: Address,
    platforms: Sequence[Platform] | None,
    registry: RegistryMaker,
    runtime: Runtime,
) -> str:
    """Carry what is attached to the image that was just copied; what was done, in words."""
    with open_attached(source, registry, runtime) as (value, attached):
        subjects = [node.digest for node in walk(select(value, platforms))]
        target = attached_at(destination, registry, runtime)
        if target is not None:
            count = carry(subjects, attached, target)
            return f"{counted(count, 'attached artifact')} copied along" if count else ""
        count = len(_referrers(subjects, attached)) + len(list(_tagged(subjects, attached)))
        if not count:
            return ""
        return f"warning: {counted(count, 'attached artifact')} left out: an archive holds none"


def carry(subjects: Iterable[Digest], source: Attached, destination: Attached) -> int:
    """Write what is attached to ``subjects`` in ``source`` to ``destination``; how much it was.

    What refers to an artifact comes, too. Safe to run again. Raises ``TooLarge`` past ``MOST``.
    """
    wanted = list(subjects)
    artifacts = _referrers(wanted, source)
    if artifacts:
        destination.write_referrers(list(artifacts.values()))
    tagged = list(_tagged([*wanted, *artifacts], source))
    for tag, value in tagged:
        destination.change_tagged(tag, partial(_joined, value))
    return len(artifacts) + len(tagged)


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
        for ending in _ENDINGS:
            tag = f"{subject.algorithm}-{subject.hex}{ending}"
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
