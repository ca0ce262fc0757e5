"""The machine itself: configuration, cache, proxies, and the clock beside a server's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from homeport.content.store import Store
from homeport.doctor.finding import Finding, State
from homeport.errors import HomeportError
from homeport.net.client import Client
from homeport.net.url import redact
from homeport.quantities import human_size

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_ROOM = 1 << 30  # a build of several platforms unpacks about that much
_FAR = 300  # seconds: tokens of registries and signatures are refused beyond


def examine_settings(file: Path | None, variables: Mapping[str, str]) -> Iterator[Finding]:
    """The configuration file, if there is one, and proxies; the former was read before."""
    where = str(file) if file else "none: defaults and environment variables count"
    yield Finding(area="settings", name="configuration", state="ok", text=where)
    for name in _PROXIES:
        value = variables.get(name) or variables.get(name.upper())
        if value:
            text = value if name == "no_proxy" else redact(value)
            yield Finding(area="network", name=name, state="ok", text=text)


def examine_cache(store: Store, bound: int) -> Finding:
    """Whether the cache can be written to, what it holds, and the room beside it."""

    def found(state: State, text: str, advice: str = "") -> Finding:
        return Finding(area="cache", name=str(store.root), state=state, text=text, advice=advice)

    existing = store.root
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not os.access(existing, os.W_OK | os.X_OK):
        advice = "make it writable, or name another: --cache-dir DIR or HOMEPORT_CACHE_DIR"
        return found("failed", f"{existing} is not writable", advice)
    free = shutil.disk_usage(existing).free
    usage = store.usage()
    text = (
        f"{human_size(usage.total_bytes)} of at most {human_size(bound)}; {human_size(free)} free"
    )
    if free < _ROOM:
        return found("warning", text, "free some space there, or run: homeport cache prune --all")
    return found("ok", text)


def examine_clock(client: Client, url: str, now: datetime) -> Finding:
    """This machine's clock beside the ``Date`` of a mirror (RFC 9110, 6.6.1).

    A date that a cache kept is older than its answer by ``Age``.
    """
    name = "this machine's clock"
    try:
        with client.request("HEAD", url) as response:
            dates = response.header_values("date")
            ages = [int(text) for text in response.header_values("age") if text.isdigit()]
        moment = parsedate_to_datetime(dates[0]) if dates else None
    except (HomeportError, ValueError, TypeError) as error:
        return Finding(
            area="clock", name=name, state="skipped", text=f"no time to compare: {error}"
        )
    if moment is None or moment.tzinfo is None:
        return Finding(area="clock", name=name, state="skipped", text="the mirror sends no time")
    off = (now - moment).total_seconds() - sum(ages[:1])
    if abs(off) <= _FAR:
        return Finding(area="clock", name=name, state="ok", text=f"within {_FAR} s of the mirror's")
    way = "fast" if off > 0 else "slow"
    return Finding(
        area="clock",
        name=name,
        state="failed",
        text=f"{abs(off) / 60:.0f} minutes {way}, beside {redact(url)}",
        advice="set it: signatures, tokens and certificates are judged by it",
    )
