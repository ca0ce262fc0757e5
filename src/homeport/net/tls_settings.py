"""TLS settings of a host: trusted certificate authorities and the client certificate.

What TLS makes of it is ``net.tls``, which is loaded when TLS is spoken.
"""

from __future__ import annotations

from pathlib import Path

import msgspec


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """What a TLS connection needs to know.

    ca_files:           authorities besides the system's
    only_these:         leave the system's authorities out
    client_certificate: (certificate, key) in PEM files, shown when a server asks
    verify:             ``False`` accepts any certificate; only on explicit request of the user
    """

    ca_files: tuple[Path, ...] = ()
    only_these: bool = False
    client_certificate: tuple[Path, Path] | None = None
    verify: bool = True
