"""Access to the archives of a recipe: their mirrors and keys, and the runtime to fetch with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from homeport.debian.archive.keyring import (
    Keyring,
    debian_keyring,
    join_keyrings,
    read_keyring,
    shipped_keyring,
)
from homeport.debian.archive.mirror import DirectoryMirror
from homeport.debian.archive.mirror_list import (
    SNAPSHOTS,
    Mirrors,
    MirrorSources,
    open_bundles,
    open_mirrors,
)
from homeport.debian.archive.state import SuiteSpec
from homeport.errors import HomeportError
from homeport.locking.opened_states import OpenedStates
from homeport.net.client import Client
from homeport.net.credentials import Provider, no_credentials
from homeport.recipe.entries import Archive
from homeport.recipe.local_packages import LOCAL
from homeport.recipe.model import Recipe
from homeport.recipe.text_files import BadRecipe
from homeport.runtime import Runtime


def _now() -> datetime:
    return datetime.now(UTC)


class ArchiveAccess(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of fetching from archives.

    offline: use the cache and bundles only
    opened:  states that this run opened before, for runs over many recipes
    """

    mirrors: Mirrors
    runtime: Runtime
    offline: bool = False
    clock: Callable[[], datetime] = _now
    opened: OpenedStates | None = None


def open_access(
    recipe: Recipe,
    sources: MirrorSources,
    client: Callable[[], Client],
    runtime: Runtime,
    *,
    credentials: Provider = no_credentials,
    snapshots: Sequence[str] = (),
    offline: bool = False,
) -> ArchiveAccess:
    """The recipe's archives, ordered by ``debian.archive.mirror_list``; nothing is connected yet.

    sources:   mirrors from other settings than the recipe
    client: makes the HTTP client; not called if ``offline``
    """
    if offline:
        names = [archive.name for archive in recipe.archives]
        bundles = open_bundles(names, sources.option)
        return ArchiveAccess(mirrors=with_local(bundles, recipe), runtime=runtime, offline=True)
    own = {archive.name: archive.mirrors for archive in recipe.archives if archive.mirrors}
    mirrors = open_mirrors(
        [archive.name for archive in recipe.archives],
        msgspec.structs.replace(sources, recipe=own),
        client(),
        credentials=credentials,
        snapshots=snapshots or SNAPSHOTS,
    )
    return ArchiveAccess(mirrors=with_local(mirrors, recipe), runtime=runtime)


def with_local(mirrors: Mirrors, recipe: Recipe) -> Mirrors:
    """Also the recipe's folder of packages, which is there offline, too."""
    if recipe.local_packages is None:
        return mirrors
    folder = DirectoryMirror(root=recipe.boundary.real(recipe.local_packages))
    return msgspec.structs.replace(mirrors, by_archive={**mirrors.by_archive, LOCAL: (folder,)})


def suite_specs(recipe: Recipe) -> tuple[SuiteSpec, ...]:
    """The suites of the recipe, each with the keys that may sign it."""
    specs = []
    for archive in recipe.archives:
        for suite in archive.suites:
            try:
                keyring = _keyring(archive, suite)
            except HomeportError as error:
                # The recipe's line, not the key file's: that one is named in the text.
                name = str(error.where.get("file", ""))
                file = f"{name}: " if name not in error.what else ""
                raise BadRecipe(
                    f"cannot use the keys of the archive {archive.name}: {file}{error.what}",
                    where=archive.place.where(),
                    hint=error.hint or "name the key files that the archive publishes",
                ) from error
            specs.append(
                SuiteSpec(
                    archive=archive.name,
                    suite=suite,
                    components=archive.components,
                    keyring=keyring,
                )
            )
    return tuple(specs)


def _keyring(archive: Archive, suite: str) -> Keyring:
    if not archive.keys:
        return debian_keyring(archive.name, suite)
    return join_keyrings(
        read_keyring(key.path) if key.path else shipped_keyring(key.name) for key in archive.keys
    )
