"""Names of published images: a dated tag for each, and tags that move.

``1.2.2026112800`` is version, date of the lockfile's archive state and a number of two digits:
of fixed width, so that each is higher than the one before, also for tools that compare versions.
``1.2-20261128`` is the form with a hyphen; the second of a day is ``1.2-20261128.1``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from homeport.content.digest import Digest
from homeport.errors import AnswerNo, HomeportError, UsageError

Form = Literal["version", "hyphen"]
VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,1}")
_DAY = r"(?P<date>20[0-9]{6})"
_DATED = re.compile(rf"(?P<version>{VERSION.pattern})\.{_DAY}(?P<number>[0-9]{{2}})")
_HYPHEN = re.compile(rf"(?P<version>{VERSION.pattern})-{_DAY}(?:\.(?P<number>[0-9]{{1,2}}))?")
_MOST = 100


class TooManyTags(HomeportError):
    """A hundred different images of one day."""

    id = "too-many-tags"


class DatedTag(msgspec.Struct, frozen=True, kw_only=True):
    """A dated tag, taken apart; in the order of time."""

    tag: str
    version: str
    date: datetime
    number: int

    @property
    def order(self) -> tuple[tuple[int, ...], datetime, int]:
        return tuple(map(int, self.version.split("."))), self.date, self.number


def parse_dated(tag: str) -> DatedTag | None:
    """The parts of a dated tag; ``None`` for any other tag."""
    match = _DATED.fullmatch(tag) or _HYPHEN.fullmatch(tag)
    if match is None:
        return None
    try:
        date = datetime.strptime(match["date"], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return DatedTag(tag=tag, version=match["version"], date=date, number=int(match["number"] or 0))


def check_version(text: str) -> str:
    """A version of one or two numbers. Raises ``UsageError``."""
    if not VERSION.fullmatch(text):
        hint = "write one or two numbers, the date is the third: --version 1.2"
        raise UsageError(f"invalid version {text!r}", hint=hint)
    return text


def dated_tag(version: str, epoch: int, number: int, form: Form) -> str:
    """The tag with the date of ``epoch``, seconds since 1970."""
    day = f"{datetime.fromtimestamp(epoch, UTC):%Y%m%d}"
    if form == "hyphen":
        return f"{version}-{day}" + (f".{number}" if number else "")
    return f"{version}.{day}{number:02}"


def choose_tag(
    version: str, epoch: int, form: Form, digest: Digest, digest_of: Callable[[str], Digest | None]
) -> tuple[str, bool]:
    """The dated tag of an image, and whether it is there already.

    digest_of: of a tag in the repository. The same image has the same tag, however often it is
    published; another one of the same day the next number.
    """
    for number in range(_MOST):
        tag = dated_tag(version, epoch, number, form)
        there = digest_of(tag)
        if there is None or there == digest:
            return tag, there is not None
    raise TooManyTags(
        f"all {_MOST} dated tags of one day are in use, from {dated_tag(version, epoch, 0, form)}"
    )


def claim_tag(choose: Callable[[], tuple[str, bool]], claim: Callable[[str], object]) -> str:
    """Give an image its dated tag, and the next one if another run took that meanwhile.

    choose: ``choose_tag`` with its arguments, which looks into the repository again
    claim:  gives the tag; raises ``AnswerNo`` if it leads to another image by now
    """
    for _ in range(_MOST):
        tag, there = choose()
        if there:
            return tag
        try:
            claim(tag)
        except AnswerNo:
            continue
        return tag
    raise TooManyTags("other runs took every dated tag of this image at the same time")


def moving_tags(version: str) -> tuple[str, ...]:
    """``1.2``, ``1``, ``latest``: the last moves last."""
    parts = version.split(".")
    return (*(".".join(parts[:n]) for n in range(len(parts), 0, -1)), "latest")


def newest_first(tags: Iterable[str]) -> list[DatedTag]:
    """The dated tags among ``tags``."""
    found = [dated for tag in tags if (dated := parse_dated(tag)) is not None]
    return sorted(found, key=lambda dated: dated.order, reverse=True)


def tags_to_prune(
    tags: Iterable[str], *, keep: int, days: int, now: datetime
) -> tuple[DatedTag, ...]:
    """Dated tags that are neither among the newest ``keep`` nor younger than ``days``."""
    limit = now - timedelta(days=days)
    return tuple(dated for dated in newest_first(tags)[keep:] if dated.date < limit)
