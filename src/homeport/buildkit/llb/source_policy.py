"""Source policies: rules that let an engine refuse a source, or take another in its place.

The file is the one of ``buildctl build --source-policy-file``; BuildKit 0.11 and later heed it.
A CONVERT rule is how our helper takes over where an old frontend names the public one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from homeport.buildkit.protobuf import message, number, part, parts, text, text_map
from homeport.content.files import open_input
from homeport.content.reading import read_bounded
from homeport.errors import UsageError

_LIMIT = 1 << 20
_ACTIONS = ("ALLOW", "DENY", "CONVERT")
_MATCHES = ("WILDCARD", "EXACT", "REGEX")
_CONDITIONS = ("EQUAL", "NOTEQUAL", "MATCHES")


@message
class AttrConstraint:
    key: str = text(1)
    value: str = text(2)
    condition: int = number(3)


@message
class Selector:
    identifier: str = text(1)
    match_type: int = number(2)
    constraints: tuple[AttrConstraint, ...] = parts(3, lambda: AttrConstraint)


@message
class Update:
    identifier: str = text(1)
    attrs: Mapping[str, str] = text_map(2)


@message
class Rule:
    action: int = number(1)
    selector: Selector | None = part(2, lambda: Selector)
    updates: Update | None = part(3, lambda: Update)


@message
class Policy:
    version: int = number(1)
    rules: tuple[Rule, ...] = parts(2, lambda: Rule)


class _Constraint(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    value: str = ""
    condition: Literal["EQUAL", "NOTEQUAL", "MATCHES"] = "EQUAL"


class _Selector(msgspec.Struct, forbid_unknown_fields=True):
    identifier: str
    match_type: Literal["WILDCARD", "EXACT", "REGEX"] = "WILDCARD"
    constraints: list[_Constraint] = []


class _Updates(msgspec.Struct, forbid_unknown_fields=True):
    identifier: str = ""
    attrs: dict[str, str] = {}


class _Rule(msgspec.Struct, forbid_unknown_fields=True):
    action: Literal["ALLOW", "DENY", "CONVERT"]
    selector: _Selector
    updates: _Updates | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    rules: list[_Rule]
    version: int = 1


_FILE_DECODER = msgspec.json.Decoder(_File)


def read_policy(path: Path) -> Policy:
    """Raises ``UsageError``: a rule that is not understood must not be left out."""
    try:
        with open_input(path) as stream:
            data = read_bounded(stream, _LIMIT, str(path))
        document = _FILE_DECODER.decode(data)
    except OSError as error:
        raise UsageError(
            f"cannot read the source policy: {error.strerror}", where={"file": str(path)}
        ) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(f"not a source policy: {error}", where={"file": str(path)}) from error
    return Policy(version=document.version, rules=tuple(_rule(each) for each in document.rules))


def _rule(rule: _Rule) -> Rule:
    constraints = tuple(
        AttrConstraint(key=each.key, value=each.value, condition=_CONDITIONS.index(each.condition))
        for each in rule.selector.constraints
    )
    updates = rule.updates
    return Rule(
        action=_ACTIONS.index(rule.action),
        selector=Selector(
            identifier=rule.selector.identifier,
            match_type=_MATCHES.index(rule.selector.match_type),
            constraints=constraints,
        ),
        updates=Update(identifier=updates.identifier, attrs=updates.attrs) if updates else None,
    )
