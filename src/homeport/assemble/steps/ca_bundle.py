"""The bundle of certificates, when ca-certificates is chosen.

Stands for what ``update-ca-certificates`` does: /etc/ssl/certs/ca-certificates.crt from
all of Mozilla's certificates in the package, in byte order of their names, whether or
not the image also gets them one by one. OpenSSL's own default places lead there too, so
that programs find it without being told.
"""

from __future__ import annotations

from collections.abc import Mapping

from homeport.assemble.steps.step import Step, View, text_file
from homeport.content.blob import verified
from homeport.content.reading import read_bounded
from homeport.tree.node import Node, Source

PACKAGE = "ca-certificates"
CERTIFICATES = b"usr/share/ca-certificates/mozilla/"
#: What the step reads of the package, beside what slices take of it.
READS = f"/{CERTIFICATES.decode()}*.crt"
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
    reads=(READS,),
    writes=("/etc/ssl/certs/ca-certificates.crt", "/usr/lib/ssl/cert.pem", "/usr/lib/ssl/certs"),
    run=run,
)


def certificates(view: View) -> dict[bytes, bytes]:
    """Every certificate of ca-certificates by path, in byte order; empty without the package."""
    found = [package for package in view.packages if package.name == PACKAGE]
    blobs = found[0].contents.blobs if found else {}
    certificates: dict[bytes, bytes] = {}
    for path in sorted(path for path in blobs if _is_certificate(path)):
        with verified(blobs[path], "a certificate") as stream:
            certificates[path] = read_bounded(stream, _LARGEST, "a certificate")
    return certificates


def _is_certificate(path: bytes) -> bool:
    return path.startswith(CERTIFICATES) and path.endswith(b".crt")
