"""The secrets of this process, so that nothing that goes out repeats them.

A server may echo the request that it rejects, a program may print its environment. Whatever makes
a value that holds a secret (a login, a token, a password in a URL, a secret of a build) tells it
to ``keep_secret``; the border of output and logging (``printable.output_text``, ``json_text``)
replaces every known secret, in texts of any origin, in each of its usual forms: as it is,
percent-encoded, as JSON text, in base64 at any offset (an ``Authorization`` header, say).

One per process, like its output. Not for what a registry or proxy is sent.
"""

from __future__ import annotations

import binascii
import re
import threading
from collections.abc import Iterator

#: Secrets that are kept; of more, the first are forgotten.
COUNT_LIMIT = 1000
#: Shorter secrets are words that occur everywhere.
LEAST = 4
#: In results, which programs read, secrets that are shorter are left: "team" is in many names.
LEAST_IN_RESULTS = 8
HIDDEN = "<hidden>"
_CORE = 8  # characters of base64 that must match

_lock = threading.Lock()
_secrets: dict[str, None] = {}
_patterns: dict[int, re.Pattern[str]] = {}


def keep_secret(secret: str, *, least: int = LEAST) -> None:
    """From now on ``secret`` is replaced in everything that goes out."""
    if len(secret) < least or secret in _secrets:
        return
    with _lock:
        _secrets[secret] = None
        if len(_secrets) > COUNT_LIMIT:
            del _secrets[next(iter(_secrets))]
        _patterns.clear()


def without_secrets(text: str, *, least: int = LEAST) -> str:
    """``text`` with ``<hidden>`` for every known secret of at least so many characters."""
    if not _secrets:
        return text
    return _pattern(least).sub(HIDDEN, text)


def _pattern(least: int) -> re.Pattern[str]:
    with _lock:
        if least not in _patterns:
            forms = {form for one in _secrets if len(one) >= least for form in _forms(one)}
            ordered = sorted(forms, key=lambda form: (-len(form), form))  # the longest match
            _patterns[least] = re.compile("|".join(map(re.escape, ordered)) or r"(?!)")
        return _patterns[least]


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogateescape")
    yield secret
    yield secret.replace("\\", "\\\\").replace('"', '\\"')
    yield repr(secret)[1:-1]
    for form in ("%{:02X}", "%{:02x}"):
        yield "".join(chr(b) if _is_plain(b) else form.format(b) for b in raw)
    for before in range(3):  # base64 looks different at each offset modulo 3
        encoded = binascii.b2a_base64(bytes(before) + raw, newline=False).decode().rstrip("=")
        first = (before * 8 + 5) // 6
        last = len(encoded) - (1 if (before + len(raw)) % 3 else 0)
        if last - first >= _CORE:
            yield encoded[first:last]
            yield encoded[first:last].replace("+", "-").replace("/", "_")


def _is_plain(byte: int) -> bool:
    """RFC 3986, unreserved characters."""
    return chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "-._~")
