"""What can be mounted while a command runs: other filesystems, caches, tmpfs, secrets, agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from homeport.buildkit.llb import ops

if TYPE_CHECKING:
    from homeport.buildkit.llb.state import State

Sharing = Literal["shared", "private", "locked"]
_SHARING: dict[Sharing, int] = {"shared": 0, "private": 1, "locked": 2}
_BIND, _SECRET, _SSH, _CACHE, _TMPFS = range(5)


class MountSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One mount; made by the functions below. ``source`` ``None``: of no filesystem."""

    dest: str
    source: State | None = None
    selector: str = ""
    readonly: bool = False
    kind: int = _BIND
    tmpfs: ops.TmpfsOpt | None = None
    cache: ops.CacheOpt | None = None
    secret: ops.SecretOpt | None = None
    ssh: ops.SecretOpt | None = None

    @property
    def writable(self) -> bool:
        """Whether what the command writes there is a result."""
        return self.kind == _BIND and not self.readonly

    def compile(self, number: int, output: int) -> ops.Mount:
        """As it travels, with the numbers of its input and output (-1: none)."""
        return ops.Mount(
            input=number, selector=self.selector, dest=self.dest, output=output,
            readonly=self.readonly, mount_type=self.kind, tmpfs=self.tmpfs, cache=self.cache,
            secret=self.secret, ssh=self.ssh,
        )  # fmt: skip


def bind(source: State, dest: str, *, selector: str = "", readonly: bool = True) -> MountSpec:
    """Another filesystem, or its part ``selector``; writable ones are results of the run."""
    return MountSpec(dest=dest, source=source, selector=selector, readonly=readonly)


def cache(dest: str, id: str, *, sharing: Sharing = "shared") -> MountSpec:
    """A directory that the engine keeps from build to build."""
    return MountSpec(dest=dest, kind=_CACHE, cache=ops.CacheOpt(id=id, sharing=_SHARING[sharing]))


def tmpfs(dest: str, *, size: int = 0) -> MountSpec:
    """A directory in memory."""
    return MountSpec(dest=dest, kind=_TMPFS, tmpfs=ops.TmpfsOpt(size=size))


def secret(
    dest: str, id: str, *, mode: int = 0o400, uid: int = 0, gid: int = 0, optional: bool = False
) -> MountSpec:
    """A file whose content the session provides and no layer keeps."""
    opt = ops.SecretOpt(id=id, uid=uid, gid=gid, mode=mode, optional=optional)
    return MountSpec(dest=dest, kind=_SECRET, secret=opt)


def ssh_agent(dest: str, id: str = "default", *, mode: int = 0o600) -> MountSpec:
    """A socket behind which the client's ssh agent answers."""
    return MountSpec(dest=dest, kind=_SSH, ssh=ops.SecretOpt(id=id, mode=mode))
