"""Layers that were built before, found again by everything that decides their bytes.

The key holds the plan's inputs, the encoder's exact version and a hash of our own source
files: a checkout changes without its version (docs/formats/cache.md). With an answer, a
build neither reads a package nor writes a layer.
"""

from __future__ import annotations

import hashlib

import msgspec

from homeport.assemble.plan import BuildPlan, inputs_of
from homeport.content.blob import Blob
from homeport.content.code_hash import code_hash
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import UsageError
from homeport.tree.layer_writer import WrittenLayer

_NAMESPACE = "layers"
#: The packages of ours whose code decides what a layer holds.
_DECIDES = ("assemble", "copying", "debian", "layers", "recipe", "sbom", "tree")


class FinishedLayer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer and what a build reports about it.

    warnings: a line each
    declared: dependencies that packages declare and the image does not have
    bill:     the bill of materials (``homeport.sbom.model.Bill``) as JSON
    """

    layer: WrittenLayer
    bill: Blob
    warnings: tuple[str, ...]
    declared: tuple[str, ...]


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    digest: str
    size: int
    diff_id: str
    raw_size: int
    compression: str
    bill: str
    bill_size: int
    warnings: tuple[str, ...]
    declared: tuple[str, ...]


_ANSWER_DECODER = msgspec.json.Decoder(_Answer)


def find_layer(plan: BuildPlan, store: Store) -> FinishedLayer | None:
    """The layer of ``plan``, if the store still has it."""
    answer = store.recall(_NAMESPACE, _key(plan))
    if answer is None:
        return None
    try:
        known = _ANSWER_DECODER.decode(answer)
        blob = store.get(Digest.parse(known.digest), known.size)
        bill = store.get(Digest.parse(known.bill), known.bill_size)
        if blob is None or bill is None:
            return None
        layer = WrittenLayer(
            blob=blob,
            diff_id=Digest.parse(known.diff_id),
            raw_size=known.raw_size,
            compression=known.compression,
            pieces=0,
            cached_pieces=0,
        )
    except (msgspec.DecodeError, UsageError):
        return None
    return FinishedLayer(layer=layer, bill=bill, warnings=known.warnings, declared=known.declared)


def store_layer(plan: BuildPlan, finished: FinishedLayer, store: Store) -> None:
    """Record where the layer of ``plan`` is."""
    layer = finished.layer
    answer = _Answer(
        digest=str(layer.digest),
        size=layer.size,
        diff_id=str(layer.diff_id),
        raw_size=layer.raw_size,
        compression=layer.compression,
        bill=str(finished.bill.digest),
        bill_size=finished.bill.size,
        warnings=finished.warnings,
        declared=finished.declared,
    )
    store.remember(_NAMESPACE, _key(plan), msgspec.json.encode(answer))


def drop_layer(plan: BuildPlan, store: Store) -> None:
    """Remove the record of the layer of ``plan``, because it is damaged."""
    store.forget(_NAMESPACE, _key(plan))


def _key(plan: BuildPlan) -> str:
    return f"{code_hash(*_DECIDES)}\n{hashlib.sha256(inputs_of(plan)).hexdigest()}"
