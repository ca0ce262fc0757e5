"""Release files from any location: signature verified, validity not yet checked.

A suite is served under its codename and under an alias (``trixie``, ``stable``), on
several mirrors, and some of these may be older, broken or in the middle of an update.
Each verified one is a ``Candidate``. Not for choosing among them
(``debian.archive.release_search``).
"""

from __future__ import annotations

import re

import msgspec

from homeport.content.digest import Digest
from homeport.debian.archive.key_lifetimes import TrustEnd
from homeport.debian.archive.keyring import DEBIAN, DEBIAN_SECURITY
from homeport.debian.archive.mirror import Mirror, NotOnMirror
from homeport.debian.archive.release import MAX_RELEASE, Release, parse_release
from homeport.debian.archive.signature import (
    NotSigned,
    SignedText,
    verify_clearsigned,
    verify_detached,
)
from homeport.debian.archive.state import SuiteSpec
from homeport.errors import HomeportError, IntegrityError

MAX_SIGNATURE = 1 << 20  # bytes
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class WrongSuite(IntegrityError):
    """A release file with a valid signature is of another suite than the one asked for."""

    id = "wrong-suite"


class ReleaseFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A release file as received: InRelease, or Release and its signature."""

    release: bytes
    signature: bytes | None = None

    def check(self, spec: SuiteSpec) -> SignedText:
        """The signed text. Raises ``BadSignature``."""
        if self.signature is None:
            return verify_clearsigned(self.release, spec.keyring)
        return verify_detached(self.release, self.signature, spec.keyring)


class SuiteLocation(msgspec.Struct, frozen=True, kw_only=True):
    """A suite's directory on a mirror, or as recorded in the cache (without ``mirror``).

    folder: the name under which the suite is served; label: the address, for messages
    """

    mirror: Mirror | None
    folder: str
    directory: str
    label: str


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A verified release file and where it was found.

    trust_end: when the last of the keys that signed it expires or was revoked
    """

    spec: SuiteSpec
    location: SuiteLocation
    release: Release
    signers: tuple[str, ...]
    trust_end: TrustEnd | None
    files: ReleaseFiles

    @property
    def digest(self) -> Digest:
        return self.release.digest


def suite_location(spec: SuiteSpec, mirror: Mirror, folder: str) -> SuiteLocation:
    """The directory of a suite below a mirror's root."""
    directory = spec.suite.removeprefix("./").rstrip("/") if spec.flat else f"dists/{folder}"
    return SuiteLocation(
        mirror=mirror, folder=folder, directory=directory, label=f"{mirror.label}/{directory}"
    )


def read_candidate(
    spec: SuiteSpec, location: SuiteLocation, *, fail_fast: bool = False
) -> Candidate:
    """Fetch and verify the release file at a location, ``fail_fast`` if there are others.

    InRelease is preferred: a mirror replaces Release and Release.gpg one after the other,
    and in between they do not fit. Raises ``NotOnMirror``, ``BadSignature``, ``WrongSuite`` …
    """
    assert location.mirror is not None
    try:
        try:
            name = "InRelease"
            data = location.mirror.read_small(
                path_in(location, name), MAX_RELEASE, fail_fast=fail_fast
            )
            return verified_candidate(spec, location, ReleaseFiles(release=data))
        except NotOnMirror:
            name = "Release"
            return _detached(spec, location, location.mirror, fail_fast=fail_fast)
    except NotOnMirror as error:
        raise NotOnMirror(
            f"{location.mirror.label} has no suite {location.folder}: there is no InRelease and no "
            f"Release in {location.directory or 'it'}",
            where={"suite": spec.suite, "archive": spec.archive},
            hint="check the suite's name, and that the address is that of the folder which has "
            + ("it" if spec.flat else "dists/"),
        ) from error
    except HomeportError as error:
        error.at(suite=spec.suite, archive=spec.archive, file=f"{location.label}/{name}")
        raise


def verified_candidate(spec: SuiteSpec, location: SuiteLocation, files: ReleaseFiles) -> Candidate:
    """The verified release in ``files``, if it is of the suite asked for."""
    signed = files.check(spec)
    release = parse_release(signed.text)
    _check_identity(spec, location, release)
    return Candidate(
        spec=spec,
        location=location,
        release=release,
        signers=tuple(sorted(signed.signers)),
        trust_end=spec.keyring.trust_end(signed.keys),
        files=files,
    )


def other_names(spec: SuiteSpec, release: Release) -> tuple[str, ...]:
    """Names besides its own under which a mirror may serve the suite."""
    if spec.flat:
        return ()
    names = dict.fromkeys((release.codename, release.suite))
    return tuple(name for name in names if name != spec.suite and _FOLDER.fullmatch(name))


def path_in(location: SuiteLocation, name: str) -> str:
    """A file's path below the mirror's root."""
    return f"{location.directory}/{name}" if location.directory else name


def _detached(
    spec: SuiteSpec, location: SuiteLocation, mirror: Mirror, *, fail_fast: bool
) -> Candidate:
    release = mirror.read_small(path_in(location, "Release"), MAX_RELEASE, fail_fast=fail_fast)
    try:
        signature = mirror.read_small(
            path_in(location, "Release.gpg"), MAX_SIGNATURE, fail_fast=fail_fast
        )
    except NotOnMirror as error:
        raise NotSigned("the release file is not signed") from error
    return verified_candidate(spec, location, ReleaseFiles(release=release, signature=signature))


def _check_identity(spec: SuiteSpec, location: SuiteLocation, release: Release) -> None:
    """Without this, an attacker in between could serve one suite as another.

    Third parties may omit the names; then only names that are given are compared.
    """
    names = {name for name in (release.suite, release.codename) if name}
    strict = spec.archive in (DEBIAN, DEBIAN_SECURITY)
    if spec.flat or location.folder in names or (not names and not strict):
        return
    raise WrongSuite(
        f"it is of the suite {release.codename or release.suite or '?'}, not {location.folder}",
        hint="use the name that the archive gives the suite" if names else None,
    )
