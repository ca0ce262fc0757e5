"""The lockfile of a tree: digests of base images, and of what was published from which inputs.

It lies beside the tree's configuration as ``docker-pkg.lock.json`` (docs/formats/docker-pkg.md).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from homeport.content.digest import Digest
from homeport.content.files import read_input, write_file
from homeport.errors import UsageError

SCHEMA = "homeport-docker-pkg-lock/v1"
FILE_NAME = "docker-pkg.lock.json"
_LARGEST = 16 << 20


class BadLockfile(UsageError):
    """The tree's lockfile cannot be read."""

    id = "docker-pkg-lockfile"


class LockedImage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A published image.

    reference: with its tag
    digest:    of the index or manifest that the tag was given to
    """

    reference: str
    digest: str
    inputs: str
    platforms: tuple[str, ...] = ()


class TreeLock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``homeport-docker-pkg-lock/v1``.

    bases:  images that are not built here → digests
    images: by name
    """

    schema: str = SCHEMA
    bases: dict[str, str] = msgspec.field(default_factory=dict)
    images: dict[str, LockedImage] = msgspec.field(default_factory=dict)

    def with_image(self, name: str, image: LockedImage) -> TreeLock:
        """The lock with another image."""
        return msgspec.structs.replace(self, images={**self.images, name: image})


_DECODER = msgspec.json.Decoder(TreeLock)


def lock_path(configuration: Path) -> Path:
    """Where the lockfile of a tree with this configuration lies."""
    return configuration.parent / FILE_NAME


def read_lock(path: Path) -> TreeLock:
    """The lock, an empty one if there is no file. Raises ``BadLockfile``."""
    if not path.exists():
        return TreeLock()
    data = read_input(path, _LARGEST)
    try:
        lock = _DECODER.decode(data)
        for digest in (*lock.bases.values(), *(each.digest for each in lock.images.values())):
            Digest.parse(digest)
    except (msgspec.DecodeError, UnicodeDecodeError, UsageError) as error:
        raise BadLockfile(
            f"not a lockfile of a docker-pkg tree: {error}", where={"file": str(path)},
            hint="remove it: it is written again, and registries are asked instead",
        ) from error  # fmt: skip
    if lock.schema != SCHEMA:
        raise BadLockfile(f"unknown schema {lock.schema!r}", where={"file": str(path)})
    return lock


def write_lock(path: Path, lock: TreeLock) -> None:
    """Write the lock in a stable order."""
    ordered = TreeLock(
        bases=dict(sorted(lock.bases.items())), images=dict(sorted(lock.images.items()))
    )
    write_file(path, msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n")
