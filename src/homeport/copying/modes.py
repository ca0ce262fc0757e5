"""``--chmod``: octal, or symbolic as today's BuildKit reads it (tonistiigi/dchapes-mode).

A clause is ``[ugoa]*`` and then one or more of ``+``, ``-``, ``=`` with letters of
``rwxXst`` and, to copy, of ``ugo``. The umask counts as 0. ``X`` is judged on the mode a
node had before the first clause.
"""

from homeport.copying.errors import CopyError

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Callable

    #: A part of a mode, compiled: from (mode now, whether X counts) to the mode after.
    Operation = Callable[[int, bool], int]

SETUID, SETGID, STICKY = 0o4000, 0o2000, 0o1000
WHO = {"u": SETUID | 0o700, "g": SETGID | 0o070, "o": 0o007, "a": SETUID | SETGID | 0o777}
PERMISSIONS = {"r": 0o444, "w": 0o222, "x": 0o111}
SHIFTS = {"u": 6, "g": 3, "o": 0}


def parse(text: str, x_only_with_plus: bool = False) -> "Callable[[int, bool], int]":
    """From a mode and whether it is a directory's, the new mode.

    x_only_with_plus: as BuildKit before March 2025, where ``X`` after ``=`` or ``-`` did nothing
    """
    if text[:1].isdigit():
        mode = _octal(text)
        return lambda old, directory: mode
    steps: list[Operation] = []
    for clause in text.split(","):
        _clause(clause, text, steps, x_only_with_plus)

    def apply(old: int, directory: bool) -> int:
        mode, executable = old, directory or old & 0o111 != 0
        for step in steps:
            mode = step(mode, executable)
        return mode

    return apply


def numeric(text: str) -> "int | None":
    """The mode if the text is octal: then new parent directories get it too."""
    return _octal(text) if text[:1].isdigit() else None


def _octal(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 8 or set(text) & {"8", "9"}:
        raise _wrong(text, "it should be an octal string")
    mode = int(text, 8)
    if mode > 0o7777:
        raise _wrong(text, "the largest octal mode is 7777")
    return mode


def _clause(clause: str, text: str, steps: "list[Operation]", x_only_with_plus: bool) -> None:
    at = who = 0
    while at < len(clause) and clause[at] in WHO:
        who |= WHO[clause[at]]
        at += 1
    if at == len(clause):
        raise _wrong(text, f"clause {clause!r} has none of + - =")
    while at < len(clause):
        operator = clause[at]
        if operator not in "+-=":
            raise _wrong(text, f"unexpected {operator!r}")
        start = at = at + 1
        while at < len(clause) and clause[at] in "rwxXstugo":
            at += 1
        _operation(who, operator, clause[start:at], steps, x_only_with_plus)


def _operation(
    who: int, operator: str, letters: str, steps: "list[Operation]", x_only_with_plus: bool
) -> None:
    """One operator with its letters. Copying takes place where its letter stands."""
    bits = execute = 0
    copied = False
    others_only = who != 0 and not who & ~0o007
    for letter in letters:
        if letter in SHIFTS:
            if bits:
                steps.append(_change(who, operator, bits))
            if execute:
                steps.append(_execute(who, execute))
            bits = execute = 0
            copied = True
            steps.append(_copy(who, operator, SHIFTS[letter]))
        elif letter == "X":
            if operator == "-" and not x_only_with_plus:
                bits |= 0o111
            elif operator == "+" or not x_only_with_plus:
                execute = 0o111
        elif letter in PERMISSIONS:
            bits |= PERMISSIONS[letter]
        elif others_only:
            pass  # set-id and sticky are not for others alone
        elif letter == "s":
            bits |= SETUID | SETGID
        else:
            bits |= STICKY
            who |= STICKY  # and where nobody was named, sticky is from here on all that changes
    if bits or (operator == "=" and not copied):
        steps.append(_change(who, operator, bits))
    if execute:
        steps.append(_execute(who, execute))


def _change(who: int, operator: str, bits: int) -> "Operation":
    mask = who or WHO["a"]
    bits &= mask if who else 0o7777
    if operator == "+":
        return lambda mode, executable: mode | bits
    if operator == "-":
        return lambda mode, executable: mode & ~bits
    return lambda mode, executable: mode & ~mask | bits


def _execute(who: int, bits: int) -> "Operation":
    bits &= who or 0o7777
    return lambda mode, executable: mode | bits if executable else mode


def _copy(who: int, operator: str, shift: int) -> "Operation":
    """Copy one class to those named; set-id bits stay as they are."""
    mask = who & 0o777 if who else 0o777

    def step(mode: int, executable: bool) -> int:
        bits = (mode >> shift & 7) * 0o111 & mask
        if operator == "+":
            return mode | bits
        if operator == "-":
            return mode & ~bits
        return mode & ~mask | bits

    return step


def _wrong(text: str, why: str) -> CopyError:
    return CopyError(f"invalid mode {text!r}: {why}", {"option": "--chmod"})
