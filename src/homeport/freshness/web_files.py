"""Files of web servers that a recipe names by their digest: changed, gone, or as they were.

Asked with HEAD first. A server that gives an entity tag (or a time and a length) is believed if
the file of that tag was read before; else the file is read, hashed, and not kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import msgspec

from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import HomeportError, Interrupted, TooLarge
from homeport.freshness.model import Input, Unknown
from homeport.net.client import Client
from homeport.net.clock import Deadline
from homeport.net.download import expect_ok
from homeport.net.errors import BadResponse, HttpFailure
from homeport.net.response import WEB_PAGES, Response
from homeport.quantities import human_size
from homeport.recipe.parts import UrlInput

DigestOfUrl = Callable[[str], Digest]
_GONE = (404, 410)
_NO_HEAD = (400, 403, 405, 501)  # some servers refuse HEAD and answer GET
#: Of pages, and of files that web servers call encoded although they are sent as they are.
_PAGES, _PACKED = (
    (".html", ".htm", ".xhtml"),
    (".gz", ".tgz", ".svgz", ".bz2", ".xz", ".zst", ".br", ".z"),
)
_LARGEST = 2 << 30
_PATIENCE = 1800.0  # seconds; a server that drips bytes holds up the other inputs no longer
_NAMESPACE = "digest-of-url"


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a URL had: the server's word for that state, and the digest of its bytes."""

    validator: str
    sha256: str


_SEEN = msgspec.json.Decoder(_Seen)


def digest_of_url(url: str, client: Client, store: Store) -> Digest:
    """The digest of what the server has now. Raises ``HttpFailure``, ``NetError``, ``TooLarge``."""
    deadline = Deadline.after(_PATIENCE, client.clock, hint=None)
    with client.request("HEAD", url, deadline=deadline) as response:
        if response.status not in _NO_HEAD:
            expect_ok(response)
        validator = _validator(response) if response.status == 200 else ""
    known = _recall(url, store)
    if validator and known is not None and known.validator == validator:
        return Digest.parse(f"sha256:{known.sha256}")

    def once() -> tuple[str, str]:
        with client.request("GET", url, deadline=deadline) as response:
            expect_ok(response)
            _expect_the_file(url, response)
            return _validator(response), _hashed(url, response)

    validator, found = client.retrier.reread(once, client.cancel)
    if validator:
        seen = _Seen(validator=validator, sha256=found)
        store.remember(_NAMESPACE, url, msgspec.json.encode(seen))
    return Digest.parse(f"sha256:{found}")


def moved_file(wanted: UrlInput, digest_of_url: DigestOfUrl) -> Iterator[Input | Unknown]:
    """One line if the file is not as the recipe has it, or cannot be asked about."""
    try:
        now = digest_of_url(wanted.url)
    except HttpFailure as error:
        if error.status in _GONE:
            text = "is gone: its bytes are only where they were fetched before"
            yield Input(level="warning", what=wanted.url, text=text)
        else:
            yield Unknown(what=wanted.url, why=error.what)
        return
    except Interrupted:
        raise
    except HomeportError as error:
        yield Unknown(what=wanted.url, why=error.what)
        return
    if now != wanted.sha256:
        text = f"changed: the recipe names {wanted.sha256}, it is {now} now"
        yield Input(level="error", what=wanted.url, text=text)


def _validator(response: Response) -> str:
    """A strong entity tag, or time and length; empty: the server promises nothing."""
    headers = response.headers
    tag = headers.get("etag", "")
    if tag and not tag.startswith("W/"):
        return tag[:1000]
    time, length = headers.get("last-modified", ""), headers.get("content-length", "")
    return f"{time} {length}"[:1000] if time and length else ""


def _expect_the_file(url: str, response: Response) -> None:
    """Raise where something else than the file came: it did not change for that."""
    name = url.partition("?")[0].rpartition("/")[2].lower()
    if response.media_type in WEB_PAGES and not name.endswith(_PAGES):
        raise BadResponse(
            f"{response.url.host} returned a web page instead of the file",
            where={"url": str(response.url)},
        )
    if response.encoding is not None and not name.endswith(_PACKED):
        raise response.compressed("the file")
    if (response.length or 0) > _LARGEST:
        raise _too_large(url)


def _too_large(url: str) -> TooLarge:
    return TooLarge(f"{url} is larger than {human_size(_LARGEST)}")


def _hashed(url: str, response: Response) -> str:
    found, size = hashlib.sha256(), 0
    while data := response.read(1 << 20):
        found.update(data)
        size += len(data)
        if size > _LARGEST:
            raise _too_large(url)
    return found.hexdigest()


def _recall(url: str, store: Store) -> _Seen | None:
    answer = store.recall(_NAMESPACE, url)
    try:
        return _SEEN.decode(answer) if answer else None
    except msgspec.DecodeError:
        return None
