"""Java's list of certificate authorities, when ca-certificates-java is chosen.

That package's postinst runs Java to fill ``/etc/ssl/certs/java/cacerts``; without the file
no TLS connection of a Java program succeeds. Written here as a JKS store (version 2, the
format of ``sun.security.provider.JavaKeyStore``): certificates in byte order of their
aliases, with the time of the epoch, closed by a SHA-1 over the password ``changeit``, as
Debian has it. The digest is of the format; it protects nothing.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping

from homeport.assemble.steps.ca_bundle import READS, certificates, der_of, pem_name
from homeport.assemble.steps.step import Step, View, text_file
from homeport.tree.node import Node

PACKAGE = "ca-certificates-java"
_STORE = b"etc/ssl/certs/java/cacerts"
_MAGIC, _VERSION, _TRUSTED_CERTIFICATE = 0xFEEDFEED, 2, 2
_PASSWORD = "changeit"  # noqa: S105  Debian's and Java's well-known default


def run(view: View) -> Mapping[bytes, Node]:
    if not any(package.name == PACKAGE for package in view.packages) or _STORE in view.nodes:
        return {}
    entries = {
        f"debian:{pem_name(path).decode('utf-8', 'replace')}".lower(): der_of(path, data)
        for path, data in certificates(view).items()
    }
    store = keystore(entries, view.plan.epoch * 1000) if entries else b""
    return {_STORE: text_file("java-keystore", store, view.plan.mtime)} if store else {}


def keystore(certificates_: Mapping[str, bytes], milliseconds: int) -> bytes:
    """A JKS store of certificates in DER, by alias."""
    parts = [struct.pack(">III", _MAGIC, _VERSION, len(certificates_))]
    for alias, der in sorted(certificates_.items()):
        parts.append(struct.pack(">I", _TRUSTED_CERTIFICATE) + _utf(alias))
        parts.append(struct.pack(">Q", milliseconds) + _utf("X.509"))
        parts.append(struct.pack(">I", len(der)) + der)
    data = b"".join(parts)
    seal = hashlib.sha1(usedforsecurity=False)
    seal.update(_PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + data)
    return data + seal.digest()


STEP = Step(
    name="java-keystore",
    about="/etc/ssl/certs/java/cacerts, if ca-certificates-java is chosen",
    reads=READS,
    writes=("/etc/ssl/certs/java/cacerts",),
    run=run,
)


def _utf(text: str) -> bytes:
    """Java's ``writeUTF``, of names without NUL and beyond the basic plane."""
    data = text.encode("utf-8")
    return struct.pack(">H", len(data)) + data
