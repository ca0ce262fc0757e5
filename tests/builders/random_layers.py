"""Random layers for comparisons with other programs, and filesystems as comparable values.

layers = random_layers(random.Random(1), "c1")
state(read_layers(blobs, …), "c1") == state_on_disk(unpacked / "c1")
"""

from __future__ import annotations

import os
import random
import stat
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.inspection import (
    Member,
    directory,
    file,
    hardlink,
    member,
    opaque,
    symlink,
    whiteout,
)  # fmt: skip
from homeport.content.blob import verified
from homeport.tree.node import Node, Tree

#: Path → type, mode, owner, content or target or device, all names of the file if it has several.
State = dict[str, tuple[object, ...]]

NAMES = ("a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "d/e/x", "l", "l/a", "l/x", "d/l", "d/l/b")
TARGETS = ("a", "d", "b", "d/e", "e", "l", "nothing", "./d", "d/./e")
DIRECTORY_MODES = (0o755, 0o700, 0o1777, 0o2755, 0o555)
FILE_MODES = (0o644, 0o4755, 0o2711, 0o600, 0o1644)


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """What random layers are made of.

    setgid: directories too
    tidy: only what podman reads: no name twice in a layer, opaque markers with their
          directory, the same mode and owner for all names that may become one file
    """

    whiteouts: bool = True
    setgid: bool = True
    tidy: bool = False


def random_layers(choose: random.Random, root: str, kinds: Kinds = Kinds()) -> list[list[Member]]:
    """Two or three layers, all their members below the directory ``root``."""
    lowest = Kinds(whiteouts=False, tidy=kinds.tidy)
    return [
        random_layer(choose, root, kinds if number else lowest)
        for number in range(choose.randint(2, 3))
    ]


def random_layer(choose: random.Random, root: str, kinds: Kinds) -> list[Member]:
    """The members of a layer, all of them below the directory ``root``."""
    made: list[Member] = []
    for _ in range(choose.randint(1, 9)):
        made += _random_members(choose, root, kinds, made)
    if not kinds.tidy:
        return made
    return list({info.name: (info, data) for info, data in made}.values())


def _random_members(
    choose: random.Random, root: str, kinds: Kinds, before: list[Member]
) -> list[Member]:
    name = f"{root}/{choose.choice(NAMES)}"
    owner: dict[str, Any] = {
        "uid": choose.choice((0, 0, 7)), "gid": choose.choice((0, 0, 9)),
        "mtime": choose.randint(1, 1_700_000_000),
    }  # fmt: skip
    facts = {**owner, "mode": choose.choice(FILE_MODES)}
    if kinds.tidy:
        facts = {"uid": 7, "gid": 9, "mode": 0o6711, "mtime": 1}
    modes = [mode for mode in DIRECTORY_MODES if kinds.setgid or not mode & 0o2000]
    kind = choose.choice(
        ("file",) * 5 + ("directory",) * 4 + ("symlink",) * 2 + ("hardlink",) * 4
        + ("fifo", "char") + (("whiteout",) * 3 + ("opaque",) * 2 if kinds.whiteouts else ())
    )  # fmt: skip
    if kind == "file":
        data = b"%d" % choose.randint(0, 10**9) if choose.random() < 0.8 else b""
        return [file(name, data, **facts)]
    if kind == "directory":
        return [directory(name, **{**owner, "mode": choose.choice(modes)})]
    if kind == "symlink":
        return [symlink(name, choose.choice(TARGETS), **facts)]
    if kind == "hardlink":
        here = [info.name for info, _ in before if info.isreg()]
        anywhere = [f"{root}/{choose.choice(NAMES)}"]
        return [hardlink(name, choose.choice((here or anywhere) * 3 + anywhere), **facts)]
    if kind == "fifo":
        return [member(name, tarfile.FIFOTYPE, **facts)]
    if kind == "char":
        device = {"devmajor": 1, "devminor": choose.choice((3, 5))}
        return [member(name, tarfile.CHRTYPE, **facts, **device)]
    if kind == "whiteout":
        return [whiteout(name)]
    folder = f"{root}/{choose.choice(('d', 'd/e', 'l', 'd/l'))}"
    return [*([directory(folder)] if kinds.tidy else []), opaque(folder)]


def whiteouts_first(layers: list[list[Member]]) -> list[list[Member]]:
    """The same layers, their whiteouts moved to the front as the specification advises.

    Opaque markers stay where they are, unless what comes before them goes through something
    that they remove.
    """
    links = any(info.issym() for members in layers for info, _ in members)

    def comes_later(members: list[Member], number: int) -> bool:
        folder, _, name = members[number][0].name.rpartition("/")
        if not name.startswith(".wh."):
            return True
        before = [info.name.removeprefix(folder + "/") for info, _ in members[:number]]
        return name == ".wh..wh..opq" and not links and not any("/" in name for name in before)

    return [
        [
            members[number]
            for number in sorted(
                range(len(members)),
                key=lambda number, members=members: comes_later(members, number),
            )
        ]
        for members in layers
    ]


def state(tree: Tree, root: str) -> State:
    """What is below ``root`` in a Tree."""
    prefix = f"{root}/".encode() if root else b""
    below = {path: node for path, node in tree.items() if path.startswith(prefix)}
    inodes: dict[bytes, list[str]] = {}
    for path, node in below.items():
        file = node.target if node.type == "hardlink" else path
        inodes.setdefault(file, []).append(path.removeprefix(prefix).decode())
    return {
        path: _facts(below[file], sorted(paths)) for file, paths in inodes.items() for path in paths
    }


def _facts(node: Node, names: list[str]) -> tuple[object, ...]:
    what: object = node.target.decode()
    if node.type in ("char", "block"):
        what = node.device
    if node.type == "file":
        what = b""
        if node.content is not None:
            with verified(node.content) as stream:
                what = stream.readall()
    mode = 0 if node.type == "symlink" else node.mode
    return (node.type, f"{mode:04o}", node.uid, node.gid, what, names if len(names) > 1 else [])


_TYPES = (
    (stat.S_ISDIR, "directory"), (stat.S_ISLNK, "symlink"), (stat.S_ISFIFO, "fifo"),
    (stat.S_ISCHR, "char"), (stat.S_ISBLK, "block"), (stat.S_ISREG, "file"),
)  # fmt: skip


def state_on_disk(root: Path) -> State:
    """What is below a directory."""
    found: dict[str, os.stat_result] = {}
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(folder, name)
            found[str(path.relative_to(root))] = path.lstat()
    inodes: dict[int, list[str]] = {}
    for path, status in found.items():
        inodes.setdefault(status.st_ino, []).append(path)
    result: State = {}
    for path, status in found.items():
        kind = next(name for test, name in _TYPES if test(status.st_mode))
        what: object = ""
        if kind == "file":
            what = (root / path).read_bytes()
        elif kind == "symlink":
            what = os.readlink(root / path)
        elif kind in ("char", "block"):
            what = (os.major(status.st_rdev), os.minor(status.st_rdev))
        mode = 0 if kind == "symlink" else stat.S_IMODE(status.st_mode)
        names = sorted(inodes[status.st_ino])
        result[path] = (
            kind, f"{mode:04o}", status.st_uid, status.st_gid, what,
            names if len(names) > 1 else [],
        )  # fmt: skip
    return result


def told(members: Iterable[Member]) -> str:
    """Members one a line, for messages."""
    kinds = {
        tarfile.REGTYPE: "file", tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "symlink",
        tarfile.LNKTYPE: "hardlink", tarfile.FIFOTYPE: "fifo", tarfile.CHRTYPE: "char",
    }  # fmt: skip
    return "\n".join(
        f"  {kinds[info.type]:9} {info.name} {info.mode:04o} {info.uid}:{info.gid}"
        f" {info.linkname or data.decode()}"
        for info, data in members
    )
