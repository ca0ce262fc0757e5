"""Splitting a Packages index into frames, and the table of its stanzas' locations.

The form of both is in docs/formats/index-cache.md. Pure: bytes in, bytes out. Not for
reading the table again (``debian.index``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from homeport.errors import IntegrityError, TooLarge
from homeport.quantities import human_size

_FRAME = 64 << 10  # bytes of text in a frame: what one lookup decodes
_MAX_STANZA = 4 << 20  # bytes; Debian's longest has 0.1 MB
_FIRST_FIELD = b"Package: "


class IndexTable:
    """Names and the locations of their stanzas, collected frame by frame.

    This loop runs once for each of half a million stanzas while nothing else in Python can
    run, so the common form of a stanza has a fast path and all others a careful one.
    """

    def __init__(self) -> None:
        self._locations: dict[bytes, bytes] = {}
        self._providers: dict[bytes, dict[bytes, None]] = {}

    def add(self, text: bytes, offset: int, length: int) -> None:
        """Note every stanza of a frame that lies at ``offset`` of the file."""
        locations = self._locations
        start = 0
        for stanza in text.rstrip(b"\n").split(b"\n\n"):
            size = len(stanza)
            if stanza.startswith(_FIRST_FIELD) and (end := stanza.find(b"\n")) > 0:
                name = stanza[len(_FIRST_FIELD) : end]
                unusual = b" " in name or b"\t" in name or not name
            else:
                name, unusual = b"", True
            if unusual:
                name = _careful_name(stanza)
            if name:
                location = b"%d:%d:%d:%d" % (offset, length, start, size)
                previous = locations.get(name)
                locations[name] = location if previous is None else b"%s %s" % (previous, location)
                if b"\nProvides:" in stanza:
                    self._add_provides(name, stanza)
            start += size + 2

    def _add_provides(self, name: bytes, stanza: bytes) -> None:
        for relation in _value(stanza, b"Provides:").split(b","):
            virtual = relation.partition(b"(")[0].strip().partition(b":")[0]
            if virtual:
                self._providers.setdefault(virtual, {})[name] = None

    def finished(self) -> bytes:
        providers = self._providers
        lines = [
            b"%s\t%s\t%s\n" % (name, location, b" ".join(providers.pop(name, ())))
            for name, location in self._locations.items()
        ]
        lines += [b"%s\t\t%s\n" % (name, b" ".join(owners)) for name, owners in providers.items()]
        lines.sort()  # by name: no name holds a byte below the tab that ends it
        return b"".join(lines)


def frame_texts(stanzas: bytes) -> list[bytes | bytearray | memoryview[int]]:
    """The text in pieces of some ``_FRAME`` bytes, cut only between stanzas."""
    pieces: list[bytes | bytearray | memoryview[int]] = []
    start = 0
    while start < len(stanzas):
        cut = stanzas.find(b"\n\n", start + _FRAME)
        end = len(stanzas) if cut < 0 else cut + 2
        pieces.append(stanzas[start:end])
        start = end
    return pieces


def whole_stanzas(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same text, cut only between stanzas."""
    rest = b""
    for block in blocks:
        rest += block
        cut = rest.rfind(b"\n\n")
        if cut >= 0:
            yield rest[: cut + 2]
            rest = rest[cut + 2 :]
        elif len(rest) > _MAX_STANZA:
            raise TooLarge(f"a stanza of the index is larger than {human_size(_MAX_STANZA)}")
    if rest:
        yield rest


def stanzas_of(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each stanza of whole ones, with the package's name."""
    for stanza in text.split(b"\n\n"):
        end = stanza.find(b"\n")
        name = stanza[len(_FIRST_FIELD) : end] if stanza.startswith(_FIRST_FIELD) else b""
        if not name or b" " in name or b"\t" in name:
            name = _careful_name(stanza)
        if name:
            yield name, stanza


def _careful_name(stanza: bytes) -> bytes:
    """The name in a stanza that does not begin with it; empty for blank lines."""
    if not stanza.strip():
        return b""
    name = _value(stanza, b"Package:")
    if not name or len(name.split()) != 1:
        raise IntegrityError("a stanza of the index names no package")
    return name


def _value(stanza: bytes, field_name: bytes) -> bytes:
    """The value of a field, on one line."""
    if stanza.startswith(field_name):
        begin = len(field_name)
    else:
        found = stanza.find(b"\n" + field_name)
        if found < 0:
            return b""
        begin = found + 1 + len(field_name)
    end = stanza.find(b"\n", begin)
    while 0 <= end < len(stanza) - 1 and stanza[end + 1] in b" \t":
        end = stanza.find(b"\n", end + 1)
    return stanza[begin : len(stanza) if end < 0 else end].replace(b"\n", b" ").strip()
