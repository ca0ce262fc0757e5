"""Which tags and digests of a repository other repositories' files still name.

Found by the audit's readers, explicit and implicit uses alike. A use whose tag is not known (a
variable without a value), or a file that cannot be read and mentions the repository, is
``unclear``: then nothing may be removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.audit.auditing import AuditRequest, audit
from homeport.content.digest import Digest
from homeport.content.files import read_input
from homeport.errors import UsageError
from homeport.oci.documents import Index, read_manifest_or_index
from homeport.registry.operations import ManifestBytes

_LONGEST = 64 << 20


class Consumers(msgspec.Struct, frozen=True, kw_only=True):
    """What the files of consumers name, each with the first place that does.

    unclear: places that name the repository, and one cannot tell which of its images
    """

    tags: Mapping[str, str]
    digests: Mapping[Digest, str]
    unclear: tuple[str, ...]


def consumers_of(
    repository: str, folders: Sequence[Path], check: Callable[[], None] = lambda: None
) -> Consumers:
    """Audit the folders. Raises ``UsageError`` for one that is not there.

    repository: with its registry; check: may raise to stop early
    """
    tags: dict[str, str] = {}
    digests: dict[Digest, str] = {}
    unclear: list[str] = []
    for folder in folders:
        if not folder.is_dir():
            hint = "name checkouts of the repositories that use the image"
            raise UsageError(f"{folder} is not a directory", hint=hint)
        report = audit(AuditRequest(paths=(".",), root=folder), check=check).report
        for use in (use for image in report.images for use in image.uses):
            place = f"{folder / use.place.file}:{use.place.line}"
            reference = use.reference
            if reference is None:
                if repository in use.value or repository in use.expression:
                    unclear.append(f"{place}: {use.problem or use.expression}")
            elif reference.name == repository:
                if reference.tag:
                    tags.setdefault(reference.tag, place)
                if reference.digest is not None:
                    digests.setdefault(reference.digest, place)
        unclear += _unread(repository, folder, sorted({each.file for each in report.unread}))
    return Consumers(tags=tags, digests=digests, unclear=tuple(unclear))


def parts_of(manifest: ManifestBytes) -> tuple[Digest, ...]:
    """The digests that an index lists; none of an image."""
    document = read_manifest_or_index(manifest.raw, manifest.media_type)
    if not isinstance(document.parsed, Index):
        return ()
    return tuple(each.parsed_digest for each in document.parsed.manifests)


def _unread(repository: str, folder: Path, files: Sequence[str]) -> Iterator[str]:
    """Files that the audit could not read in full and that mention the repository."""
    for name in files:
        path = folder / name
        if repository.encode() in read_input(path, _LONGEST):
            yield f"{path}: names {repository}, but could not be read in full"
