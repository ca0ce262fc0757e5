"""LLB graphs as values: sources, commands and file operations that become one Definition.

    base = image("registry.example/debian:13")
    built = base.run(["make"], cwd="/src", mounts=[bind(local("src"), "/src")]).root
    definition = marshal(scratch().file(copy(built, "/src/out", "/out")))

States never change; the same graph always marshals to the same bytes (each operation once,
inputs before what uses them, fields in order). Not for solving (``homeport.buildkit.solve``)
or for printing (``homeport.buildkit.llb.dump``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from homeport.buildkit.llb import ops
from homeport.buildkit.protobuf import changed
from homeport.errors import UsageError
from homeport.oci.platform import Platform

Network = Literal["sandbox", "host", "none"]
_NETWORK: dict[Network, int] = {"sandbox": 0, "host": 1, "none": 2}
_NAME = "llb.customname"
#: Kinds of mounts, as BuildKit numbers them.
BIND, SECRET, SSH, CACHE, TMPFS = range(5)


class Node(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """An operation before its inputs have digests. ``op`` lacks inputs alone.

    Two nodes are equal if they are the same object: comparing graphs takes forever.
    """

    op: ops.Op
    inputs: tuple[State, ...] = ()
    metadata: ops.OpMetadata = msgspec.field(default_factory=ops.OpMetadata)


class State(msgspec.Struct, frozen=True):
    """A filesystem: output ``index`` of an operation, or nothing at all (``scratch``)."""

    node: Node | None
    index: int = 0

    def run(
        self,
        args: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        user: str = "",
        mounts: Sequence[MountSpec] = (),
        secret_env: Mapping[str, str] | None = None,
        network: Network = "sandbox",
        insecure: bool = False,
        hostname: str = "",
        platform: Platform | None = None,
        name: str = "",
        ignore_cache: bool = False,
    ) -> Ran:
        """Run a command in this filesystem; ``secret_env`` maps variables to secret ids."""
        if not args:
            raise UsageError("a command needs at least one word")
        compiled, inputs, places = _mounts(self, mounts)
        meta = ops.Meta(
            args=tuple(args),
            env=tuple(f"{key}={value}" for key, value in (env or {}).items()),
            cwd=cwd,
            user=user,
            hostname=hostname,
        )
        secrets = tuple(
            ops.SecretEnv(id=id, name=variable) for variable, id in (secret_env or {}).items()
        )
        op = ops.ExecOp(
            meta=meta, mounts=compiled, network=_NETWORK[network], security=int(insecure),
            secretenv=secrets,
        )  # fmt: skip
        node = Node(
            op=ops.Op(exec=op, platform=wire_platform(platform)),
            inputs=inputs,
            metadata=node_metadata(name, ignore_cache),
        )
        return Ran(root=State(node, 0), node=node, places=places)

    def file(self, *actions: Action, platform: Platform | None = None, name: str = "") -> State:
        """Copy, make and remove files, one action after the other, as one operation."""
        compiled, inputs = _actions(self, actions)
        node = Node(
            op=ops.Op(file=ops.FileOp(actions=compiled), platform=wire_platform(platform)),
            inputs=inputs,
            metadata=node_metadata(name, False),
        )
        return State(node, 0)

    def named(self, name: str) -> State:
        """The same, shown under this name while it is built."""
        if self.node is None:
            return self
        metadata = changed(self.node.metadata, description={_NAME: name})
        return State(msgspec.structs.replace(self.node, metadata=metadata), self.index)


class MountSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One mount; made by the functions of ``llb.mounts``. ``source`` ``None``: of no filesystem."""

    dest: str
    source: State | None = None
    selector: str = ""
    readonly: bool = False
    kind: int = BIND
    tmpfs: ops.TmpfsOpt | None = None
    cache: ops.CacheOpt | None = None
    secret: ops.SecretOpt | None = None
    ssh: ops.SecretOpt | None = None

    @property
    def writable(self) -> bool:
        """Whether what the command writes there is a result."""
        return self.kind == BIND and not self.readonly

    def compile(self, number: int, output: int) -> ops.Mount:
        """As it travels, with the numbers of its input and output (-1: none)."""
        return ops.Mount(
            input=number, selector=self.selector, dest=self.dest, output=output,
            readonly=self.readonly, mount_type=self.kind, tmpfs=self.tmpfs, cache=self.cache,
            secret=self.secret, ssh=self.ssh,
        )  # fmt: skip


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One action on files, without its inputs; made by the functions of ``llb.files``.

    ``source`` is what a copy reads.
    """

    what: ops.FileAction
    source: State | None = None


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What a command left behind: ``root``, and each writable mount by its place."""

    root: State
    node: Node
    places: tuple[tuple[str, int], ...]

    def mount(self, dest: str) -> State:
        """The mount at ``dest`` after the command."""
        return State(self.node, dict(self.places)[dest])


def _actions(
    base: State, actions: Sequence[Action]
) -> tuple[tuple[ops.FileAction, ...], tuple[State, ...]]:
    """Actions with their inputs numbered: states first, then results of earlier actions."""
    inputs: list[State] = []
    for state in (base, *(action.source for action in actions)):
        if state is not None and state.node is not None and state not in inputs:
            inputs.append(state)
    compiled = []
    for number, action in enumerate(actions):
        before = _number(base, inputs) if number == 0 else len(inputs) + number - 1
        second = _number(action.source, inputs)
        output = 0 if number == len(actions) - 1 else -1
        what = changed(action.what, input=before, secondary_input=second, output=output)
        compiled.append(what)
    return tuple(compiled), tuple(inputs)


def _number(state: State | None, inputs: list[State]) -> int:
    return inputs.index(state) if state is not None and state.node is not None else -1


def wire_platform(platform: Platform | None) -> ops.Platform | None:
    if platform is None:
        return None
    return ops.Platform(
        architecture=platform.architecture, os=platform.os, variant=platform.variant
    )


def node_metadata(name: str, ignore_cache: bool) -> ops.OpMetadata:
    return ops.OpMetadata(ignore_cache=ignore_cache, description={_NAME: name} if name else {})


def _mounts(
    root: State, specs: Sequence[MountSpec]
) -> tuple[tuple[ops.Mount, ...], tuple[State, ...], tuple[tuple[str, int], ...]]:
    """Mounts with their inputs numbered, each state once; and outputs by place."""
    inputs: list[State] = []
    places: list[tuple[str, int]] = []
    compiled = []
    for spec in (MountSpec(dest="/", source=root), *specs):
        number = -1
        if spec.source is not None and spec.source.node is not None:
            if spec.source not in inputs:
                inputs.append(spec.source)
            number = inputs.index(spec.source)
        output = -1
        if spec.writable:
            output = len(places)
            places.append((spec.dest, output))
        compiled.append(spec.compile(number, output))
    return tuple(compiled), tuple(inputs), tuple(places)
