"""What is known about registries, tags and releases, from data files beside the code."""

from __future__ import annotations

import datetime
import re
from functools import cache
from importlib.resources import files

import msgspec

from homeport.audit.model import Pin
from homeport.audit.own_files import read_own
from homeport.oci.reference import Reference

#: A tag that by custom is never moved: a whole version, a date, a commit.
_FIXED = re.compile(
    r"(?:^|[^0-9.])v?\d+\.\d+\.\d+|(?:^|[^0-9])20\d{2}-?[01]\d-?[0-3]\d|\b[0-9a-f]{40}\b"
    r"|^(?:sha-)?[0-9a-f]{7,12}$"
)


class RegistryFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A registry's limits for anonymous users; ``pulls`` per ``hours`` where there is a number."""

    host: str
    title: str
    counts: str
    source: str
    pulls: int = 0
    hours: int = 0


class _Release(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tag: str
    ends: str
    names: tuple[str, ...] = ()


class _Product(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    repositories: tuple[str, ...]
    title: str
    source: str
    releases: tuple[_Release, ...]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    as_of: str
    products: tuple[_Product, ...]


class EndOfLife(msgspec.Struct, frozen=True, kw_only=True):
    """A release whose security support ends or ended on a day."""

    title: str
    release: str
    ends: datetime.date
    source: str


def pin_of(reference: Reference | None) -> Pin:
    """How a reference is pinned."""
    if reference is None:
        return "unknown"
    if reference.digest is not None:
        return "digest"
    return "fixed" if _FIXED.search(reference.tag) else "floating"


def registry_facts(host: str) -> RegistryFacts | None:
    """The facts about a registry, if any are recorded."""
    return _registries().get(host)


def end_of_life(reference: Reference) -> EndOfLife | None:
    """When support of the release that a tag names ends, if the table lists it."""
    for product in _end_of_life().products:
        if reference.name not in product.repositories:
            continue
        for release in sorted(product.releases, key=lambda r: -len(r.tag)):
            if _names_release(reference.tag, release):
                name = release.tag or reference.tag
                ends = datetime.date.fromisoformat(release.ends)
                return EndOfLife(
                    title=product.title, release=name, ends=ends, source=product.source
                )
    return None


def _names_release(tag: str, release: _Release) -> bool:
    if not release.tag:
        return True
    if tag.startswith(release.tag) and not tag[len(release.tag) :][:1].isdigit():
        return True
    return bool({*re.split(r"[-.]", tag), tag} & set(release.names))


@cache
def _registries() -> dict[str, RegistryFacts]:
    rows = read_own(_data("registries.yaml"), "registries.yaml", tuple[RegistryFacts, ...]).value
    return {row.host: row for row in rows}


@cache
def _end_of_life() -> _Table:
    return read_own(_data("end-of-life.yaml"), "end-of-life.yaml", _Table).value


def _data(name: str) -> bytes:
    return (files("homeport.audit") / "data" / name).read_bytes()
