"""Names of images in registries: ``registry.example:5000/team/copy:1.0@sha256:…``.

The grammar is distribution's (docs/formats/addresses.md); an error points at the
character that does not fit. Not for transports such as ``oci:`` (``images.address``).
"""

from __future__ import annotations

import ipaddress
import re

import msgspec

from homeport.content.digest import Digest
from homeport.errors import UsageError

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
NAME_LIMIT = 255

# As text, compiled when used (``re`` keeps them): most runs use few.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_HOST_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_PORT = r"[0-9]{1,5}"
_IMAGE_ID = r"[0-9a-f]{64}"


class BadReference(UsageError):
    """A reference that does not parse; ``where["column"]`` is the character, from 1."""

    id = "bad-reference"


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A repository of a registry, and which of its images."""

    registry: str
    repository: str
    tag: str = ""
    digest: Digest | None = None

    @property
    def name(self) -> str:
        """Registry and repository: ``docker.io/library/debian``."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar(self) -> str:
        """The short form that docker shows: ``debian:trixie``."""
        short = self.repository
        if short.count("/") == 1:
            short = short.removeprefix("library/")
        if self.registry != DEFAULT_REGISTRY or names_registry(short):
            short = self.name
        return short + self._suffix()

    def at_digest(self, digest: Digest) -> Reference:
        """The image with this digest in the same repository."""
        return msgspec.structs.replace(self, digest=digest, tag="")

    def with_tag(self, tag: str) -> Reference:
        """The image with this tag in the same repository."""
        return msgspec.structs.replace(self, digest=None, tag=tag)

    def __str__(self) -> str:
        return self.name + self._suffix()

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{tag}@{self.digest}" if self.digest else tag


def parse_reference(text: str, *, default_tag: str = DEFAULT_TAG) -> Reference:
    """Read a reference; without tag and digest it gets ``default_tag``. Raises ``BadReference``."""
    name, at, digest_text = text.partition("@")
    host, rest = _split_host(name)
    start = len(host) + 1 if host else 0
    repository, colon, tag = rest.partition(":")
    if host:
        _check_host(text, host)
    _check_repository(text, repository, start)
    if colon:
        _check_tag(text, tag, start + len(repository) + 1)
    elif not at:
        tag = default_tag
    digest = _parse_digest(text, digest_text, len(name) + 1) if at else None
    registry = {"": DEFAULT_REGISTRY, "index.docker.io": DEFAULT_REGISTRY}.get(host, host)
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = f"library/{repository}"
    found = Reference(registry=registry, repository=repository, tag=tag, digest=digest)
    if len(found.name) > NAME_LIMIT:
        raise _bad(text, NAME_LIMIT, f"the name is longer than {NAME_LIMIT} characters")
    return found


def registry_name(text: str) -> str:
    """The registry that a person names, with or without scheme. Raises ``UsageError``."""
    host = text.removeprefix("docker://").removeprefix("https://").removeprefix("http://")
    host = host.rstrip("/").removesuffix("/v2").removesuffix("/v1")
    example = "write it like registry.example:5000"
    if "/" in host or not host:
        raise UsageError(f"invalid registry name {text!r}", hint=example)
    is_host = host == "localhost" or any(char in host for char in ".:[")
    try:
        parsed = parse_reference(f"{host}/x") if is_host else None
    except BadReference as error:
        raise UsageError(f"invalid registry name {text!r}", hint=example) from error
    if parsed is None:
        raise UsageError(f"invalid registry name {text!r}", hint=example)
    return parsed.registry


def names_registry(text: str) -> bool:
    """Whether the reference spells out its registry instead of leaving it to the default."""
    return bool(_split_host(text.partition("@")[0])[0])


def is_tag(tag: str) -> bool:
    """Whether ``tag`` may be a tag, by the grammar of the distribution specification."""
    return re.fullmatch(_TAG, tag) is not None


def check_tag(tag: str) -> str:
    """Return ``tag`` if it may be a tag. Raises ``BadReference``."""
    _check_tag(tag, tag, 0)
    return tag


def _split_host(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_host = first == "localhost" or any(c in ".:[" or c.isupper() for c in first)
    return (first, rest) if slash and is_host else ("", name)


def _check_host(text: str, host: str) -> None:
    if host.startswith("["):
        inside, bracket, after = host[1:].partition("]")
        try:
            ipaddress.IPv6Address(inside)
        except ValueError:
            raise _bad(text, 1, "the host in brackets is not an IPv6 address") from None
        if not bracket:
            raise _bad(text, len(host), 'the IPv6 address has no closing "]"')
        colon, port = after[:1], after[1:]
        if colon not in ("", ":"):
            raise _bad(text, len(inside) + 2, 'only ":" and a port may follow the address')
    else:
        name, colon, port = host.partition(":")
        position = 0
        for part in name.split("."):
            _match(text, _HOST_NAME, part, position, "a host name")
            position += len(part) + 1
    if colon:
        _match(text, _PORT, port, len(host) - len(port), "a port")
        if not 0 < int(port) < 1 << 16:
            raise _bad(text, len(host) - len(port), "a port is a number from 1 to 65535")


def _check_repository(text: str, repository: str, start: int) -> None:
    if re.fullmatch(_IMAGE_ID, repository):
        raise _bad(text, start, "64 hexadecimal digits are an image id, not a repository")
    position = start
    for part in repository.split("/"):
        _match(text, _PART, part, position, "a repository name")
        position += len(part) + 1


def _check_tag(text: str, tag: str, start: int) -> None:
    if len(tag) > 128:
        raise _bad(text, start + 128, "a tag has at most 128 characters")
    _match(text, _TAG, tag, start, "a tag")


def _parse_digest(text: str, digest: str, start: int) -> Digest:
    try:
        return Digest.parse(digest)
    except UsageError as error:
        raise _bad(text, start, error.what) from error


def _match(text: str, pattern: str, part: str, start: int, what: str) -> None:
    """Require the whole of ``part``, which begins at ``start`` in ``text``, to match."""
    found = re.match(pattern, part)
    good = found.end() if found else 0
    if found and good == len(part):
        return
    if not part:
        raise _bad(text, start, f"{what} is missing")
    hint = None
    if part[good].isupper() and what == "a repository name":
        hint = f"repositories are in lower case: {text.replace(part, part.lower())}"
    elif part[good] in "-._" and what == "a repository name":
        hint = "dots, dashes and underscores stand between letters or digits"
    raise _bad(text, start + good, f"{part[good]!r} does not fit in {what}", hint)


def _bad(text: str, position: int, why: str, hint: str | None = None) -> BadReference:
    column = min(position, len(text)) + 1
    return BadReference(
        f"invalid image reference {text!r}: {why} (character {column})",
        where={"reference": text, "column": column},
        hint=hint,
    )
