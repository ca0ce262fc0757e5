"""Provenance that an index holds itself, in the attestation manifests of its platforms.

Unsigned: it says what the publisher says only if the index is signed. Read bounded; what cannot
be read is as if it were not there.
"""

from __future__ import annotations

from typing import Any

from homeport.attest.errors import BadSignature
from homeport.attest.statement import PREDICATE_TYPES, check_subject, read_statement
from homeport.content.blob import verified
from homeport.content.digest import Digest
from homeport.content.reading import read_bounded
from homeport.errors import HomeportError, Interrupted
from homeport.images.image import Child, Image, Index, digest_of
from homeport.oci.documents import Descriptor

SLSA = PREDICATE_TYPES["slsa"]
#: Bytes of one statement: BuildKit's own limit.
_LIMIT = 40 << 20
_PREDICATE = "in-toto.io/predicate-type"


def provenance_inside(index: Index, platform: Child) -> Any:
    """The SLSA v1 predicate about a platform's manifest, ``None`` if there is none."""
    for child in index.children:
        if child.attests != platform.descriptor.digest:
            continue
        try:
            manifest = child.open()
            if not isinstance(manifest, Image):
                continue
            for layer in manifest.document.parsed.layers:
                if layer.annotations.get(_PREDICATE) == SLSA:
                    return _predicate(manifest, layer, digest_of(platform.descriptor))
        except Interrupted:
            raise
        except HomeportError:
            continue
    return None


def _predicate(manifest: Image, layer: Descriptor, about: Digest) -> Any:
    with verified(manifest.blobs[digest_of(layer)], "a statement") as stream:
        statement = read_statement(read_bounded(stream, _LIMIT, "a statement"))
    check_subject(statement, about, lambda: b"")
    if statement.predicate_type != SLSA:
        raise BadSignature(f"a statement of the type {statement.predicate_type!r}")
    return statement.predicate
