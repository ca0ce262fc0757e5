"""LLB graphs as values: sources, commands and file operations that become one Definition.

    base = image("registry.example/debian:13")
    built = base.run(["make"], cwd="/src", mounts=[bind(local("src"), "/src")]).root
    definition = marshal(scratch().file(copy(built, "/src/out", "/out")))

States never change; the same graph always marshals to the same bytes (each operation once,
inputs before what uses them, fields in order). Not for solving (``homeport.buildkit.solve``)
or for printing (``homeport.buildkit.llb.dump``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from homeport.buildkit.llb import ops
from homeport.buildkit.llb.files import Action, compile_actions
from homeport.buildkit.llb.mounts import MountSpec
from homeport.buildkit.protocol.messages import changed, encode
from homeport.errors import UsageError
from homeport.oci.platform import Platform

Network = Literal["sandbox", "host", "none"]
_NETWORK: dict[Network, int] = {"sandbox": 0, "host": 1, "none": 2}
_NAME = "llb.customname"


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
            op=ops.Op(exec=op, platform=_platform(platform)),
            inputs=inputs,
            metadata=_metadata(name, ignore_cache),
        )
        return Ran(root=State(node, 0), node=node, places=places)

    def file(self, *actions: Action, platform: Platform | None = None, name: str = "") -> State:
        """Copy, make and remove files, one action after the other, as one operation."""
        compiled, inputs = compile_actions(self, actions)
        node = Node(
            op=ops.Op(file=ops.FileOp(actions=compiled), platform=_platform(platform)),
            inputs=inputs,
            metadata=_metadata(name, False),
        )
        return State(node, 0)

    def named(self, name: str) -> State:
        """The same, shown under this name while it is built."""
        if self.node is None:
            return self
        metadata = changed(self.node.metadata, description={_NAME: name})
        return State(msgspec.structs.replace(self.node, metadata=metadata), self.index)


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What a command left behind: ``root``, and each writable mount by its place."""

    root: State
    node: Node
    places: tuple[tuple[str, int], ...]

    def mount(self, dest: str) -> State:
        """The mount at ``dest`` after the command."""
        return State(self.node, dict(self.places)[dest])


def scratch() -> State:
    """The empty filesystem."""
    return State(None)


def image(
    reference: str,
    *,
    platform: Platform | None = None,
    resolve: Literal["default", "pull", "local"] = "default",
    name: str = "",
) -> State:
    """An image of a registry, by its whole name: ``registry.example/debian:13``."""
    attrs = {} if resolve == "default" else {"image.resolvemode": resolve}
    return _source(f"docker-image://{reference}", attrs, platform, name)


def local(
    folder: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    follow: Sequence[str] = (),
    shared_key: str = "",
    name: str = "",
) -> State:
    """A directory that the client sends under the name ``folder``."""
    attrs = {}
    for key, patterns in (
        ("local.includepattern", include), ("local.excludepatterns", exclude),
        ("local.followpaths", follow),
    ):  # fmt: skip
        if patterns:
            attrs[key] = json.dumps(list(patterns), ensure_ascii=False, separators=(",", ":"))
    if shared_key:
        attrs["local.sharedkeyhint"] = shared_key
    return _source(f"local://{folder}", attrs, None, name)


def git(
    url: str, *, ref: str = "", subdir: str = "", keep_git_dir: bool = False, name: str = ""
) -> State:
    """A commit of a git repository; ``ref`` should be a commit's hash."""
    bare = url.split("://", 1)[-1]
    fragment = f"#{ref}" + (f":{subdir}" if subdir else "") if ref or subdir else ""
    attrs = {"git.fullurl": url}
    if keep_git_dir:
        attrs["git.keepgitdir"] = "true"
    return _source(f"git://{bare}{fragment}", attrs, None, name)


def http(url: str, *, checksum: str = "", filename: str = "", mode: int | None = None) -> State:
    """One file from a web server; ``checksum`` is ``sha256:…``."""
    attrs = {"http.checksum": checksum, "http.filename": filename}
    if mode is not None:
        attrs["http.perm"] = f"0{mode:o}"
    return _source(url, {key: value for key, value in attrs.items() if value}, None, "")


def oci_layout(
    reference: str, *, store: str, session: str = "", platform: Platform | None = None
) -> State:
    """An image that the client offers from its content store ``store``: ``name@sha256:…``."""
    attrs = {"oci.store": store}
    if session:
        attrs["oci.session"] = session
    return _source(f"oci-layout://{reference}", attrs, platform, "")


def merge(*layers: State, name: str = "") -> State:
    """One filesystem on top of the other, the last on top."""
    solid = tuple(layer for layer in layers if layer.node is not None)
    if len(solid) < 2:
        return solid[0] if solid else scratch()
    op = ops.MergeOp(inputs=tuple(ops.Layer(input=number) for number in range(len(solid))))
    return State(Node(op=ops.Op(merge=op), inputs=solid, metadata=_metadata(name, False)))


def diff(lower: State, upper: State, name: str = "") -> State:
    """What ``upper`` changed against ``lower``."""
    solid = tuple(state for state in (lower, upper) if state.node is not None)
    at = iter(range(len(solid)))
    op = ops.DiffOp(
        lower=ops.Layer(input=next(at) if lower.node is not None else -1),
        upper=ops.Layer(input=next(at) if upper.node is not None else -1),
    )
    return State(Node(op=ops.Op(diff=op), inputs=solid, metadata=_metadata(name, False)))


def marshal(state: State) -> ops.Definition:
    """The graph that ends in ``state``, as BuildKit takes it; empty for ``scratch``."""
    if state.node is None:
        return ops.Definition()
    defs: dict[str, bytes] = {}
    metadata: dict[str, ops.OpMetadata] = {}
    digests: dict[int, str] = {}
    pending = [state.node]
    while pending:
        node = pending[-1]
        missing = [each.node for each in node.inputs if each.node and id(each.node) not in digests]
        if missing:
            pending.extend(reversed(missing))
            continue
        pending.pop()
        if id(node) in digests:
            continue
        inputs = tuple(
            ops.Input(digest=digests[id(each.node)], index=each.index) for each in node.inputs
        )
        data = encode(changed(node.op, inputs=inputs))
        digest = digests[id(node)] = digest_of(data)
        defs.setdefault(digest, data)
        metadata.setdefault(digest, node.metadata)
    last = encode(ops.Op(inputs=(ops.Input(digest=digests[id(state.node)], index=state.index),)))
    metadata[digest_of(last)] = ops.OpMetadata()
    return ops.Definition(defs=(*defs.values(), last), metadata=metadata)


def digest_of(op: bytes) -> str:
    """The name of an encoded operation."""
    return "sha256:" + hashlib.sha256(op).hexdigest()


def _source(
    identifier: str, attrs: Mapping[str, str], platform: Platform | None, name: str
) -> State:
    op = ops.Op(
        source=ops.SourceOp(identifier=identifier, attrs=attrs), platform=_platform(platform)
    )
    return State(Node(op=op, metadata=_metadata(name, False)))


def _platform(platform: Platform | None) -> ops.Platform | None:
    if platform is None:
        return None
    return ops.Platform(
        architecture=platform.architecture, os=platform.os, variant=platform.variant
    )


def _metadata(name: str, ignore_cache: bool) -> ops.OpMetadata:
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
