"""The case table of COPY and ADD: its notation, and trees in it made and read back.

An entry line says what ``tests/data/copy-cases.txt`` explains at its top.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import socket
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from homeport.content.blob import BytesBlob
from homeport.copying.errors import CopyError
from homeport.tree.node import Node, NodeType, Source, Tree

TIME = 1_000_000_007  # nanoseconds of what has no time of its own
ENTRY = Source(kind="inline", name="case")
TYPES = {
    "fifo": tarfile.FIFOTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
    "directory": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "file": tarfile.REGTYPE,
}
COMPRESSORS = {
    ".tar": None,
    ".tgz": ["gzip", "-n"],
    ".tbz": ["bzip2"],
    ".txz": ["xz"],
    ".tzst": ["zstd", "-q"],
}


def failure_of(action: Callable[[], object]) -> CopyError | None:
    """The engine's error that something ends in; any other is a crash."""
    try:
        action()
    except CopyError as error:
        return error
    return None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One name of a tree."""

    name: bytes
    kind: str
    mode: int
    uid: int = 0
    gid: int = 0
    content: bytes = b""
    target: bytes = b""  # of a symbolic link its text, of a hard link the other name
    device: tuple[int, int] = (0, 0)
    time: int | None = None
    xattrs: dict[str, str] = field(default_factory=dict)
    members: tuple[Entry, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table."""

    title: str
    rules: str
    source: tuple[Entry, ...]
    before: tuple[Entry, ...] | None  # None: the destination is the source
    run: str
    gives: tuple[Entry, ...] | None
    fails: str
    proof: str

    def __str__(self) -> str:
        return self.title


def cases(path: Path) -> Iterator[Case]:
    """The rows of a table, in order."""
    for block in path.read_text(encoding="utf-8").split("\n### ")[1:]:
        title, *lines = block.strip().split("\n")
        keys = dict(re.split(r":\s*", line, maxsplit=1) for line in lines if line)
        unknown = set(keys) - {"source", "before", "run", "gives", "fails", "rules", "proof"}
        assert not unknown, f"{title}: {unknown}"
        assert ("gives" in keys) != ("fails" in keys), title
        same = keys.get("before") == "same as source"
        yield Case(
            title=title,
            rules=keys.get("rules", "both"),
            source=entries(keys["source"]),
            before=None if same else entries(keys.get("before", "")),
            run=keys["run"],
            gives=entries(keys["gives"]) if "gives" in keys else None,
            fails=keys.get("fails", ""),
            proof=keys["proof"],
        )


# -- notation

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\{|\}|,|[^\s,{}"]+')


def entries(text: str) -> tuple[Entry, ...]:
    found, rest = _entries(_TOKEN.findall(text))
    assert not rest, f"left over: {rest}"
    return found


def _entries(tokens: list[str]) -> tuple[tuple[Entry, ...], list[str]]:
    found = []
    while tokens and tokens[0] != "}":
        entry, tokens = _entry(tokens)
        found.append(entry)
        if tokens and tokens[0] == ",":
            tokens = tokens[1:]
    return tuple(found), tokens


def _entry(tokens: list[str]) -> tuple[Entry, list[str]]:
    name = _text(tokens[0])
    tokens = tokens[1:]
    directory = name.endswith(b"/") and name != b"/"
    if directory:
        name = name[:-1]
    entry = Entry(
        name=name,
        kind="directory" if directory else "file",
        mode=0o755 if directory else 0o644,
        content=b"" if directory else name.rpartition(b"/")[2],
    )
    while tokens and tokens[0] not in (",", "}"):
        word, tokens = tokens[0], tokens[1:]
        if word in ("->", "=="):
            kind = "symlink" if word == "->" else "hardlink"
            entry = replace(entry, kind=kind, target=_text(tokens[0]), content=b"", mode=0o777)
            tokens = tokens[1:]
        elif word == "=":
            entry, tokens = replace(entry, content=_text(tokens[0])), tokens[1:]
        elif word in ("fifo", "socket"):
            entry = replace(entry, kind=word, content=b"")
        elif word in ("char", "block"):
            major, _, minor = tokens[0].partition(":")
            entry = replace(entry, kind=word, device=(int(major), int(minor)), content=b"")
            tokens = tokens[1:]
        elif word == "{":
            members, tokens = _entries(tokens)
            assert tokens[0] == "}"
            entry, tokens = replace(entry, members=members), tokens[1:]
        elif word.startswith("@"):
            entry = replace(entry, time=int(word[1:]))
        elif ":" in word:
            uid, _, gid = word.partition(":")
            entry = replace(entry, uid=int(uid), gid=int(gid))
        elif "=" in word:
            key, _, value = word.partition("=")
            entry = replace(entry, xattrs={**entry.xattrs, key: value})
        else:
            entry = replace(entry, mode=int(word, 8))
    return entry, tokens


def _text(token: str) -> bytes:
    text = json.loads(token) if token.startswith('"') else token
    return str(text).encode("utf-8", "surrogateescape")


def command(run: str) -> tuple[bytes, str, list[str], list[bytes], bytes]:
    """Of ``run``: working directory, COPY or ADD, flags, sources, destination."""
    workdir = b"/"
    if run.startswith("WORKDIR "):
        line, _, run = run.partition("; ")
        workdir = line.split(" ", 1)[1].encode()
    words = shlex.split(run.replace("\\", "\\\\")) if '"' not in run else _quoted(run)
    flags = [word for word in words[1:] if word.startswith("--")]
    paths = [w.encode("utf-8", "surrogateescape") for w in words[1:] if not w.startswith("--")]
    return workdir, words[0], flags, paths[:-1], paths[-1]


def _quoted(run: str) -> list[str]:
    """Words, quoted ones without escapes: patterns hold backslashes of their own."""
    return (
        [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', run)]
        if '""' not in run
        else [part.strip('"') for part in run.split()]
    )


# -- archives


def archive(name: bytes, members: tuple[Entry, ...]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in members:
            info = tarfile.TarInfo(entry.name.decode("utf-8", "surrogateescape"))
            info.type = TYPES[entry.kind]
            # A hard link has the header of its file, as tar writes it: engines apply that.
            facts = entry
            if entry.kind == "hardlink":
                same = (e for e in members if e.name == entry.target and e.kind != "hardlink")
                facts = next(same, replace(entry, kind="file", mode=0o644))
            info.mode, info.uid, info.gid = facts.mode, facts.uid, facts.gid
            info.uname = "daemon"  # names must not count
            info.linkname = entry.target.decode()
            info.devmajor, info.devminor = entry.device
            info.mtime = (TIME if facts.time is None else facts.time) // 10**9
            info.pax_headers = {f"SCHILY.xattr.{k}": v for k, v in entry.xattrs.items()}
            info.size = len(entry.content) if entry.kind == "file" else 0
            tar.addfile(info, io.BytesIO(entry.content))
    compressor = COMPRESSORS[name[name.rindex(b".") :].decode()]
    if compressor is None:
        return out.getvalue()
    return subprocess.run(
        [*compressor, "-c"], input=out.getvalue(), capture_output=True, check=True
    ).stdout


def content_of(entry: Entry) -> bytes:
    return entry.content if entry.members is None else archive(entry.name, entry.members)


# -- real directories


def make_directory(root: Path, tree: tuple[Entry, ...]) -> None:
    root.mkdir()
    top = os.fsencode(root)
    for entry in tree:
        _make(top, top + b"/" + entry.name, entry)
    for entry in reversed(tree):  # times last, the deepest first
        time = TIME if entry.time is None else entry.time
        os.utime(top + b"/" + entry.name, ns=(time, time), follow_symlinks=False)


def _make(top: bytes, path: bytes, entry: Entry) -> None:
    if entry.kind == "directory":
        os.mkdir(path)
    elif entry.kind == "symlink":
        os.symlink(entry.target, path)
    elif entry.kind == "hardlink":
        os.link(top + b"/" + entry.target, path)
        return
    elif entry.kind == "socket":
        listener = socket.socket(socket.AF_UNIX)
        here = os.getcwd()
        os.chdir(os.path.dirname(path))  # its address has room for few bytes
        listener.bind(os.path.basename(path))
        os.chdir(here)
        listener.close()
    elif entry.kind == "file":
        with open(path, "wb") as file:
            file.write(content_of(entry))
    else:
        kind = {"fifo": stat.S_IFIFO, "char": stat.S_IFCHR, "block": stat.S_IFBLK}[entry.kind]
        os.mknod(path, kind | 0o600, os.makedev(*entry.device))
    os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
    if entry.kind != "symlink":
        os.chmod(path, entry.mode)
        for key, value in entry.xattrs.items():
            os.setxattr(path, key, value.encode())


def described(root: Path) -> dict[bytes, str]:
    """Path → one line, of all below a directory."""
    top = os.fsencode(root)
    first: dict[tuple[int, int], bytes] = {}
    found = {}
    for directory, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(directory, name)
            found[path[len(top) + 1 :]] = path
    lines = {}
    for name in sorted(found, key=lambda n: n.split(b"/")):
        path = found[name]
        status = os.lstat(path)
        kind = {
            stat.S_IFREG: "file",
            stat.S_IFDIR: "directory",
            stat.S_IFLNK: "symlink",
            stat.S_IFIFO: "fifo",
            stat.S_IFCHR: "char",
            stat.S_IFBLK: "block",
        }[stat.S_IFMT(status.st_mode)]
        before = name
        if kind != "directory":
            before = first.setdefault((status.st_dev, status.st_ino), name)
        content = b""
        if kind == "file":
            with open(path, "rb") as file:
                content = file.read()
        xattrs = {}
        if kind in ("file", "directory"):
            xattrs = {k: os.getxattr(path, k).decode() for k in os.listxattr(path)}
        lines[name] = line(
            Entry(
                name=name,
                kind=kind if before == name else "hardlink",
                mode=stat.S_IMODE(status.st_mode),
                uid=status.st_uid,
                gid=status.st_gid,
                content=content,
                target=os.readlink(path) if kind == "symlink" and before == name else before,
                device=(os.major(status.st_rdev), os.minor(status.st_rdev)),
                time=status.st_mtime_ns,
                xattrs=xattrs,
            )
        )
    return lines


# -- trees as data


def make_tree(tree: tuple[Entry, ...]) -> Tree:
    made = Tree()
    for entry in tree:
        kind = "file" if entry.kind == "socket" else entry.kind
        content = content_of(entry) if entry.kind == "file" else b""
        made[entry.name] = Node(
            type=kind,  # type: ignore[arg-type]
            mode=entry.mode,
            uid=entry.uid,
            gid=entry.gid,
            mtime=TIME if entry.time is None else entry.time,
            xattrs={k.encode(): v.encode() for k, v in entry.xattrs.items()},
            target=entry.target,
            content=BytesBlob(content) if content else None,
            device=entry.device,
            source=ENTRY,
        )
    return made


def described_tree(tree: Tree) -> dict[bytes, str]:
    lines = {}
    for name, node in tree.items():
        content = b""
        if node.content is not None:
            with node.content.open() as stream:
                content = stream.read()
        kind: NodeType = node.type
        lines[name] = line(
            Entry(
                name=name,
                kind=kind,
                mode=node.mode,
                uid=node.uid,
                gid=node.gid,
                content=content,
                target=node.target if kind in ("symlink", "hardlink") else name,
                device=node.device,
                time=node.mtime,
                xattrs={k.decode(): v.decode() for k, v in node.xattrs.items()},
            )
        )
    return lines


# -- comparing


def wanted(tree: tuple[Entry, ...], found: dict[bytes, str]) -> dict[bytes, str]:
    """The lines of what is expected; times that it leaves out are those found."""
    lines = {}
    for entry in tree:
        text = line(entry)
        if entry.time is None and entry.kind != "hardlink":
            text = text.rpartition(" @")[0] + " @" + found.get(entry.name, "").rpartition(" @")[2]
        lines[entry.name] = text
    return lines


def line(entry: Entry) -> str:
    if entry.kind == "hardlink":
        return f"hardlink {entry.target!r}"
    mode = "" if entry.kind == "symlink" else f" {entry.mode:o}"
    text = f"{entry.kind}{mode} {entry.uid}:{entry.gid}"
    if entry.kind == "symlink":
        text += f" -> {entry.target!r}"
    if entry.kind == "file":
        text += f" = {entry.content!r}"
    if entry.kind in ("char", "block"):
        text += f" {entry.device}"
    if entry.xattrs:
        text += f" {sorted(entry.xattrs.items())}"
    return f"{text} @{entry.time}"


# -- as a helper


def helper_arguments(case: Case) -> list[str] | None:
    """The words of the program ``copy`` for a case, as BuildKit makes them.

    Sources are below ``/src-0``, it runs in the destination. ``None`` for what no helper does.
    """
    workdir, verb, flags, sources, destination = command(case.run)
    if any(not flag.startswith(("--chown", "--unpack")) for flag in flags) or case.before is None:
        return None
    words = [flag for flag in flags if flag.startswith("--chown")]
    if verb == "ADD" and "--unpack=false" not in flags:
        words.append("--unpack")
    for source in sources:
        name = os.fsdecode(source)
        path = os.path.normpath("/" + name).lstrip("/")
        slash = "/" if name.endswith("/") and path else ""
        words.append("/src-0" + (f"/{path}" if path else "") + slash)
    name = os.fsdecode(destination)
    path = os.path.normpath("/" + (name if name.startswith("/") else f"{workdir.decode()}/{name}"))
    path = path.lstrip("/")
    slash = "/" if name in ("", ".") or name.endswith(("/", "/.")) or not path else ""
    words.append((path or ".") + slash)
    return words
