"""An LLB graph as the Definition that BuildKit takes; the same graph is always the same bytes."""

from __future__ import annotations

import hashlib

from homeport.buildkit.llb import ops
from homeport.buildkit.llb.state import State
from homeport.buildkit.protobuf import changed, encode


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
