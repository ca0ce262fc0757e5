"""One mirror of an archive: files by their path below its root, over HTTP or in a directory.

Two kinds behind one interface. The caller decides what a file must be: ``fetch`` takes
digest and size and returns only a matching file, ``read_small`` is for release files, whose
signature the caller checks. Not for choosing mirrors (``debian.archive.mirror_list``).
"""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import Protocol, cast

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.reading import Readable, VerifiedReader, read_bounded
from homeport.errors import HomeportError, IntegrityError, TooLarge, UsageError
from homeport.net.client import Client
from homeport.net.credentials import Credential, Provider, no_credentials
from homeport.net.download import download, expect_ok, fetch_small
from homeport.net.errors import HttpFailure, NameNotFound, NetError, Refused, Stalled
from homeport.net.retries import READ
from homeport.net.url import Url, redact
from homeport.quantities import apart
from homeport.runtime import Runtime

_OK = 200
_GONE = frozenset({404, 410})
# A mirror that does not answer costs a minute for each attempt. Where there is another mirror,
# or the request is only a probe, a second attempt is for a connection that broke by chance.
_FAIL_FAST = msgspec.structs.replace(READ, name="mirror-fail_fast", attempts=2, connect_attempts=1)
_QUESTION = msgspec.structs.replace(READ, name="mirror-question", attempts=2)
_WEB_PAGE = (b"<!doctype", b"<html", b"<head")


class NotOnMirror(HomeportError):
    """The mirror answers, but does not have that file."""

    id = "not-on-mirror"


class MirrorUnreachable(HomeportError):
    """There is no mirror at that address."""

    id = "mirror-unreachable"


class HtmlResponse(IntegrityError):
    """The mirror, or a proxy before it, answered with an HTML page."""

    id = "web-page"


#: Errors of one mirror; another mirror may have the file.
MIRROR_ERRORS = (NotOnMirror, MirrorUnreachable, IntegrityError, NetError, TooLarge)


def is_unresponsive(error: HomeportError) -> bool:
    """Whether the mirror did not respond at all, so that requests for other files fail too."""
    return isinstance(error, MirrorUnreachable | Stalled | Refused | NameNotFound)


class ExpectedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose bytes are known beforehand. ``path`` is below the mirror's root."""

    path: str
    digest: Digest
    size: int
    label: str = ""


class Mirror(Protocol):
    """A mirror's root. ``label`` is its address for messages, without a password."""

    @property
    def label(self) -> str: ...

    def read_small(self, path: str, limit: int, *, fail_fast: bool = False) -> bytes:
        """A whole small file, unverified. Raises ``NotOnMirror``, ``HtmlResponse``, ``NetError``.

        fail_fast: give up early on a mirror that does not answer: there are others
        """

    def may_have(self, expected: ExpectedFile) -> bool:
        """A quick probe: ``False`` if the file is surely absent or of another size."""

    def fetch(self, expected: ExpectedFile, runtime: Runtime) -> Blob:
        """The file, verified and in the store. Raises ``NotOnMirror``, ``IntegrityError`` …"""


class HttpMirror(msgspec.Struct, frozen=True, kw_only=True):
    """A mirror over http or https; user and password from its URL or from ``credentials``."""

    base: Url
    client: Client
    credentials: Provider = no_credentials

    @property
    def label(self) -> str:
        return str(self.base).rstrip("/")

    def read_small(self, path: str, limit: int, *, fail_fast: bool = False) -> bytes:
        url = self._url(path)
        try:
            if fail_fast:
                data = self._read_once(url, limit, path)
            else:
                data = fetch_small(self.client, url, limit, authorize=self._authorize, what=path)
        except HttpFailure as error:
            raise _not_there(error) from error
        return _not_a_page(data, self.label, path)

    def _read_once(self, url: Url, limit: int, path: str) -> bytes:
        with self.client.request(
            "GET", url, authorize=self._authorize, rule=_FAIL_FAST
        ) as response:
            expect_ok(response)
            return response.read_all(limit, path)

    def may_have(self, expected: ExpectedFile) -> bool:
        url = self._url(expected.path)
        with self.client.request(
            "HEAD", url, authorize=self._authorize, rule=_QUESTION
        ) as response:
            if response.status in _GONE:
                return False
            return response.status != _OK or response.length in (None, expected.size)

    def fetch(self, expected: ExpectedFile, runtime: Runtime) -> Blob:
        try:
            return download(
                self.client,
                [self._url(expected.path)],
                digest=expected.digest,
                size=expected.size,
                store=runtime.store,
                progress=runtime.progress,
                cancel=runtime.cancel,
                label=expected.label,
                authorize=self._authorize,
            )
        except HttpFailure as error:
            raise _not_there(error) from error

    def _url(self, path: str) -> Url:
        quoted = urllib.parse.quote(_inside(path), safe="/~+:=,@!$&'()*;")
        return self.base.with_target(f"{self.base.path.rstrip('/')}/{quoted}")

    def _authorize(self, url: Url) -> str | None:
        """Called for each hop of a redirect. The URL's own password is only for its host."""
        if self.base.username and url.origin == self.base.origin:
            own = Credential(username=self.base.username, password=self.base.password)
            return own.basic()
        # Lines of auth.conf say themselves whether they hold for http, which apt obeys.
        found = self.credentials(url)
        return found.basic() if found else None


class DirectoryMirror(msgspec.Struct, frozen=True, kw_only=True):
    """A mirror in a directory of this machine. Links in it are followed: the user chose it."""

    root: Path

    @property
    def label(self) -> str:
        return str(self.root)

    def read_small(self, path: str, limit: int, *, fail_fast: bool = False) -> bytes:
        file = self._file(path)
        with explained(file, "read"), file.open("rb") as stream:
            return read_bounded(stream, limit, str(file))

    def may_have(self, expected: ExpectedFile) -> bool:
        return self._file(expected.path).stat().st_size == expected.size

    def fetch(self, expected: ExpectedFile, runtime: Runtime) -> Blob:
        found = runtime.store.get(expected.digest, expected.size)
        if found is not None:
            return found
        file = self._file(expected.path)
        if file.stat().st_size != expected.size:
            have, wanted = apart(file.stat().st_size, expected.size)
            raise IntegrityError(
                f"{file} has {have}, expected {wanted}",
                where={"file": str(file)},
            )
        with explained(file, "read"):
            stream = file.open("rb")
        with VerifiedReader(
            cast("Readable", stream), expected.digest, expected.size, str(file)
        ) as reader:
            return runtime.store.put(cast("Readable", reader), expected.digest)

    def _file(self, path: str) -> Path:
        if not self.root.is_dir():
            raise MirrorUnreachable(
                f"there is no directory {self.root}",
                where={"mirror": self.label},
                hint="check the path; an archive over HTTP starts with http:// or https://",
            )
        file = self.root / _inside(path)
        if not file.is_file():
            raise NotOnMirror(f"{self.root} does not have {path}", where={"mirror": self.label})
        return file


def open_mirror(text: str, client: Client | None, credentials: Provider = no_credentials) -> Mirror:
    """The mirror at a URL (``http``, ``https``, ``file``) or in a directory.

    ``client`` may be missing where only directories are expected. Raises ``UsageError``.
    """
    scheme, separator, _ = text.partition("://")
    if scheme in ("http", "https") and separator:
        if client is None:
            raise UsageError(f"cannot access {redact(text)} offline")
        return HttpMirror(base=Url.parse(text), client=client, credentials=credentials)
    if text.startswith("file:"):
        parts = urllib.parse.urlsplit(text)
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise UsageError(f"{text!r} is not a file URL of this machine", hint="file:///path")
        return DirectoryMirror(root=Path(urllib.parse.unquote(parts.path)))
    if not text or separator or ":" in text.partition("/")[0]:
        raise UsageError(
            f"invalid mirror {redact(text)!r}",
            hint="give an http, https or file URL, or a directory",
        )
    return DirectoryMirror(root=Path(text).expanduser().absolute())


def _not_there(error: HttpFailure) -> HomeportError:
    if error.status in _GONE:
        return NotOnMirror(error.what, where=error.where)
    return error


def _not_a_page(data: bytes, label: str, path: str) -> bytes:
    if data[:256].lstrip().lower().startswith(_WEB_PAGE):
        raise HtmlResponse(
            f"{label} answered with a web page instead of {path}",
            hint="check the address of the mirror; a login page or a proxy may have answered",
        )
    return data


def _inside(path: str) -> str:
    """Paths come from signed files and are checked there; this is the second lock."""
    if path.startswith("/") or ".." in path.split("/"):
        raise IntegrityError(f"{path!r} is outside the mirror")
    return path
