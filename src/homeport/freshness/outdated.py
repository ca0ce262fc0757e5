"""``homeport outdated``: recipes, lockfiles and images compared with their archives.

Read-only. Each suite and index is read once for all subjects. What cannot be read is an
answer of its own (``unknown``), so that neither a mirror in mid-sync nor one faulty recipe
keeps the rest from being judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from homeport.content.files import open_input
from homeport.content.reading import read_bounded
from homeport.errors import HomeportError, Interrupted
from homeport.freshness.comparing import Indexes, Newer, Present, compare, grouped
from homeport.freshness.effective import effective_changes
from homeport.freshness.image_packages import NotDebian, image_packages
from homeport.freshness.inputs import InputAccess, moved_inputs
from homeport.freshness.model import (
    FINDINGS,
    Change,
    Effective,
    Input,
    OpenIssue,
    OwnVersion,
    Report,
    Subject,
    SuiteSeen,
    Support,
    TrackerUsed,
    Unknown,
)
from homeport.freshness.own_version import locked_by, own_version
from homeport.freshness.package_changelogs import Changelogs
from homeport.freshness.part_sources import newer_sources
from homeport.freshness.recipe_graph import in_order
from homeport.freshness.subjects import LockedSubject, Subjects, find_subjects
from homeport.freshness.suites import SuiteView, SuiteViews
from homeport.freshness.support import (
    SupportData,
    architecture_support,
    package_support,
    read_support,
    release_support,
)
from homeport.freshness.trackers import Tracker, read_tracker_data
from homeport.freshness.upstreams import moved_upstream
from homeport.images.address import RegistryAddress, parse_source
from homeport.images.image import Image, Index
from homeport.locking.archive_access import ArchiveAccess, suite_specs
from homeport.locking.staleness import stale_reasons
from homeport.oci.platform import Platform
from homeport.recipe.loading import find_and_load
from homeport.recipe.lock.model import LockedPackage, Lockfile
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture
from homeport.runtime import Runtime
from homeport.sbom.tracker import LONGEST

#: How the lockfile's line of a package starts (``recipe.lock.writing``).
_LINE = '      {"name": "'
FailOn = Literal["any", "security", "eol", "never"]


class OutdatedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to check, and how deep.

    wanted:     recipes, lockfiles, directories of recipes, addresses of images
    platforms:  of images; ``None``: all; none: this machine's, else the first
    changelogs: read why something is newer; without it only indexes are read
    effective:  resolve anew and compare the files of the image
    tracker:    a file or a URL with data of a security tracker
    max_age:    days that a lockfile may be old
    like:       the recipe whose archives are those of the images
    inputs:     ask registries and servers about what recipes and copies of images are made of
    index:      a Python package index to ask for a newer Homeport; empty: none is asked
    """

    wanted: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    changelogs: bool = True
    effective: bool = False
    tracker: str = ""
    max_age: int | None = None
    like: str = ""
    platforms: tuple[Platform, ...] | None = ()
    inputs: bool = True
    index: str = ""
    allow_outside: tuple[Path, ...] = ()
    directory: Path = msgspec.field(default_factory=Path.cwd)


class OutdatedAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What a check reaches; ``homeport.app`` makes it.

    newest_release: package index → the highest version of Homeport there
    """

    archives: Callable[[Recipe, Sequence[str]], ArchiveAccess]
    open_image: Callable[[str], AbstractContextManager[Image | Index]]
    inputs: InputAccess
    newest_release: Callable[[str], str] | None = None
    fetch: Callable[[str], bytes]
    runtime: Runtime
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


class _Run(msgspec.Struct, kw_only=True):
    """What the subjects of one run share."""

    request: OutdatedRequest
    access: OutdatedAccess
    now: datetime
    views: SuiteViews = msgspec.field(default_factory=SuiteViews)
    indexes: Indexes = msgspec.field(default_factory=Indexes)
    changelogs: Changelogs = msgspec.field(default_factory=Changelogs)
    support: dict[object, SupportData] = msgspec.field(default_factory=dict)
    tracker_bytes: bytes = b""
    tracker_taken: datetime | None = None
    tracker_used: TrackerUsed | None = None


class _Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Packages of one subject compared; ``found`` is by platform, each part by itself."""

    changes: list[Change]
    unknown: list[Unknown]
    support: list[Support]
    open: list[OpenIssue]


def run_outdated(request: OutdatedRequest, access: OutdatedAccess) -> Report:
    """Judge everything that ``request`` names."""
    subjects = find_subjects(request.wanted, request.directory, request.allow_outside)
    return judge_subjects(subjects, request, access)


def judge_subjects(subjects: Subjects, request: OutdatedRequest, access: OutdatedAccess) -> Report:
    """Judge what ``find_subjects`` found, what others use first; each index is read once."""
    run = _Run(request=request, access=access, now=access.clock())
    if request.tracker:
        run.tracker_bytes, run.tracker_taken = _tracker(request.tracker, access)
    order = in_order([subject.recipe for subject in subjects.locked])
    judged = [_judge_or_say_why(run, subjects.locked[at]) for at in order]
    judged += [_judge_image(run, address) for address in subjects.images]
    judged += [_failed(name, error) for name, error in subjects.failed]
    return Report(
        checked_at=run.now,
        subjects=tuple(judged),
        archives=tuple(_seen(view) for view in run.views.all if view.newest is not None),
        tracker=run.tracker_used,
        homeport=_own_version(request, access),
    )


def _own_version(request: OutdatedRequest, access: OutdatedAccess) -> OwnVersion:
    ask = access.newest_release
    return own_version(request.index if ask else "", ask or (lambda _index: ""))


def _judge_or_say_why(run: _Run, subject: LockedSubject) -> Subject:
    """One recipe whose archives cannot be used does not keep the others from being judged."""
    try:
        return _judge_lock(run, subject)
    except Interrupted:
        raise
    except HomeportError as error:
        run.access.runtime.progress.end(subject.recipe.name, "failed")
        failed = _failed(subject.recipe.name, error)
        kind: Literal["recipe", "lockfile"] = "recipe" if subject.own else "lockfile"
        return msgspec.structs.replace(failed, kind=kind, file=str(subject.stored.path))


def _judge_lock(run: _Run, subject: LockedSubject) -> Subject:
    recipe, lockfile = subject.recipe, subject.lockfile
    progress = run.access.runtime.progress
    progress.begin(recipe.name, label=f"check {recipe.name}")
    access = run.access.archives(recipe, run.request.mirrors)
    judged = _judge(run, recipe, lockfile.platforms, access, lockfile)
    for name, part in lockfile.parts.items():
        if part.root is not None:
            root = _judge(run, recipe, part.root.platforms, access, part.root, part=name)
            judged.changes.extend(root.changes)
            judged.unknown.extend(root.unknown)
    inputs, unread = _inputs(run, recipe, lockfile, access)
    effective: Effective | None = None
    if run.request.effective and subject.own:
        effective = effective_changes(recipe, lockfile, access)
        if effective.error:
            unread.append(Unknown(what=f"what changes in {recipe.name}", why=effective.error))
    progress.end(recipe.name)
    return Subject(
        name=recipe.name,
        kind="recipe" if subject.own else "lockfile",
        file=str(subject.stored.path),
        wanted=_typed(subject.wanted, run.request.directory) if subject.own else "",
        digest=str(subject.stored.digest),
        locked=lockfile.date,
        packages=len({p.name for packages in lockfile.platforms.values() for p in packages}),
        platforms=tuple(map(str, lockfile.platforms)),
        changes=tuple(judged.changes),
        unknown=(*judged.unknown, *unread),
        support=tuple(judged.support),
        inputs=tuple(inputs),
        open=tuple(judged.open),
        disagrees=stale_reasons(recipe, lockfile) if subject.own else (),
        broken_rules=tuple(_broken(run, lockfile.date, judged.support)),
        effective=effective,
        lines=_lines(subject.stored.path),
    )


def _typed(wanted: str, directory: Path) -> str:
    """A recipe as the user would type it; what was typed stays as it is."""
    path = Path(wanted)
    if not path.is_absolute() or not path.is_relative_to(directory):
        return wanted
    name = str(path.relative_to(directory))
    return name if "/" in name or name == "." else f"./{name}"


def _judge_image(run: _Run, address: str) -> Subject:
    progress = run.access.runtime.progress
    progress.begin(address, label=f"check {address}")
    try:
        judged = _image_subject(run, address)
    except Interrupted:
        raise
    except NotDebian as error:
        judged = _failed(address, error)  # what it is a copy of can be told all the same
    except HomeportError as error:
        progress.end(address, "failed")
        return _failed(address, error)
    inputs, unread = _sorted_out(_origins(run, address))
    progress.end(address, "failed" if judged.unknown else "done")
    return msgspec.structs.replace(judged, inputs=tuple(inputs), unknown=(*judged.unknown, *unread))


def _origins(run: _Run, address: str) -> list[Input | Unknown]:
    """What became of the images that this one is a copy of, also if it is not of Debian."""
    upstreams = run.access.inputs.upstreams
    if upstreams is None or not run.request.inputs:
        return []
    if not isinstance(parse_source(address), RegistryAddress):
        return []
    return list(moved_upstream(address, upstreams, run.now))


def _image_subject(run: _Run, address: str) -> Subject:
    like = find_and_load(run.request.like) if run.request.like else None
    with run.access.open_image(address) as value:
        found = image_packages(value, address, run.request.platforms, run.access.runtime, like)
    access = run.access.archives(found.recipe, run.request.mirrors)
    judged = _judge(run, found.recipe, found.packages, access, None)
    return Subject(
        name=address,
        kind="image",
        digest=found.digest,
        locked=found.created,
        packages=len({p.name for packages in found.packages.values() for p in packages}),
        platforms=tuple(map(str, found.packages)),
        changes=tuple(judged.changes),
        unknown=(*judged.unknown, *found.problems),
        support=tuple(judged.support),
        open=tuple(judged.open),
        broken_rules=tuple(_broken(run, found.created, judged.support)),
    )


def _failed(name: str, error: HomeportError) -> Subject:
    kind: Literal["recipe", "image"] = "recipe" if name.endswith((".yaml", ".yml")) else "image"
    why = error.what.removeprefix(f"{name}: ")
    return Subject(name=name, kind=kind, unknown=(Unknown(what=name, why=why),))


def _judge(
    run: _Run,
    recipe: Recipe,
    packages: Mapping[Platform, Sequence[Present]],
    access: ArchiveAccess,
    lockfile: Lockfile | None,
    *,
    part: str = "",
) -> _Judged:
    """Compare the packages of every platform with what the suites have."""
    platforms = {platform: debian_architecture(platform) for platform in packages}
    specs = suite_specs(recipe)
    views = run.views.open(specs, sorted(set(platforms.values())), access)
    unknown = _unknown(views, platforms, lockfile)
    lost = {platform for each in unknown for platform in each.platforms}
    found: dict[str, list[Newer]] = {}
    for platform, present in packages.items():
        usable = [view for view in views if not _migrated(view, lockfile)]
        if not any(view.parts.get(platforms[platform]) for view in usable):
            continue
        newer = compare(present, recipe, platform, usable, run.indexes, hashes=_hashes(present))
        if str(platform) in lost:
            # Without one of its suites, what is missing or lower there says nothing.
            newer = [each for each in newer if each.kind not in ("gone", "lower")]
        found[str(platform)] = newer
    changes = grouped(found, part)
    explained = [change for change, _ in changes]
    unread: list[tuple[str, str]] = []
    if run.request.changelogs:
        dates = {(v.spec.archive, v.spec.suite): v.date for v in views if v.date is not None}
        explained, unread = run.changelogs.explain(changes, access, dates)
    unknown += [Unknown(what=what, why=why) for what, why in unread]
    support: list[Support] = []
    open_issues: list[OpenIssue] = []
    if not part:
        support, open_issues = _support(run, views, packages, access, lockfile)
    return _Judged(changes=explained, unknown=unknown, support=support, open=open_issues)


def _hashes(present: Sequence[Present]) -> dict[str, str]:
    return {p.name: p.file.sha256.hex for p in present if isinstance(p, LockedPackage)}


def _migrated(view: SuiteView, lockfile: Lockfile | None) -> bool:
    """An alias (``stable``) that is another release by now: a migration, not an update."""
    if lockfile is None or view.newest is None:
        return False
    return any(
        suite.codename and view.newest.release.codename
        and suite.codename != view.newest.release.codename
        for suite in lockfile.archives
        if (suite.archive, suite.suite) == (view.spec.archive, view.spec.suite)
    )  # fmt: skip


def _unknown(
    views: Sequence[SuiteView], platforms: Mapping[Platform, str], lockfile: Lockfile | None
) -> list[Unknown]:
    found: list[Unknown] = []
    locked = lockfile.suite_dates() if lockfile else {}
    every = tuple(map(str, platforms))
    for view in views:
        reasons: dict[str, list[str]] = {}
        for platform, architecture in platforms.items():
            if (why := view.unknown.get(architecture)) is not None:
                reasons.setdefault(why, []).append(str(platform))
        found += [
            Unknown(what=str(view.spec), why=why, platforms=tuple(names))
            for why, names in reasons.items()
        ]
        was = locked.get((view.spec.archive, view.spec.suite))
        if was is not None and view.date is not None and view.date < was:
            why = (
                f"the mirror's state of {view.date:%Y-%m-%d %H:%M} is older than the locked one of "
                f"{was:%Y-%m-%d %H:%M}"
            )
            found.append(Unknown(what=str(view.spec), why=why, platforms=every))
        if _migrated(view, lockfile):
            assert view.newest is not None
            why = f"{view.spec.suite} is {view.newest.release.codename} now: migrate by hand"
            found.append(Unknown(what=str(view.spec), why=why, platforms=every))
        elif view.behind is not None and view.date is not None:
            newer = view.behind.release
            why = (
                f"this mirror's {view.spec.suite} is of {view.date:%Y-%m-%d}, its {newer.codename} "
                f"of {newer.date:%Y-%m-%d} already: name {newer.codename} in the recipe, or wait"
            )
            found.append(Unknown(what=str(view.spec), why=why, platforms=every))
    return found


def _support(
    run: _Run,
    views: Sequence[SuiteView],
    packages: Mapping[Platform, Sequence[Present]],
    access: ArchiveAccess,
    lockfile: Lockfile | None,
) -> tuple[list[Support], list[OpenIssue]]:
    key = tuple(id(view.newest) for view in views)
    if key not in run.support:
        run.support[key] = read_support(views, run.indexes, access)
    data = run.support[key]
    today = run.now.date()
    codename = _codename(views, lockfile)
    versions = {(p.source_name, p.source_version) for ps in packages.values() for p in ps}
    support = [
        *release_support(codename, data, today),
        *package_support((source for source, _ in versions), codename, data, today),
        *architecture_support(views, {str(p): debian_architecture(p) for p in packages}),
    ]
    if not run.tracker_bytes:
        return support, []
    tracker = _read_tracker(run, {source for source, _ in versions}, codename, data)
    issues = [
        issue
        for source, version in sorted(versions)
        for issue in tracker.data.issues(source, version, codename)
    ]
    return support, issues


def _codename(views: Sequence[SuiteView], lockfile: Lockfile | None) -> str:
    """The release: ``trixie`` for trixie, trixie-updates and trixie-security."""
    names = [view.newest.release.codename for view in views if view.newest is not None]
    names += [suite.codename for suite in lockfile.archives] if lockfile else []
    names += [view.spec.suite for view in views]
    return next((name.partition("-")[0].partition("/")[0] for name in names if name), "")


def _read_tracker(run: _Run, sources: set[str], codename: str, data: SupportData) -> Tracker:
    tracker = read_tracker_data(
        run.tracker_bytes, run.request.tracker, sources,
        taken=run.tracker_taken, now=run.now, numbers={codename: data.number_of(codename)},
    )  # fmt: skip
    run.tracker_used = tracker.used
    return tracker


def _tracker(source: str, access: OutdatedAccess) -> tuple[bytes, datetime | None]:
    if source.startswith(("https://", "http://")):
        return access.fetch(source), None
    path = Path(source)
    try:
        with open_input(path) as stream:
            data = read_bounded(stream, LONGEST, "the tracker's data")
        return data, datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        raise HomeportError(
            f"cannot read {source}: {error.strerror}", where={"file": source}
        ) from error


def _inputs(
    run: _Run, recipe: Recipe, lockfile: Lockfile, access: ArchiveAccess
) -> tuple[list[Input], list[Unknown]]:
    if not run.request.inputs:
        return [], []
    found = [*moved_inputs(recipe, run.access.inputs, run.now), *locked_by(lockfile.homeport)]
    for name, part in lockfile.parts.items():
        if part.root is not None and part.sources:
            specs = suite_specs(recipe)
            architectures = {debian_architecture(platform) for platform in part.root.platforms}
            views = run.views.open(specs, sorted(architectures), access)
            usable = [view for view in views if not _migrated(view, part.root)]
            found += newer_sources(recipe, name, part.sources, usable, access)
    return _sorted_out(found)


def _sorted_out(found: Sequence[Input | Unknown]) -> tuple[list[Input], list[Unknown]]:
    return (
        [each for each in found if isinstance(each, Input)],
        [each for each in found if isinstance(each, Unknown)],
    )


def _broken(run: _Run, locked: datetime | None, support: Sequence[Support]) -> list[str]:
    broken = [f"{each.what}: {each.text}" for each in support if each.level == "error"]
    limit = run.request.max_age
    if limit is not None and locked is not None and run.now - locked > timedelta(days=limit):
        age = (run.now - locked).days
        broken.append(f"its archive state is {age} days old, more than {limit}")
    return broken


def _lines(path: Path) -> dict[str, int]:
    """Package → the first line of the lockfile that has it; one package is one line there."""
    lines: dict[str, int] = {}
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return lines
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(_LINE):
            lines.setdefault(line[len(_LINE) :].partition('"')[0], number)
    return lines


def _seen(view: SuiteView) -> SuiteSeen:
    assert view.newest is not None
    release = view.newest.release
    return SuiteSeen(
        archive=view.spec.archive,
        suite=view.spec.suite,
        codename=release.codename,
        version=release.version,
        date=release.date,
        valid_until=release.valid_until,
        read_from=view.newest.location.label,
        whole=tuple(sorted(view.parts)),
    )


def is_outdated(subject: Subject, fail_on: FailOn = "any") -> bool:
    """Whether ``--fail-on`` counts this subject."""
    changes = subject.changes
    match fail_on:
        case "never":
            return False
        case "security":
            return any(change.security for change in changes)
        case "eol":
            return any(each.level != "note" for each in subject.support)
        case _:
            return (
                any(change.kind in FINDINGS or change.security for change in changes)
                or any(each.level == "error" for each in subject.inputs)
                or any(issue.status == "fixed" for issue in subject.open)
            )


def exit_code(report: Report, fail_on: FailOn = "any") -> int:
    """3 a rule is broken, 4 outdated, 1 not everything was checked, 0; in this order."""
    if fail_on != "never" and any(subject.broken_rules for subject in report.subjects):
        return 3
    if any(is_outdated(subject, fail_on) for subject in report.subjects):
        return 4
    return 0 if report.complete else 1
