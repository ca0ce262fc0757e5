"""Variables in the words of a Dockerfile: every form that BuildKit expands, and no other.

``$x ${x} ${x:-w} ${x-w} ${x:+w} ${x+w} ${x:?m} ${x?m} ${x#p} ${x##p} ${x%p} ${x%%p}
${x/p/r} ${x//p/r}``; words nest; quotes are taken off, ``'…'`` is literal, the escape
character makes the next one literal. Not for shell scripts inside RUN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from homeport.dockerfile.patterns import BadPattern, WordPattern
from homeport.errors import UsageError

#: Bounds on one word: characters, and how deep words may nest.
LONGEST = 1 << 16
DEEPEST = 32

_SPECIAL = "@*#?-$!0"


class CannotExpand(UsageError):
    """A word that BuildKit refuses: an unfinished ``${``, a required variable that is unset."""

    id = "dockerfile-expansion"


class Expansion(msgspec.Struct, frozen=True, kw_only=True):
    """What a word became. ``used``: variables that had a value, ``missing``: that had none."""

    value: str
    used: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def expand(word: str, variables: Mapping[str, str], escape: str = "\\") -> Expansion:
    """Expand ``word``. Raises ``CannotExpand``."""
    if len(word) > LONGEST:
        raise CannotExpand(f"a word has more than {LONGEST} characters")
    lexer = _Lexer(word, variables, escape)
    value = lexer.until("")
    return Expansion(value=value, used=tuple(lexer.used), missing=tuple(lexer.missing))


class _Lexer:
    def __init__(self, word: str, variables: Mapping[str, str], escape: str) -> None:
        self._word = word
        self._at = 0
        self._variables = variables
        self._escape = escape
        self._depth = 0
        self._length = 0
        self.used: dict[str, None] = {}
        self.missing: dict[str, None] = {}

    def until(self, stop: str, *, raw: bool = False) -> str:
        """Everything up to ``stop`` (empty: the end), expanded; ``raw`` keeps escapes."""
        special: dict[str, Callable[[bool], str]] = {
            "$": self._dollar, "'": self._single, '"': self._double,
        }  # fmt: skip
        self._enter()
        found: list[str] = []
        while char := self._peek():
            if char == stop:
                self._at += 1
                self._depth -= 1
                return "".join(found)
            if char in special:
                found.append(self._grown(special[char](raw)))
                continue
            self._at += 1
            if char == self._escape:
                if raw:
                    found.append(char)
                char = self._next()
            found.append(char)
        if stop:
            raise CannotExpand(f"{self._word!r}: {stop!r} is missing")
        self._depth -= 1
        return "".join(found)

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise CannotExpand(f"a word nests more than {DEEPEST} expansions")

    def _grown(self, text: str) -> str:
        self._length += len(text)
        if self._length > LONGEST:
            raise CannotExpand(f"a word expands to more than {LONGEST} characters")
        return text

    def _peek(self) -> str:
        return self._word[self._at : self._at + 1]

    def _next(self) -> str:
        char = self._peek()
        self._at += 1
        return char

    def _single(self, raw: bool) -> str:
        end = self._word.find("'", self._at + 1)
        if end < 0:
            raise CannotExpand(f"{self._word!r}: a single quote is not closed")
        text = self._word[self._at + 1 : end]
        self._at = end + 1
        return text

    def _double(self, raw: bool) -> str:
        self._at += 1
        found: list[str] = []
        while char := self._peek():
            if char == '"':
                self._at += 1
                return "".join(found)
            if char == "$":
                found.append(self._dollar(raw))
                continue
            self._at += 1
            if char == self._escape:
                if raw:
                    found.append(char)
                if not self._peek():
                    break
                if self._peek() in ('"', "$", self._escape):
                    char = self._next()
            found.append(char)
        raise CannotExpand(f"{self._word!r}: a double quote is not closed")

    def _dollar(self, raw: bool) -> str:
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            return self._value(name) or "" if name else "$"
        self._at += 1
        if not self._peek():
            raise CannotExpand(f"{self._word!r}: '}}' is missing")
        if self._peek() in "{}:":
            raise CannotExpand(f"{self._word!r}: a variable's name is missing")
        name = self._name()
        operator = self._next()
        if operator == "}":
            return self._value(name) or ""
        if operator == "/":
            return self._replaced(name)
        return self._modified(name, operator)

    def _modified(self, name: str, operator: str) -> str:
        null_is_unset = operator == ":"
        if null_is_unset:
            operator = self._next()
        elif operator not in tuple("+-?#%"):
            raise CannotExpand(f"{self._word!r}: {operator!r} has no meaning after a name")
        word = self.until("}", raw=operator in ("#", "%"))
        value = self._value(name)
        unset = value is None or (null_is_unset and not value)
        match operator:
            case "-":
                return word if unset else value or ""
            case "+":
                return "" if unset else word
            case "?" if unset:
                raise CannotExpand(f"{name}: {word or 'is not allowed to be unset'}")
            case "?":
                return value or ""
            case "#" | "%":
                return self._trimmed(value or "", word, operator)
        raise CannotExpand(f"{self._word!r}: ':{operator}' has no meaning after a name")

    def _trimmed(self, value: str, word: str, operator: str) -> str:
        longest = word.startswith(operator)
        pattern = self._pattern(word[1:] if longest else word, value)
        if operator == "#":
            end = pattern.prefix(value, longest=longest)
            return value if end is None else value[end:]
        start = pattern.suffix(value, longest=longest)
        return value if start is None else value[:start]

    def _replaced(self, name: str) -> str:
        every = self._peek() == "/"
        if every:
            self._at += 1
        pattern_text = self.until("/", raw=True)
        replacement = self.until("}", raw=True)
        value = self._value(name) or ""
        return self._pattern(pattern_text, value).replace(value, replacement, every=every)

    def _pattern(self, text: str, value: str) -> WordPattern:
        try:
            return WordPattern.parse(text, for_value=value)
        except BadPattern as error:
            raise CannotExpand(f"{self._word!r}: {error}") from None

    def _value(self, name: str) -> str | None:
        value = self._variables.get(name)
        (self.missing if value is None else self.used)[name] = None
        return value

    def _name(self) -> str:
        start = self._at
        first = self._peek()
        if first.isdecimal():
            while self._peek().isdecimal():
                self._at += 1
        elif first and first in _SPECIAL:
            self._at += 1
        else:
            while (char := self._peek()) and (char.isalpha() or char.isdecimal() or char == "_"):
                self._at += 1
        return self._word[start : self._at]
