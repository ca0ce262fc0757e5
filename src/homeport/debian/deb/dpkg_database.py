"""The database of dpkg itself: /var/lib/dpkg/status and info, for images in which dpkg works.

As dpkg writes it when it has unpacked and configured a package (dpkg(1), deb-postinst(5),
deb-triggers(5)); lists name only files that the image really has. Not for images without
dpkg: ``debian.deb.status``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from homeport.content.blob import verified
from homeport.debian.deb.contents import PackageContents
from homeport.debian.deb.status import md5sums

DATABASE = b"var/lib/dpkg"
INFO = DATABASE + b"/info/"
_STATUS = DATABASE + b"/status"
_TRIGGERS = DATABASE + b"/triggers/"
#: Control files that dpkg does not keep in info, or that are written here another way.
_NOT_KEPT = ("control", "md5sums", "list")
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")
_MD5_CHUNK = 1 << 20


class InstalledPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package of the image. kept: path in the package → path in the image."""

    contents: PackageContents
    kept: Mapping[bytes, bytes]

    @property
    def info_name(self) -> bytes:
        """As the files in info are called: with the architecture, if several may be installed."""
        found = self.contents.id
        same = b"\nMulti-Arch: same" in b"\n" + self.contents.control
        return f"{found.name}:{found.architecture}".encode() if same else found.name.encode()


def dpkg_files(
    packages: Iterable[InstalledPackage], architecture: str
) -> Iterator[tuple[bytes, bytes, int]]:
    """Path, content and mode of every file but alternatives, diversions and overrides."""
    stanzas: list[bytes] = []
    interests: dict[bytes, list[bytes]] = {}
    for package in packages:
        stanzas.append(_stanza(package))
        yield from _info(package)
        for trigger, line in _interests(package):
            interests.setdefault(trigger, []).append(line)
    yield _STATUS, b"\n".join(stanzas), 0o644
    yield INFO + b"format", b"1\n", 0o644
    for name in (b"arch", b"arch-native"):
        yield DATABASE + b"/" + name, architecture.encode() + b"\n", 0o644
    yield DATABASE + b"/available", b"", 0o644
    yield _TRIGGERS + b"Unincorp", b"", 0o644
    for name, lines in sorted(interests.items()):
        yield _TRIGGERS + name, b"".join(lines), 0o644


def _stanza(package: InstalledPackage) -> bytes:
    """The control file with the fields that dpkg adds (dpkg-query(1))."""
    contents = package.contents
    first, _, rest = contents.control.strip(b"\n").partition(b"\n")
    lines = [first, b"Status: install ok installed", rest]
    sums = [
        b" /%s %s" % (path, _md5(contents, path)) for path in contents.conffiles
        if path in package.kept
    ]  # fmt: skip
    if sums:
        lines += [b"Conffiles:", *sums]
    return b"\n".join(line for line in lines if line) + b"\n"


def _md5(contents: PackageContents, path: bytes) -> bytes:
    blob = contents.blobs.get(path)
    hasher = hashlib.md5(usedforsecurity=False)
    if blob is not None:
        with verified(blob, "a configuration file") as stream:
            while data := stream.read(_MD5_CHUNK):
                hasher.update(data)
    return hasher.hexdigest().encode()


def _info(package: InstalledPackage) -> Iterator[tuple[bytes, bytes, int]]:
    contents, name = package.contents, package.info_name
    paths = b"".join(b"/%s\n" % path for path in contents.entries if path in package.kept)
    yield INFO + name + b".list", b"/.\n" + paths, 0o644
    files = {
        path: place for path, place in package.kept.items()
        if contents.entries[path].type in ("file", "hardlink")
    }  # fmt: skip
    if sums := md5sums(contents, files):
        yield INFO + name + b".md5sums", sums, 0o644
    for file, data in contents.control_files.items():
        if file not in _NOT_KEPT:
            mode = 0o755 if file in _SCRIPTS else 0o644
            yield INFO + name + b"." + file.encode(), data, mode


def _interests(package: InstalledPackage) -> Iterator[tuple[bytes, bytes]]:
    """File of the triggers folder and line, for each trigger that a package is interested in."""
    name = package.info_name
    for line in package.contents.control_files.get("triggers", b"").splitlines():
        words = line.partition(b"#")[0].split()
        if len(words) != 2 or not words[0].startswith(b"interest"):
            continue
        waits = b"/noawait" if words[0] == b"interest-noawait" else b""
        if words[1].startswith(b"/"):
            yield b"File", b"%s %s%s\n" % (words[1], name, waits)
        else:
            yield words[1], b"%s%s\n" % (name, waits)
