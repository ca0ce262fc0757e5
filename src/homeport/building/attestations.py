"""Attestations inside the index, laid out as BuildKit does (its "attestation storage").

For each platform's image one manifest whose layers are in-toto statements: an SBOM and SLSA
provenance. They are a function of the build's inputs, so the index has the same digest
everywhere; the digests of the images themselves do not change. They are not signed.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from homeport import __version__
from homeport.assemble.build import BuiltImage, BuiltIndex
from homeport.assemble.image import make_index
from homeport.assemble.plan import BuildPlan
from homeport.building.request import OLDER_FORM, Kind
from homeport.content.blob import Blob, verified
from homeport.content.code_hash import code_hash
from homeport.content.digest import Digest
from homeport.content.kept_blobs import recall_blob, remember_blob
from homeport.content.store import Store
from homeport.errors import HomeportError
from homeport.images.image import ATTESTATION_DIGEST, ATTESTATION_TYPE, Child, Image, digest_of
from homeport.oci import media_types
from homeport.oci.documents import (
    Descriptor,
    ImageConfig,
    Manifest,
    RootFs,
    encode,
    read_manifest_or_index,
    written,
)
from homeport.oci.platform import UNKNOWN
from homeport.recipe.lock.model import Lockfile

#: Of BuildKit's newer form (``oci-artifact=true``): with a subject, so that it can be signed.
ARTIFACT_TYPE = "application/vnd.docker.attestation.manifest.v1+json"
STATEMENT = "application/vnd.in-toto+json"
PREDICATE = "in-toto.io/predicate-type"
_NAMESPACE = "attestations"
_DECIDES = ("assemble/bill.py", "building", "inspection", "sbom")
_EMPTY = b"{}"


def attested(
    built: BuiltIndex,
    plans: Sequence[BuildPlan],
    lockfile: Lockfile,
    kinds: Sequence[Kind],
    store: Store,
    *,
    kit: Digest | None = None,
) -> BuiltIndex:
    """``built`` with an attestation manifest behind the images, one for each.

    kit: the rebuild kit's layer, for the provenance
    What was made before for the same image and inputs is taken from ``store``.
    """
    kinds = [kind for kind in kinds if kind != "kit"]
    if not kinds:
        return built
    images = [each.image for each in built.images]
    statements = [
        _attestation(each, plan, lockfile, kinds, store, kit=kit)
        for each, plan in zip(built.images, plans, strict=True)
    ]
    entries = [_entry(image, made) for image, made in zip(images, statements, strict=True)]
    return msgspec.structs.replace(built, index=make_index(images, tuple(plans), entries))


def _entry(image: Image, attestation: Image) -> Child:
    # Sorted and without artifactType: skopeo writes an index anew, and the digest must stay.
    annotations = {
        ATTESTATION_DIGEST: str(image.digest),
        ATTESTATION_TYPE: "attestation-manifest",
    }
    descriptor = attestation.document.descriptor(platform=UNKNOWN, annotations=annotations)
    return Child(descriptor=descriptor, opener=lambda: attestation)


def _attestation(
    image: BuiltImage,
    plan: BuildPlan,
    lockfile: Lockfile,
    kinds: Sequence[Kind],
    store: Store,
    *,
    kit: Digest | None,
) -> Image:
    key = " ".join(
        (
            code_hash(*_DECIDES), __version__, str(image.image.digest), str(image.bill.digest),
            str(plan.recipe_digest), str(plan.lockfile_digest), str(kit), *kinds,
        )
    )  # fmt: skip
    if found := _kept(store, key):
        return found
    # 40 ms that a build with nothing to do saves
    from homeport.building.statements import statements

    layers: list[tuple[Descriptor, Blob]] = []
    for predicate_type, statement in statements(image, plan, lockfile, kinds, kit):
        blob = store.put_bytes(statement)
        descriptor = Descriptor(
            media_type=STATEMENT, digest=str(blob.digest), size=blob.size,
            annotations={PREDICATE: predicate_type},
        )  # fmt: skip
        layers.append((descriptor, blob))
    listed = tuple(descriptor for descriptor, _ in layers)
    manifest, content = _older(listed) if OLDER_FORM in kinds else _newer(listed, image.image)
    config = store.put_bytes(content)
    document = written(manifest, media_types.OCI_MANIFEST)
    kept = store.put_bytes(document.raw)
    remember_blob(store, _NAMESPACE, key, kept)
    blobs = {config.digest: config, **{blob.digest: blob for _, blob in layers}}
    return Image(document=document, blobs=blobs, platform=UNKNOWN)


def _newer(layers: tuple[Descriptor, ...], image: Image) -> tuple[Manifest, bytes]:
    """An artifact that names its subject, and its config."""
    manifest = Manifest(
        schema_version=2,
        media_type=media_types.OCI_MANIFEST,
        artifact_type=ARTIFACT_TYPE,
        config=_described(media_types.OCI_EMPTY, _EMPTY),
        layers=layers,
        subject=image.document.descriptor(),
    )
    return manifest, _EMPTY


def _older(layers: tuple[Descriptor, ...]) -> tuple[Manifest, bytes]:
    """What looks like an image of no platform, for registries that take no artifacts."""
    diff_ids = tuple(layer.digest for layer in layers)
    config = encode(
        ImageConfig(
            architecture=UNKNOWN.architecture, os=UNKNOWN.os,
            rootfs=RootFs(type="layers", diff_ids=diff_ids),
        )
    )  # fmt: skip
    manifest = Manifest(
        schema_version=2,
        media_type=media_types.OCI_MANIFEST,
        config=_described(media_types.OCI_CONFIG, config),
        layers=layers,
    )
    return manifest, config


def _described(media_type: str, content: bytes) -> Descriptor:
    return Descriptor(media_type=media_type, digest=str(Digest.of(content)), size=len(content))


def _kept(store: Store, key: str) -> Image | None:
    """The attestation that an earlier build made, if the store still has all of it."""
    raw = recall_blob(store, _NAMESPACE, key)
    if raw is None:
        return None
    try:
        with verified(raw, "an attestation manifest") as stream:
            document = read_manifest_or_index(stream.readall(), media_types.OCI_MANIFEST)
        if not isinstance(document.parsed, Manifest):
            return None
        blobs: dict[Digest, Blob] = {}
        for descriptor in (document.parsed.config, *document.parsed.layers):
            blob = store.get(digest_of(descriptor), descriptor.size)
            if blob is None:
                return None
            blobs[blob.digest] = blob
    except HomeportError:
        return None
    return Image(document=document, blobs=blobs, platform=UNKNOWN)
