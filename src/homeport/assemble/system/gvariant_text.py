"""The text form of GLib's typed values, as "GVariant Text Format" of GLib's reference has it."""

from __future__ import annotations

import re
import struct
from typing import Any

from homeport.assemble.system.gvariant import DEEPEST, FIXED, Just, Typed, split_type

_KEYWORDS = {
    "boolean": "b", "byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u",
    "handle": "h", "int64": "x", "uint64": "t", "double": "d", "string": "s", "objectpath": "o",
    "signature": "g",
}  # fmt: skip
#: What a word says about the type of a value that has none yet.
_INFERRED = {**_KEYWORDS, "true": "b", "false": "b", "inf": "d", "nan": "d"}
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>b?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))"""
    r"""|(?P<type>@[a-z(){}*?]+)|(?P<word>[A-Za-z][A-Za-z0-9]*)"""
    r"""|(?P<number>[-+]?(?:inf|nan|[0-9.][0-9A-Za-z.]*(?:(?<=[eE])[-+][0-9]+)?))|(?P<sign>[][(){}<>,:]))""",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)", re.DOTALL)
_CONTROLS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\n": ""}


def parse(kind: str, text: str) -> Any:
    """The value of type ``kind`` that ``text`` says. Raises ``ValueError``."""
    split_type(kind)
    reading = _Reading(text)
    value = reading.value(kind)
    if reading.token != ("", ""):
        raise ValueError(f"unexpected {reading.token[1]!r}")
    return value


class _Reading:
    """One text, token by token."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self.token = ("", "")
        self._next()

    def _next(self) -> None:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            if self._text[self._at :].strip():
                raise ValueError(f"unexpected {self._text[self._at :].strip()[:20]!r}")
            self.token = ("", "")
            return
        self._at = found.end()
        name = str(found.lastgroup)
        self.token = (name, found[name])

    def _take(self, sign: str) -> bool:
        if self.token == ("sign", sign):
            self._next()
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise ValueError(f"expected {sign!r}, found {self.token[1]!r}")

    def value(self, kind: str) -> Any:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError("nested too deep")
        found = self._value(kind)
        self._depth -= 1
        return found

    def _value(self, kind: str) -> Any:
        group, word = self.token
        said = word[1:] if group == "type" else _KEYWORDS.get(word, "") * (group == "word")
        if said:
            self._next()
            if said != kind:
                raise ValueError(f"expected a value of type {kind}, found {said}")
            return self.value(kind)
        if kind[0] in "am({v":
            return self._container(kind)
        return self._number(kind) if kind in FIXED else self._plain_text()

    def _container(self, kind: str) -> Any:
        found: Any
        match kind[0]:
            case "m":
                found = self._maybe(kind)
            case "v":
                self._expect("<")
                of = self._inferred()
                found = Typed(of, self.value(of))
                self._expect(">")
            case "a" if kind == "ay" and self.token[1].startswith(("b'", 'b"')):
                found = [*_unescaped(self.token[1][1:], octal=True).encode("utf-8"), 0]
                self._next()
            case "a" if kind[1] == "{":
                found = self._pairs(split_type(kind[2:-1]))
            case "a":
                self._expect("[")
                found = self._list(kind[1:], "]")
            case "{":
                found = self._pair(split_type(kind[1:-1]))
            case _:
                found = self._tuple(split_type(kind[1:-1]))
        return found

    def _plain_text(self) -> str:
        group, word = self.token
        if group != "text" or word.startswith("b"):
            raise ValueError(f"{word!r} is not a string")
        self._next()
        return _unescaped(word)

    def _pair(self, kinds: list[str]) -> tuple[Any, Any]:
        self._expect("{")
        key = self.value(kinds[0])
        self._expect(",")
        value = self.value(kinds[1])
        self._expect("}")
        return key, value

    def _maybe(self, kind: str) -> Just | None:
        if self.token == ("word", "nothing"):
            self._next()
            return None
        if self.token == ("word", "just"):
            self._next()
        return Just(self.value(kind[1:]))

    def _number(self, kind: str) -> Any:
        group, word = self.token
        self._next()
        if kind == "b" and word in ("true", "false"):
            return word == "true"
        if kind == "d" and (group == "number" or word in ("inf", "nan")):
            return float(int(word, 0)) if "x" in word else float(word)
        if group != "number" or kind == "b":
            raise ValueError(f"{word!r} is not of type {kind}")
        octal = re.fullmatch(r"([-+]?)0([0-7]+)", word)
        number = int(octal[1] + octal[2], 8) if octal else int(word, 0)
        try:
            struct.pack(FIXED[kind], number)
        except struct.error as error:
            raise ValueError(f"{word} is out of range for type {kind}") from error
        return number

    def _list(self, kind: str, end: str) -> list[Any]:
        found: list[Any] = []
        while not self._take(end):
            if found:
                self._expect(",")
            found.append(self.value(kind))
        return found

    def _pairs(self, kinds: list[str]) -> list[tuple[Any, Any]]:
        if self._take("["):
            return self._list(f"{{{''.join(kinds)}}}", "]")
        self._expect("{")
        found: list[tuple[Any, Any]] = []
        while not self._take("}"):
            if found:
                self._expect(",")
            key = self.value(kinds[0])
            self._expect(":")
            found.append((key, self.value(kinds[1])))
        return found

    def _tuple(self, kinds: list[str]) -> tuple[Any, ...]:
        self._expect("(")
        found: list[Any] = []
        for kind in kinds:
            if found:
                self._expect(",")
            found.append(self.value(kind))
        if len(kinds) == 1:
            self._expect(",")
        self._expect(")")
        return tuple(found)

    def _inferred(self) -> str:
        """The type of the value that comes next, of which nothing is read."""
        before = (self._at, self.token)
        kind = self._guess()
        self._at, self.token = before
        return kind

    def _guess(self) -> str:
        group, word = self.token
        self._next()
        match group:
            case "text":
                return "ay" if word.startswith("b") else "s"
            case "type":
                return word[1:]
            case "number":
                whole = re.fullmatch(r"[-+]?(0[xX][0-9a-fA-F]+|[0-9]+)", word)
                return "i" if whole else "d"
            case "word" if word in _INFERRED:
                return _INFERRED[word]
            case "sign":
                return self._guess_container(word)
        raise ValueError(f"unexpected {word!r}")

    def _guess_container(self, sign: str) -> str:
        match sign:
            case "<":
                return "v"
            case "[":
                return "a" + self._guess()
            case "(":
                kinds = []
                while self.token != ("sign", ")"):
                    kinds.append(self._inferred())
                    self.value(kinds[-1])
                    if not self._take(","):
                        break
                return f"({''.join(kinds)})"
            case "{":
                key = self._inferred()
                self.value(key)
                joined = self.token[1]
                self._next()
                kind = f"{{{key}{self._guess()}}}"
                return "a" + kind if joined == ":" else kind
        raise ValueError(f"unexpected {sign!r}")


def _unescaped(quoted: str, *, octal: bool = False) -> str:
    def one(found: re.Match[str]) -> str:
        text = found[1]
        if text[0] in "uU" and len(text) > 1:
            return chr(int(text[1:], 16))
        if text.isdigit() and octal:
            return chr(int(text, 8) & 0x7F)
        return _CONTROLS.get(text, text)

    return _ESCAPE.sub(one, quoted[1:-1])
