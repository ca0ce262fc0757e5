"""Statements that an index holds itself, in the attestation manifests of its platforms.

Unsigned: they say what the publisher says only if the index is signed. Read bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from homeport.attest.errors import BadSignature
from homeport.attest.statement import PREDICATE_TYPES, check_subject, read_statement
from homeport.content.blob import read_verified
from homeport.content.digest import Digest
from homeport.errors import HomeportError, Interrupted
from homeport.images.image import Child, Image, Index, digest_of
from homeport.oci.documents import Descriptor

SLSA = PREDICATE_TYPES["slsa"]
#: Bytes of one statement: BuildKit's own limit.
_LIMIT = 40 << 20
_PREDICATE = "in-toto.io/predicate-type"


class Inside(msgspec.Struct, frozen=True, kw_only=True):
    """A predicate about an image. ``problem``: why it cannot be used; then there is no predicate.

    artifact: digest of the statement, or of the manifest that could not be read
    """

    artifact: str
    predicate: Any = None
    problem: str = ""


def provenance_inside(index: Index, platform: Child) -> Any:
    """The SLSA v1 predicate about a platform's manifest, ``None`` if there is none."""
    about = digest_of(platform.descriptor)
    for found in statements_inside(index, about, lambda type: type == SLSA):
        if not found.problem:
            return found.predicate
    return None


def statements_inside(
    index: Index, about: Digest, wanted: Callable[[str], bool]
) -> Iterator[Inside]:
    """Statements about the manifest ``about`` whose predicate type is ``wanted``."""
    for child in index.children:
        if child.attests != str(about):
            continue
        try:
            manifest = child.open()
        except Interrupted:
            raise
        except HomeportError as error:
            yield Inside(artifact=child.descriptor.digest, problem=error.what)
            continue
        layers = manifest.document.parsed.layers if isinstance(manifest, Image) else ()
        for layer in layers:
            type = layer.annotations.get(_PREDICATE, "")
            if isinstance(manifest, Image) and wanted(type):
                yield _inside(manifest, layer, about, type)


def _inside(manifest: Image, layer: Descriptor, about: Digest, type: str) -> Inside:
    try:
        return Inside(artifact=layer.digest, predicate=_predicate(manifest, layer, about, type))
    except Interrupted:
        raise
    except HomeportError as error:
        return Inside(artifact=layer.digest, problem=error.what)


def _predicate(manifest: Image, layer: Descriptor, about: Digest, type: str) -> Any:
    blob = manifest.blobs[digest_of(layer)]
    statement = read_statement(read_verified(blob, _LIMIT, "a statement"))
    check_subject(statement, about, lambda: b"")
    if statement.predicate_type != type:
        raise BadSignature(f"a statement of the type {statement.predicate_type!r}, not {type!r}")
    return statement.predicate
