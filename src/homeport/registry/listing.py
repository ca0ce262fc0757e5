"""Lists that come in pages: tags, and referrers. Bounded, and never led to another host."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from homeport.net.response import Response
from homeport.net.url import BadUrl, Url
from homeport.registry.client import Registry, scope
from homeport.registry.errors import ProtocolBroken, failure
from homeport.registry.upload_session import upgraded

PAGE = 1000  # as many as distribution hands out at most
_PAGES = 5000
_PAGE_LIMIT = 16 << 20
_NEXT = r"<([^<>]*)>((?:\s*;[^,<]*)*)"
_REL = r"(?i);\s*rel\s*=\s*\"?next\"?\s*(?:;|$)"


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


def tags(registry: Registry, name: str, *, limit: int | None = None) -> Iterator[str]:
    """The tags of the repository ``name``, in the registry's order, each once.

    Raises ``NotFound`` for an unknown repository, ``ProtocolBroken`` for a list without end.
    """
    seen: set[str] = set()
    for response in pages(registry, name, f"tags/list?n={PAGE}", "list the tags"):
        raw = response.read_all(_PAGE_LIMIT, "the list of tags")
        try:
            found = msgspec.json.decode(raw, type=_Tags)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise ProtocolBroken(
                f"{registry.name}/{name}: invalid list of tags: {error}"
            ) from error
        for tag in found.tags or ():
            if tag not in seen:
                seen.add(tag)
                yield tag
                if limit is not None and len(seen) >= limit:
                    return


def pages(registry: Registry, name: str, path: str, doing: str) -> Iterator[Response]:
    """The answers for ``path`` below repository ``name``, and for each page that follows it."""
    repository = f"{registry.name}/{name}"
    where: str | Url = f"{name}/{path}"
    visited: set[str] = set()
    for _ in range(_PAGES):
        with registry.request("GET", where, scope(name, "pull")) as response:
            if response.status != 200:
                error = failure(response, f"{doing} of {name}")
                raise error.at(registry=registry.name, repository=name)
            yield response
            following = _next_page(response)
            if following is None:
                return
            if following.wire() in visited:
                raise ProtocolBroken(f"{repository}: the pages of the list form a loop")
            visited.add(following.wire())
            where = following
    raise ProtocolBroken(f"{repository}: the list has more than {_PAGES} pages")


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
        if found.host != response.url.host:
            raise ProtocolBroken(
                f"{response.url.netloc} refers to a next page on {found.host}; refused to follow it"
            )
        return upgraded(found, response.url)
    return None
