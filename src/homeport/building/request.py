"""What a build is asked for, what it needs to reach, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from homeport.assemble.build import BuiltIndex
from homeport.assemble.plan import BuildOptions
from homeport.errors import UsageError
from homeport.images.address import Address
from homeport.images.image import Image, Index
from homeport.images.transports.base import Destination, Written
from homeport.locking.ensure_lock import EnsuredLock
from homeport.locking.update_policy import KEEP_LOCKED, UpdatePolicy
from homeport.recipe.model import Recipe

if TYPE_CHECKING:
    from homeport.attest.attached.base import Attached
    from homeport.buildkit.address import Engine
    from homeport.buildkit.solve import ServicesFor
    from homeport.images.load import Loaded
    from homeport.locking.archive_access import ArchiveAccess
    from homeport.net.client import Client

Kind = Literal["sbom", "provenance", "kit", "oci-artifact=false"]
#: What a build says about its images: two statements in the index, and the rebuild kit. The last
#: word is BuildKit's for its older form of the statements' manifests, without a subject.
KINDS: tuple[Kind, ...] = ("sbom", "provenance", "kit")
OLDER_FORM: Kind = "oci-artifact=false"
#: Stands for the recipe's name in outputs, so that several recipes go to places of their own.
NAME = "{name}"

OpenImage = Callable[[str], AbstractContextManager[Image | Index]]


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to build, and how.

    recipe:    a name of the catalog, a recipe file or its folder
    outputs:   destinations; empty: ``./NAME.oci``
    platforms: ``all``, ``native`` or OCI platforms; empty: what the outputs need
    tags:      for outputs that name none themselves
    locked:    refuse to lock again
    fresh:     use nothing that was computed before, only downloads (``--no-cache``)
    attest:    SBOMs and provenance in the index, and the rebuild kit beside it
    kit_in_layouts: write the kit to OCI layouts too; readers that expect one image may stumble
    moved:     where local files lie that the recipe names otherwise, by the text of ``from``
    check:     build a second time from downloads alone and compare
    load:      hand the native image to a running docker or podman
    engines:   for parts that must run; empty: what the surroundings name
    allow_outside: directories outside the recipe's folder that the recipe may name files of
    keep_parts: write results of parts beside the lockfile
    command:   what the user typed, for refusals that print the command to use instead
    """

    recipe: str
    outputs: tuple[Address, ...] = ()
    platforms: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    options: BuildOptions = msgspec.field(default_factory=BuildOptions)
    mirrors: tuple[str, ...] = ()
    lockfile: Path | None = None
    locked: bool = False
    update: UpdatePolicy = KEEP_LOCKED
    as_of: datetime | None = None
    fresh: bool = False
    attest: tuple[Kind, ...] = KINDS
    kit_in_layouts: bool = False
    moved: Mapping[str, Path] = msgspec.field(default_factory=dict)
    check: bool = False
    load: bool = False
    engines: tuple[str, ...] = ()
    allow_outside: tuple[Path, ...] = ()
    directory: Path = msgspec.field(default_factory=Path.cwd)
    keep_parts: bool = False
    command: str = "homeport build"


class BuildResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was built and where it went.

    kit: the rebuild kit; ``None`` if it was not asked for or cannot be made
    compared: a second build, from downloads alone, has the same digests
    fresh: no result of an earlier build was used
    signer: who signed it; empty: it is not signed
    """

    recipe: Recipe
    locked: EnsuredLock
    built: BuiltIndex
    written: tuple[Written, ...]
    kit: Image | None = None
    loaded: Loaded | None = None
    signer: str = ""
    compared: bool = False
    fresh: bool = False


class Connections(msgspec.Struct, frozen=True, kw_only=True):
    """How a build reaches what is outside; ``homeport.app`` makes it, nothing is connected yet.

    attached: what signatures, kits and the like are written to; ``None`` where they cannot be
    engines: those named, or those that the environment names
    session: what an engine may ask of us during a build: logins for the images that it names
    """

    archives: Callable[[Recipe, Sequence[str]], ArchiveAccess]
    open_image: OpenImage
    destination: Callable[[Address], Destination]
    attached: Callable[[Address], Attached | None] = lambda _address: None
    client: Callable[[], Client]
    engines: Callable[[Sequence[str]], Sequence[Engine]]
    session: ServicesFor
    offline: bool = False
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


def parse_kinds(values: Sequence[str]) -> tuple[Kind, ...]:
    """``sbom,provenance`` in any order; each kind once. Raises ``UsageError``."""
    words = [word.strip() for value in values for word in value.split(",")]
    known: tuple[Kind, ...] = get_args(Kind)
    unknown = [word for word in words if word not in known]
    if unknown:
        raise UsageError(
            f"unknown attestation {unknown[0]!r}", hint=f"choose from {', '.join(known)}"
        )
    if OLDER_FORM in words and not {"sbom", "provenance"} & set(words):
        raise UsageError(
            f"{OLDER_FORM} is a form of the attestations in the index, of which none is chosen",
            hint=f"--attest sbom,provenance,{OLDER_FORM}",
        )
    return tuple(kind for kind in known if kind in words)
