"""TLS over a channel, also over one that is TLS already (an ``https://`` proxy's tunnel).

Whom to believe is said by ``net.trust``. Loaded only when TLS is spoken: ``ssl`` takes 3 ms.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from homeport.errors import UsageError
from homeport.net.connection import Channel
from homeport.net.errors import ConnectionCut, NetError, NotTls, TlsError
from homeport.net.tls_settings import Trust
from homeport.net.url import Url

_RECORD = 32 << 10  # bytes read at once; a TLS record has at most 16 KiB and a little


def tls_context(trust: Trust) -> ssl.SSLContext:
    """A context for ``trust``. Raises ``UsageError`` naming a file that is no PEM file.

    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are honoured by OpenSSL itself.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif not trust.only_these:
        context.load_default_certs()
    for file in trust.ca_files:
        _explained(file, partial(context.load_verify_locations, file))
    if trust.client_certificate is not None:
        certificate, key = trust.client_certificate
        _explained(certificate, partial(context.load_cert_chain, certificate, key))
    return context


def _explained(file: Path, load: Callable[[], None]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise UsageError(
            f"{file} holds no certificate that can be used: {error.reason or error}",
            where={"file": str(file)},
            hint="it must be a PEM file (-----BEGIN CERTIFICATE-----)",
        ) from error
    except OSError as error:
        raise UsageError(
            f"cannot read {file}: {error.strerror}", where={"file": str(file)}
        ) from error


def secured(channel: Any, context: ssl.SSLContext, host: str) -> Channel:
    """``channel`` with TLS in it, after the handshake. Raises ``ssl.SSLError``, ``OSError``."""
    if isinstance(channel, ssl.SSLSocket):
        return _WithinTls(channel, context, host)
    return context.wrap_socket(channel, server_hostname=host)


def tls_error(error: ssl.SSLError, url: Url) -> NetError:
    """The words for what OpenSSL found wrong."""
    place = {"url": str(url)}
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message or str(error)
        hint = "add the authority that signed it with --ca FILE"
        if "mismatch" in why.lower() or "not valid for" in why.lower():
            hint = "use the name that the certificate is made out to"
        elif "expired" in why.lower():
            hint = "the certificate must be renewed by whoever runs the host"
        return TlsError(
            f"the certificate of {url.netloc} cannot be trusted: {why}", where=place, hint=hint
        )
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "wrong version number" in reason or "http request" in reason:
        return NotTls(
            f"{url.netloc} does not speak TLS there",
            where=place,
            hint="if it is a plain HTTP server, say so: --plain-http, or an http:// URL",
        )
    if "eof occurred" in reason or isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ConnectionCut(f"{url.host} closed the connection", where=place)
    if "certificate required" in reason:
        return TlsError(
            f"{url.netloc} asks for a client certificate", where=place, hint="give one in certs.d"
        )
    return TlsError(f"no secure connection to {url.netloc}: {reason}", where=place)


class _WithinTls:
    """TLS whose records travel in another TLS connection, which the ssl module cannot wrap."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, host: str) -> None:
        self._outer = outer
        self._coming = ssl.MemoryBIO()
        self._going = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._coming, self._going, server_hostname=host)
        self._run(self._tls.do_handshake)

    def recv(self, size: int, /) -> bytes:
        try:
            found: bytes = self._run(self._tls.read, size)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""
        return found

    def sendall(self, data: bytes, /) -> None:
        view = memoryview(data)
        while view:
            view = view[self._run(self._tls.write, view) :]

    def settimeout(self, seconds: float | None, /) -> None:
        self._outer.settimeout(seconds)

    def gettimeout(self) -> float | None:
        return self._outer.gettimeout()

    def fileno(self) -> int:
        return self._outer.fileno()

    def close(self) -> None:
        self._outer.close()

    def _run(self, step: Any, *arguments: Any) -> Any:
        """Do a step of the inner TLS, carrying its records as long as it asks for that."""
        while True:
            try:
                result = step(*arguments)
            except ssl.SSLWantReadError:
                self._flush()
                if data := self._outer.recv(_RECORD):
                    self._coming.write(data)
                else:
                    self._coming.write_eof()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if data := self._going.read():
            self._outer.sendall(data)
