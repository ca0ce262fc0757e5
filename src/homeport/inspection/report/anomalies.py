"""Anomalies of a final tree: facts that a reviewer of an image needs to see.

Each has a path and a kind, and no severity. All are counted; the first hundred of each kind
are listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from operator import itemgetter

from homeport.images.ambiguity import AMBIGUOUS, ambiguities
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.model import Anomaly
from homeport.inspection.packages.libraries import Libraries
from homeport.layers.entry import Entry
from homeport.layers.history import History
from homeport.printable import path_text, printable

MAX_EXAMPLES = 100
_SECRET = re.compile(
    rb"(?:^|/)(?:id_(?:rsa|dsa|ecdsa|ed25519)|\.netrc|\.npmrc|\.pypirc|\.git-credentials|\.pgpass"
    rb"|\.docker/config\.json|\.aws/credentials|\.kube/config|\.env|\.htpasswd|\.bash_history"
    rb"|.*\.(?:pem|key|p12|pfx|jks|keystore|kdbx)|credentials\.json|service[-_]account.*\.json"
    rb"|.*\.tfstate|secrets?\.(?:ya?ml|json|txt|env)|vault[-_]pass.*)$",
    re.IGNORECASE,
)
#: The last three bytes of all those names except ``vault-pass…``: a quick test.
_SECRET_ENDS = frozenset(
    b"rsa dsa 519 trc mrc irc als ass son fig env swd ory pem key p12 pfx jks ore dbx ate aml yml"
    b" txt".split()
)  # fmt: skip
_PRINTABLE = bytes(range(32, 127))
_PUBLIC = re.compile(
    rb"(?:^|/)(?:ssl/certs|ca-certificates|cacert\.pem|certifi|trusted-key|share/doc)"
)
_ELSEWHERE = re.compile(rb"/?(?:proc|sys|dev|run|tmp|var/run)(?:/|$)")


#: A field of the config that is not what the specification says.
ODD_CONFIG = "unreadable config field"


def find_anomalies(opened: OpenedImage) -> list[Anomaly]:
    """All anomalies, by kind, in a fixed order."""
    found: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    of_paths = sorted(_of_paths(opened), key=itemgetter(0))
    for kind, example in (
        *(words for _, words in of_paths), *_programs(opened), *_databases(opened),
        *_documents(opened),
    ):  # fmt: skip
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= MAX_EXAMPLES:
            found.setdefault(kind, []).append(example)
    return [Anomaly(kind=kind, count=counts[kind], examples=tuple(found[kind])) for kind in found]


def _of_paths(opened: OpenedImage) -> Iterator[tuple[bytes, tuple[str, str]]]:
    """Anomalies of single paths, each with its path."""
    history = opened.history
    users, groups = _ids(opened.metadata(b"etc/passwd")), _ids(opened.metadata(b"etc/group"))
    names = b"".join(history.final)
    printable = not names.translate(None, _PRINTABLE)  # as nearly always
    vaults = b"vault" in names.lower()
    for path, place in history.final.items():
        entry = place.entry
        if entry.xattrs or entry.mode & 0o6002 or entry.kind in ("char", "block"):
            for words in _rights(entry, path_text(path)):
                yield path, words
        if (
            entry.kind == "file" and entry.size
            and (vaults or path[-3:].lower() in _SECRET_ENDS) and _is_secret(path)
        ):  # fmt: skip
            yield path, ("possible secret, by its name", path_text(path))
        if users and entry.uid not in users:
            example = f"{path_text(path)}: {entry.uid}"
            yield path, ("owner not in /etc/passwd", example)
        if groups and entry.gid not in groups:
            example = f"{path_text(path)}: {entry.gid}"
            yield path, ("group not in /etc/group", example)
        if entry.kind == "symlink" and not _leads_somewhere(history, path, entry.target):
            target = entry.target.decode("utf-8", "backslashreplace")
            yield path, ("broken symbolic link", f"{path_text(path)} → {target}")
        if not printable and not (text := path_text(path)).isprintable():
            yield path, ("name with control or invisible characters", text)


def _rights(entry: Entry, text: str) -> Iterator[tuple[str, str]]:
    """Anomalies of modes and attributes."""
    if entry.kind == "file" and entry.mode & 0o6000:
        word = "setuid" if entry.mode & 0o4000 else "setgid"
        yield word, f"{text}: {entry.mode:04o} {entry.uid}:{entry.gid}"
    if entry.kind == "file" and entry.mode & 0o002:
        yield "world-writable file", f"{text}: {entry.mode:04o}"
    if entry.kind == "directory" and entry.mode & 0o1002 == 0o002:
        yield "world-writable directory without sticky bit", f"{text}: {entry.mode:04o}"
    if entry.kind in ("char", "block"):
        yield "device", f"{text}: {entry.device[0]}:{entry.device[1]}"
    if entry.xattrs and b"security.capability" in entry.xattrs:
        yield "file capabilities", text


def _is_secret(path: bytes) -> bool:
    return _SECRET.search(path) is not None and _PUBLIC.search(path) is None


def _programs(opened: OpenedImage) -> Iterator[tuple[str, str]]:
    if not opened.programs:
        return
    libraries = Libraries(opened)
    for path, facts in opened.programs:
        for name in libraries.missing(path, facts):
            yield "missing library or interpreter", f"{path_text(path)}: {name}"
        if facts.packer is not None:
            yield "packed executable", f"{path_text(path)}: {facts.packer.name}"


def _documents(opened: OpenedImage) -> Iterator[tuple[str, str]]:
    """Fields of the config that cannot be read; documents that readers understand differently."""
    for fault in opened.config_faults:
        yield ODD_CONFIG, printable(fault)
    for document, keys in ambiguities(opened.image):
        yield AMBIGUOUS, f"{document}: {'; '.join(keys)}"


def _databases(opened: OpenedImage) -> Iterator[tuple[str, str]]:
    """Package databases that a layer deleted, or that are missing."""
    history = opened.history
    for number, changes in enumerate(history.changes):
        for change in changes:
            if change.now is None and change.path in (
                b"var/lib/dpkg/status", b"lib/apk/db/installed", b"var/lib/rpm/rpmdb.sqlite",
                b"usr/lib/sysimage/rpm/rpmdb.sqlite", b"var/lib/rpm/Packages",
            ) and change.path not in history.final:  # fmt: skip
                yield "package database deleted", f"{path_text(change.path)}: by layer {number}"
    names = [path for path in opened.metadata_paths if b"/ld-musl-" in path]
    databases = (b"lib/apk/db/installed", b"usr/lib/apk/db/installed")
    if names and not any(path in history.final for path in databases):
        yield (
            "package database missing",
            f"{path_text(min(names))}: the musl loader, as on Alpine, but no apk database",
        )


def _leads_somewhere(history: History, path: bytes, target: bytes) -> bool:
    return bool(_ELSEWHERE.match(target.lstrip(b"/")) or history.resolve(path) is not None)


def _ids(text: bytes | None) -> frozenset[int]:
    found = set()
    for line in (text or b"").split(b"\n"):
        fields = line.split(b":")
        if len(fields) > 2 and fields[2].isdigit() and len(fields[2]) < 20:
            found.add(int(fields[2]))
    return frozenset(found)
