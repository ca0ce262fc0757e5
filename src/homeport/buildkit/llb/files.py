"""File operations of LLB: copy, make, remove and link, without running anything."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from homeport.buildkit.llb import ops
from homeport.buildkit.llb.state import Action, State


class Owner(msgspec.Struct, frozen=True):
    """Numeric owner and group of what is made."""

    uid: int
    gid: int

    def compile(self) -> ops.ChownOpt:
        return ops.ChownOpt(user=ops.UserOpt(by_id=self.uid), group=ops.UserOpt(by_id=self.gid))


def copy(
    source: State,
    src: str,
    dest: str,
    *,
    owner: Owner | None = None,
    mode: int = -1,
    contents_only: bool = False,
    follow_symlink: bool = True,
    wildcard: bool = False,
    allow_empty_wildcard: bool = False,
    unpack: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    timestamp: int = -1,
) -> Action:
    """Copy ``src`` of another filesystem; parents of ``dest`` are made."""
    what = ops.FileActionCopy(
        src=src, dest=dest, owner=owner.compile() if owner else None, mode=mode,
        follow_symlink=follow_symlink, dir_copy_contents=contents_only, attempt_unpack=unpack,
        create_dest_path=True, allow_wildcard=wildcard,
        allow_empty_wildcard=allow_empty_wildcard, timestamp=timestamp,
        include=tuple(include), exclude=tuple(exclude),
    )  # fmt: skip
    return Action(what=ops.FileAction(copy=what), source=source)


def mkfile(
    path: str, data: bytes, *, mode: int = 0o644, owner: Owner | None = None, timestamp: int = -1
) -> Action:
    """Write a file."""
    what = ops.FileActionMkFile(
        path=path, mode=mode, data=data, owner=owner.compile() if owner else None,
        timestamp=timestamp,
    )  # fmt: skip
    return Action(what=ops.FileAction(mkfile=what))


def mkdir(
    path: str, *, mode: int = 0o755, parents: bool = False, owner: Owner | None = None,
    timestamp: int = -1,
) -> Action:  # fmt: skip
    """Make a directory."""
    what = ops.FileActionMkDir(
        path=path, mode=mode, make_parents=parents, owner=owner.compile() if owner else None,
        timestamp=timestamp,
    )  # fmt: skip
    return Action(what=ops.FileAction(mkdir=what))


def rm(path: str, *, allow_missing: bool = False, wildcard: bool = False) -> Action:
    """Remove a file or a tree."""
    what = ops.FileActionRm(path=path, allow_not_found=allow_missing, allow_wildcard=wildcard)
    return Action(what=ops.FileAction(rm=what))


def symlink(target: str, path: str, *, owner: Owner | None = None, timestamp: int = -1) -> Action:
    """Make a symbolic link (BuildKit 0.14 and later)."""
    what = ops.FileActionSymlink(
        oldpath=target, newpath=path, owner=owner.compile() if owner else None,
        timestamp=timestamp,
    )  # fmt: skip
    return Action(what=ops.FileAction(symlink=what))
