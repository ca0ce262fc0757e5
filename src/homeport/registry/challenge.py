"""Reading ``WWW-Authenticate`` (RFC 9110, 11.6.1): a tokenizer, for commas stand in quotes too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_BARE = r"[^\s,\"]+"
_LIMIT = 64 << 10


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """One way in that a server offers; names in lower case."""

    scheme: str
    parameters: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def scopes(self) -> frozenset[str]:
        """What the server says it takes, for Bearer."""
        return frozenset(self.parameters.get("scope", "").split())


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """All challenges of all headers, in order. What cannot be read is left out."""
    return [challenge for header in headers for challenge in _parse(header[:_LIMIT])]


def best(challenges: Iterable[Challenge]) -> Challenge | None:
    """Bearer before Basic; others are unknown to us."""
    known = {challenge.scheme: challenge for challenge in reversed(list(challenges))}
    return known.get("bearer") or known.get("basic")


def _parse(header: str) -> Iterator[Challenge]:
    scheme: str | None = None
    parameters: dict[str, str] = {}
    position = 0
    while position < len(header):
        if header[position] in " \t,":
            position += 1
            continue
        token = re.compile(_WORD).match(header, position)
        if token is None:
            position += 1
            continue
        position = token.end()
        equals = re.compile(r"[ \t]*=[ \t]*").match(header, position)
        if equals is None:  # a token that nothing is assigned to begins a challenge
            if scheme is not None:
                yield Challenge(scheme=scheme, parameters=parameters)
            scheme, parameters = token[0].lower(), {}
            continue
        position = equals.end()
        value, position = _value(header, position)
        parameters.setdefault(token[0].lower(), value)
    if scheme is not None:
        yield Challenge(scheme=scheme, parameters=parameters)


def _value(header: str, position: int) -> tuple[str, int]:
    quoted = re.compile(_QUOTED).match(header, position)
    if quoted:
        return re.sub(r"\\(.)", r"\1", quoted[1]), quoted.end()
    bare = re.compile(_BARE).match(header, position)
    return (bare[0], bare.end()) if bare else ("", position + 1)
