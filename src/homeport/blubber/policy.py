"""Blubber's policies: rules for values of the expanded configuration.

    enforcements:
      - {path: variants.production.runs.insecurely, rule: isfalse}
      - {path: variants.production.base, rule: startswith=registry.example/}

A rule is the text of go-playground's validator, parts joined by commas. A path that leads to
nothing is passed over, as Blubber does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from homeport.blubber.expansion import plain
from homeport.blubber.schema import BadBlubber
from homeport.errors import Faults, UsageError
from homeport.yamlfile.parse import parse_yaml
from homeport.yamlfile.scalars import Reader, Text
from homeport.yamlfile.shapes import Field, Fields, FieldValues, ListOf


def _given(value: Any) -> bool:
    return value not in (None, "", 0, False, [], {})


_TESTS: dict[str, Callable[[Any, str], bool]] = {
    "isfalse": lambda value, _: value in (False, "false"),
    "istrue": lambda value, _: value in (True, "true"),
    "required": lambda value, _: _given(value),
    "eq": lambda value, given: _text(value) == given,
    "ne": lambda value, given: _text(value) != given,
    "oneof": lambda value, given: _text(value) in given.split(),
    "startswith": lambda value, given: _text(value).startswith(given),
    "endswith": lambda value, given: _text(value).endswith(given),
    "contains": lambda value, given: given in (value if isinstance(value, list) else _text(value)),
    "excludes": lambda value, given: given not in _text(value),
}
_KNOWN = ", ".join(("omitempty", *_TESTS))


class Enforcement(msgspec.Struct, frozen=True):
    """One rule of a policy."""

    path: str
    rule: str

    def violation(self, configuration: Any) -> str:
        """Why the configuration violates it; empty if it does not."""
        value = configuration
        for key in self.path.split("."):
            if not isinstance(value, dict) or key not in value:
                return ""
            value = value[key]
        for part in self.rule.split(","):
            name, _, given = part.partition("=")
            if name == "omitempty":
                if not _given(value):
                    return ""
            elif not _TESTS[name](value, given):
                return f"{self.path} is {_text(value)!r}, which violates {part!r}"
        return ""


def read_policy(data: bytes, file: str) -> tuple[Enforcement, ...]:
    """Raises ``BadBlubber``, and ``Faults`` for all faults of the file."""
    reader = Reader(file, BadBlubber)
    read = _POLICY.read(parse_yaml(data, file, BadBlubber), "", reader)
    if reader.faults or not isinstance(read, FieldValues):
        raise Faults(reader.faults, what=f"invalid policy {file}")
    return tuple(Enforcement(each["path"], each["rule"]) for each in plain(read)["enforcements"])


def _rule(text: str) -> str:
    for part in text.split(","):
        name = part.partition("=")[0]
        if name != "omitempty" and name not in _TESTS:
            raise UsageError(f"unknown rule {name!r}", hint=f"known: {_KNOWN}")
    return text


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_POLICY = Fields(
    what="a policy",
    fields={
        "enforcements": Field(
            shape=ListOf(item=Fields(
                what="an enforcement",
                fields={
                    "path": Field(shape=Text(), about="keys joined by dots", required=True),
                    "rule": Field(shape=Text(convert=_rule), about="a rule", required=True),
                },
            )),
            about="rules",
            required=True,
        )
    },
)  # fmt: skip
