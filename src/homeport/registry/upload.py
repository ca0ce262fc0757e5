"""Upload of one blob, resumed after every failure (distribution spec, "Push").

    POST uploads/  ──►  PUT location?digest  whole blob at once          (usual)
                   └►  PATCH location  pieces, PUT ?digest              (when asked for, or
                                                                         to go on after a cut)

A piece is not lost with its connection: after every failure the registry is asked how many bytes
it has (GET location) and the blob is opened again at that offset; if it does not answer, a new
session starts at 0. Only progress resets the count of failures, so that the work ends.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import NoReturn

from homeport.content.blob import Blob, verified
from homeport.content.reading import CHUNK
from homeport.errors import HomeportError, IntegrityError
from homeport.net.errors import NetError, SourceChanged
from homeport.net.response import Response
from homeport.net.retries import (
    LONGEST_WAIT,
    NOT_NOW,
    ONCE,
    READ,
    SEND_PIECE,
    START_UPLOAD,
    Rule,
    retry_after,
)
from homeport.net.url import Url
from homeport.registry.client import scope
from homeport.registry.errors import NotFound, ProtocolBroken, RegistryError, failure
from homeport.registry.repository import Repository
from homeport.registry.tokens import Scopes
from homeport.registry.upload_session import PIECE, UploadSession, newest_location, open_session
from homeport.registry.verifying_blob import CheckedBlob

SMALLEST_PIECE = 1 << 20
#: Failures in a row without a byte of progress after which an upload is given up.
MAX_FAILURES = 6

Sent = Callable[[int], None]
#: Answers that may mean "not in this way": pieces, or the whole at once.
_NOT_SO = frozenset({400, 404, 405, 411, 415, 501})
_OCTETS = "application/octet-stream"
_RANGE = r"(?:bytes=)?0-([0-9]{1,18})"


class _UploadInterrupted(Exception):
    """The session has come to an end, or its state is unknown: ``why``, ``after`` seconds."""

    def __init__(
        self, why: HomeportError, *, session_over: bool = False, after: float | None = None
    ) -> None:
        super().__init__(why.what)
        self.why = why
        self.session_over = session_over
        self.after = after


def upload_blob(
    repository: Repository,
    blob: Blob,
    *,
    mount_from: str | None = None,
    known_good: bool = False,
    on_sent: Sent = lambda _count: None,
    on_note: Callable[[str], None] = lambda _text: None,
) -> bool:
    """Make ``blob`` part of the repository; ``False`` if it was mounted and nothing was sent.

    Size and digest are checked while the blob is sent, and its last bytes stay here if they
    are wrong; ``known_good`` leaves that out for what was verified a moment ago. Raises
    ``IntegrityError``, ``RegistryError``, ``NetError``, ``SourceChanged``.
    """
    body = blob if known_good else CheckedBlob(blob)
    return _Upload(repository, body, mount_from, on_sent, on_note).run()


class _Upload:
    def __init__(
        self,
        repository: Repository,
        blob: Blob,
        mount_from: str | None,
        on_sent: Sent,
        on_note: Callable[[str], None],
    ) -> None:
        self._repository = repository
        self._registry = repository.registry
        self._blob = blob
        self._mount_from = mount_from
        self._on_sent = on_sent
        self._on_note = on_note
        self._session: UploadSession | None = None
        self._counted = 0  # bytes reported to on_sent for the session as it stands
        self._source_checked = False

    @property
    def _scopes(self) -> Scopes:
        return self._repository.push_scope

    def run(self) -> bool:
        failures, best = 0, 0
        try:
            while True:
                try:
                    if self._session is None:
                        self._session = self._start()
                    if self._session is None:
                        return False  # mounted
                    if self._advance(self._session):
                        return True
                except _UploadInterrupted as interruption:
                    if self._is_there(interruption):
                        return True
                    self._recover(interruption)
                    offset = self._session.offset if self._session else 0
                    failures = 0 if offset > best else failures + 1
                    if failures >= MAX_FAILURES:
                        raise interruption.why from None
                    self._pause(interruption, failures)
                else:
                    failures = 0 if self._session.offset > best else failures
                best = max(best, self._session.offset if self._session else 0)
        except HomeportError as error:
            self._forget_session()
            raise error.at(digest=str(self._blob.digest), step="upload")  # noqa: B904

    def _start(self) -> UploadSession | None:
        """Open a session, or ``None`` when the registry mounted the blob from elsewhere."""
        path = f"{self._repository.name}/blobs/uploads/"
        if self._mount_from is not None:
            opened = self._mount(path)
            if opened is None or isinstance(opened, UploadSession):
                return opened
        response = self._post(path, self._scopes)
        if response.status not in (200, 201, 202):
            raise failure(response, "start an upload", scopes=", ".join(self._scopes))
        return self._begin(response)

    def _mount(self, path: str) -> UploadSession | bool | None:
        """Ask for a blob that another repository has. Any failure means: upload it."""
        source, self._mount_from = self._mount_from, None  # tried once
        scopes, rule = self._scopes, ONCE  # the upload that follows is made again if need be
        query = f"?mount={self._blob.digest}"
        if source:
            rule = START_UPLOAD
            scopes = scope(self._repository.name, "pull", "push", mount_from=[source])
            query += f"&from={source}"
        elif self._registry.quirks.no_anonymous_mount:
            return False
        try:
            response = self._post(path + query, scopes, rule)
        except (RegistryError, NetError):
            return False
        if response.status == 201:
            response.close()
            return None
        if response.status == 202:
            return self._begin(response)
        response.close()
        if not source and response.status not in NOT_NOW:
            self._registry.quirks.no_anonymous_mount = True
        return False

    def _post(self, path: str, scopes: Scopes, rule: Rule = START_UPLOAD) -> Response:
        return self._registry.request("POST", path, scopes, body=b"", rule=rule)

    def _begin(self, response: Response) -> UploadSession:
        self._counted = 0
        return open_session(response)

    def _advance(self, session: UploadSession) -> bool:
        """Send what comes next; whether the blob is complete. Raises ``_UploadInterrupted``."""
        quirks = self._registry.quirks
        size = self._blob.size
        in_pieces = session.offset > 0 or quirks.no_whole or quirks.largest_piece is not None
        if session.piece is not None and size > session.piece:
            in_pieces = True
        if quirks.no_pieces and session.offset == 0:
            in_pieces = False
        if in_pieces and session.offset < size:
            self._send_piece(session)
            return False
        return self._finish(session)

    def _send_piece(self, session: UploadSession) -> None:
        quirks = self._registry.quirks
        piece = session.piece or PIECE
        if quirks.largest_piece is not None:
            piece = min(piece, quirks.largest_piece)
        first = session.offset
        last = min(first + piece, self._blob.size) - 1
        response = self._send(
            "PATCH", session.location, first, last - first + 1,
            {"Content-Type": _OCTETS, "Content-Range": f"{first}-{last}"},
        )  # fmt: skip
        if response.status in (200, 201, 202, 204):  # 201: ECR
            with response:
                session.location = newest_location(response, session.location)
                session.offset = self._accepted(response, first, last + 1)
            return
        if response.status == 413 and piece > SMALLEST_PIECE:
            quirks.largest_piece = max(SMALLEST_PIECE, piece // 2)
        error, retry_wait = self._refusal(response)
        unknown = "BLOB_UPLOAD_UNKNOWN" in error.codes
        if first == 0 and error.status in _NOT_SO and not unknown and not quirks.no_whole:
            quirks.no_pieces = True  # GCR and similar registries accept only whole blobs
        self._fail(error, retry_wait)

    def _finish(self, session: UploadSession) -> bool:
        """The closing PUT, with the whole blob in it unless pieces have brought all."""
        quirks = self._registry.quirks
        left = self._blob.size - session.offset
        url = session.location.with_query(f"digest={self._blob.digest}")
        response = self._send("PUT", url, session.offset, left, {"Content-Type": _OCTETS})
        if response.status in (200, 201, 204):
            with response:
                self._check_digest(response)
            return True
        if response.status == 202:  # not what the spec says; the registry is asked
            response.close()
            if self._has_it():
                return True
            raise _UploadInterrupted(ProtocolBroken(f"{self._repository} did not finish an upload"))
        if left and response.status == 413:
            quirks.largest_piece = max(SMALLEST_PIECE, min(PIECE, self._blob.size // 2))
        error, retry_wait = self._refusal(response)
        unknown = {"BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID"}.intersection(error.codes)
        if left and error.status in _NOT_SO and not unknown and not quirks.no_pieces:
            quirks.no_whole = True  # Artifactory and similar registries require PATCH first
        return self._fail(error, retry_wait)

    def _send(
        self, method: str, url: Url, offset: int, length: int, headers: dict[str, str]
    ) -> Response:
        before = self._counted

        def count(sent: int) -> None:
            self._counted += sent
            self._on_sent(sent)

        try:
            return self._registry.request(
                method, url, self._scopes, headers=headers,
                body=self._blob if length else b"", offset=offset if length else 0,
                length=length, rule=SEND_PIECE, on_sent=count,
            )  # fmt: skip
        except SourceChanged:
            raise
        except NetError as error:
            if not error.retryable:
                raise
            raise _UploadInterrupted(error) from error
        finally:
            assert self._counted >= before

    def _refusal(self, response: Response) -> tuple[RegistryError, float | None]:
        """The error that an answer means, and how long it asks to wait."""
        retry_wait = retry_after(
            response.headers.get("retry-after", ""), self._registry.client.clock
        )
        error = failure(response, "upload the blob", scopes=", ".join(self._scopes))
        return error, retry_wait

    def _fail(self, error: RegistryError, retry_wait: float | None) -> NoReturn:
        """Sort a refusal: worth another try (``_UploadInterrupted``) or final (raised as it is)."""
        status = error.status
        if status in (401, 403, 407) or (retry_wait is not None and retry_wait > LONGEST_WAIT):
            raise error
        if "DIGEST_INVALID" in error.codes:
            self._check_source()
        over = status in (400, 404, 405, 409, 410, 411, 413, 415, 422, 500, 501)
        if status == 416 or status in SEND_PIECE.statuses or over:
            raise _UploadInterrupted(error, session_over=over and status != 500, after=retry_wait)
        raise error

    def _recover(self, interruption: _UploadInterrupted) -> None:
        """Find out what the registry has; forget the session if it does not say."""
        session = self._session
        if session is None:
            return
        self._on_note(f"{interruption.why.what}; retrying")
        known = None if interruption.session_over else self._ask_offset(session)
        if known is None or known > self._blob.size:
            self._forget_session()
            known = 0
        else:
            session.offset = known
        self._on_sent(known - self._counted)
        self._counted = known

    def _ask_offset(self, session: UploadSession) -> int | None:
        """How many bytes the session holds, or ``None``. Public ECR denies that it exists."""
        try:
            response = self._registry.request("GET", session.location, self._scopes, rule=READ)
        except (NetError, RegistryError):
            return None
        with response:
            found = re.fullmatch(_RANGE, response.headers.get("range", ""))
            if response.status not in (200, 202, 204) or found is None:
                return None
            with contextlib.suppress(ProtocolBroken):
                session.location = newest_location(response, session.location)
            last = int(found[1])
            # distribution says 0-0 for nothing and for one byte alike
            return last + 1 if last else 0

    def _accepted(self, response: Response, first: int, end: int) -> int:
        """The offset after a piece: what the registry says it has, if it makes sense."""
        found = re.fullmatch(_RANGE, response.headers.get("range", ""))
        if found is None:
            return end
        reported = int(found[1]) + 1
        if reported > end:
            raise _UploadInterrupted(
                ProtocolBroken(f"{self._repository} reported more bytes than were sent"),
                session_over=True,
            )
        if first <= reported:
            return reported if reported > 1 or end == 1 else first
        # Some registries report the length of the last piece only; the digest is checked later.
        return end

    def _is_there(self, interruption: _UploadInterrupted) -> bool:
        """After a cut or a failure the blob may be there although its response was lost."""
        status = interruption.why.status if isinstance(interruption.why, RegistryError) else 0
        ambiguous = isinstance(interruption.why, NetError) or status >= 500 or status == 408
        return ambiguous and self._counted >= self._blob.size and self._has_it()

    def _has_it(self) -> bool:
        try:
            return self._repository.has_blob(self._blob.digest, self._blob.size, self._scopes)
        except (NetError, NotFound):
            return False

    def _check_source(self) -> None:
        """The registry reports a wrong digest: check whether the source changed."""
        if self._source_checked:
            raise SourceChanged(
                "the registry received other bytes than were sent, twice",
                hint="a proxy between client and registry modifies the data",
            )
        self._source_checked = True
        try:
            with verified(self._blob) as stream:
                while stream.read(CHUNK):
                    pass
        except IntegrityError as error:
            raise SourceChanged(
                "the content changed while it was being sent", hint="run the command again"
            ) from error

    def _check_digest(self, response: Response) -> None:
        reported = response.headers.get("docker-content-digest", "")
        ours = self._blob.digest
        if reported.startswith(f"{ours.algorithm}:") and reported != str(ours):
            raise IntegrityError(
                f"the registry stored the blob as {reported[:100]}, expected {ours}"
            )

    def _pause(self, interruption: _UploadInterrupted, failures: int) -> None:
        client = self._registry.client
        if interruption.after is not None:
            client.retrier.hold(self._registry.base().netloc, interruption.after)
        elif failures:
            client.clock.wait(client.retrier.pause(SEND_PIECE, failures), client.cancel)
        if self._registry.deadline is not None:
            self._registry.deadline.left()

    def _forget_session(self) -> None:
        """Tell the registry that nothing more will come; it does not matter if that fails."""
        session, self._session = self._session, None
        if session is None:
            return
        with contextlib.suppress(HomeportError):
            if self._registry.client.cancel.cancelled:
                self._registry.send_last("DELETE", session.location, self._scopes)
            else:
                self._registry.request("DELETE", session.location, self._scopes, rule=ONCE).close()
