"""An archive that moves on after a recipe was locked: for tests of what is outdated.

world = FreshWorld(tmp_path, {"trixie": [package("lib1", "1-1")], "trixie-security": []})
world.lock_recipe("packages: [lib1]")
world.move("trixie-security", [package("lib1", "1-1+deb13u1", log=[...])])
subject = world.outdated().subjects[0]
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from builders.archive import DATE, SEVEN, suite
from builders.building import BuildWorld, _open
from builders.deb import Content, deb
from homeport.content.digest import Digest
from homeport.freshness.inputs import InputAccess
from homeport.freshness.model import Change, OpenIssue, Report, Subject, Unknown
from homeport.freshness.outdated import OutdatedAccess, OutdatedRequest, run_outdated
from homeport.locking.update_policy import UPDATE_ALL
from homeport.recipe.catalog import shipped_catalog
from homeport.recipe.loading import load_recipe
from homeport.recipe.model import Recipe

LATER = DATE + timedelta(days=2)
SUITES = ("trixie", "trixie-updates", "trixie-security")


def entry(
    source: str, version: str, text: str = "* New.", *, distribution: str = "trixie",
    urgency: str = "medium", date: str = "Fri, 09 Jan 2026 10:00:00 +0000",
) -> str:  # fmt: skip
    """One entry of a changelog."""
    body = "\n".join(f"  {line}" for line in text.split("\n"))
    return (
        f"{source} ({version}) {distribution}; urgency={urgency}\n\n{body}\n\n"
        f" -- A Maintainer <a@debian.example>  {date}\n"
    )


def package(
    name: str, version: str, architecture: str = "amd64", *, log: Iterable[str] = (),
    rebuilds: Iterable[str] = (), files: Mapping[str, Content] | None = None, source: str = "",
    news: str = "", **relations: str,
) -> bytes:  # fmt: skip
    """A package with a program, a changelog and what else is named.

    log, rebuilds: entries of the changelog and of that of rebuilds
    """
    doc = f"usr/share/doc/{name}"
    content: dict[str, Content] = {
        f"usr/bin/{name}": version.encode(),
        f"{doc}/copyright": b"free",
    }
    if log:
        text = "\n".join(log).encode("latin-1")
        content[f"{doc}/changelog.Debian.gz"] = gzip.compress(text, mtime=0)
    if rebuilds:
        text = "\n".join(rebuilds).encode()
        content[f"{doc}/changelog.Debian.{architecture}.gz"] = gzip.compress(text, mtime=0)
    if news:
        content[f"{doc}/NEWS.Debian.gz"] = gzip.compress(news.encode(), mtime=0)
    content |= files or {}
    fields = {"Source": source} if source else None
    return deb(name, version, architecture, files=content, fields=fields, **relations)


class FreshWorld(BuildWorld):
    """A recipe over several suites of one archive, locked, and then the archive moves."""

    def __init__(self, root: Path, suites: Mapping[str, Iterable[bytes]]) -> None:
        self._first = {name: tuple(suites.get(name, ())) for name in SUITES}
        super().__init__(root, self._first["trixie"], valid_for=None, version="13.7")
        for name in SUITES[1:]:
            self.archive.publish(suite(name, self._first[name]))
        self.answers: dict[str, Digest | Exception] = {}

    def recipe(self, text: str) -> Recipe:
        names = ", ".join(SUITES)
        archives = (
            f"archives: [{{name: test, suites: [{names}], mirrors: [./none], keys: [key.asc]}}]\n"
        )
        return super().recipe(("" if "archives:" in text else archives) + text)

    def lock_recipe(self, text: str) -> Recipe:
        """Lock it, beside the recipe."""
        recipe = self.recipe(text)
        self.ensure_lock(recipe, update=UPDATE_ALL)
        return recipe

    def move(
        self, name: str, packages: Iterable[bytes], *, date: datetime = LATER, **state: Any
    ) -> None:
        """A newer state of a suite; the clock moves there too."""
        if name == "trixie":
            state = {"valid_for": None, "version": "13.8", **state}
        only = state.pop("only", None)
        folder = state.pop("folder", None)
        self.archive.publish(suite(name, packages, date=date, **state), only=only, folder=folder)
        self.now = max(self.now, date + timedelta(hours=1))

    def outdated(self, *wanted: str, **options: Any) -> Report:
        """The report about the recipe, or about what is named."""
        request = OutdatedRequest(
            wanted=wanted or (str(self.home / "homeport.yaml"),), directory=self.root, **options
        )
        with self.access() as access:
            return run_outdated(
                request,
                OutdatedAccess(
                    archives=lambda _recipe, _mirrors: access,
                    open_image=_open,
                    inputs=InputAccess(digest_of=self._digest_of),
                    fetch=lambda _url: b"",
                    runtime=access.runtime,
                    clock=lambda: self.now,
                ),
            )

    def subject(self, **options: Any) -> Subject:
        (subject,) = self.outdated(**options).subjects
        return subject

    def _digest_of(self, address: str) -> Digest:
        answer = self.answers[address]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def loaded(self) -> Recipe:
        return load_recipe(self.home / "homeport.yaml", shipped_catalog())


def sample_report() -> Report:
    """A recipe, a fresh lockfile and an image, with something of every part of a report."""
    both = ("linux/amd64", "linux/arm64")
    ids = tuple(f"CVE-2026-10{number:02}" for number in range(9))
    shop = (
        Change(kind="update", name="tzdata", source="tzdata", old="2026a-0+deb13u1",
               new="2026b-0+deb13u1", suite="trixie-updates", platforms=both, bugs=(1, 2)),
        Change(kind="security", name="libssl3t64", source="openssl", old="3.5.1-1",
               new="3.5.1-1+deb13u2", suite="trixie-security", platforms=both, ids=ids,
               since=DATE, security=True),
        Change(kind="held", name="perl", source="perl", old="5.40.1-6", new="5.40.1-7",
               platforms=both, note="held by a pin"),
        Change(kind="gone", name="libold1", source="old", old="1-1", new=None, platforms=both[:1]),
    )  # fmt: skip
    missing = Unknown(what="trixie-security", why="connection refused", platforms=both[1:])
    known = OpenIssue(id="CVE-2025-1234", source="bash", version="5.2.37-2", status="open")
    return Report(
        checked_at=LATER,
        subjects=(
            Subject(name="shop", kind="recipe", wanted="images/shop", packages=41, locked=DATE,
                    platforms=both, changes=shop),
            Subject(name="fresh", kind="lockfile", packages=12, platforms=both),
            Subject(name="registry.example/team/a-rather-long-name/tool:1.2.20261128",
                    kind="image", packages=90, platforms=both, unknown=(missing,), open=(known,)),
        ),
    )  # fmt: skip


def changes(subject: Subject) -> list[str]:
    """``security lib1 1-1 → 1-1+deb13u1 CVE-…``, one line a change."""
    return [
        " ".join(
            part
            for part in (
                change.kind, change.name, change.old, "→", change.new or "nothing",
                " ".join(change.ids),
                f"({', '.join(change.platforms)})" if len(subject.platforms) > 1 else "",
            )
            if part
        )
        for change in subject.changes
    ]  # fmt: skip


__all__ = [
    "DATE", "LATER", "SEVEN", "SUITES", "FreshWorld", "changes", "entry", "package",
    "sample_report",
]  # fmt: skip
