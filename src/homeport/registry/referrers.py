"""What refers to an image: signatures, SBOMs, provenance (distribution spec, "Listing Referrers").

A registry that keeps the list itself says so (``OCI-Subject``); for others the client keeps
it in an index under a tag made of the subject's digest. Processes of one user lock it; there
is no lock against other clients: after a write the tag is read again, and written again if
another client's write was lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from homeport.content.digest import Digest
from homeport.errors import HomeportError
from homeport.net.errors import BadResponse
from homeport.net.retries import READ
from homeport.oci import go_json, media_types
from homeport.oci.documents import (
    BadDocument,
    Descriptor,
    Index,
    Manifest,
    encode,
    read_manifest_or_index,
)
from homeport.registry.errors import NotFound, ProtocolBroken, RegistryError, ServerFailed
from homeport.registry.listing import Page, pages
from homeport.registry.process_lock import process_lock
from homeport.registry.repository import Repository

#: Told in a sentence what could not be listed.
Report = Callable[[str], None] | None

_TRIES = 6
_SETTLED = 0.5  # of a retry's pause: how long after a write the list is read again
COUNT_LIMIT = 10_000


class _Referrers(msgspec.Struct):
    media_type: str = msgspec.field(name="mediaType", default="")
    manifests: list[Descriptor] = []


_REFERRERS_READER = go_json.Reader(_Referrers)


def referrers(
    repository: Repository, subject: Digest, *, artifact_type: str | None = None,
    with_tag: bool = False, report: Report = None,
) -> list[Descriptor]:  # fmt: skip
    """Everything that refers to ``subject``, each once.

    Asks the registry's own list, else the fallback tag. A registry without either has none.

    with_tag: read the tag in any case: a registry's own list may be older than its clients'
    report:   told what the registry does not let us see, and of lists that fail or are damaged;
              without it, these are raised: what judges signatures must not take them for none
    """
    found: dict[str, Descriptor] = {}
    listed = _from_registry(repository, subject, report) or []
    tagged = _from_tag(repository, subject, report) if with_tag or not listed else ()
    for one in (*listed, *tagged):
        found.setdefault(one.digest, one)
        if len(found) > COUNT_LIMIT:
            raise ProtocolBroken(f"{repository}: {subject} has more than {COUNT_LIMIT} referrers")
    # Registries may ignore the filter, so it is not sent at all.
    return [one for one in found.values() if artifact_type in (None, one.artifact_type)]


def fallback_tag(subject: Digest) -> str:
    """The tag under which clients list referrers where the registry does not."""
    algorithm = re.sub(r"[^A-Za-z0-9._-]", "-", subject.algorithm)[:32]
    return f"{algorithm}-{subject.hex[:64]}"


def describe(raw: bytes, media_type: str) -> tuple[Digest, Descriptor] | None:
    """The subject of a manifest and how a list of referrers shows it, if it has a subject."""
    document = read_manifest_or_index(raw, media_type)
    parsed: Manifest | Index = document.parsed
    if parsed.subject is None:
        return None
    kind = parsed.artifact_type
    if not kind and isinstance(parsed, Manifest):
        kind = parsed.config.media_type
    shown = document.descriptor(artifact_type=kind, annotations=parsed.annotations)
    return parsed.subject.parsed_digest, shown


def ensure_listed(repository: Repository, subject: Digest, referrer: Descriptor) -> None:
    """Make the fallback tag list ``referrer``, unless the registry lists it already.

    Raises ``RegistryError`` when the tag holds something else than a list, or may not move.
    """
    if repository.registry.quirks.no_referrers is False:
        listed = _from_registry(repository, subject)
        if listed is not None and any(one.digest == referrer.digest for one in listed):
            return
    client = repository.registry.client
    with (  # a lock for our own threads and processes
        repository.registry.referrers_lock,
        process_lock(f"{repository}:{fallback_tag(subject)}", client.clock, client.cancel),
    ):
        _add_to_tag(repository, subject, referrer)


def _add_to_tag(repository: Repository, subject: Digest, referrer: Descriptor) -> None:
    client = repository.registry.client
    for number in range(1, _TRIES + 1):
        current = _read_tag(repository, subject)
        entries = current.manifests if current else ()
        if any(one.digest == referrer.digest for one in entries):
            return
        _write_tag(repository, subject, current, referrer)
        # Another process may have read the list before and write after us: look again later.
        client.clock.wait(_SETTLED * client.retrier.pause(READ, number), client.cancel)
    raise ProtocolBroken(
        f"{repository}: the list of referrers of {subject} keeps losing entries",
        hint="run the command again when no other client writes to it",
    )


def _from_registry(
    repository: Repository, subject: Digest, report: Report = None
) -> list[Descriptor] | None:
    """The registry's own list; ``None`` if it keeps none, or none for us."""
    if repository.registry.quirks.no_referrers:
        return None
    found: list[Descriptor] = []
    path = f"referrers/{subject}"
    try:
        for page in pages(repository.registry, repository.name, path, "referrers"):
            listed = _listed(page, repository)
            if listed is None:
                return None
            found += listed
    except RegistryError as error:
        if error.status in (400, 404, 405, 501):
            repository.registry.quirks.no_referrers = error.status != 400
            return None
        if error.status in (401, 403, 406):  # proxies in front of registries answer so, too
            if report is not None:
                report(f"{repository} does not list referrers ({error.status}): its tags are tried")
            return None
        if report is None or not isinstance(error, ServerFailed | ProtocolBroken):
            raise
        report(f"{error.what}: its tags are tried")
        return None
    return found


def _listed(page: Page, repository: Repository) -> list[Descriptor] | None:
    """What a page lists; ``None``: a proxy's page, or a registry that answers everything.

    The specification requires the index's media type as Content-Type. Where it is another, the
    document itself must say that it is an index.
    """
    if page.media_type == media_types.OCI_INDEX:
        return _decode(page.read(), repository).manifests
    try:
        found = _decode(page.read(), repository)
    except (BadResponse, ProtocolBroken):
        return None
    return found.manifests if found.media_type == media_types.OCI_INDEX else None


def _from_tag(repository: Repository, subject: Digest, report: Report) -> Iterator[Descriptor]:
    try:
        index = _read_tag(repository, subject)
    except (BadDocument, NotAList):
        return
    except RegistryError as error:
        if error.status not in (401, 403):  # Artifactory denies what is not there
            raise
        if report is not None:
            report(f"{repository}:{fallback_tag(subject)} cannot be read ({error.status})")
        return
    yield from index.manifests if index else ()


class NotAList(RegistryError):
    """The tag that should list referrers points to an image."""

    id = "not-a-list"


def _read_tag(repository: Repository, subject: Digest) -> Index | None:
    tag = fallback_tag(subject)
    try:
        found = repository.manifest(tag, suggest=False)
    except NotFound:
        return None
    if found.digest == subject:  # GitLab takes the tag for another spelling of the digest
        return None
    document = read_manifest_or_index(found.raw, found.media_type)
    if not isinstance(document.parsed, Index):
        raise NotAList(
            f"{repository}:{tag} is an image, expected the list of referrers of {subject}",
            hint="delete or rename that tag",
        )
    return document.parsed


def _write_tag(
    repository: Repository, subject: Digest, current: Index | None, referrer: Descriptor
) -> None:
    index = Index(
        schema_version=2,
        media_type=media_types.OCI_INDEX,
        manifests=(*(current.manifests if current else ()), referrer),
        annotations=current.annotations if current else {},
    )
    raw = encode(index)
    try:
        repository.put_manifest(raw, media_types.OCI_INDEX, fallback_tag(subject), Digest.of(raw))
    except HomeportError as error:
        raise error.at(tag=fallback_tag(subject))  # noqa: B904  the same error, with its place


def _decode(raw: bytes, repository: Repository) -> _Referrers:
    try:
        return _REFERRERS_READER.decode(raw)
    except go_json.BadJson as error:
        raise ProtocolBroken(
            f"{repository}: the list of referrers is not valid: {error}"
        ) from error
