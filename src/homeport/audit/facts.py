"""What is known about registries, tags and releases, from data files beside the code."""

from __future__ import annotations

import datetime
import re
from functools import cache
from importlib.resources import files

import msgspec

from homeport.audit.model import Pin
from homeport.audit.own_files import read_own
from homeport.audit.versions import numbers
from homeport.oci.reference import Reference

#: A tag that by custom is never moved: a whole version, a date, a commit.
_FIXED = re.compile(
    r"(?:^|[^0-9.])v?\d+\.\d+\.\d+|(?:^|[^0-9])20\d{2}-?[01]\d-?[0-3]\d|\b[0-9a-f]{40}\b"
    r"|^(?:sha-)?[0-9a-f]{7,12}$"
)

#: Names of releases that other images use in another sense.
_GENERAL = frozenset(("stable", "oldstable", "oldoldstable", "latest"))
_SHOWN = re.compile(r"v?(\d{1,9}(?:\.\d{1,9})?)")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]{0,40}")
#: Holds copies of images of Docker Hub by their names there.
_HUB_COPY = "mirror.gcr.io/"
#: Copies of official images: of mirrors, and of architectures (``arm32v7/debian``).
_COPY = re.compile(
    r"(?:public\.ecr\.aws/docker/library|mirror\.gcr\.io/library|mirror\.gcr\.io"
    r"|docker\.io/(?:amd64|arm32v[567]|arm64v8|i386|mips64le|ppc64le|riscv64|s390x|winamd64)"
    r"|.{1,200}/library)/(?P<name>[a-z0-9._-]{1,100})"
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
    """When support of what a tag names ends, if the table lists it: the release itself, or the
    distribution below it (``-buster``, ``-alpine3.12``), whichever ends first."""
    name = original_name(reference.name)
    found = [
        end for product in _end_of_life().products
        if (end := _of_product(product, reference.tag, name in product.repositories)) is not None
    ]  # fmt: skip
    return min(found, key=lambda end: end.ends, default=None)


def original_name(name: str) -> str:
    """The official image that another registry or an architecture's namespace holds a copy of."""
    copy = _COPY.fullmatch(name)
    if copy is None and name.startswith(_HUB_COPY):
        return f"docker.io/{name.removeprefix(_HUB_COPY)}"
    return f"docker.io/library/{copy['name']}" if copy else name


def _of_product(product: _Product, tag: str, own: bool) -> EndOfLife | None:
    if not own:
        return _below(product, tag)
    for release in sorted(product.releases, key=lambda r: -len(r.tag)):
        if _names_release(tag, release):
            return _ended(product, release, release.tag or tag)
    version, shown = numbers(tag), _SHOWN.match(tag)
    rows = [(row, release) for release in product.releases if (row := numbers(release.tag))]
    if version is None or shown is None or any(row[: len(version)] == version for row, _ in rows):
        return None  # ``3`` is not older than 3.15
    # A release that is not listed ends no later than the next one that is.
    later = [(row, release) for row, release in rows if row > version]
    return _ended(product, min(later, key=lambda pair: pair[0])[1], shown[1]) if later else None


def _below(product: _Product, tag: str) -> EndOfLife | None:
    """The distribution that another image is built on, by its code name or ``-alpine3.12``."""
    words = {*_WORD.findall(tag)}
    for release in product.releases:
        if words & set(release.names) - _GENERAL:
            return _ended(product, release, release.tag)
    title = re.escape(product.title.lower())
    numbered = re.search(rf"(?:^|-){title}(\d[\d.]{{0,20}})$", tag)
    return _of_product(product, numbered.group(1), True) if numbered else None


def _ended(product: _Product, release: _Release, name: str) -> EndOfLife:
    return EndOfLife(
        title=product.title, release=name,
        ends=datetime.date.fromisoformat(release.ends), source=product.source,
    )  # fmt: skip


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
