"""The packages in a bundle (``homeport bundle``) as a mirror: files by digest, from a tar archive.

``bundle:FILE`` has packages of every archive; it has no release files, so it serves what is locked.
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import cast

from homeport.content.blob import Blob
from homeport.content.files import explained
from homeport.content.reading import Readable, Slice, VerifiedReader
from homeport.debian.archive.mirror import ExpectedFile, MirrorUnreachable, NotOnMirror
from homeport.errors import IntegrityError
from homeport.quantities import apart
from homeport.runtime import Runtime

PREFIX = "bundle:"
_BLOBS = "blobs/sha256/"
#: Members of a bundle that are looked at.
_MOST = 1_000_000


class BundleMirror:
    """One bundle; its members are listed once, when something is first asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def label(self) -> str:
        return f"{PREFIX}{self._path}"

    def read_small(self, path: str, limit: int, *, fail_fast: bool = False) -> bytes:
        raise NotOnMirror(
            f"{self.label} holds packages, not {path}",
            where={"mirror": self.label},
            hint="use the lockfile unchanged (--locked)",
        )

    def may_have(self, expected: ExpectedFile) -> bool:
        return self._members.get(expected.digest.hex, (0, -1))[1] == expected.size

    def fetch(self, expected: ExpectedFile, runtime: Runtime) -> Blob:
        found = runtime.store.get(expected.digest, expected.size)
        if found is not None:
            return found
        start, size = self._members.get(expected.digest.hex, (0, -1))
        if size < 0:
            raise NotOnMirror(
                f"{self.label} does not have {expected.path}", where={"mirror": self.label}
            )
        if size != expected.size:
            have, wanted = apart(size, expected.size)
            raise IntegrityError(
                f"{expected.path} has {have} in {self.label}, expected {wanted}",
                where={"mirror": self.label},
            )
        with explained(self._path, "read"):
            stream = self._path.open("rb")
        with stream:
            part = cast("Readable", Slice(stream.fileno(), start, size))
            with VerifiedReader(part, expected.digest, expected.size, self.label) as reader:
                return runtime.store.put(cast("Readable", reader), expected.digest)

    @cached_property
    def _members(self) -> Mapping[str, tuple[int, int]]:
        """Hexadecimal digest → where the file begins in the archive, and its size."""
        found: dict[str, tuple[int, int]] = {}
        try:
            with explained(self._path, "read"), tarfile.open(self._path, "r:") as archive:
                for number, member in enumerate(archive):
                    if number > _MOST:
                        break
                    if member.isreg() and member.name.startswith(_BLOBS):
                        name = member.name.removeprefix(_BLOBS)
                        found[name] = (member.offset_data, member.size)
        except tarfile.TarError as error:
            raise MirrorUnreachable(
                f"{self._path} is not a bundle: {error}", where={"mirror": self.label}
            ) from error
        return found
