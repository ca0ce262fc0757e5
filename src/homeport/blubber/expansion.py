"""What a variant is in the end: the file's own keys, then its includes, then itself.

Merged as Blubber merges (its config package): texts and numbers that are set win; packages,
sources, proxies and copies add up; variables join by name; lists of requirements, mounts and
caches, commands and entrypoints are replaced. Values are those of JSON: the file's keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from homeport.errors import UsageError
from homeport.yamlfile.shapes import FieldValues

Values = dict[str, Any]
#: Keys of which a later value replaces an earlier one as a whole.
_REPLACED = ("requirements", "mounts", "caches", "command", "script", "entrypoint")
_BY_NAME = ("arguments", "environment")
_DEFAULT = "default"  # the release of packages that name none


class IncludeLoop(UsageError):
    """Variants include each other."""

    id = "blubber-loop"

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(f"variants include each other: {' → '.join((*names, names[0]))}")
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


def lineage(name: str, variants: Mapping[str, Values]) -> list[str]:
    """A variant after all that it includes, each once. Raises ``IncludeLoop``."""
    found: dict[str, None] = {}
    for each in _descend(name, variants, ()):
        found.setdefault(each)
    return list(found)


def _descend(name: str, variants: Mapping[str, Values], above: tuple[str, ...]) -> Iterator[str]:
    if name in above:
        raise IncludeLoop(above[above.index(name) :])
    for included in variants[name].get("includes", ()):
        if included in variants:
            yield from _descend(included, variants, (*above, name))
    yield name


def expand(name: str, common: Values, variants: Mapping[str, Values]) -> Values:
    """The variant with everything that it inherits. Raises ``IncludeLoop``."""
    merged = dict(common)
    for each in lineage(name, variants):
        own = {key: value for key, value in variants[each].items() if key != "includes"}
        merged = _merged(merged, own)
    return merged


def _merged(earlier: Values, later: Values) -> Values:
    found = dict(earlier)
    for key, value in later.items():
        before = found.get(key)
        if key in _REPLACED or before is None:
            found[key] = value
        elif key == "copies":
            found[key] = [each for each in before if each not in value] + value
        elif key == "builders":
            found[key] = _builders(before, value)
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
            found[key] = _merged(before, value)
        elif isinstance(value, bool) or value:
            found[key] = value
    return found


def _builders(earlier: list[Values], later: list[Values]) -> list[Values]:
    """A node, php or python of both is one, at the later place; custom ones add up."""
    known = {kind: each[kind] for each in earlier for kind in each if kind != "custom"}
    again = {kind for each in later for kind in each if kind != "custom"}
    found = [each for each in earlier if not again & set(each)]
    for each in later:
        joined = {
            kind: _merged(known[kind], value) if kind in known and kind != "custom" else value
            for kind, value in each.items()
        }
        found.append(joined)
    return found
