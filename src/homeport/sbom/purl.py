"""Package URLs (purl-spec, types deb, oci and of programming languages).

Encoded as the reference implementations do: ``+`` and ``@`` are escaped, ``:`` and ``~`` stay,
qualifiers are sorted. Scanners compare these strings.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

import msgspec

from homeport.sbom.model import BillPackage, Component, Distribution

_KEPT = ":~"  # besides letters, digits and "-._", which are never escaped
#: Types whose namespace is only the distribution, and no part of a package's name.
_OF_DISTRIBUTIONS = frozenset({"alpm", "apk", "deb", "opkg", "rpm"})


class Purl(msgspec.Struct, frozen=True, kw_only=True):
    """What a package URL names. kind: its type; name: with the namespace, where that is part."""

    kind: str
    name: str
    version: str
    qualifiers: dict[str, str]


def parse(text: str) -> Purl | None:
    """Read a package URL; ``None`` if it is none. Decodes and checks nothing further."""
    scheme, _, rest = text.partition(":")
    rest, _, _ = rest.lstrip("/").partition("#")
    rest, _, query = rest.partition("?")
    kind, _, path = rest.partition("/")
    slash = path.rfind("/")
    at = path.find("@", max(slash, 1))  # a scope of npm may begin with an unescaped one
    path, version = (path[:at], path[at + 1 :]) if at > 0 else (path, "")
    namespace, _, name = path.strip("/").rpartition("/")
    if scheme != "pkg" or not kind or not name:
        return None
    kind = kind.lower()
    if namespace and kind not in _OF_DISTRIBUTIONS:
        name = f"{namespace}/{name}"
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return Purl(
        kind=kind,
        name=urllib.parse.unquote(name),
        version=urllib.parse.unquote(version),
        qualifiers={key.lower(): urllib.parse.unquote(value) for key, _, value in pairs},
    )


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
    """The purl of a module, crate or the like, or of another distribution's package.

    By the rules of the types: RPM's epoch is a qualifier, Python's names are normalized.
    """
    vendor = [found.vendor] if found.vendor else []
    named = {
        "arch": found.architecture, "distro": found.distribution, "upstream": found.source,
    }  # fmt: skip
    qualifiers = {key: value for key, value in named.items() if value}
    name, version = found.name, found.version
    if found.kind == "rpm" and ":" in version:
        qualifiers["epoch"], _, version = version.partition(":")
    if found.kind == "pypi":
        name = name.lower().replace("_", "-")
    return _purl(found.kind, [*vendor, *name.split("/")], version, qualifiers)


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
