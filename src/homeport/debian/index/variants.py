"""The sets of packages that a whole Debian system begins with, as mmdebstrap names them.

A set follows from the fields Essential and Priority of one index (mmdebstrap(1), "VARIANTS");
what its packages depend on is the resolver's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from homeport.debian.architecture import ALL
from homeport.debian.index.index import MergedIndex
from homeport.debian.index.table import stanzas_of, whole_stanzas

#: Variant → priorities whose packages it has, and packages that it names. All have the
#: Essential packages.
VARIANTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "essential": ((), ()),
    "apt": ((), ("apt",)),
    "required": (("required",), ("apt",)),
    "minbase": (("required",), ("apt",)),
    "buildd": (("required",), ("apt", "build-essential")),
    "important": (("required", "important"), ("apt",)),
    "debootstrap": (("required", "important"), ("apt",)),
    "standard": (("required", "important", "standard"), ("apt",)),
}
_BLOCK = 4 << 20
_WORTH_READING = re.compile(rb"\n(?:Essential: yes|Priority: (?:required|important|standard))\n")


def variant_packages(index: MergedIndex, variant: str, archive: str, suite: str) -> tuple[str, ...]:
    """Names of the packages of ``variant``, by the fields in the index of one suite, sorted."""
    priorities, named = VARIANTS[variant]
    found = set(named)
    for part in index.parts:
        if (part.archive, part.suite) != (archive, suite):
            continue
        with part.packed.open_text() as text:
            for block in whole_stanzas(iter(lambda: text.read(_BLOCK), b"")):
                if not _WORTH_READING.search(block):
                    continue
                for name, stanza in stanzas_of(block):
                    if _belongs(stanza + b"\n", priorities, index.architecture):
                        found.add(name.decode())
    return tuple(sorted(found))


def _belongs(stanza: bytes, priorities: tuple[str, ...], architecture: str) -> bool:
    if not _WORTH_READING.search(stanza):
        return False
    essential = b"\nEssential: yes\n" in stanza
    chosen = any(b"\nPriority: %s\n" % name.encode() in stanza for name in priorities)
    return (essential or chosen) and any(
        b"\nArchitecture: %s\n" % name.encode() in stanza for name in (architecture, ALL)
    )
