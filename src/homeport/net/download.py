"""Fetching a file of known digest and size over connections that may fail.

Bytes that arrived before a cut are kept (also by a run that was killed) and the rest is
requested. The caller gets the file only after its size and digest were verified. Several URLs
of the file may be given; they are tried in turn.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, Protocol

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.reading import CHUNK
from homeport.content.store import Store
from homeport.errors import IntegrityError
from homeport.net.client import Authorize
from homeport.net.clock import Clock, Deadline
from homeport.net.errors import BadResponse, ConnectionCut, HttpFailure, NetError
from homeport.net.response import WEB_PAGES, Response
from homeport.net.retries import READ, RESUME, Retrier
from homeport.net.url import Url
from homeport.progress import CancelToken, Progress, Silent
from homeport.quantities import apart, human_size

#: Cuts in a row without a single new byte after which a URL is given up.
_MOST_WITHOUT_PROGRESS = 4
_WRITE_BEHIND = 8 << 20  # bytes after which the system starts to write to disk


class Requester(Protocol):
    """A client, or an object that wraps one (a registry's, which logs in)."""

    @property
    def clock(self) -> Clock: ...
    @property
    def retrier(self) -> Retrier: ...
    @property
    def cancel(self) -> CancelToken: ...

    def request(self, method: str, url: Url | str, **more: Any) -> Response: ...


def download(
    client: Requester,
    urls: Iterable[Url | str],
    *,
    digest: Digest,
    size: int,
    store: Store,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    label: str = "",
    authorize: Authorize | None = None,
    deadline: Deadline | None = None,
) -> Blob:
    """The content ``digest`` as a file of ``store``, fetched only if it is missing.

    A damaged download is fetched again once per URL, then the next URL is tried. The error
    of the last URL is raised: ``HttpFailure``, ``IntegrityError``, ``NetError``.
    """
    found = store.get(digest, size)
    if found is not None:
        return found
    work = _Work(
        client=client,
        digest=digest,
        size=size,
        store=store,
        progress=progress or Silent(),
        cancel=cancel or client.cancel,
        authorize=authorize,
        deadline=deadline,
    )
    return work.run([url if isinstance(url, Url) else Url.parse(url) for url in urls], label)


def fetch_small(
    client: Requester,
    url: Url | str,
    limit: int,
    *,
    authorize: Authorize | None = None,
    deadline: Deadline | None = None,
    what: str = "the answer",
) -> bytes:
    """The whole of a small file without a known digest. Raises ``HttpFailure``, ``TooLarge``.

    A body that was cut is asked for again, as the retry table's row for reading says.
    """

    def once() -> bytes:
        with client.request("GET", url, authorize=authorize, deadline=deadline) as response:
            expect_ok(response)
            return response.read_all(limit, what)

    return client.retrier.reread(once, client.cancel)


def expect_ok(response: Response, *, partly: bool = False) -> None:
    """Raise ``HttpFailure`` unless the status is 200.

    partly: a part was asked for, so 206 is right, too; unasked, it would pass for the whole
    """
    if response.status == 200 or (partly and response.status == 206):
        return
    if response.status == 206:
        raise BadResponse(
            f"{response.url.host} returned a part of the file, which nothing asked for",
            where={"url": str(response.url)},
        )
    hints = {
        401: "the server requires a user name and password",
        403: "the server denies it to this user or network",
        404: "the server does not have it",
        407: "the proxy requires a user name and password",
        429: "too many requests; wait a while",
    }
    wait = response.headers.get("retry-after", "")
    more = f"; retry after {wait[:60]}" if wait and wait.isprintable() else ""
    raise HttpFailure(
        response.url,
        response.status,
        hint=hints.get(response.status),
        more=more,
    )


class _Work(msgspec.Struct, frozen=True, kw_only=True):
    """One download in progress."""

    client: Requester
    digest: Digest
    size: int
    store: Store
    progress: Progress
    cancel: CancelToken
    authorize: Authorize | None
    deadline: Deadline | None

    @property
    def id(self) -> str:
        return f"download {self.digest}"

    def run(self, urls: list[Url], label: str) -> Blob:
        if not urls:
            raise BadResponse(f"no download location for {self.digest}")
        with self.store.partial(self.digest, self.cancel) as stream:
            found = self.store.get(self.digest, self.size)  # another process was faster
            if found is not None:
                return found
            name = label or urls[0].path.rpartition("/")[2]
            self.progress.begin(self.id, label=name, total=self.size, unit="bytes")
            try:
                part = _Partial(
                    stream,
                    self.store,
                    self.digest,
                    lambda count: self.progress.advance(self.id, count),
                )
                blob = self._from_any(urls, part)
            except BaseException:
                self.progress.end(self.id, "failed")
                raise
            self.progress.end(self.id)
            return blob

    def _from_any(self, urls: list[Url], part: _Partial) -> Blob:
        for url in urls[:-1]:
            try:
                return self._verified_from(url, part)
            except (NetError, IntegrityError) as error:
                if self.deadline is not None:
                    self.deadline.left()
                self.progress.note(self.id, f"{error.what}; trying the next server")
        return self._verified_from(urls[-1], part)

    def _verified_from(self, url: Url, part: _Partial) -> Blob:
        try:
            return self._once_from(url, part)
        except IntegrityError as error:
            self.progress.note(self.id, f"{error.what}; downloading it again")
        try:
            return self._once_from(url, part)
        except IntegrityError as error:
            raise error.at(url=str(url)) from None

    def _once_from(self, url: Url, part: _Partial) -> Blob:
        without_progress = 0
        while (have := part.length) < self.size:
            if have:
                self.progress.note(self.id, f"resuming at byte {have}")
            try:
                self._append(url, part, have)
            except NetError as error:
                without_progress = 0 if part.length > have else without_progress + 1
                hopeless = not error.retryable or (error.unsent and not have)
                if hopeless or without_progress >= _MOST_WITHOUT_PROGRESS:
                    raise
                self.progress.note(self.id, error.what)
                self.client.clock.wait(
                    self.client.retrier.pause(READ, without_progress + 1), self.cancel
                )
        return part.commit(self.store, self.digest, self.size)

    def _append(self, url: Url, part: _Partial, have: int) -> None:
        """Request the missing bytes and append them to the file."""
        headers = {"Range": f"bytes={have}-"} if have else {}
        with self.client.request(
            "GET", url, headers=headers, authorize=self.authorize, deadline=self.deadline,
            rule=RESUME,
            on_retry=lambda why, wait: self.progress.note(
                self.id, f"{why}; retrying in {wait:.1f} s"
            ),
        ) as response:  # fmt: skip
            if response.status == 416 and have:
                part.restart()
                raise ConnectionCut(f"{url.host} cannot resume at byte {have}")
            expect_ok(response, partly=bool(have))
            self._expect_a_file(response)
            self._place(response, part, have)
            while chunk := response.read(CHUNK):
                self.cancel.check()
                if part.length + len(chunk) > self.size:
                    part.restart()
                    size = human_size(self.size)
                    raise self._wrong(url, f"returned more than the expected {size}")
                part.append(chunk)
            if part.length < self.size:
                if response.length is None:
                    raise ConnectionCut(f"{url.host} closed the connection early")
                part.restart()
                received, size = apart(response.received, self.size)
                raise self._wrong(url, f"returned only {received} of {size}")

    def _wrong(self, url: Url, what: str) -> IntegrityError:
        return IntegrityError(
            f"{url.host} {what}", where={"url": str(url), "digest": str(self.digest)}
        )

    def _place(self, response: Response, part: _Partial, have: int) -> None:
        """Move to the offset at which the response begins."""
        if response.status == 200:
            if have:  # the server ignored Range and sends the file from its start
                part.restart()
            return
        content_range = response.headers.get("content-range", "")
        size = content_range.rpartition("/")[2]
        if content_range.startswith(f"bytes {have}-") and size in (str(self.size), "*"):
            return
        part.restart()
        raise BadResponse(
            f"{response.url.host} returned a different range than requested"
            f" ({content_range[:80]!r})",
            where={"url": str(response.url)},
        )

    def _expect_a_file(self, response: Response) -> None:
        if response.media_type in WEB_PAGES and response.length != self.size:
            raise BadResponse(
                f"{response.url.host} returned a web page instead of the file",
                where={"url": str(response.url)},
                hint="a login page or a proxy on this network may have answered instead",
            )
        if response.status == 200 and response.length not in (None, self.size):
            if response.encoding is not None:
                raise response.compressed("the file")
            length, size = apart(response.length or 0, self.size)
            raise IntegrityError(
                f"{response.url.host} returned {length}, expected {size}",
                where={"url": str(response.url), "digest": str(self.digest)},
            )


class _Partial:
    """The file of an unfinished download, hashed while it is written if this run wrote its start.

    on_change: called with the bytes that the file grew by, or shrank by (negative), and at once
               with those that an earlier run left: the sum is its length at any time
    """

    def __init__(
        self, stream: BinaryIO, store: Store, digest: Digest, on_change: Callable[[int], None]
    ) -> None:
        self._stream = stream
        self._store = store
        self._digest = digest
        self.length = os.fstat(stream.fileno()).st_size
        self._hasher: Any = digest.hasher() if self.length == 0 else None
        self._on_its_way = self.length
        self._on_change = on_change
        if self.length:
            on_change(self.length)

    def append(self, chunk: bytes) -> None:
        with explained(self._store.root):
            self._stream.write(chunk)
        self.length += len(chunk)
        self._on_change(len(chunk))
        if self._hasher is not None:
            self._hasher.update(chunk)
        if self.length - self._on_its_way >= _WRITE_BEHIND:
            self._begin_to_sync()

    def _begin_to_sync(self) -> None:
        """Start writing to the disk during the download: the fsync at the end waits less."""
        if hasattr(os, "posix_fadvise"):  # Linux begins to write such pages and does not wait
            with contextlib.suppress(OSError):
                self._stream.flush()
                os.posix_fadvise(
                    self._stream.fileno(), self._on_its_way, self.length - self._on_its_way,
                    os.POSIX_FADV_DONTNEED,
                )  # fmt: skip
        self._on_its_way = self.length

    def restart(self) -> None:
        with explained(self._store.root):
            self._stream.seek(0)
            self._stream.truncate(0)
        if self.length:
            self._on_change(-self.length)
        self.length = self._on_its_way = 0
        self._hasher = self._digest.hasher()

    def commit(self, store: Store, digest: Digest, size: int) -> Blob:
        """Move it into the store. On a mismatch: ``IntegrityError``, and the file is emptied."""
        if (
            self._hasher is None
        ):  # an earlier run wrote the beginning: the whole file is hashed again
            try:
                return store.commit_partial(self._stream, digest, size)
            except IntegrityError:
                self.restart()
                raise
        found = Digest.finished(self._hasher, digest.algorithm)
        if found != digest or self.length != size:
            seen = self.length
            self.restart()
            have, expected = apart(seen, size)
            raise IntegrityError(
                f"downloaded {have} with digest {found}, expected {expected} with {digest}",
                where={"digest": str(digest)},
            )
        with explained(self._store.root):
            self._stream.flush()
            os.fsync(self._stream.fileno())
        return store.adopt_partial(digest, size)
