"""What is newer than a lockfile or an image, as data (docs/formats/outdated.md).

Not how it is found: ``freshness.outdated`` coordinates, its siblings look.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

import msgspec

#: security     newer, and an entry of its changelog or its suite says why
#: update       newer, without a word of security
#: rebuild      newer, from the same source
#: other-copy   the same version with other bytes: archives never do that
#: gone         no suite has the name any more
#: lower        the archive's highest version is lower than the locked one
#: held         newer, and the recipe keeps it out
#: unknown      the index was not to be had
Kind = Literal["security", "update", "rebuild", "other-copy", "gone", "lower", "held", "unknown"]
#: What ``--fail-on any`` means: these are findings; ``held`` is one if it holds back security.
FINDINGS: frozenset[str] = frozenset(
    ("security", "update", "rebuild", "other-copy", "gone", "lower")
)
Level = Literal["note", "warning", "error"]


class ChangelogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a package's changelog.

    ids:  CVE, GHSA and TEMP names, in the order of the text
    bugs: numbers that it closes
    """

    version: str
    distribution: str
    urgency: str
    date: datetime | None
    text: str
    ids: tuple[str, ...] = ()
    bugs: tuple[int, ...] = ()


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A package of which the archive has something else, on these platforms.

    new:     the version that would be taken; ``None``: there is none
    suite:   where it is
    ids, bugs, urgency: of the entries since the locked version
    since:   the date of the oldest of these that names an id, else of the oldest
    entries: newest first
    news:    entries of NEWS.Debian since the locked version: what breaks users
    note:    what a reader should know besides, a phrase
    part:    the build root that has it; empty: the image
    security: a security fix, also one that is held back
    """

    kind: Kind
    name: str
    source: str
    old: str
    new: str | None
    suite: str = ""
    platforms: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    bugs: tuple[int, ...] = ()
    urgency: str = ""
    since: datetime | None = None
    entries: tuple[ChangelogEntry, ...] = ()
    news: tuple[ChangelogEntry, ...] = ()
    note: str = ""
    part: str = ""
    security: bool = False


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be judged: a suite for some architectures, or a whole subject."""

    what: str
    why: str
    platforms: tuple[str, ...] = ()


class Support(msgspec.Struct, frozen=True, kw_only=True):
    """Something about security support: of a release, of a package, of an architecture."""

    level: Level
    what: str
    text: str
    ends: date | None = None


class OpenIssue(msgspec.Struct, frozen=True, kw_only=True):
    """A vulnerability that the tracker knows for a source in its locked version.

    status: ``open``, ``fixed`` (in the archive), ``undetermined``
    """

    id: str
    source: str
    version: str
    status: str
    fixed: str = ""
    urgency: str = ""
    text: str = ""


class SuiteSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a suite that was read.

    whole: architectures whose indexes were read
    """

    archive: str
    suite: str
    codename: str
    version: str
    date: datetime
    valid_until: datetime | None
    read_from: str
    whole: tuple[str, ...]


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """Something besides packages that a recipe takes and that moved, ended or fell silent."""

    level: Level
    what: str
    text: str


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the image that an update would change; ``how``: added, removed, changed."""

    path: str
    package: str
    how: str
    platforms: tuple[str, ...]


class Effective(msgspec.Struct, frozen=True, kw_only=True):
    """What an update would change in the image.

    changes: packages, in the words of ``homeport lock``
    error:   why that is not known
    """

    changes: tuple[str, ...] = ()
    files: tuple[FileChange, ...] = ()
    error: str = ""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe with its lockfile, a lockfile, or an image, judged.

    name:     of the recipe, or the address of the image
    file:     the lockfile; empty for an image
    wanted:   the recipe as commands take it; empty for an image and a lockfile alone
    locked:   the newest date of the locked archive states, or when the image was made
    lines:    package → its line in the lockfile
    disagrees: where recipe and lockfile disagree
    """

    name: str
    kind: Literal["recipe", "lockfile", "image"]
    file: str = ""
    wanted: str = ""
    digest: str = ""
    locked: datetime | None = None
    packages: int = 0
    platforms: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    support: tuple[Support, ...] = ()
    inputs: tuple[Input, ...] = ()
    open: tuple[OpenIssue, ...] = ()
    disagrees: tuple[str, ...] = ()
    broken_rules: tuple[str, ...] = ()
    effective: Effective | None = None
    lines: dict[str, int] = {}

    @property
    def complete(self) -> bool:
        return not self.unknown

    def of(self, *kinds: Kind) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.kind in kinds)


class TrackerUsed(msgspec.Struct, frozen=True, kw_only=True):
    """The tracker data that was read: its form, digest and age."""

    source: str
    form: str
    digest: str
    taken: datetime | None
    note: str = ""


class OwnVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Homeport itself.

    newest: the highest version of the index that was named; empty: none was, or it has none
    why:    why the index could not be read
    """

    version: str
    newest: str = ""
    why: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of ``outdated``."""

    checked_at: datetime
    subjects: tuple[Subject, ...]
    archives: tuple[SuiteSeen, ...] = ()
    tracker: TrackerUsed | None = None
    homeport: OwnVersion | None = None

    @property
    def complete(self) -> bool:
        if self.homeport is not None and self.homeport.why:
            return False
        return all(subject.complete for subject in self.subjects)


def security_ids(subject: Subject) -> tuple[str, ...]:
    """The ids that updates of this subject would fix, each once."""
    found = {id: None for change in subject.changes for id in change.ids}
    return tuple(sorted(found))
