"""HTTP/1.1 messages as bytes and values: the head of a request, the head of an answer.

Strict where a doubt could make us take one answer's bytes for another's (RFC 9112, 6.3 and
11.2), forgiving where old servers are known to differ (line ends, folded lines). Nothing is
read or sent here: that is ``net.connection``.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

#: Bytes and lines that the head of an answer may have.
LONGEST_HEAD = 64 << 10
_MOST_FIELDS = 256
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Malformed(ValueError):
    """What came is no HTTP answer, or one whose end nobody can tell."""


class NoAnswer(Malformed):
    """What came does not begin as an answer does: the rest of another one, or of none."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Status line and fields of an answer.

    fields:     names in lower case, in the order in which they came
    persistent: whether the connection may serve another request afterwards
    """

    status: int
    fields: tuple[tuple[str, str], ...]
    persistent: bool

    def values(self, name: str) -> list[str]:
        """Every field of that name (in lower case)."""
        return [value for found, value in self.fields if found == name]


class Framing(msgspec.Struct, frozen=True, kw_only=True):
    """How a body's end is known: after ``length`` bytes, by chunks, or when the server closes."""

    length: int | None = None
    chunked: bool = False


def request_head(method: str, target: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """The head of a request. Raises ``ValueError`` for what would become another line."""
    if " " in target or not (target.isascii() and target.isprintable()):
        raise ValueError("its path holds blanks, control characters or other letters than ASCII")
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in fields:
        if "\r" in value or "\n" in value or "\0" in value:
            raise ValueError(f"the value of {name} holds a line break")
        if not value.isascii():
            raise ValueError(f"the value of {name} is not ASCII")
        lines.append(f"{name}: {value}")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("ascii")


def end_of_head(data: bytes, start: int = 0) -> int:
    """Where the body begins in ``data``; -1 if the head is not whole yet."""
    ends = [at + len(mark) for mark in (b"\n\r\n", b"\n\n") if (at := data.find(mark, start)) >= 0]
    return min(ends, default=-1)


def read_head(data: bytes) -> Head:
    """Read the head of an answer, the empty line included. Raises ``Malformed``."""
    first, *lines = data.decode("latin-1").split("\n")[:-2]
    version, _, rest = first.rstrip("\r").partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not _is_number(status) or rest[3:4].strip():
        raise NoAnswer(f"it begins with {first[:60]!r}")
    if len(lines) > _MOST_FIELDS:
        raise Malformed(f"it has more than {_MOST_FIELDS} header fields")
    fields = _read_fields(lines)
    said = {
        token.strip().lower()
        for name, value in fields
        if name == "connection"
        for token in value.split(",")
    }
    persistent = "close" not in said if version != "HTTP/1.0" else "keep-alive" in said
    return Head(status=int(status), fields=tuple(fields), persistent=persistent)


def _read_fields(lines: list[str]) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    for line in (line.rstrip("\r") for line in lines):
        if line[:1] in (" ", "\t") and fields:  # a folded line belongs to the one before
            name, value = fields[-1]
            fields[-1] = (name, f"{value} {line.strip()}".strip())
            continue
        name, colon, value = line.partition(":")
        if not colon or not name or not _TOKEN.issuperset(name):
            raise Malformed(f"a header line reads {line[:60]!r}")
        fields.append((name.lower(), value.strip(" \t")))
    return fields


def framing(head: Head, method: str) -> Framing:
    """How long the body is (RFC 9112, 6.3). Raises ``Malformed`` if that is not clear."""
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return Framing(length=0)
    if method == "CONNECT" and head.status < 300:
        return Framing(length=0)
    if codings := head.values("transfer-encoding"):
        if ",".join(codings).strip().lower() != "chunked":
            raise Malformed(f"its transfer encoding is {', '.join(codings)[:60]!r}")
        return Framing(chunked=True)
    lengths = {
        length.strip() for value in head.values("content-length") for length in value.split(",")
    }
    if not lengths:
        return Framing()
    length = lengths.pop()
    if lengths or not _is_number(length) or len(length) > 18:
        raise Malformed("its Content-Length is not one number")
    return Framing(length=int(length))


def chunk_size(line: bytes) -> int:
    """Bytes of the chunk that ``line`` announces; extensions are ignored. Raises ``Malformed``."""
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 16 or digits.strip(b"0123456789abcdefABCDEF"):
        raise Malformed(f"a chunk begins with {line[:40]!r}")
    return int(digits, 16)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
