"""What a variant is in the end: the file's own keys, then its includes, then itself.

Merged as Blubber merges (its config package): texts and numbers that are set win; packages,
sources, proxies and copies add up; variables join by name; lists of requirements, mounts and
caches, commands and entrypoints are replaced. Values are those of JSON: the file's keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from homeport.budget import Budget
from homeport.errors import UsageError
from homeport.yamlfile.shapes import FieldValues

Values = dict[str, Any]
#: Keys of which a later value replaces an earlier one as a whole.
_REPLACED = ("requirements", "mounts", "caches", "command", "script", "entrypoint")
_BY_NAME = ("arguments", "environment")
_ENCODER = msgspec.json.Encoder(order="deterministic")
_COPIED = 100  # elements of a list that are copied in a microsecond, at least
_NODE = 64  # bytes of a value, about
_SHOWN = 10  # variants of a loop
_DEFAULT = "default"  # the release of packages that name none


class IncludeLoop(UsageError):
    """Variants include each other."""

    id = "blubber-loop"

    def __init__(self, names: tuple[str, ...]) -> None:
        shown = names if len(names) <= _SHOWN else (*names[:_SHOWN], "…")
        super().__init__(f"variants include each other: {' → '.join((*shown, names[0]))}")
        self.members = frozenset(names)


def plain(value: Any) -> Any:
    """What was read, without places. Short forms of apt's packages become the long one."""
    if isinstance(value, FieldValues):
        found = {key: plain(each) for key, each in value.values.items()}
        if isinstance(found.get("packages"), list):
            found["packages"] = {_DEFAULT: found["packages"]}
        return found
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return value


def lineage(name: str, variants: Mapping[str, Values], budget: Budget) -> list[str]:
    """A variant after all that it includes, each once. Raises ``IncludeLoop``, ``TooLarge``."""
    found: dict[str, None] = {}
    path = {name: _includes(name, variants)}
    while path:
        budget.steps(1)
        at, rest = next(reversed(path.items()))
        included = next(rest, None)
        if included is None:
            del path[at]
            found[at] = None
        elif included in path:
            names = tuple(path)
            raise IncludeLoop(names[names.index(included) :])
        elif included in variants and included not in found:
            path[included] = _includes(included, variants)
    return list(found)


def _includes(name: str, variants: Mapping[str, Values]) -> Iterator[str]:
    return iter(variants[name].get("includes", ()))


def expand(name: str, common: Values, variants: Mapping[str, Values], budget: Budget) -> Values:
    """The variant with everything that it inherits. Raises ``IncludeLoop``, ``TooLarge``."""
    merged = dict(common)
    for each in lineage(name, variants, budget):
        own = {key: value for key, value in variants[each].items() if key != "includes"}
        merged = _merged(merged, own, budget)
    nodes = _nodes(merged)
    budget.steps(5 * nodes)
    budget.memory(_NODE * nodes)
    return merged


def _nodes(value: Any) -> int:
    """How many values are in a value, itself among them."""
    if isinstance(value, dict):
        return 1 + sum(map(_nodes, value.values()))
    return 1 + sum(map(_nodes, value)) if isinstance(value, list) else 1


def _merged(earlier: Values, later: Values, budget: Budget) -> Values:
    found = dict(earlier)
    for key, value in later.items():
        before = found.get(key)
        budget.steps(1 + (len(before) // _COPIED if isinstance(before, list) else 0))
        if key in _REPLACED or before is None:
            found[key] = value
        elif key == "copies":
            again = set(map(_ENCODER.encode, value))
            found[key] = [each for each in before if _ENCODER.encode(each) not in again] + value
        elif key == "builders":
            found[key] = _builders(before, value, budget)
        elif key == "packages":
            found[key] = {
                release: [*before.get(release, []), *value.get(release, [])]
                for release in {**before, **value}
            }
        elif key in ("sources", "proxies"):
            found[key] = [*before, *value]
        elif key in _BY_NAME:
            found[key] = {**before, **value}
        elif isinstance(value, dict):
            found[key] = _merged(before, value, budget)
        elif isinstance(value, bool) or value:
            found[key] = value
    return found


def _builders(earlier: list[Values], later: list[Values], budget: Budget) -> list[Values]:
    """A node, php or python of both is one, at the later place; custom ones add up."""
    known = {kind: each[kind] for each in earlier for kind in each if kind != "custom"}
    again = {kind for each in later for kind in each if kind != "custom"}
    found = [each for each in earlier if not again & set(each)]
    for each in later:
        joined = {
            kind: _merged(known[kind], value, budget)
            if kind in known and kind != "custom"
            else value
            for kind, value in each.items()
        }
        found.append(joined)
    return found
