"""Lists that come in pages: tags, repositories, and referrers. Bounded in every way.

A next page on another host is followed as a redirect would be, without credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from homeport.net.clock import Deadline
from homeport.net.errors import DeadlinePassed
from homeport.net.response import Response
from homeport.net.url import BadUrl, Url
from homeport.oci.reference import is_tag
from homeport.printable import printable
from homeport.quantities import human_size
from homeport.registry.client import Registry, scope
from homeport.registry.errors import ProtocolBroken, failure
from homeport.registry.tokens import Scopes
from homeport.registry.upload_session import upgraded

PAGE = 1000  # distribution returns at most as many
PAGE_LIMIT = 4 << 20  # bytes of one page
_NEXT = r"<([^<>]*)>((?:\s*;[^,<]*)*)"
_REL = r"(?i);\s*rel\s*=\s*\"?next\"?\s*(?:;|$)"


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How long a list may be in all."""

    pages: int = 5000
    size: int = 64 << 20
    entries: int = 1_000_000
    seconds: float = 600.0

    def passed(self, repository: str, what: str) -> ProtocolBroken:
        """The error of a list that passes one of the bounds."""
        return ProtocolBroken(
            f"{repository}: the list of {what} is too long (limits: {self.pages} pages, "
            f"{human_size(self.size)}, {self.entries} entries, {self.seconds:.0f} s)"
        )


BOUNDS = Bounds()


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class _Catalog(msgspec.Struct):
    repositories: list[str] | None = None


_TAGS_DECODER = msgspec.json.Decoder(_Tags)
_CATALOG_DECODER = msgspec.json.Decoder(_Catalog)
#: What a token must allow to list the repositories of a registry (Docker's token specification).
_CATALOG_SCOPE: Scopes = frozenset({"registry:catalog:*"})


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list. ``read`` it before the next is taken."""

    response: Response
    too_long: ProtocolBroken
    deadline: Deadline | None

    @property
    def media_type(self) -> str:
        return self.response.media_type

    def read(self) -> bytes:
        """The page. Raises ``TooLarge``, and ``ProtocolBroken`` when the list takes too long."""
        try:
            return self.response.read_json(PAGE_LIMIT, "a page of the list")
        except DeadlinePassed as error:
            if self.deadline is None:  # the user's own
                raise
            raise self.too_long from error


def tags(registry: Registry, name: str, *, limit: int | None = None) -> Iterator[str]:
    """The tags of the repository ``name``, in the registry's order, each once.

    Raises ``NotFound`` for an unknown repository, ``ProtocolBroken`` for a list without end.
    """
    seen: set[str] = set()
    for page in pages(registry, name, f"tags/list?n={PAGE}", "tags"):
        try:
            found = _TAGS_DECODER.decode(page.read())
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise ProtocolBroken(
                f"{registry.name}/{name}: invalid list of tags: {error}"
            ) from error
        for tag in found.tags or ():
            if not is_tag(tag):
                shown = printable(tag[:100])
                raise ProtocolBroken(
                    f"{registry.name}/{name}: the registry lists an invalid tag: {shown}"
                )
            if tag not in seen:
                seen.add(tag)
                yield tag
                if limit is not None and len(seen) >= limit:
                    return
        if len(seen) > BOUNDS.entries:
            raise page.too_long


def repositories(registry: Registry) -> Iterator[str]:
    """The repositories of a registry, in its order, each once (Docker's ``_catalog``).

    The OCI specification has no such list: Docker Hub and most hosted registries return none.
    Raises ``NotFound``, ``Denied``, ``Unauthorized``; ``ProtocolBroken`` for a list without end.
    """
    seen: set[str] = set()
    for page in _pages(registry, f"_catalog?n={PAGE}", _CATALOG_SCOPE, "repositories"):
        try:
            found = _CATALOG_DECODER.decode(page.read())
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise ProtocolBroken(
                f"{registry.name}: invalid list of repositories: {error}"
            ) from error
        for name in found.repositories or ():
            if name not in seen:
                seen.add(name)
                yield name
        if len(seen) > BOUNDS.entries:
            raise page.too_long


def pages(registry: Registry, name: str, path: str, what: str) -> Iterator[Page]:
    """The pages of a list of ``what`` at ``path`` below repository ``name``."""
    return _pages(registry, f"{name}/{path}", scope(name, "pull"), what, name)


def _pages(
    registry: Registry, path: str, scopes: Scopes, what: str, name: str = ""
) -> Iterator[Page]:
    place = f"{registry.name}/{name}".rstrip("/")
    too_long = BOUNDS.passed(place, what)
    deadline = _deadline(registry)
    where: str | Url = path
    visited: set[int] = set()  # hashes: a URL may be long
    size = 0
    for _ in range(BOUNDS.pages):
        with _requested(registry, where, scopes, deadline, too_long) as response:
            if response.status != 200:
                error = failure(response, f"list the {what} of {name or place}")
                raise error.at(registry=registry.name, **({"repository": name} if name else {}))
            yield Page(response=response, too_long=too_long, deadline=deadline)
            size += response.received
            following = _next_page(response)
            if following is None:
                return
            if hash(following.wire()) in visited:
                raise ProtocolBroken(f"{place}: the pages of the list form a loop")
            visited.add(hash(following.wire()))
            where = following
        if size > BOUNDS.size:
            break
    raise too_long


def _deadline(registry: Registry) -> Deadline | None:
    """When a list takes too long; ``None`` if the user's own limit ends it before."""
    clock = registry.client.clock
    if registry.deadline is not None and registry.deadline.left() < BOUNDS.seconds:
        return None
    return Deadline.after(BOUNDS.seconds, clock)


def _requested(
    registry: Registry, where: str | Url, scopes: Scopes, deadline: Deadline | None,
    too_long: ProtocolBroken,
) -> Response:  # fmt: skip
    try:
        return registry.request("GET", where, scopes, deadline=deadline)
    except DeadlinePassed as error:
        if deadline is None:
            raise
        raise too_long from error


def _next_page(response: Response) -> Url | None:
    for link in re.finditer(_NEXT, response.headers.get("link", "")):
        if not re.search(_REL, link[2]):
            continue
        try:
            found = response.url.join(link[1])
        except BadUrl as error:
            raise ProtocolBroken(
                f"{response.url.netloc} returned an invalid link to the next page"
            ) from error
        return upgraded(found, response.url)
    return None
