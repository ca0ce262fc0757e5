"""What Homeport reaches: mirrors of archives, registries with logins, build engines.

Credentials are sent where every command sends them and nowhere else: a registry gets the login
that is kept for it, when it asks for one.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

from homeport.buildkit.address import Surroundings, default_engines
from homeport.buildkit.engine import describe
from homeport.content.thread_pools import run_all
from homeport.debian.archive.mirror import Mirror
from homeport.debian.archive.release_candidates import read_candidate, suite_location
from homeport.debian.archive.state import SuiteSpec, age
from homeport.doctor.finding import Finding
from homeport.errors import HomeportError, Interrupted
from homeport.locking.archive_access import ArchiveAccess
from homeport.registry.operations import PingResult
from homeport.runtime import Runtime


def examine_mirrors(
    specs: Iterable[SuiteSpec], access: ArchiveAccess, now: datetime
) -> list[Finding]:
    """Whether each mirror has each suite, with a signature that is valid now."""
    tasks = [
        partial(_mirror, spec, mirror, now)
        for spec in specs
        for mirror in access.mirrors.of(spec.archive)
    ]
    return list(run_all(access.runtime.pools.network, tasks))


def _mirror(spec: SuiteSpec, mirror: Mirror, now: datetime) -> Finding:
    name = f"{spec.suite} at {mirror.label}"
    try:
        release = read_candidate(
            spec, suite_location(spec, mirror, spec.suite), fail_fast=True
        ).release
    except Interrupted:
        raise
    except HomeportError as error:
        advice = error.hint or "name another mirror: --mirror URL or HOMEPORT_DEBIAN_MIRROR"
        return Finding(area="mirror", name=name, state="failed", text=error.what, advice=advice)
    said = f"signed, of {release.date:%Y-%m-%d}, {age(release.date, now)}"
    if release.valid_until is not None and release.valid_until < now:
        return Finding(
            area="mirror",
            name=name,
            state="failed",
            text=f"{said}; its validity ended {release.valid_until:%Y-%m-%d}",
            advice="the mirror is no longer updated, or this machine's clock is wrong",
        )
    return Finding(area="mirror", name=name, state="ok", text=said)


def examine_registries(
    names: Iterable[str], ping: Callable[[str], PingResult], runtime: Runtime
) -> list[Finding]:
    """Whether each registry gives access with the login that is kept for it."""
    tasks = [partial(_registry, name, ping) for name in names]
    return list(run_all(runtime.pools.network, tasks))


def _registry(name: str, ping: Callable[[str], PingResult]) -> Finding:
    try:
        found = ping(name)
    except Interrupted:
        raise
    except HomeportError as error:
        advice = (
            error.hint or f"check its name and port, then: homeport ping {shlex.quote(name)} -v"
        )
        return Finding(area="login", name=name, state="failed", text=error.what, advice=advice)
    who = "without a login" if found.user is None else f"as {found.user or 'a token'}"
    source = f", from {found.source}" if found.source else ""
    return Finding(area="login", name=name, state="ok", text=f"access granted {who}{source}")


def examine_engines(
    environment: Mapping[str, str], home: Path, runtime: Runtime
) -> Iterator[Finding]:
    """The engines that commands would use; only steps that run and ``solve`` need one."""
    try:
        engines = default_engines(Surroundings(environment=environment, home=home))
    except HomeportError as error:
        yield Finding(
            area="engine",
            name="build engine",
            state="warning",
            text=error.what,
            advice=error.hint or "",
        )
        return
    found = False
    for engine in engines:
        try:
            about = describe(engine, runtime.cancel)
        except Interrupted:
            raise
        except HomeportError:
            continue
        found = True
        platforms = list(
            dict.fromkeys(str(each) for worker in about.workers for each in worker.platforms)
        )
        text = f"{about.kind} {about.version}".strip() + f", runs {', '.join(platforms)}"
        yield Finding(area="engine", name=engine.name, state="ok", text=text)
    if not found:
        tried = ", ".join(engine.name for engine in engines)
        yield Finding(
            area="engine",
            name="build engine",
            state="note",
            text=f"none answers at {tried}",
            advice="needed only for recipes with steps that run, solve and docker-pkg: start"
            " buildkitd or dockerd, or name one with --engine",
        )
