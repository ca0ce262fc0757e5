"""Splitting an instruction's text: flags, words with quotes, words that begin heredocs."""

from __future__ import annotations

import re

import msgspec

from homeport.dockerfile.expand import LONGEST, CannotExpand, expand

_HEREDOC = re.compile(r"(\d*)<<(-?)([^<]*)")


class Word(msgspec.Struct, frozen=True):
    """A piece of an instruction's text; ``text`` may differ from it where quotes were read."""

    text: str
    start: int
    end: int


class HeredocWord(msgspec.Struct, frozen=True):
    """``[fd]<<[-]NAME``. ``expand``: the name was not quoted."""

    name: str
    chomp: bool
    expand: bool


def extract_flags(text: str, at: int) -> tuple[list[Word], int, str]:
    """The leading ``--flag`` words from ``at``, where the rest begins, and a fault.

    Quotes are taken off; a backslash makes the next character literal, whatever the
    Dockerfile's escape character is. A lone ``--`` ends the flags.
    """
    flags: list[Word] = []
    while True:
        start = at
        while start < len(text) and text[start].isspace():
            start += 1
        if not text.startswith("--", start):
            return flags, start, ""
        word, end = _flag(text, start)
        if word == "--":
            while end < len(text) and text[end].isspace():
                end += 1
            return flags, end, ""
        flags.append(Word(word, start, end))
        at = end


def _flag(text: str, at: int) -> tuple[str, int]:
    word: list[str] = []
    quote = ""
    while at < len(text):
        char = text[at]
        if not quote and char.isspace():
            break
        if quote and char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char == "\\":
            at += 1
            word.append(text[at : at + 1])
        else:
            word.append(char)
        at += 1
    return "".join(word), min(at, len(text))


def split_words(text: str, at: int, escape: str = "\\") -> list[Word]:
    """Words from ``at`` on, split at blanks outside quotes; quotes and escapes are kept."""
    words: list[Word] = []
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at >= len(text):
            return words
        end = _word_end(text, at, escape)
        words.append(Word(text[at:end], at, end))
        at = end


def _word_end(text: str, at: int, escape: str) -> int:
    quote = ""
    while at < len(text):
        char = text[at]
        if char == escape and quote != "'":
            at += 2
            continue
        if quote:
            if char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char.isspace():
            return at
        at += 1
    return len(text)


def heredoc_words(text: str, escape: str) -> list[HeredocWord]:
    """The heredocs that an instruction's text announces, in order.

    None at all where a quote or a ``${`` has no end: BuildKit then looks no further.
    """
    if len(text) <= LONGEST and not _is_closed(text, escape):
        return []
    found = []
    for word in split_words(text, 0, escape):
        match = _HEREDOC.fullmatch(word.text)
        if match is None or not match.group(3):
            continue
        rest = match.group(3)
        try:
            name = expand(rest, _Itself(), escape).value
        except CannotExpand:
            continue
        if name:
            quoted = any(char in rest for char in ("'", '"'))
            found.append(HeredocWord(name, bool(match.group(2)), not quoted))
    return found


def _is_closed(text: str, escape: str) -> bool:
    try:
        expand(text, _Itself(), escape)
    except CannotExpand:
        return False
    return True


class _Itself(dict[str, str]):
    """Variables are kept as written: a heredoc's name is not expanded."""

    def get(self, key: str, default: object = None) -> str:
        return f"${key}"
