"""TLS contexts, TLS sockets, and what their errors mean.

Which authorities are trusted is data (``net.tls_settings``).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from homeport.errors import UsageError
from homeport.net.errors import ConnectionCut, NetError, NotTls, TlsError
from homeport.net.tls_settings import Trust
from homeport.net.url import Url

_RECORD = 32 << 10  # bytes read at once; a TLS record has at most 16 KiB and a little


class EarlySSLSocket(ssl.SSLSocket):
    """A TLS socket that can look at what the peer sends while we still write."""

    _early = b""

    @property
    def suppress_ragged_eofs(self) -> bool:
        """Always false: an end without close_notify is an error."""
        return False

    @suppress_ragged_eofs.setter
    def suppress_ragged_eofs(self, value: bool) -> None:
        """``ssl`` sets its own default."""

    def peek(self) -> bytes | None:
        """What the peer sent, kept for ``read``; empty at the end, ``None`` if nothing came.

        The socket must not block.
        """
        if not self._early:
            try:
                self._early = super().read(_RECORD)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None
            except ssl.SSLError as error:
                if not tls_ended(error):
                    raise
                return b""
        return self._early

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        if not self._early:
            return super().read(len, buffer)
        data, self._early = self._early[:len], self._early[len:]
        if buffer is None:
            return data
        buffer[: data.__len__()] = data
        return data.__len__()

    def pending(self) -> int:
        return len(self._early) + super().pending()


def tls_context(trust: Trust) -> ssl.SSLContext:
    """A context for ``trust``. Raises ``UsageError`` naming a file that is no PEM file.

    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are honoured by OpenSSL itself.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.hostname_checks_common_name = False
    # A connection cut without close_notify is not the end of a body (RFC 9112, 9.8).
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    context.sslsocket_class = EarlySSLSocket
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
            f"invalid certificate file {file}: {error.reason or error}",
            where={"file": str(file)},
            hint="it must be a PEM file (-----BEGIN CERTIFICATE-----)",
        ) from error
    except OSError as error:
        raise UsageError(
            f"cannot read {file}: {error.strerror}", where={"file": str(file)}
        ) from error


def tls_ended(error: BaseException) -> bool:
    """Whether ``error`` says that the peer ended the connection, with close_notify or without."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return True
    # Early versions of Python 3.11 have no class of its own for OpenSSL 3's error.
    return isinstance(error, ssl.SSLError) and error.reason == "UNEXPECTED_EOF_WHILE_READING"


def tls_error(error: ssl.SSLError, url: Url) -> NetError:
    """The words for what OpenSSL found wrong."""
    place = {"url": str(url)}
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message or str(error)
        hint = "add the authority that signed it with --ca FILE"
        if "mismatch" in why.lower() or "not valid for" in why.lower():
            hint = "use a name that the certificate is valid for"
        elif "expired" in why.lower():
            hint = "the operator of the host must renew the certificate"
        return TlsError(f"{url.netloc}: certificate not trusted: {why}", where=place, hint=hint)
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "wrong version number" in reason or "http request" in reason:
        return NotTls(
            f"{url.netloc}: the server does not use TLS",
            where=place,
            hint="if it is a plain HTTP server, add --plain-http or use an http:// URL",
        )
    if "eof occurred" in reason or tls_ended(error):
        return ConnectionCut(f"{url.host} closed the connection", where=place)
    if "certificate required" in reason:
        return TlsError(
            f"{url.netloc} requires a client certificate",
            where=place,
            hint="add NAME.cert and NAME.key in certs.d",
        )
    return TlsError(f"TLS handshake with {url.netloc} failed: {reason}", where=place)
