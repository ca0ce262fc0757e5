"""What can be mounted while a command runs: other filesystems, caches, tmpfs, secrets, agents."""

from __future__ import annotations

from typing import Literal

from homeport.buildkit.llb import ops
from homeport.buildkit.llb.state import CACHE, SECRET, SSH, TMPFS, MountSpec, State

Sharing = Literal["shared", "private", "locked"]
_SHARING: dict[Sharing, int] = {"shared": 0, "private": 1, "locked": 2}


def bind(source: State, dest: str, *, selector: str = "", readonly: bool = True) -> MountSpec:
    """Another filesystem, or its part ``selector``; writable ones are results of the run."""
    return MountSpec(dest=dest, source=source, selector=selector, readonly=readonly)


def cache(dest: str, id: str, *, sharing: Sharing = "shared") -> MountSpec:
    """A directory that the engine keeps from build to build."""
    return MountSpec(dest=dest, kind=CACHE, cache=ops.CacheOpt(id=id, sharing=_SHARING[sharing]))


def tmpfs(dest: str, *, size: int = 0) -> MountSpec:
    """A directory in memory."""
    return MountSpec(dest=dest, kind=TMPFS, tmpfs=ops.TmpfsOpt(size=size))


def secret(
    dest: str, id: str, *, mode: int = 0o400, uid: int = 0, gid: int = 0, optional: bool = False
) -> MountSpec:
    """A file whose content the session provides and no layer keeps."""
    opt = ops.SecretOpt(id=id, uid=uid, gid=gid, mode=mode, optional=optional)
    return MountSpec(dest=dest, kind=SECRET, secret=opt)


def ssh_agent(dest: str, id: str = "default", *, mode: int = 0o600) -> MountSpec:
    """A socket behind which the client's ssh agent answers."""
    return MountSpec(dest=dest, kind=SSH, ssh=ops.SecretOpt(id=id, mode=mode))
