"""Copying an image from one address to another.

What is not changed is sent as it was received. Not for building or changing images.
"""

from __future__ import annotations

from collections.abc import Sequence

from homeport.errors import HomeportError
from homeport.images.platforms import select
from homeport.images.transports.base import Destination, Source, Written
from homeport.oci.platform import Platform
from homeport.runtime import Runtime


def copy(
    source: Source,
    destination: Destination,
    runtime: Runtime,
    *,
    platforms: Sequence[Platform] | None = None,
) -> Written:
    """Copy the image at ``source`` to ``destination``; ``platforms`` as for ``select``.

    Every manifest and blob is verified on its way. Safe to run again after any failure.
    """
    try:
        with source.open(runtime) as value:
            return destination.write(select(value, platforms), runtime)
    except HomeportError as error:
        error.at(source=str(source.address), destination=str(destination.address))
        raise
