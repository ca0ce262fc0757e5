"""Giving an image in a registry more tags: its manifest is written again, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

from homeport.content.digest import Digest
from homeport.oci.documents import read_manifest_or_index
from homeport.registry.errors import TagTaken
from homeport.registry.repository import Repository


def retag(
    repository: Repository, what: Digest | str, tags: Sequence[str], *, no_clobber: bool = False
) -> tuple[Digest, list[str]]:
    """Make every tag lead to ``what``; returns its digest and the tags that were moved.

    With ``no_clobber`` no tag is touched if one leads elsewhere (``TagTaken``).
    """
    scopes = repository.push_scope
    found = repository.manifest(what, scopes=scopes)
    kind = read_manifest_or_index(found.raw, found.media_type).media_type
    there = {tag: repository.manifest_digest(tag, scopes=scopes) for tag in tags}
    if no_clobber:
        for tag, digest in there.items():
            if digest not in (None, found.digest):
                raise TagTaken(
                    f"{repository}:{tag} already exists with digest {digest}",
                    where={"tag": tag, "digest": str(digest)},
                )
    moved = [tag for tag, digest in there.items() if digest != found.digest]
    for tag in moved:
        repository.put_manifest(found.raw, kind, tag, found.digest)
    return found.digest, moved
