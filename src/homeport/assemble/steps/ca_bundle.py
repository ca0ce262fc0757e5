"""The bundle of certificates, when ca-certificates is chosen.

Stands for what ``update-ca-certificates`` does: /etc/ssl/certs/ca-certificates.crt from
all of Mozilla's certificates in the package, in byte order of their names, whether or
not the image also gets them one by one, and after them those that the recipe puts into
/usr/local/share/ca-certificates. OpenSSL's default paths lead there too, so that programs
find it without configuration.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from homeport.assemble.steps.step import Step, View, text_file
from homeport.content.blob import read_verified
from homeport.errors import UsageError
from homeport.printable import path_text
from homeport.tree.node import Node, Source

PACKAGE = "ca-certificates"
CERTIFICATES = b"usr/share/ca-certificates/mozilla/"
#: What the step reads of the package, beside what slices take of it.
READS_OF_PACKAGE = f"/{CERTIFICATES.decode()}*.crt"
#: Where an administrator puts more; as there, only files whose name ends in .crt.
LOCAL = b"usr/local/share/ca-certificates/"
READS = (READS_OF_PACKAGE, f"/{LOCAL.decode()}**/*.crt")
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_BUNDLE = b"etc/ssl/certs/ca-certificates.crt"
_LINKS = {
    b"usr/lib/ssl/cert.pem": b"/etc/ssl/certs/ca-certificates.crt",
    b"usr/lib/ssl/certs": b"/etc/ssl/certs",
}
_LARGEST = 1 << 20  # bytes of one certificate


def run(view: View) -> Mapping[bytes, Node]:
    found = certificates(view)
    if not found:
        return {}
    parts = [data if data.endswith(b"\n") else data + b"\n" for data in found.values()]
    mtime = view.plan.mtime
    nodes = {_BUNDLE: text_file("ca-bundle", b"".join(parts), mtime)}
    for path, target in _LINKS.items():
        if path not in view.nodes:
            source = Source(kind="step", name="ca-bundle")
            nodes[path] = Node(
                type="symlink", mode=0o777, mtime=mtime, target=target, source=source
            )
    return nodes


STEP = Step(
    name="ca-bundle",
    about="/etc/ssl/certs/ca-certificates.crt, if ca-certificates is chosen",
    reads=READS,
    writes=("/etc/ssl/certs/ca-certificates.crt", "/usr/lib/ssl/cert.pem", "/usr/lib/ssl/certs"),
    run=run,
)


def certificates(view: View) -> dict[bytes, bytes]:
    """Every certificate by path, Debian's before the recipe's; empty without the package."""
    found = [package for package in view.packages if package.name == PACKAGE]
    if not found:
        return {}
    debian = found[0].contents.blobs
    blobs = {path: debian[path] for path in sorted(debian) if _is_certificate(path)}
    for path in sorted(path for path in view.nodes if path.startswith(LOCAL)):
        node = view.nodes[path]
        if node.content is not None and path.endswith(b".crt"):
            blobs[path] = node.content
    certificates: dict[bytes, bytes] = {}
    for path, blob in blobs.items():
        certificates[path] = read_verified(blob, _LARGEST, "a certificate")
    return certificates


def pem_name(path: bytes) -> bytes:
    """The name of a certificate in /etc/ssl/certs, as update-ca-certificates gives it."""
    name = path.rpartition(b"/")[2].removesuffix(b".crt")
    return name.translate(bytes.maketrans(b" (),", b"_==_")) + b".pem"


def der_of(path: bytes, data: bytes) -> bytes:
    """A certificate file in DER. Raises ``UsageError`` naming the file."""
    _, begin, certificate = data.partition(_BEGIN)
    try:
        if _BEGIN in certificate:
            raise ValueError("two certificates")
        certificate = certificate.partition(_END)[0]
        return ssl.PEM_cert_to_DER_cert((begin + certificate + _END).decode("ascii"))
    except ValueError as error:
        raise not_a_certificate(path) from error


def not_a_certificate(path: bytes) -> UsageError:
    return UsageError(
        f"{path_text(path)} is not a single certificate in PEM format",
        where={"path": path_text(path)},
        hint="write each certificate to a file of its own, as update-ca-certificates(8) requires",
    )


def _is_certificate(path: bytes) -> bool:
    return path.startswith(CERTIFICATES) and path.endswith(b".crt")
