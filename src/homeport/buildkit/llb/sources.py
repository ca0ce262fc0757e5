"""Where an LLB graph begins: images, directories of the client, git, HTTP; and joining states."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Literal

from homeport.buildkit.llb import ops
from homeport.buildkit.llb.state import Node, State, node_metadata, wire_platform
from homeport.oci.platform import Platform


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
    return State(Node(op=ops.Op(merge=op), inputs=solid, metadata=node_metadata(name, False)))


def diff(lower: State, upper: State, name: str = "") -> State:
    """What ``upper`` changed against ``lower``."""
    solid = tuple(state for state in (lower, upper) if state.node is not None)
    at = iter(range(len(solid)))
    op = ops.DiffOp(
        lower=ops.Layer(input=next(at) if lower.node is not None else -1),
        upper=ops.Layer(input=next(at) if upper.node is not None else -1),
    )
    return State(Node(op=ops.Op(diff=op), inputs=solid, metadata=node_metadata(name, False)))


def _source(
    identifier: str, attrs: Mapping[str, str], platform: Platform | None, name: str
) -> State:
    op = ops.Op(
        source=ops.SourceOp(identifier=identifier, attrs=attrs), platform=wire_platform(platform)
    )
    return State(Node(op=op, metadata=node_metadata(name, False)))
