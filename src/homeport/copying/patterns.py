"""Wildcards of COPY and ADD: exactly Go's ``filepath.Match`` on Unix, on bytes.

``*`` any run of bytes but ``/``; ``?`` one character but ``/``; ``\\c`` the character c;
``[a-z]``, ``[^a-z]`` one character of a class (``/`` too). The whole name must match.
A malformed piece between two ``*`` is an error as soon as a name gets that far, not before.
Not for ``**``, which belongs to ignore files (``homeport.copying.ignore``).
"""

from homeport.copying.errors import CopyError, shown

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    #: Literal bytes, ``None`` for ``?``, or (negated, ranges) for a class.
    Token = bytes | None | tuple[bool, list[tuple[int, int]]]
    #: Whether a ``*`` comes before, and the tokens; ``None`` if malformed.
    Chunk = tuple[bool, list[Token] | None]

BAD = -1
RUNE_ERROR = 0xFFFD


class Pattern:
    """A compiled pattern: the chunks between its stars."""

    __slots__ = ("chunks", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.chunks = _compile(text)

    def matches(self, name: bytes) -> bool:
        """Chunk by chunk, each at the first place where it fits, as Go does.

        Where a class can match a slash this is not the same as trying all ways.
        """
        at, last = 0, len(self.chunks) - 1
        for number, (star, tokens) in enumerate(self.chunks):
            if tokens is None:
                raise _malformed(self.text)
            if star and not tokens:
                return b"/" not in name[at:]
            end = _match(tokens, name, at)
            if end < 0 or (number == last and end < len(name)):
                if not star:
                    return False
                end = _search(tokens, name, at, number == last)
                if end < 0:
                    return False
            at = end
        return at == len(name)


def matches(pattern: bytes, name: bytes) -> bool:
    """Whether ``name`` as a whole is of the ``pattern``; ``CopyError`` if that is malformed."""
    return Pattern(pattern).matches(name)


def has_wildcard(text: bytes) -> bool:
    """Whether a word is a pattern at all. One that only has a backslash is not."""
    skip = False
    for byte in text:
        if skip:
            skip = False
        elif byte == 92:
            skip = True
        elif byte in b"*?[":
            return True
    return False


def split(names: "list[bytes]") -> "tuple[list[bytes], list[bytes]]":
    """A path's names before the first one with a wildcard, and those from there on."""
    for index, name in enumerate(names):
        if has_wildcard(name):
            return names[:index], names[index:]
    return names, []


def unescaped(text: bytes) -> bytes:
    """A word without wildcards as the name it quotes."""
    out = bytearray()
    skip = False
    for byte in text:
        if byte == 92 and not skip:
            skip = True
            continue
        out.append(byte)
        skip = False
    return bytes(out)


def _search(tokens: "list[Token]", name: bytes, at: int, to_the_end: bool) -> int:
    """The end of the first fit that a ``*`` can reach, byte by byte, not over a slash."""
    while at < len(name) and name[at] != 47:
        at += 1
        end = _match(tokens, name, at)
        if end >= 0 and (not to_the_end or end == len(name)):
            return end
    return BAD


def _match(tokens: "list[Token]", name: bytes, at: int) -> int:
    """Where the tokens end if they fit at ``at``."""
    for token in tokens:
        if isinstance(token, bytes):
            if not name.startswith(token, at):
                return BAD
            at += len(token)
            continue
        if at >= len(name) or (token is None and name[at] == 47):
            return BAD
        rune, width = rune_at(name, at)
        at += width
        if token is not None:
            negated, ranges = token
            if any(low <= rune <= high for low, high in ranges) == negated:
                return BAD
    return at


def rune_at(text: bytes, at: int) -> "tuple[int, int]":
    """The character at a position and its width; bytes that are not UTF-8 stand for themselves."""
    first = text[at]
    if first < 0x80:
        return first, 1
    width = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    try:
        return ord(text[at : at + width].decode("utf-8")), width
    except (UnicodeDecodeError, TypeError):
        return RUNE_ERROR, 1


def _compile(text: bytes) -> "list[Chunk]":
    chunks: list[Chunk] = []
    at = 0
    while at < len(text):
        star = False
        while text[at : at + 1] == b"*":
            star = True
            at += 1
        tokens: list[Token] = []
        try:
            at = _chunk(text, at, tokens)
        except CopyError:
            chunks.append((star, None))
            break
        chunks.append((star, tokens))
    return chunks


def _chunk(text: bytes, at: int, tokens: "list[Token]") -> int:
    """Read tokens up to the next ``*``; where that is."""
    literal = bytearray()
    while at < len(text) and text[at] != 42:
        byte = text[at]
        at += 1
        if byte in b"?[":
            if literal:
                tokens.append(bytes(literal))
                literal.clear()
            if byte == 63:
                tokens.append(None)
            else:
                token, at = _class(text, at)
                tokens.append(token)
            continue
        if byte == 92:
            if at == len(text):
                raise _malformed(text)
            byte = text[at]
            at += 1
        literal.append(byte)
    if literal:
        tokens.append(bytes(literal))
    return at


def _class(text: bytes, at: int) -> "tuple[tuple[bool, list[tuple[int, int]]], int]":
    negated = text[at : at + 1] == b"^"
    if negated:
        at += 1
    ranges: list[tuple[int, int]] = []
    while text[at : at + 1] != b"]" or not ranges:
        low, at = _class_rune(text, at)
        high = low
        if text[at : at + 1] == b"-":
            high, at = _class_rune(text, at + 1)
        ranges.append((low, high))
    return (negated, ranges), at + 1


def _class_rune(text: bytes, at: int) -> "tuple[int, int]":
    """One character of a class; neither ``-`` nor ``]`` nor the end may stand here."""
    if text[at : at + 1] in (b"", b"-", b"]"):
        raise _malformed(text)
    if text[at] == 92:
        at += 1
        if at == len(text):
            raise _malformed(text)
    rune, width = rune_at(text, at)
    if rune == RUNE_ERROR and width == 1:
        raise _malformed(text)
    at += width
    if at == len(text):
        raise _malformed(text)
    return rune, at


def _malformed(text: bytes) -> CopyError:
    return CopyError("syntax error in pattern", {"pattern": shown(text)})
