"""Package URLs (purl-spec, types deb, oci and of programming languages).

Encoded as the reference implementations do: ``+`` and ``@`` are escaped, ``:`` and ``~`` stay,
qualifiers are sorted. Scanners compare these strings.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

from homeport.sbom.model import BillPackage, Component, Distribution

_KEPT = ":~"  # besides letters, digits and "-._", which are never escaped


def deb(package: BillPackage, distribution: Distribution | None) -> str:
    """``pkg:deb/debian/NAME@VERSION?arch=…&distro=…&upstream=SOURCE@VERSION``.

    ``upstream`` is what syft and grype match by; it is left out where the source has the
    package's own name and version.
    """
    qualifiers = {"arch": package.architecture}
    if distribution is not None:
        qualifiers["distro"] = distribution.label
    if package.source_version != package.version:
        qualifiers["upstream"] = f"{package.source_name}@{package.source_version}"
    elif package.source_name != package.name:
        qualifiers["upstream"] = package.source_name
    namespace = distribution.id if distribution is not None else "debian"
    return _purl("deb", [namespace, package.name], package.version, qualifiers)


def component(found: Component) -> str:
    """The purl of a module, crate or the like."""
    return _purl(found.kind, found.name.split("/"), found.version, {})


def oci(name: str, digest: str, *, repository: str = "", architecture: str = "") -> str:
    """``pkg:oci/NAME@sha256:…?arch=…&repository_url=HOST/PATH``."""
    qualifiers = {}
    if architecture:
        qualifiers["arch"] = architecture
    if repository:
        qualifiers["repository_url"] = repository
    return _purl("oci", [name.rpartition("/")[2].lower()], digest, qualifiers)


def _purl(kind: str, path: list[str], version: str, qualifiers: Mapping[str, str]) -> str:
    text = f"pkg:{kind}/" + "/".join(map(_quoted, path))
    if version:
        text += f"@{_quoted(version)}"
    if qualifiers:
        pairs = (f"{key}={_quoted(qualifiers[key], '/')}" for key in sorted(qualifiers))
        text += "?" + "&".join(pairs)
    return text


def _quoted(text: str, also: str = "") -> str:
    return urllib.parse.quote(text, safe=_KEPT + also)
