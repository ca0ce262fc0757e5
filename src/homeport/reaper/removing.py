"""Everything that carries the labels that clients named: found, and removed.

Containers first, with their anonymous volumes; then networks, volumes and images, which those
use. What was created after the look began makes it look again: a test is still running.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from homeport.reaper.daemon import Daemon, DaemonError

#: On the reaper's own containers, which end by themselves.
OWN_LABEL = "org.testcontainers.ryuk"
_PAUSE = 1.0  # seconds between attempts
_FRACTION = re.compile(r"\.[0-9]+")

Filters = Mapping[str, list[str]]


class StillCreating(Exception):
    """Something was created after the look began; the text names it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sort:
    """One sort of thing: how it is listed, named, dated and removed."""

    name: str
    path: str
    listing: Mapping[str, str]
    removing: Mapping[str, str]
    id: str
    created: str
    below: str = ""
    list_path: str = ""


SORTS = (
    Sort(name="container", path="/containers", list_path="/containers/json",
         listing={"all": "1"}, removing={"v": "1", "force": "1"}, id="Id", created="Created"),
    Sort(name="network", path="/networks", listing={}, removing={}, id="Id", created="Created"),
    Sort(name="volume", path="/volumes", listing={}, removing={"force": "1"}, id="Name",
         created="CreatedAt", below="Volumes"),
    Sort(name="image", path="/images", list_path="/images/json", listing={}, removing={},
         id="Id", created="Created"),
)  # fmt: skip


def find(
    daemon: Daemon, filters: Iterable[Filters], since: float, log: Callable[[str], None]
) -> dict[str, list[str]]:
    """Names by sort, of everything that one of the filters matches.

    A sort that cannot be listed is told and left out: a filter may be one of containers alone.
    Raises ``StillCreating``.
    """
    found: dict[str, list[str]] = {sort.name: [] for sort in SORTS}
    for each in filters:
        for sort in SORTS:
            try:
                entries = daemon.list(sort.list_path or sort.path, each, **sort.listing)
                names = list(_names(sort, entries, since))
            except DaemonError as error:
                log(f"error: {error}")
            else:
                found[sort.name] += [name for name in names if name not in found[sort.name]]
    return found


def remove(
    daemon: Daemon, found: Mapping[str, list[str]], retries: int, log: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[dict[str, int], int]:  # fmt: skip
    """How many of each sort were removed, and how many things are left."""
    counts = {}
    left = 0
    for sort in SORTS:
        counts[sort.name] = 0
        names = found[sort.name]
        for attempt in range(1, retries + 1):
            names = [name for name in names if not _removed(daemon, sort, name, counts, log)]
            if not names:
                break
            if attempt < retries:
                sleep(_PAUSE)
        left += len(names)
    return counts, left


def _removed(
    daemon: Daemon, sort: Sort, name: str, counts: dict[str, int], log: Callable[[str], None]
) -> bool:
    """Whether it is gone now."""
    try:
        counts[sort.name] += daemon.remove(sort.path, name, **sort.removing)
    except DaemonError as error:
        log(f"error: {error}")
        return False
    return True


def _names(sort: Sort, document: Any, since: float) -> Iterable[str]:
    entries = document.get(sort.below) if sort.below and isinstance(document, dict) else document
    for entry in entries or ():
        if not isinstance(entry, dict) or not isinstance(entry.get(sort.id), str):
            raise DaemonError(f"a {sort.name} in the daemon's list has no {sort.id}")
        if (entry.get("Labels") or {}).get(OWN_LABEL) == "true":
            continue
        name = entry[sort.id]
        if _time(entry.get(sort.created)) > since:
            raise StillCreating(f"the {sort.name} {name} was just created")
        yield name


def _time(value: object) -> float:
    """Seconds since 1970, of a number or of a date as Go writes it; 0 if it is neither."""
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return 0.0
    try:
        parsed = datetime.fromisoformat(_FRACTION.sub("", value).replace("Z", "+00:00"))
    except ValueError:
        return 0.0
    return parsed.replace(tzinfo=parsed.tzinfo or UTC).timestamp()
