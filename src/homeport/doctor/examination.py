"""``doctor``: everything that Homeport depends on outside of itself, looked at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from homeport.debian.archive.mirror import HttpMirror
from homeport.doctor.finding import Finding
from homeport.doctor.machine import examine_cache, examine_clock, examine_settings
from homeport.doctor.reach import examine_engines, examine_mirrors, examine_registries
from homeport.locking.archive_access import ArchiveAccess, suite_specs
from homeport.net.client import Client
from homeport.recipe.model import Recipe
from homeport.registry.operations import PingResult
from homeport.runtime import Runtime


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at, and how it is reached.

    configuration: the file that was read, if there is one
    recipe:     its archives are asked
    registries: those that are asked for access
    """

    environment: Mapping[str, str]
    home: Path
    configuration: Path | None
    cache_bound: int
    offline: bool
    recipe: Recipe
    registries: Sequence[str]
    archives: Callable[[Recipe], ArchiveAccess]
    client: Callable[[], Client]
    ping: Callable[[str], PingResult]
    now: Callable[[], datetime]


def examine(around: Surroundings, runtime: Runtime) -> tuple[Finding, ...]:
    """Look at everything; what fails is a finding and stops nothing."""
    found = [
        *examine_settings(around.configuration, around.environment),
        examine_cache(runtime.store, around.cache_bound),
    ]
    if around.offline:
        found.append(
            Finding(area="network", name="network", state="skipped", text="not used: --offline")
        )
    else:
        access = around.archives(around.recipe)
        specs = suite_specs(around.recipe)
        found += examine_mirrors(specs, access, around.now())
        http = [
            mirror
            for spec in specs
            for mirror in access.mirrors.of(spec.archive)
            if isinstance(mirror, HttpMirror)
        ]
        if http:
            url = f"{str(http[0].base).rstrip('/')}/"
            found.append(examine_clock(around.client(), url, around.now()))
        found += examine_registries(around.registries, around.ping, runtime)
    found += examine_engines(around.environment, around.home, runtime)
    return tuple(found)
