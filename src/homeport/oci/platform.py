"""Platforms as OCI image indexes name them, and how people write them.

Rules: OCI image specification "image-index", field ``platform``; normalisation as in
containerd's platforms package. Not for Debian's names (``homeport.recipe`` maps them).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from homeport.errors import UsageError
from homeport.printable import printable

_ALIASES = {
    "x86_64": "amd64", "x86-64": "amd64", "i386": "386", "i486": "386", "i586": "386",
    "i686": "386", "aarch64": "arm64", "armhf": "arm/v7", "armel": "arm/v6", "armv7l": "arm/v7",
    "armv6l": "arm/v6", "ppc64el": "ppc64le",
}  # fmt: skip
_ARCHITECTURES = {
    "386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x",
    *_ALIASES,
}  # fmt: skip
_DEFAULT_VARIANT = {"arm": "v7"}
#: Variants from the oldest on: a machine runs what was made for an older one, too (containerd,
#: platforms/compare.go). The empty one of amd64 is v1.
_LADDERS = {"arm": ("v5", "v6", "v7", "v8"), "amd64": ("", "v2", "v3", "v4")}
_DROPPED_VARIANT = {("arm64", "v8"), ("amd64", "v1"), ("arm64", "8")}
_PART = r"[A-Za-z0-9_.-]+"
_DETAIL = rf"(?=[^)])(?P<version>{_PART})?(?P<features>(?:\+{_PART})*)"
_WRITTEN = rf"(?P<parts>{_PART}(?:/{_PART}){{0,2}})(?::{_DETAIL})?"
#: As containerd writes it.
_CONTAINERD = rf"(?P<os>{_PART})\({_DETAIL}\)(?P<rest>(?:/{_PART}){{1,2}})"


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
        parts = (self.os, self.architecture, self.variant)
        detail = "".join((self.os_version, *(f"+{feature}" for feature in self.os_features)))
        text = "/".join(part for part in parts if part) + (f":{detail}" if detail else "")
        return text if re.fullmatch(_WRITTEN, text) else printable(text)

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

    def also_runs(self) -> Iterator[Platform]:
        """Older variants of its processor, the newest first: this machine runs their images."""
        mine = self.normalized()
        ladder = _LADDERS.get(mine.architecture, ())
        if mine.variant in ladder:
            for variant in reversed(ladder[: ladder.index(mine.variant)]):
                yield msgspec.structs.replace(mine, variant=variant)

    def satisfies(self, wanted: Platform) -> bool:
        """Whether an image for this platform is what ``wanted`` means.

        The version of ``wanted`` may be shorter: ``10.0.20348`` includes ``10.0.20348.2582``.
        """
        mine, other = self.normalized(), wanted.normalized()
        version = f"{mine.os_version}.".startswith(f"{other.os_version}.")
        return (
            (mine.os, mine.architecture, mine.variant)
            == (other.os, other.architecture, other.variant)
            and (not other.os_version or version)
            and set(other.os_features) <= set(mine.os_features)
        )


#: The platform of attestations in an index: of no machine.
UNKNOWN = Platform(os="unknown", architecture="unknown")


def parse_platform(text: str) -> Platform:
    """Read ``linux/arm/v7``, ``linux/arm64`` or just ``arm64`` (then of linux), normalised.

    A version and features of the system follow a colon, ``windows/amd64:10.0.20348+win32k``, or are
    written as containerd does, ``windows(10.0.20348+win32k)/amd64``. Raises ``UsageError``.
    """
    written = text.strip()
    found = re.fullmatch(_WRITTEN, written)
    if other := re.fullmatch(_CONTAINERD, written):
        found, parts = other, (other["os"] + other["rest"]).split("/")
    elif found is not None:
        parts = found["parts"].split("/")
    if found is None:
        raise UsageError(
            f"invalid platform {text!r}",
            hint="write it like linux/amd64, linux/arm/v7 or windows/amd64:10.0.20348",
        )
    if len(parts) == 1 or parts[0].lower() in _ARCHITECTURES:  # as containerd: arm/v7 is linux
        parts = ["linux", *parts]
    fields: dict[str, Any] = dict(zip(("os", "architecture", "variant"), parts, strict=False))
    features = tuple((found["features"] or "").split("+")[1:])
    return Platform(**fields, os_version=found["version"] or "", os_features=features).normalized()


def parse_platforms(texts: Sequence[str]) -> list[Platform] | None:
    """Platforms separated by commas, ``native`` for this machine's; ``None`` for all.

    All is meant where there is no word, or one of them is ``all``. Raises ``UsageError``.
    """
    words = [word.strip() for text in texts for word in text.split(",")]
    if "" in words:  # a variable that is not set, say: not all
        raise UsageError(
            f"empty platform in {','.join(texts)!r}",
            hint="write --platform linux/arm64,linux/amd64, all or native",
        )
    if not words or "all" in words:
        return None
    found = [native_platform() if word == "native" else parse_platform(word) for word in words]
    return list(dict.fromkeys(found))


def native_platform() -> Platform:
    """The linux platform of this machine's processor: what a local engine would run."""
    return Platform(os="linux", architecture=os.uname().machine or "amd64").normalized()
