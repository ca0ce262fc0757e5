"""The small part of Go's regular expressions that ignore patterns are turned into.

Literals, classes, escapes, ``.``, ``*`` after one of them, ``(.*/)?``, ``^`` and the end.
All states are followed at once, and sets of them remembered, so no pattern takes longer than its
length times the path's, and mostly only the path's; Python's ``re`` has another syntax and can
take for ever.
"""

from homeport.copying.patterns import rune_at

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Ranges = list[tuple[int, int]]
    #: (kind, negated, ranges): kind is "one", "many", "optional" (skips the next two),
    #: "start", "end", "word" (boundary)
    Step = tuple[str, bool, Ranges]

DIGITS: "Ranges" = [(48, 57)]
WHITE: "Ranges" = [(9, 10), (12, 13), (32, 32)]
WORD: "Ranges" = [(48, 57), (65, 90), (95, 95), (97, 122)]
CLASSES = {ord("d"): DIGITS, ord("s"): WHITE, ord("w"): WORD}
CONTROLS = {
    ord("a"): 7, ord("f"): 12, ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("v"): 11
}  # fmt: skip
NAMED: "dict[str, Ranges]" = {
    "alnum": [(48, 57), (65, 90), (97, 122)],
    "alpha": [(65, 90), (97, 122)],
    "ascii": [(0, 127)],
    "blank": [(9, 9), (32, 32)],
    "cntrl": [(0, 31), (127, 127)],
    "digit": DIGITS,
    "graph": [(33, 126)],
    "lower": [(97, 122)],
    "print": [(32, 126)],
    "punct": [(33, 47), (58, 64), (91, 96), (123, 126)],
    "space": [(9, 13), (32, 32)],
    "upper": [(65, 90)],
    "word": WORD,
    "xdigit": [(48, 57), (65, 70), (97, 102)],
}
LAST = 0x10FFFF


#: Sets of states that are remembered, each with the sets that follow; then all are forgotten.
MOST_SETS = 1000
#: Characters for which a set remembers what follows it.
MOST_CHARACTERS = 256


class Automaton:
    """A compiled expression, which must match from the start of a path to its end.

    What follows a set of states is worked out once for each character.
    """

    __slots__ = ("_sets", "_steps")

    def __init__(self, expression: "list[int]") -> None:
        self._steps = _Parser(expression).steps()
        self._sets: dict[tuple[frozenset[int], bool, bool], StateSet] = {}

    def matches(self, path: bytes, spend: "Callable[[int], None] | None" = None) -> bool:
        """``spend`` is called with the states that have to be worked out anew."""
        states = self._set(frozenset((0,)), True, False)
        for rune in path if path.isascii() else _runes(path):
            after = states.after.get(rune)
            if after is None:
                if spend is not None:
                    spend(1 + len(self._steps))
                after = self._following(states, rune)
                if len(states.after) < MOST_CHARACTERS:
                    states.after[rune] = after
            if not after.states:
                return False
            states = after
        if states.accepts is None:
            if spend is not None:
                spend(1 + len(self._steps))
            closed = _closed(self._steps, states.states, states.start, True, states.word)
            states.accepts = len(self._steps) in closed
        return states.accepts

    def _following(self, states: "StateSet", rune: int) -> "StateSet":
        steps, word = self._steps, _is_word(rune)
        after = set()
        for state in _closed(steps, states.states, states.start, False, states.word != word):
            if state == len(steps):
                continue
            kind, negated, ranges = steps[state]
            if any(low <= rune <= high for low, high in ranges) != negated:
                after.add(state if kind == "many" else state + 1)
        return self._set(frozenset(after), False, word)

    def _set(self, states: "frozenset[int]", start: bool, word: bool) -> "StateSet":
        found = self._sets.get((states, start, word))
        if found is None:
            if len(self._sets) == MOST_SETS:
                for each in self._sets.values():
                    each.after = {}
                self._sets.clear()
            found = self._sets[states, start, word] = StateSet(states, start, word)
        return found


class StateSet:
    """States of the automaton between two characters, the first of which made them.

    start:   nothing was read yet
    word:    the character before is one of a word
    after:   by the next character, as far as it was worked out
    accepts: whether a path that ends here matches; ``None``: not known yet
    """

    __slots__ = ("accepts", "after", "start", "states", "word")

    def __init__(self, states: "frozenset[int]", start: bool, word: bool) -> None:
        self.states = states
        self.start = start
        self.word = word
        self.after: dict[int, StateSet] = {}
        self.accepts: bool | None = None


def _runes(path: bytes) -> "Iterator[int]":
    at = 0
    while at < len(path):
        rune, width = rune_at(path, at)
        yield rune
        at += width


def _closed(
    steps: "list[Step]", states: "frozenset[int]", start: bool, end: bool, boundary: bool
) -> "set[int]":
    """With all states that are reached without a character; those that need one remain."""
    found = set()
    pending = list(states)
    seen = set(states)
    while pending:
        state = pending.pop()
        reached: tuple[int, ...] = ()
        if state == len(steps):
            found.add(state)
        else:
            kind, negated, _ = steps[state]
            if kind == "one":
                found.add(state)
            elif kind == "many":
                found.add(state)
                reached = (state + 1,)
            elif kind == "optional":
                reached = (state + 1, state + 3)
            elif (
                (kind == "start" and start)
                or (kind == "end" and end)
                or (kind == "word" and boundary != negated)
            ):
                reached = (state + 1,)
        for more in reached:
            if more not in seen:
                seen.add(more)
                pending.append(more)
    return found


def _is_word(rune: int) -> bool:
    return any(low <= rune <= high for low, high in WORD)


class _Parser:
    """Reads an expression that always begins with ``^`` and to which ``$`` is added."""

    __slots__ = ("_at", "_text")

    def __init__(self, text: "list[int]") -> None:
        self._text = [*text, 36]
        self._at = 0

    def steps(self) -> "list[Step]":
        found: list[Step] = []
        while self._at < len(self._text):
            rune = self._take()
            if rune == 94:
                found.append(("start", False, []))
            elif rune == 36:
                found.append(("end", False, []))
            elif rune == 40:  # the only group that is ever written is (.*/)?
                self._at += 5
                found += [
                    ("optional", False, []),
                    ("many", True, [(10, 10)]),
                    ("one", False, [(47, 47)]),
                ]
            else:
                self._one(rune, found)
        return found

    def _one(self, rune: int, found: "list[Step]") -> None:
        if rune == 92 and self._peek() == 81:  # \Q: literally, up to \E
            self._take()
            self._quoted(found)
            return
        if rune == 92 and self._peek() in (65, 98, 66, 122):  # \A \b \B \z
            kind = self._take()
            name = {65: "start", 122: "end"}.get(kind, "word")
            found.append((name, kind == 66, []))
            if self._peek() == 42:
                raise ValueError("nothing to repeat")
            return
        if rune == 46:
            negated, ranges = True, [(10, 10)]
        elif rune == 91:
            negated, ranges = self._class()
        elif rune == 92:
            negated, ranges = self._escape()
        else:
            negated, ranges = False, [(rune, rune)]
        kind_of = "one"
        if self._peek() == 42:
            self._take()
            if self._peek() == 42:
                raise ValueError("invalid nested repetition operator")
            kind_of = "many"
        found.append((kind_of, negated, ranges))

    def _quoted(self, found: "list[Step]") -> None:
        while self._at < len(self._text):
            rune = self._take()
            if rune == 92 and self._peek() == 69:
                self._take()
                return
            found.append(("one", False, [(rune, rune)]))

    def _class(self) -> "tuple[bool, Ranges]":
        negated = self._peek() == 94
        if negated:
            self._take()
        ranges: Ranges = []
        first = True
        while first or self._peek() != 93:
            first = False
            named = self._named()
            if named is not None:
                ranges += named
                continue
            low = self._class_rune(ranges)
            if low < 0:
                continue
            high = low
            if self._peek() == 45 and self._text[self._at + 1 : self._at + 2] not in ([], [93]):
                self._take()
                high = self._class_rune(None)
                if high < low:
                    raise ValueError("invalid character class range")
            ranges.append((low, high))
        self._take()
        return negated, ranges

    def _named(self) -> "Ranges | None":
        """``[:name:]`` or ``[:^name:]``."""
        text = self._text[self._at :]
        if text[:2] != [91, 58]:
            return None
        for end in range(2, len(text) - 1):
            if text[end : end + 2] == [58, 93]:
                name = "".join(map(chr, text[2:end]))
                negated = name.startswith("^")
                ranges = NAMED.get(name[1:] if negated else name)
                if ranges is None:
                    raise ValueError("invalid character class range")
                self._at += end + 2
                return _inverted(ranges) if negated else ranges
        return None

    def _class_rune(self, ranges: "Ranges | None") -> int:
        """One character of a class; -1 if it was an escape for many, added to ``ranges``."""
        rune = self._take()
        if rune != 92:
            return rune
        negated, found = self._escape()
        if not negated and len(found) == 1 and found[0][0] == found[0][1]:
            return found[0][0]
        if ranges is None:
            raise ValueError("invalid escape sequence")
        ranges += _inverted(found) if negated else found
        return -1

    def _escape(self) -> "tuple[bool, Ranges]":
        rune = self._take()
        if rune in CLASSES:
            return False, CLASSES[rune]
        if rune + 32 in CLASSES and 65 <= rune <= 90:
            return True, CLASSES[rune + 32]
        if rune in CONTROLS:
            return False, [(CONTROLS[rune], CONTROLS[rune])]
        if rune == 120:
            value = self._hexadecimal()
        elif 48 <= rune <= 55:
            value = self._octal(rune)
        elif rune < 128 and not chr(rune).isalnum():
            value = rune
        else:
            raise ValueError("invalid escape sequence")
        return False, [(value, value)]

    def _octal(self, rune: int) -> int:
        if rune != 48 and not 48 <= self._peek() <= 55:
            raise ValueError("invalid escape sequence")
        value = rune - 48
        for _ in range(2):
            if not 48 <= self._peek() <= 55:
                break
            value = value * 8 + self._take() - 48
        return value

    def _hexadecimal(self) -> int:
        digits = ""
        if self._peek() == 123:
            self._take()
            while self._peek() != 125:
                digits += chr(self._take())
            self._take()
        else:
            digits = chr(self._take()) + chr(self._take())
        value = int(digits, 16) if digits.isascii() and digits.isalnum() else LAST + 1
        if value > LAST:
            raise ValueError("invalid escape sequence")
        return value

    def _peek(self) -> int:
        return self._text[self._at] if self._at < len(self._text) else -1

    def _take(self) -> int:
        if self._at >= len(self._text):
            raise ValueError("missing closing ]")
        self._at += 1
        return self._text[self._at - 1]


def _inverted(ranges: "Ranges") -> "Ranges":
    found, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            found.append((start, low - 1))
        start = max(start, high + 1)
    found.append((start, LAST))
    return found
