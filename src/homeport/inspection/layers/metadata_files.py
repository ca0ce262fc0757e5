"""Which contents are stored when a layer is listed: package databases, os-release and others.

They are small files that every inspection needs, so that no layer is decompressed twice for
them. Chosen by path only, since other layers are not known yet; whether a file is still in the
final tree is decided by ``history``.
"""

from __future__ import annotations

import re

MAX_FILE = 128 << 20
MAX_TOTAL = 512 << 20

_EXACT = frozenset(
    {
        b"etc/os-release", b"usr/lib/os-release", b"etc/debian_version", b"etc/alpine-release",
        b"etc/lsb-release", b"etc/redhat-release", b"etc/passwd", b"etc/group",
        b"var/lib/dpkg/status", b"lib/apk/db/installed", b"usr/lib/apk/db/installed",
        b"var/lib/dpkg/diversions", b"var/lib/rpmmanifest/container-manifest-2",
        b"etc/ld.so.conf", b"usr/lib/opkg/status",
    }
)  # fmt: skip
_PATTERN = re.compile(
    rb"var/lib/dpkg/status\.d/[^/]+"
    rb"|var/lib/dpkg/info/[^/]+\.(?:list|md5sums)"
    rb"|(?:var/lib/rpm|usr/lib/sysimage/rpm|usr/share/rpm)/(?:rpmdb\.sqlite(?:-wal)?|Packages\.db|Packages)"
    rb"|(?:.*/)?[^/]+\.(?:dist|egg)-info/(?:METADATA|PKG-INFO|direct_url\.json)"
    rb"|(?:.*/)?[^/]+\.egg-info"
    rb"|(?:.*/)?node_modules/(?:@[^/]+/)?[^/]+/package\.json"
    rb"|etc/ld\.so\.conf\.d/[^/]+\.conf"
    rb"|(?:usr/)?lib(?:/[^/]+)?/ld-musl-[^/]+\.so\.1"
    rb"|var/lib/pacman/local/[^/]+/desc"
)
#: The last four bytes of all those names: a quick test that rejects nearly every other name.
_LAST = frozenset(
    b"ease sion sswd roup atus lled ions st-2 conf list sums lite -wal s.db ages DATA INFO json"
    b" info so.1 desc".split()
)  # fmt: skip
_STATUS_D = b"var/lib/dpkg/status.d/"


def is_metadata_file(path: bytes, size: int) -> bool:
    """Whether the content of a file with this path and size is stored."""
    if path[-4:] not in _LAST and not path.startswith(_STATUS_D):
        return False
    return size <= MAX_FILE and (path in _EXACT or _PATTERN.fullmatch(path) is not None)
