"""A report as one HTML page: no other file, no network (``homeport.pages``).

One row an image with one sentence, grouped by what to do; everything else about it is folded. What
is true of a registry, such as its limits, stands once, at the registry.
"""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import get_args

import msgspec

from homeport.audit.assessment import Image, Report, Risk
from homeport.audit.findings import page_of
from homeport.audit.model import LEVELS, Level, Pin
from homeport.audit.policy import Violation
from homeport.audit.report.listing import (
    SAID_ELSEWHERE,
    first_risk,
    heading_of,
    is_certain,
    worst_first,
)
from homeport.pages.page import render
from homeport.printable import printable
from homeport.quantities import counted

_MOST_PLACES = 200
_HOME = "registry.example/mirror"
_TONES: dict[Level, str] = {"high": "bad", "medium": "warn", "low": "calm"}
_PINS: dict[Pin, str] = {
    "digest": "by digest", "fixed": "by convention", "floating": "not pinned",
    "unknown": "not resolved",
}  # fmt: skip
_OWN, _NOTHING = "Your own images", "Nothing to do"


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """One image. ``why``: the sentence; ``more``: other findings, each with its page."""

    image: Image
    name: str
    action: str
    why: str
    more: tuple[tuple[str, str], ...]
    kinds: str
    registry: str
    command: str

    @property
    def tone(self) -> str:
        return _TONES[self.image.level]


def html_page(report: Report, violations: Sequence[Violation] = ()) -> str:
    """The page. Everything that comes from files is escaped."""
    images = sorted(report.images, key=lambda image: (not image.foreign, worst_first(image)))
    rows = [_row(image) for image in images]
    groups: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        groups[row.action].append(row)
    listed = [image for image in images if is_certain(image) and not image.tree]
    levels = Counter(image.level for image in listed)
    return render(
        "homeport.audit.report:page.html",
        {
            "report": report, "violations": violations, "rows": rows, "images": listed,
            "groups": [(name, _page(found[0].image), found) for name, found in groups.items()],
            "levels": levels, "level_names": LEVELS,
            "verdicts": list(_verdicts(levels, violations)),
            "implicit": sum(1 for image in listed if not image.explicit),
            "pinned": sum(1 for image in listed if image.pin == "digest"),
            "own": sum(1 for image in images if not image.foreign),
            "uncertain": sum(1 for image in images if image.foreign and not is_certain(image)),
            "apart": sum(1 for image in images if image.foreign and image.tree),
            "registries": list(_registries(listed)), "pins": _PINS, "most": _MOST_PLACES,
            "home": report.home or _HOME, "given_home": report.home,
        },
    )  # fmt: skip


def _row(image: Image) -> _Row:
    risk = first_risk(image)
    others = [one for one in image.risks if one is not risk and one.id not in SAID_ELSEWHERE]
    kinds = [] if image.foreign else ["own"]
    if image.foreign and image.tree:
        kinds.append("apart")
    if image.foreign and not is_certain(image):
        kinds.append("uncertain")
    name = image.reference.familiar if image.reference else image.name
    printed = printable(name)
    return _Row(
        image=image, name=name, action=_action(image),
        why=_sentence(_why(image, risk)),
        more=tuple((_sentence(one.text), page_of(one.id)) for one in others),
        kinds=" ".join(kinds),
        registry=image.reference.registry if image.reference else "not resolved",
        # A name that cannot be pasted as it is shown gets no command.
        command=f"homeport audit explain {shlex.quote(name)}" if printed == name else "",
    )  # fmt: skip


def _action(image: Image) -> str:
    if not image.foreign:
        return _OWN
    return heading_of(image) or _NOTHING


def _page(image: Image) -> str:
    risk = first_risk(image)
    return page_of(risk.id) if risk is not None and image.foreign else ""


def _why(image: Image, risk: Risk | None) -> str:
    if not image.foreign:
        return image.internal or "it lies below your registry's prefix"
    if risk is None:
        return "nothing is wrong with it"
    if risk.id == "implicit":
        return next((use.note for use in image.uses if use.note), risk.text)
    return risk.text


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return text
    # A name at the beginning keeps its letters.
    first = text[0].upper() if text.partition(" ")[0].isalpha() else text[0]
    return first + text[1:] + ("" if text[-1] in ".!?…" else ".")


def _verdicts(levels: Counter[Level], violations: Sequence[Violation]) -> Iterable[tuple[str, str]]:
    if violations:
        yield "bad", f"{counted(len(violations), 'violation')} of the policy"
    high, medium = levels["high"], levels["medium"]
    if high:
        number = counted(high, "image needs", "images need")
        yield "bad", f"{number} action now: no security support, or gone from the registry"
    elif medium:
        number = counted(medium, "image changes", "images change")
        yield "warn", f"{number} without notice, or no file names them"
    elif levels["low"]:
        number = counted(levels["low"], "image comes", "images come")
        yield "calm", f"Nothing urgent; {number} from registries of others"
    elif not violations:
        yield "good", "Every image is your own"


class _Registry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the chart: shares of the largest registry's number, in percent."""

    name: str
    count: int
    bars: tuple[tuple[float, str], ...]
    pins: tuple[str, ...]
    limit: str


def _registries(images: Sequence[Image]) -> Iterable[_Registry]:
    found: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        found[image.reference.registry if image.reference else "not resolved"].append(image)
    largest = max(map(len, found.values()), default=1)
    for name, group in sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        counts = Counter(image.pin for image in group)
        facts = group[0].registry
        limit = (
            f"anonymous pulls limited to {facts.pulls} in {facts.hours} h"
            if facts is not None and facts.pulls
            else ""
        )
        yield _Registry(
            name=name, count=len(group), limit=limit,
            bars=tuple((100 * counts[pin] / largest, f"pin-{pin}") for pin in get_args(Pin)),
            pins=tuple(f"{counts[pin]} {_PINS[pin]}" for pin in get_args(Pin) if counts[pin]),
        )  # fmt: skip
