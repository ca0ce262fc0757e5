"""The architecture of Debian for the platform of an image.

The table is Debian's (``debian.architecture``).
"""

from __future__ import annotations

from homeport.debian.architecture import ARCHITECTURE_OF
from homeport.errors import UsageError
from homeport.oci.platform import Platform


def debian_architecture(platform: Platform) -> str:
    """The Debian architecture whose packages run on ``platform``; ``UsageError`` if none does."""
    wanted = platform.normalized()
    found = ARCHITECTURE_OF.get(str(wanted))
    if found is None and wanted.architecture in ("amd64", "arm64"):
        # Later variants (amd64/v3, arm64/v9) run what the first one runs.
        found = ARCHITECTURE_OF.get(f"{wanted.os}/{wanted.architecture}")
    if found is None:
        hint = "supported: " + ", ".join(ARCHITECTURE_OF)
        if wanted.architecture == "arm":
            # armel is built for ARMv5T: it runs on v6, but claims no more than its files need.
            hint = "Debian has armhf for linux/arm/v7 and armel for linux/arm/v5"
        raise UsageError(f"Debian has no architecture for the platform {platform}", hint=hint)
    return found
