"""Searching a text for a regular expression that a stranger wrote, in a process with bounds.

An expression such as ``(a+)+$`` takes time that doubles with each letter of the text, and cannot be
interrupted in our own process. Files of container-structure-test are written for a matcher that
takes linear time (Go's RE2), so that hardly any expression there is of that kind.

Run as a file of its own; standard library only, but for the errors of ``has_match``.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys

SECONDS = 10  # of the processor
MEMORY = 1 << 30  # bytes of address space
_FOUND, _NOT_FOUND, _INVALID = 0, 1, 2


class BadPattern(Exception):
    """What is wrong with the expression."""


def has_match(pattern: str, text: str) -> bool:
    """Whether some line of ``text`` has ``pattern``. Raises ``BadPattern``."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", __file__], check=False, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, cwd="/", input=json.dumps((pattern, text)).encode(),
    )  # fmt: skip
    if done.returncode in (_FOUND, _NOT_FOUND):
        return done.returncode == _FOUND
    if done.returncode == _INVALID:
        why = done.stdout.decode("utf-8", "replace")
        raise BadPattern(f"invalid regular expression {pattern[:120]!r}: {why}")
    raise BadPattern(
        f"the regular expression {pattern[:120]!r} takes more than {SECONDS} s of processor time"
        f" or {MEMORY >> 20} MiB"
    )


def main() -> int:
    for kind, most in ((resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_AS, MEMORY),
                       (resource.RLIMIT_CORE, 0)):  # fmt: skip
        _, hard = resource.getrlimit(kind)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))
    pattern, text = json.loads(sys.stdin.buffer.read())
    try:
        return _NOT_FOUND if re.search(pattern, text, re.MULTILINE) is None else _FOUND
    except (re.error, RecursionError, OverflowError) as error:
        print(error)
        return _INVALID


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MemoryError:
        sys.exit(3)
