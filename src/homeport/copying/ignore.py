"""Ignore files and exclude patterns: exactly moby's patternmatcher, and its reading of files.

``*`` stops at slashes, ``**`` does not, ``!`` takes back, the last pattern that hits wins,
and a pattern also hits what is below what it names. The original turns patterns into
regular expressions of Go, quirks and all; ``homeport.copying.automaton`` runs those.
"""

from homeport.copying.errors import CopyError, shown
from homeport.copying.patterns import Pattern, rune_at, split
from homeport.copying.resolve import clean

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Callable

    from homeport.copying.automaton import Automaton
    from homeport.copying.path_filter import State

MAX_LINE = 64 << 10
#: Trying this many patterns on a path takes about a microsecond.
PATTERNS_A_STEP = 4
ESCAPED = frozenset(b".+()|{}$")  # not bytes: "in" would refuse characters beyond 255


def read(data: bytes, file: str = ".dockerignore") -> "list[bytes]":
    """The patterns of an ignore file, cleaned, in order."""
    found = []
    for number, line in enumerate(data.split(b"\n")):
        text = line[:-1] if line.endswith(b"\r") else line
        if len(text) > MAX_LINE:
            raise CopyError("line is too long", {"file": file, "line": number + 1})
        if number == 0 and text.startswith(b"\xef\xbb\xbf"):
            text = text[3:]
        if text.startswith(b"#"):
            continue
        pattern = _trimmed(text)
        if not pattern:
            continue
        negated = pattern.startswith(b"!")
        if negated:
            pattern = _trimmed(pattern[1:])
        if pattern:
            pattern = _cleaned(pattern)
            if len(pattern) > 1 and pattern.startswith(b"/"):
                pattern = pattern[1:]
        found.append(b"!" + pattern if negated else pattern)
    return found


class Ignore:
    """Compiled patterns. Paths are bytes without a slash at either end.

    spend: called in a walk with what trying the patterns on a path costs, in microseconds; where
           patterns or paths are a stranger's, it raises at the bound (``homeport.budget``)
    """

    __slots__ = ("_cost", "_spend", "has_exceptions", "patterns")

    def __init__(
        self, patterns: "list[bytes]", spend: "Callable[[int], None] | None" = None
    ) -> None:
        self._spend = spend
        self.patterns: list[Compiled] = []
        self.has_exceptions = False
        for text in patterns:
            pattern = _trimmed(text)
            if not pattern:
                continue
            pattern = _cleaned(pattern)
            negated = pattern.startswith(b"!")
            if negated:
                if pattern == b"!":
                    raise CopyError('illegal exclusion pattern: "!"')
                pattern = pattern[1:]
                self.has_exceptions = True
            _check(pattern)
            self.patterns.append(Compiled(pattern, negated))
        self._cost = 1 + len(self.patterns) // PATTERNS_A_STEP

    def matches(self, path: bytes) -> bool:
        """By the whole path and each of its parents, without regard to a walk."""
        parents = path.split(b"/")[:-1]
        matched = False
        for pattern in self.patterns:
            if pattern.negated != matched:
                continue
            if pattern.matches(path) or any(
                pattern.matches(b"/".join(parents[: end + 1])) for end in range(len(parents))
            ):
                matched = not pattern.negated
        return matched

    def step(self, path: bytes, above: "list[bool] | None") -> "tuple[bool, list[bool]]":
        """Whether a path is matched, in a walk from the top: with what hit its parent."""
        if self._spend is not None:
            self._spend(self._cost)
        matched = False
        hits = []
        for index, pattern in enumerate(self.patterns):
            hit = above is not None and above[index]
            if not hit and pattern.negated == matched:
                hit = pattern.matches(path, self._spend)
            hits.append(hit)
            if hit:
                matched = not pattern.negated
        return matched, hits


class Excluded:
    """A path_filter (``homeport.copying.path_filter``) of all that no pattern hits."""

    __slots__ = ("_ignore",)

    def __init__(self, ignore: Ignore) -> None:
        self._ignore = ignore

    def start(self) -> "State":
        return (b"", None)

    def step(self, above: "State", name: bytes) -> "tuple[State, bool, bool]":
        parent, hits = above
        path = parent + b"/" + name if parent else name
        matched, hits = self._ignore.step(path, hits)
        return (path, hits), not matched, not matched or self._ignore.has_exceptions

    def excludes_source(self, path: bytes) -> bool:
        """Whether a source itself is excluded, as in ``--exclude=a *``; BuildKit never does."""
        return not self._ignore.has_exceptions and self._ignore.matches(path)


class Included:
    """A path_filter of what one pattern hits, with all below, less what others exclude."""

    __slots__ = ("_exclude", "_include", "_literal")

    def __init__(self, pattern: bytes, exclude: "Ignore | None") -> None:
        self._include = Ignore([pattern])
        self._exclude = exclude
        #: Names before the first wildcard: no other directory has to be looked into.
        self._literal = split(clean(pattern))[0] if b"\\" not in pattern else []

    def start(self) -> "State":
        return (b"", 0, None, None)

    def step(self, above: "State", name: bytes) -> "tuple[State, bool, bool]":
        parent, depth, included, excluded = above
        path = parent + b"/" + name if parent else name
        if depth < len(self._literal) and self._literal[depth] != name:
            return None, False, False
        wanted, included = self._include.step(path, included)
        below = True
        if self._exclude is not None:
            out, excluded = self._exclude.step(path, excluded)
            if out:
                wanted = False
                below = self._exclude.has_exceptions
        return (path, depth + 1, included, excluded), wanted, below

    def excludes_source(self, path: bytes) -> bool:
        """The source is the top here, of which patterns say nothing."""
        return False


class Compiled:
    """One pattern. A malformed one shows when a path is first tried, as in the original."""

    __slots__ = ("_how", "_states", "_text", "negated")

    def __init__(self, text: bytes, negated: bool) -> None:
        self.negated = negated
        self._text = text
        self._how = ""
        self._states: Automaton | None = None

    def matches(self, path: bytes, spend: "Callable[[int], None] | None" = None) -> bool:
        if not self._how:
            self._compile()
        how, text = self._how, self._text
        if how == "exact":
            return path == text
        if how == "prefix":
            return path.startswith(text[:-2])
        if how == "suffix":
            suffix = text[2:]
            return path.endswith(suffix) or (suffix[:1] == b"/" and path == suffix[1:])
        assert self._states is not None
        return self._states.matches(path, spend)

    def _compile(self) -> None:
        how, expression = _translated(runes(self._text))
        if how == "expression":
            from homeport.copying.automaton import Automaton

            try:
                self._states = Automaton(expression)
            except ValueError as error:
                raise CopyError(
                    f"syntax error in pattern: {error}", {"pattern": shown(self._text)}
                ) from error
        self._how = how


def _translated(text: "list[int]") -> "tuple[str, list[int]]":
    """How to match, and the regular expression, as the original writes it.

    It also translates within ``[...]``, so ``[*]`` is a class and a repetition there.
    """
    how, out = "exact", [94]
    at = 0
    if text[:1] == [0xFEFF]:  # its scanner drops a byte order mark
        at = 1
    first = at
    while at < len(text):
        rune, here = text[at], at
        at += 1
        if rune == 42 and text[at : at + 1] == [42]:
            at += 2 if text[at + 1 : at + 2] == [47] else 1
            if at < len(text):
                out.extend(b"(.*/)?")
                how = "expression"
            elif how == "exact":
                how = "prefix"
            else:
                out.extend(b".*")
                how = "expression"
            if here == first:
                how = "suffix"
        elif rune == 42:
            out.extend(b"[^/]*")
            how = "expression"
        elif rune == 63:
            out.extend(b"[^/]")
            how = "expression"
        elif rune in ESCAPED:
            out.extend((92, rune))
        elif rune == 92 and at < len(text):
            out.extend((92, text[at]))
            at += 1
            how = "expression"
        else:
            out.append(rune)
            if rune in (91, 93):
                how = "expression"
    return how, out


def runes(text: bytes) -> "list[int]":
    """The characters of a text; each byte that is not UTF-8 counts as U+FFFD."""
    if text.isascii():
        return list(text)
    found = []
    at = 0
    while at < len(text):
        rune, width = rune_at(text, at)
        found.append(rune)
        at += width
    return found


def _check(pattern: bytes) -> None:
    """The original asks Go's Match about the name ``.``, which shows some malformed patterns."""
    Pattern(pattern).matches(b".")


def _trimmed(text: bytes) -> bytes:
    """Without white space at both ends, as Unicode has it."""
    return text.decode("utf-8", "surrogateescape").strip(SPACES).encode("utf-8", "surrogateescape")


def _cleaned(pattern: bytes) -> bytes:
    """Go's ``filepath.Clean``."""
    if pattern.startswith(b"/"):
        return b"/" + b"/".join(clean(pattern))
    found: list[bytes] = []
    for part in pattern.split(b"/"):
        if part == b".." and found and found[-1] != b"..":
            found.pop()
        elif part and part != b".":
            found.append(part)
    return b"/".join(found) or b"."


SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
