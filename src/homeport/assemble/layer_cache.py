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
from homeport.recipe.lock.model import AccountNumbers
from homeport.tree.layer_writer import WrittenLayer

_NAMESPACE = "layers"
#: The packages of ours whose code decides what a layer holds.
_DECIDES = (
    "assemble", "assemble/update_counts.txt", "copying", "debian", "layers", "recipe", "sbom",
    "tree",
)  # fmt: skip


class FinishedLayers(msgspec.Struct, frozen=True, kw_only=True):
    """The layers of an image, lowest first, and what a build reports about them.

    accounts: numbers that neither Debian nor the recipe fixes
    warnings: a line each
    declared: dependencies that packages declare and the image does not have
    bill:     the bill of materials (``homeport.sbom.model.Bill``) as JSON
    """

    layers: tuple[WrittenLayer, ...]
    bill: Blob
    accounts: AccountNumbers
    warnings: tuple[str, ...]
    declared: tuple[str, ...]


class _Layer(msgspec.Struct, frozen=True, kw_only=True):
    digest: str
    size: int
    diff_id: str
    raw_size: int
    compression: str
    annotations: dict[str, str] = {}  # a struct's default is copied


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    layers: tuple[_Layer, ...]
    bill: str
    bill_size: int
    accounts: AccountNumbers
    warnings: tuple[str, ...]
    declared: tuple[str, ...]


_ANSWER_DECODER = msgspec.json.Decoder(_Answer)


def find_layers(plan: BuildPlan, store: Store) -> FinishedLayers | None:
    """The layers of ``plan``, if the store still has all of them."""
    answer = store.recall(_NAMESPACE, _key(plan))
    if answer is None:
        return None
    try:
        known = _ANSWER_DECODER.decode(answer)
        bill = store.get(Digest.parse(known.bill), known.bill_size)
        layers = tuple(filter(None, (_found(layer, store) for layer in known.layers)))
    except (msgspec.DecodeError, UsageError):
        return None
    if bill is None or not layers or len(layers) < len(known.layers):
        return None
    return FinishedLayers(
        layers=layers, bill=bill, accounts=known.accounts, warnings=known.warnings,
        declared=known.declared,
    )  # fmt: skip


def _found(layer: _Layer, store: Store) -> WrittenLayer | None:
    blob = store.get(Digest.parse(layer.digest), layer.size)
    if blob is None:
        return None
    return WrittenLayer(
        blob=blob,
        diff_id=Digest.parse(layer.diff_id),
        raw_size=layer.raw_size,
        compression=layer.compression,
        pieces=0,
        cached_pieces=0,
        annotations=layer.annotations,
    )


def store_layers(plan: BuildPlan, finished: FinishedLayers, store: Store) -> None:
    """Record where the layers of ``plan`` are."""
    layers = (
        _Layer(
            digest=str(layer.digest),
            size=layer.size,
            diff_id=str(layer.diff_id),
            raw_size=layer.raw_size,
            compression=layer.compression,
            annotations=dict(layer.annotations),
        )
        for layer in finished.layers
    )
    answer = _Answer(
        layers=tuple(layers),
        bill=str(finished.bill.digest),
        bill_size=finished.bill.size,
        accounts=finished.accounts,
        warnings=finished.warnings,
        declared=finished.declared,
    )
    store.remember(_NAMESPACE, _key(plan), msgspec.json.encode(answer))


def drop_layers(plan: BuildPlan, store: Store) -> None:
    """Remove the record of the layers of ``plan``, because one is damaged."""
    store.forget(_NAMESPACE, _key(plan))


def _key(plan: BuildPlan) -> str:
    return f"{code_hash(*_DECIDES)}\n{hashlib.sha256(inputs_of(plan)).hexdigest()}"
