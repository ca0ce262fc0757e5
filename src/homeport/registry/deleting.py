"""Deleting a tag or a manifest, and never more than was asked for.

Registries before distribution 3 cannot delete a tag alone. Deleting the digest instead takes
all its tags with it, so that is done only when the caller says so.
"""

from __future__ import annotations

from homeport.content.digest import Digest
from homeport.registry.errors import RegistryError, Unsupported
from homeport.registry.repository import Repository


def delete(repository: Repository, what: Digest | str, *, with_all_tags: bool = False) -> bool:
    """Delete a manifest (by digest) or a tag; whether it was there.

    Raises ``Unsupported`` when the registry deletes nothing, or no tag by itself.
    """
    try:
        return repository.delete_manifest(what)
    except RegistryError as error:
        if isinstance(what, Digest):
            if isinstance(error, Unsupported):
                error.hint = "deletion is disabled in this registry; its operator can enable it"
            raise
        if error.status not in (400, 405) and not isinstance(error, Unsupported):
            raise
        refusal = error
    digest = repository.manifest_digest(what)
    if digest is None:
        return False
    if not with_all_tags:
        raise Unsupported(
            f"{repository.registry.name} cannot delete a tag alone",
            status=refusal.status,
            codes=refusal.codes,
            where={"registry": repository.registry.name, "repository": repository.name},
            hint=f"--with-all-tags deletes {digest} with all its tags",
        )
    return delete(repository, digest)
