"""What registries return about the images of a report (``--online``).

For each image one HEAD for its tag, which counts against no limit, and one or two small
documents for its platforms and age, which count as one pull. A registry that cannot be
queried is named in the report; the audit goes on.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from homeport.audit.assessment import Image, Lookup, Report, Risk
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.content.thread_pools import run_all
from homeport.errors import HomeportError
from homeport.net.address_class import AddressClass
from homeport.net.client import Settings
from homeport.oci.documents import Descriptor, Index, Manifest
from homeport.oci.platform import Platform
from homeport.oci.reference import Reference
from homeport.registry.endpoint import endpoint_for
from homeport.registry.errors import NotFound
from homeport.registry.registries import Registries
from homeport.registry.sources import RepositorySources
from homeport.runtime import Runtime

LookupFunction = Callable[[Reference], Lookup]

#: A build time before this is a trap value: an epoch, a reproducible build's zero.
_PLAUSIBLE = "1980-01-02"
_OLD = datetime.timedelta(days=365)
_WANTED = Platform(os="linux", architecture="amd64")
_INDEX_DECODER = msgspec.json.Decoder(Index)
_MANIFEST_DECODER = msgspec.json.Decoder(Manifest)


class _History(msgspec.Struct):
    created: str = ""


class _Config(msgspec.Struct):
    created: str | None = None
    history: list[_History] | None = None
    config: dict[str, object] | None = None
    os: str = ""
    architecture: str = ""
    variant: str = ""


_CONFIG_DECODER = msgspec.json.Decoder(_Config)


def configured_hosts(report: Report, registries: Registries) -> frozenset[str]:
    """Hosts that the user named, as home or as mirrors, and not the audited files."""
    found: set[str] = set()
    if report.home:
        home = endpoint_for(report.home.partition("/")[0])
        found |= {url.host for url in home.candidates}
    for name in {reference.registry for reference in to_look_up(report)}:
        found |= registries.configured_hosts(name)
    return frozenset(found)


def named_by_strangers(settings: Settings, hosts: frozenset[str]) -> Settings:
    """Settings of a client that reaches private addresses at ``hosts`` only.

    Otherwise the Dockerfile of a pull request could have any host inside a network queried.
    """
    trusted = settings.trusted_hosts | hosts
    return msgspec.structs.replace(settings, least=AddressClass.PUBLIC, trusted_hosts=trusted)


def look_up(report: Report, registries: Registries, runtime: Runtime) -> Report:
    """The report with what the registries return about its images."""
    lookup = lookup_function(registries, runtime.store)
    wanted = to_look_up(report)
    found = run_all(runtime.pools.network, [partial(lookup, one) for one in wanted])
    return with_answers(report, dict(zip(map(str, wanted), found, strict=True)))


def to_look_up(report: Report) -> list[Reference]:
    """Images that are looked up: foreign ones of at least medium confidence."""
    return [
        image.reference
        for image in report.images
        if image.reference is not None and not image.internal and image.confidence != "low"
    ]


def lookup_function(registries: Registries, store: Store) -> LookupFunction:
    """A function that looks one image up; safe to call from threads."""

    def look_up_one(reference: Reference) -> Lookup:
        try:
            return _look_up(registries.sources(reference), reference, store)
        except NotFound as error:
            return Lookup(problem=error.what, gone=True)
        except HomeportError as error:
            return Lookup(problem=f"lookup failed: {error.what}")

    return look_up_one


def with_answers(
    report: Report, answers: Mapping[str, Lookup], today: datetime.date | None = None
) -> Report:
    """The report with the answers of registries, and the risks that follow from them."""
    today = today or datetime.datetime.now(datetime.UTC).date()
    images = tuple(_with_answer(image, answers.get(image.name), today) for image in report.images)
    return msgspec.structs.replace(report, images=images)


def _look_up(repository: RepositorySources, reference: Reference, store: Store) -> Lookup:
    note = ""
    current = repository.manifest_digest(reference.tag) if reference.tag else None
    if reference.tag and current is None and reference.digest is None:
        return Lookup(problem=f"{reference.registry} has no such image", gone=True)
    moved = bool(reference.digest and current and current != reference.digest)
    if reference.digest and reference.tag and current is None:
        note = "the tag is gone"
    wanted: str | Digest = reference.digest or current or reference.tag
    received = repository.manifest(wanted, suggest=False)
    platforms, manifest = _platforms(repository, received.raw)
    part = ""
    if moved and current and reference.digest and not platforms:
        part = _part(repository.manifest(current, suggest=False).raw, str(reference.digest))
    created, platform = _created(repository, manifest, store) if manifest else ("", "")
    if not platforms and platform:
        platforms = (platform,)
        if reference.digest:
            note = note or f"one platform's manifest, {platform}"
    if part:
        platforms, note = (part,), f"the part for {part} of the tag's index"
    return Lookup(
        digest=str(received.digest), created=created, platforms=platforms,
        moved=moved and not part, one_platform=bool(part), note=note,
    )  # fmt: skip


def _part(raw: bytes, digest: str) -> str:
    """The platform that ``digest`` is in an index, ``""`` if it is not in it."""
    try:
        index = _INDEX_DECODER.decode(raw)
    except msgspec.DecodeError:
        return ""
    return next((str(m.platform) for m in index.manifests if str(m.parsed_digest) == digest), "")


def _platforms(
    repository: RepositorySources, raw: bytes
) -> tuple[tuple[str, ...], Manifest | None]:
    """The platforms of an index, and the manifest of the one that is looked into."""
    try:
        index = _INDEX_DECODER.decode(raw)
        if not index.manifests:
            return (), _MANIFEST_DECODER.decode(raw)
        real = [m for m in index.manifests if m.platform and m.platform.os != "unknown"]
        chosen = next((m for m in real if m.platform == _WANTED), real[0] if real else None)
        names = tuple(dict.fromkeys(str(m.platform) for m in real))
        if chosen is None:
            return names, None
        child = repository.manifest(chosen.parsed_digest, suggest=False)
        return names, _MANIFEST_DECODER.decode(child.raw)
    except msgspec.DecodeError:
        return (), None


def _created(repository: RepositorySources, manifest: Manifest, store: Store) -> tuple[str, str]:
    """When it was built and for which platform, from config, history or annotation."""
    candidates = [manifest.annotations.get("org.opencontainers.image.created", "")]
    platform = ""
    descriptor: Descriptor = manifest.config
    if descriptor.size <= 1 << 20 and "config" in descriptor.media_type + "config":
        blob = repository.fetch_blob(descriptor, store)
        with blob.open() as stream:
            raw = stream.read()
        try:
            config = _CONFIG_DECODER.decode(raw)
        except msgspec.DecodeError:
            config = _Config()
        history = sorted((h.created for h in config.history or []), reverse=True)
        candidates = [config.created or "", *history[:1], *candidates]
        parts = (config.os, config.architecture, config.variant)
        platform = "/".join(part for part in parts if part) if config.os else ""
    plausible = (c for c in candidates if c[:10] >= _PLAUSIBLE and c[:2] in ("19", "20"))
    return next(plausible, ""), platform


def _with_answer(image: Image, lookup: Lookup | None, today: datetime.date) -> Image:
    if lookup is None:
        return image
    risks = list(image.risks)
    if lookup.gone:
        risks.insert(
            0, Risk(id="gone", level="high", brief="not in the registry", text=lookup.problem)
        )
    if lookup.moved:
        text = "the tag is another image now; the digest gets no updates"
        risks.append(Risk(id="moved-tag", level="medium", brief="tag moved", text=text))
    if lookup.one_platform:
        text = f"the digest is {lookup.note}; other platforms cannot pull it"
        risks.append(Risk(id="one-platform", level="low", brief="one platform only", text=text))
    if (age := _age(lookup.created, today)) and age > _OLD:
        built = f"built {lookup.created[:10]}"
        risks.append(Risk(id="old", level="low", brief=built, text=built))
    return msgspec.structs.replace(image, lookup=lookup, risks=tuple(risks))


def _age(created: str, today: datetime.date) -> datetime.timedelta | None:
    try:
        return today - datetime.date.fromisoformat(created[:10])
    except ValueError:
        return None
