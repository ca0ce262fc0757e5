"""Which images a mirror run copies: pairs of addresses."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from homeport.errors import UsageError
from homeport.images.address import RegistryAddress, parse_destination, parse_source
from homeport.images.mirror import MirrorPair
from homeport.oci.platform import Platform
from homeport.oci.reference import Reference, parse_reference


def pair_of(
    source: str, destination: str, platforms: Sequence[Platform] | None, referrers: bool
) -> MirrorPair:
    """The pair that two addresses name. Raises ``UsageError``."""
    target = parse_destination(destination)
    if not isinstance(target, RegistryAddress):
        raise UsageError(
            f"mirror writes to a registry only, not to {destination}",
            hint=f"homeport pull {shlex.quote(source)} {shlex.quote(destination)}",
        )
    return MirrorPair(
        source=parse_source(source), destination=target, platforms=platforms, referrers=referrers
    )


def repository_reference(source: str) -> Reference:
    """The repository whose tags are copied. Raises ``UsageError`` if it has a tag or digest."""
    reference = parse_reference(source.removeprefix("docker://"), default_tag="")
    if reference.tag or reference.digest:
        raise UsageError(
            "SOURCE has a tag or digest, which --tags and --all-tags do not allow",
            hint=f"give the repository, {reference.name}",
        )
    return reference
