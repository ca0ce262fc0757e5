"""The folder of single certificates with hashed links, when ca-certificates is chosen.

Off unless the recipe asks for it: nearly every program reads the bundle. Those that are told
a folder (``--capath``, ``SSL_CERT_DIR``) look up a certificate by the hash of its subject, as
``openssl rehash`` links it: /etc/ssl/certs/HASH.0 → NAME.pem → the certificate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from homeport.assemble.steps.ca_bundle import (
    READS,
    certificates,
    der_of,
    not_a_certificate,
    pem_name,
)
from homeport.assemble.steps.step import Step, View, text_file
from homeport.assemble.system.subject_hash import subject_hash
from homeport.tree.node import Node, Source

_FOLDER = b"etc/ssl/certs/"
_SOURCE = Source(kind="step", name="ca-hashes")


def run(view: View) -> Mapping[bytes, Node]:
    made: dict[bytes, Node] = {}
    numbers: dict[str, int] = {}
    seen: set[bytes] = set()
    found = {pem_name(path): (path, data) for path, data in certificates(view).items()}
    for name, (path, data) in sorted(found.items()):
        der = der_of(path, data)
        # A slice may leave the certificate out of the image.
        made[_FOLDER + name] = (
            _link(view, b"/" + path)
            if path in view.nodes
            else text_file("ca-hashes", data, view.plan.mtime)
        )
        fingerprint = hashlib.sha256(der).digest()
        if fingerprint in seen:
            continue  # as openssl, which warns about a second name of one certificate
        seen.add(fingerprint)
        try:
            hashed = subject_hash(der)
        except ValueError as error:
            raise not_a_certificate(path) from error
        number = numbers.get(hashed, 0)
        numbers[hashed] = number + 1
        made[_FOLDER + f"{hashed}.{number}".encode()] = _link(view, name)
    return {path: node for path, node in made.items() if path not in view.nodes}


def _link(view: View, target: bytes) -> Node:
    return Node(type="symlink", mode=0o777, mtime=view.plan.mtime, target=target, source=_SOURCE)


STEP = Step(
    name="ca-hashes",
    about="/etc/ssl/certs/*.pem with hashed links, if ca-certificates is chosen",
    reads=READS,
    writes=(f"/{_FOLDER.decode()}*",),
    run=run,
)
