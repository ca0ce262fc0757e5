"""Whom we believe: certificate authorities, and the certificate we show ourselves."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from homeport.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What a TLS connection needs to know.

    ca_files:           authorities besides the system's
    only_these:         leave the system's authorities out
    client_certificate: (certificate, key) in PEM files, shown when a server asks
    verify:             ``False`` accepts anybody; a user must have asked for it by name
    """

    ca_files: tuple[Path, ...] = ()
    only_these: bool = False
    client_certificate: tuple[Path, Path] | None = None
    verify: bool = True


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
