"""The apt configuration of this machine: sources in both formats, Signed-By, auth.conf.

Read-only and lenient: a file that cannot be parsed is reported and skipped, and
nothing here makes an archive trusted. Formats: sources.list(5), apt_auth.conf(5). Not for
choosing a mirror (``debian.archive.mirror_list``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from homeport.content.files import explained, open_input
from homeport.content.reading import read_bounded
from homeport.debian.archive.keyring import Keyring, join_keyrings, parse_keyring, read_keyring
from homeport.debian.deb822 import Paragraph, parse_paragraphs
from homeport.errors import HomeportError, UsageError
from homeport.net.credentials import Credential, Provider, netrc_provider
from homeport.net.url import Url

MAX_FILE = 4 << 20  # bytes
APT = Path("/etc/apt")
_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]+")  # apt skips other names, for example backups
_LINE = re.compile(r"(deb|deb-src)\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<rest>\S.*)")
_INLINE_KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


class BadSources(HomeportError):
    """A line of apt's sources is invalid."""

    id = "bad-apt-sources"


class AptSource(msgspec.Struct, frozen=True, kw_only=True):
    """One enabled source of binary packages. Lists are empty where apt has a default.

    signed_by: the option as written: paths, fingerprints, or a key itself
    """

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    architectures: tuple[str, ...]
    signed_by: str
    file: str
    line: int


class AptSources(msgspec.Struct, frozen=True, kw_only=True):
    """All sources in apt's order, and the errors of files that could not be read."""

    sources: tuple[AptSource, ...] = ()
    faults: tuple[HomeportError, ...] = ()


def read_apt_sources(directory: Path = APT) -> AptSources:
    """``sources.list`` and ``sources.list.d`` of an apt configuration directory."""
    files = [
        directory / "sources.list",
        *_named(directory / "sources.list.d", (".list", ".sources")),
    ]
    sources: list[AptSource] = []
    faults: list[HomeportError] = []
    for path in files:
        try:
            data = _read(path)
            if data is not None:
                parse = parse_deb822_sources if path.suffix == ".sources" else parse_source_list
                sources += parse(data, str(path))
        except HomeportError as error:
            faults.append(error.at(file=str(path)))
    return AptSources(sources=tuple(sources), faults=tuple(faults))


def parse_source_list(data: bytes, file: str) -> list[AptSource]:
    """The one-line format: ``deb [option=value …] URI SUITE [COMPONENT …]``."""
    sources = []
    for number, raw in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        match = _LINE.fullmatch(line)
        words = match["rest"].split() if match else []
        if match is None or len(words) < 2:
            raise BadSources("expected 'deb URI SUITE COMPONENT…'", where={"line": number})
        options = _options(match["options"] or "", number)
        if match[1] == "deb":
            sources.append(
                AptSource(
                    uris=(words[0],),
                    suites=(words[1],),
                    components=tuple(words[2:]),
                    architectures=tuple(filter(None, options.get("arch", "").split(","))),
                    signed_by=options.get("signed-by", ""),
                    file=file,
                    line=number,
                )
            )
    return sources


def parse_deb822_sources(data: bytes, file: str) -> list[AptSource]:
    """The deb822 format of ``.sources`` files."""
    return [
        _source(paragraph, file)
        for paragraph in parse_paragraphs(data, comments=True)
        if "deb" in paragraph.get("Types").split()
        and paragraph.get("Enabled", "yes").lower() not in ("no", "false", "0", "off")
    ]


def parse_signed_by(text: str, known: Keyring | None = None) -> Keyring:
    """The keys that a Signed-By value trusts.

    Paths of keyrings, separated by commas or blanks; a key in ASCII armour, as deb822 folds
    it; or fingerprints, which choose from ``known``. Raises ``BadKey`` or ``UsageError``.
    """
    if _INLINE_KEY in text:
        lines = (line.strip() for line in text.splitlines())
        key = "\n".join("" if line == "." else line for line in lines)
        return parse_keyring(key.strip().encode() + b"\n", "Signed-By")
    words = text.replace(",", " ").split()
    paths = [Path(word) for word in words if word.startswith("/")]
    fingerprints = [word for word in words if not word.startswith("/")]
    rings = [read_keyring(path) for path in paths] or ([known] if known else [])
    if not words or not rings:
        raise UsageError(
            "Signed-By names no keyring", hint="give a path, or the key itself in ASCII armour"
        )
    ring = join_keyrings(rings)
    return ring.limited_to(fingerprints) if fingerprints else ring


def read_apt_credentials(directory: Path = APT) -> Provider:
    """apt's credentials for a host: ``auth.conf``, then ``auth.conf.d`` in order of names.

    Files that this user may not read are left out, as they usually belong to root.
    """
    files = [directory / "auth.conf", *_named(directory / "auth.conf.d", (".conf", ""))]
    providers = []
    for path in files:
        try:
            data = _read(path)
        except HomeportError:
            continue
        if data is not None:
            providers.append(netrc_provider(data.decode("utf-8", "replace"), str(path)))

    def provide(url: Url) -> Credential | None:
        for provider in providers:
            if (found := provider(url)) is not None:
                return found
        return None

    return provide


def _source(paragraph: Paragraph, file: str) -> AptSource:
    for name in ("URIs", "Suites"):
        if not paragraph.get(name).split():
            raise BadSources(f"the source has no {name}", where={"line": paragraph.line})
    return AptSource(
        uris=tuple(paragraph.get("URIs").split()),
        suites=tuple(paragraph.get("Suites").split()),
        components=tuple(paragraph.get("Components").split()),
        architectures=tuple(paragraph.get("Architectures").split()),
        signed_by=paragraph.get("Signed-By"),
        file=file,
        line=paragraph.line,
    )


def _options(text: str, line: int) -> dict[str, str]:
    options: dict[str, str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals:
            raise BadSources(f"expected option=value, not {word!r}", where={"line": line})
        options[name.lower().rstrip("+-")] = value
    return options


def _named(directory: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """The files of a ``.d`` directory that apt would read, in its order."""
    try:
        names = sorted(path.name for path in directory.iterdir())
    except OSError:
        return
    for name in names:
        if (
            _FILE_NAME.fullmatch(name)
            and not name.startswith(".")
            and Path(name).suffix in suffixes
        ):
            yield directory / name


def _read(path: Path) -> bytes | None:
    with explained(path, "read"):
        if not path.is_file():
            return None
        with open_input(path) as stream:
            return read_bounded(stream, MAX_FILE, str(path))
