"""What is odd in a final tree: things that a reader of an image would want pointed out.

Each with its path and a word on what it is; no judgement. Bounded: of each kind the first
hundred are listed and all are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from homeport.inspection.built_from import final_binaries
from homeport.inspection.history import History
from homeport.inspection.libraries import Libraries
from homeport.inspection.listing import Entry
from homeport.inspection.opened import Opened
from homeport.inspection.paths import shown_path
from homeport.inspection.report import Oddity

MOST = 100
_SECRET = re.compile(
    rb"(?:^|/)(?:id_(?:rsa|dsa|ecdsa|ed25519)|\.netrc|\.npmrc|\.pypirc|\.git-credentials|\.pgpass"
    rb"|\.docker/config\.json|\.aws/credentials|\.kube/config|\.env|\.htpasswd|\.bash_history"
    rb"|.*\.(?:pem|key|p12|pfx|jks|keystore|kdbx)|credentials\.json|service[-_]account.*\.json"
    rb"|.*\.tfstate|secrets?\.(?:ya?ml|json|txt|env)|vault[-_]pass.*)$",
    re.IGNORECASE,
)
_SECRET_ENDS = tuple(
    b"id_rsa id_dsa id_ecdsa id_ed25519 .netrc .npmrc .pypirc credentials .pgpass .json config .env"
    b" .htpasswd .bash_history .pem .key .p12 .pfx .jks .keystore .kdbx .tfstate .yaml .yml .txt"
    .split()
)  # fmt: skip
_PRINTABLE = re.compile(rb"[ -~]*")
_PUBLIC = re.compile(
    rb"(?:^|/)(?:ssl/certs|ca-certificates|cacert\.pem|certifi|trusted-key|share/doc)"
)
_ELSEWHERE = re.compile(rb"/?(?:proc|sys|dev|run|tmp|var/run)(?:/|$)")


def find_oddities(opened: Opened) -> list[Oddity]:
    """All that is odd, by kind, in a fixed order."""
    found: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for kind, example in _all(opened):
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= MOST:
            found.setdefault(kind, []).append(example)
    return [Oddity(kind=kind, count=counts[kind], examples=tuple(found[kind])) for kind in found]


def _all(opened: Opened) -> Iterator[tuple[str, str]]:
    history = opened.history
    users, groups = _ids(opened.text(b"etc/passwd")), _ids(opened.text(b"etc/group"))
    for path in sorted(history.final):
        entry = history.final[path].entry
        if entry.xattrs or entry.mode & 0o6002 or entry.kind in ("char", "block"):
            yield from _rights(entry, shown_path(path))
        if entry.kind == "file" and entry.size and _is_secret(path):
            yield "name of a secret", shown_path(path)
        if users and entry.uid not in users:
            yield "owner that /etc/passwd does not know", f"{shown_path(path)}: {entry.uid}"
        if groups and entry.gid not in groups:
            yield "group that /etc/group does not know", f"{shown_path(path)}: {entry.gid}"
        if entry.kind == "symlink" and not _leads_somewhere(history, path, entry.target):
            target = entry.target.decode("utf-8", "backslashreplace")
            yield "broken link", f"{shown_path(path)} → {target}"
        if not _PRINTABLE.fullmatch(path) and not (text := shown_path(path)).isprintable():
            yield "name with control or invisible characters", text
    yield from _programs(opened)
    yield from _databases(history)


def _rights(entry: Entry, text: str) -> Iterator[tuple[str, str]]:
    """What a mode or an attribute allows that is seldom wanted."""
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
    lowered = path.lower()
    if not lowered.endswith(_SECRET_ENDS) and b"vault" not in lowered:
        return False  # nearly all, found out quickly
    return _SECRET.search(path) is not None and _PUBLIC.search(path) is None


def _programs(opened: Opened) -> Iterator[tuple[str, str]]:
    libraries = Libraries(opened)
    for path, facts in final_binaries(opened):
        for name in libraries.missing(path, facts):
            yield "library or interpreter missing", f"{shown_path(path)}: {name}"
        if facts.packer is not None:
            yield "packed program", f"{shown_path(path)}: {facts.packer.name}"


def _databases(history: History) -> Iterator[tuple[str, str]]:
    """Package databases that were there in a lower layer, or must have been."""
    for number, changes in enumerate(history.changes):
        for change in changes:
            if change.now is None and change.path in (
                b"var/lib/dpkg/status", b"lib/apk/db/installed", b"var/lib/rpm/rpmdb.sqlite",
                b"usr/lib/sysimage/rpm/rpmdb.sqlite", b"var/lib/rpm/Packages",
            ) and change.path not in history.final:  # fmt: skip
                yield "package database deleted", f"{shown_path(change.path)}: by layer {number}"
    names = {path for path in history.final if path.rpartition(b"/")[2].startswith(b"ld-musl-")}
    databases = (b"lib/apk/db/installed", b"usr/lib/apk/db/installed")
    if names and not any(path in history.final for path in databases):
        yield (
            "package database missing",
            f"{shown_path(min(names))} is musl's loader, as on Alpine, but apk has no database",
        )


def _leads_somewhere(history: History, path: bytes, target: bytes) -> bool:
    return bool(_ELSEWHERE.match(target.lstrip(b"/")) or history.resolve(path) is not None)


def _ids(text: bytes | None) -> frozenset[int]:
    found = set()
    for line in (text or b"").split(b"\n"):
        fields = line.split(b":")
        if len(fields) > 2 and fields[2].isdigit():
            found.add(int(fields[2]))
    return frozenset(found)
