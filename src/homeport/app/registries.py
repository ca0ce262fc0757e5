"""Methods of ``App`` that ask a registry: logins, tags, manifests, blobs, deletion."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from homeport.app.resources import Resources
from homeport.home import home_directory

if TYPE_CHECKING:
    from homeport.content.digest import Digest
    from homeport.images.garbage import GarbageCollected
    from homeport.images.reading import ConfigBytes
    from homeport.images.validation import Validated
    from homeport.oci.platform import Platform
    from homeport.registry.access import RegistryAccess
    from homeport.registry.login import Login
    from homeport.registry.login_flow import LoginResult, LogoutResult
    from homeport.registry.operations import (
        BlobWritten,
        Deleted,
        ManifestBytes,
        PingResult,
        RepositoryList,
        Retagged,
        TagList,
    )


class RegistryCommands(Resources):
    """What commands ask of one registry, and of images as they lie there."""

    def login(
        self, registry: str, login: Login, access: RegistryAccess | None = None
    ) -> LoginResult:
        """Verify credentials at a registry and save them as docker does."""
        # 100 ms that other commands save
        from homeport.oci.reference import registry_name
        from homeport.registry.access import RegistryAccess
        from homeport.registry.login_flow import save_login

        name = registry_name(registry)
        access = msgspec.structs.replace(access or RegistryAccess(), login=login)
        opened = self.registries(name, access).registry(name)
        return save_login(opened, login, os.environ, home_directory())

    def logout(self, registry: str) -> LogoutResult:
        """Remove the credentials of a registry from where docker keeps them."""
        # 110 ms that other commands save
        from homeport.registry.login_flow import remove_login

        return remove_login(registry, os.environ, home_directory())

    def ping(self, registry: str, access: RegistryAccess | None = None) -> PingResult:
        """Check access to a registry, and with which login."""
        # 170 ms that other commands save
        from homeport.registry.operations import ping

        return ping(registry, self._opening(access))

    def repositories(
        self, registry: str, *, match: str | None = None, access: RegistryAccess | None = None
    ) -> RepositoryList:
        """The repositories that a registry lists; ``match`` is a glob over their paths."""
        # 120 ms that other commands save
        from homeport.registry.operations import list_repositories

        return list_repositories(registry, self._opening(access), match=match)

    def tags(
        self, repository: str, *, match: str | None = None, access: RegistryAccess | None = None
    ) -> TagList:
        """The tags of a repository, a layout or an archive; ``match`` is a glob."""
        # 120 ms that other commands save
        from homeport.images.reading import list_tags

        return list_tags(repository, self._reading(access), match=match)

    def digest(
        self, address: str, *, platform: Platform | None = None,
        access: RegistryAccess | None = None,
    ) -> Digest:  # fmt: skip
        """The digest of what is at an address, or of its image for ``platform``."""
        # 110 ms that other commands save
        from homeport.images.reading import read_digest

        return read_digest(address, self._reading(access), platform)

    def manifest(
        self, address: str, access: RegistryAccess | None = None, *,
        platform: Platform | None = None,
    ) -> ManifestBytes:  # fmt: skip
        """A manifest or index, byte for byte; with ``platform``, the manifest of that image."""
        # 110 ms that other commands save
        from homeport.images.reading import read_manifest

        return read_manifest(address, self._reading(access), platform)

    def config(
        self, address: str, *, platform: Platform | None = None,
        access: RegistryAccess | None = None,
    ) -> ConfigBytes:  # fmt: skip
        """The config of an image, byte for byte.

        platform: by default this machine's, else the first of the index
        """
        # 110 ms that other commands save
        from homeport.images.reading import read_image_config

        return read_image_config(address, self._reading(access), platform)

    def blob(
        self, reference: str, output: Path | BinaryIO, access: RegistryAccess | None = None
    ) -> BlobWritten:
        """Verify the blob ``PLACE@DIGEST`` and write it to a file or stream."""
        # 130 ms that other commands save
        from homeport.images.reading import write_blob

        return write_blob(reference, output, self._reading(access))

    def validate(
        self, address: str, *, fast: bool = False, access: RegistryAccess | None = None
    ) -> Validated:
        """Check every document, blob and layer of an image; what is wrong is in the result.

        fast: only look whether each blob is there with its size
        """
        # 130 ms that other commands save
        from homeport.images.validation import validate

        return validate(address, self._reading(access), fast=fast)

    def retag(
        self, reference: str, tags: Sequence[str], *, no_clobber: bool = False,
        access: RegistryAccess | None = None,
    ) -> Retagged:  # fmt: skip
        """Add tags to an image in its registry.

        no_clobber: raise ``AnswerNo`` if a tag points to another image
        """
        # 120 ms that other commands save
        from homeport.registry.operations import add_tags

        return add_tags(reference, tags, self._opening(access), no_clobber=no_clobber)

    def delete(
        self, reference: str, *, with_all_tags: bool = False, access: RegistryAccess | None = None
    ) -> Deleted:
        """Delete a tag, or with ``@DIGEST`` an image, from a registry or a layout.

        with_all_tags: delete the image if the registry cannot delete a tag alone
        """
        # 120 ms that other commands save
        from homeport.images.reading import delete

        return delete(reference, self._reading(access), with_all_tags=with_all_tags)

    def gc(self, layout: Path, *, dry_run: bool = False) -> GarbageCollected:
        """Remove the blobs of an OCI layout that no line of its ``index.json`` leads to."""
        # 20 ms that other commands save
        from homeport.images.garbage import collect_garbage

        return collect_garbage(layout, self.runtime.cancel, dry_run=dry_run)
