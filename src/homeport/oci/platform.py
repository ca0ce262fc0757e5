"""Platforms as OCI image indexes name them, and how people write them.

Rules: OCI image specification "image-index", field ``platform``; normalisation as in
containerd's platforms package. Not for Debian's names (``homeport.recipe`` maps them).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from homeport.errors import UsageError
from homeport.printable import printable

_ALIASES = {
    "x86_64": "amd64", "x86-64": "amd64", "i386": "386", "i486": "386", "i586": "386",
    "i686": "386", "aarch64": "arm64", "armhf": "arm/v7", "armel": "arm/v6", "armv7l": "arm/v7",
    "armv6l": "arm/v6", "ppc64el": "ppc64le",
}  # fmt: skip
_DEFAULT_VARIANT = {"arm": "v7"}
_DROPPED_VARIANT = {("arm64", "v8"), ("amd64", "v1"), ("arm64", "8")}
_PART = r"[A-Za-z0-9_.-]+"


class Platform(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, order=True, rename={
        "os_version": "os.version", "os_features": "os.features",
    }
):  # fmt: skip
    """One platform of an index. ``str()`` gives the form that ``--platform`` takes."""

    architecture: str
    os: str
    os_version: str = ""
    os_features: tuple[str, ...] = ()
    variant: str = ""

    def __str__(self) -> str:
        parts = [part for part in (self.os, self.architecture, self.variant) if part]
        return "/".join(part if re.fullmatch(_PART, part) else printable(part) for part in parts)

    def normalized(self) -> Platform:
        """Aliases resolved, a default variant added or dropped: one spelling per platform."""
        architecture, variant = self.architecture.lower(), self.variant.lower()
        if architecture in _ALIASES:
            architecture, _, implied = _ALIASES[architecture].partition("/")
            variant = variant or implied
        if variant.isdigit():
            variant = f"v{variant}"
        if (architecture, variant) in _DROPPED_VARIANT:
            variant = ""
        variant = variant or _DEFAULT_VARIANT.get(architecture, "")
        return msgspec.structs.replace(
            self, os=self.os.lower(), architecture=architecture, variant=variant
        )

    def satisfies(self, wanted: Platform) -> bool:
        """Whether an image for this platform is what ``wanted`` means."""
        mine, other = self.normalized(), wanted.normalized()
        return (mine.os, mine.architecture, mine.variant) == (
            other.os, other.architecture, other.variant,
        ) and (not other.os_version or mine.os_version == other.os_version)  # fmt: skip


#: The platform of attestations in an index: of no machine.
UNKNOWN = Platform(os="unknown", architecture="unknown")


def parse_platform(text: str) -> Platform:
    """Read ``linux/arm/v7``, ``linux/arm64`` or just ``arm64`` (then of linux), normalised.

    Raises ``UsageError``.
    """
    parts = text.strip().split("/")
    if not 1 <= len(parts) <= 3 or not all(re.fullmatch(_PART, part) for part in parts):
        raise UsageError(
            f"invalid platform {text!r}", hint="write it like linux/amd64 or linux/arm/v7"
        )
    if len(parts) == 1:
        parts = ["linux", *parts]
    fields: dict[str, Any] = dict(zip(("os", "architecture", "variant"), parts, strict=False))
    return Platform(**fields).normalized()


def parse_platforms(texts: Sequence[str]) -> list[Platform] | None:
    """Platforms separated by commas, ``native`` for this machine's; ``None`` for all.

    All is meant where there is no word, or one of them is ``all``. Raises ``UsageError``.
    """
    words = [word for text in texts for word in text.split(",") if word.strip()]
    if not words or "all" in words:
        return None
    found = [native_platform() if word == "native" else parse_platform(word) for word in words]
    return list(dict.fromkeys(found))


def native_platform() -> Platform:
    """The linux platform of this machine's processor: what a local engine would run."""
    return Platform(os="linux", architecture=os.uname().machine or "amd64").normalized()
