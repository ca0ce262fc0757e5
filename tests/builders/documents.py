"""What docs/formats says of the JSON documents that commands print."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

FORMATS = Path(__file__).parents[2] / "docs/formats"
_SCHEMA = re.compile(r"`(homeport-[a-z-]+/v\d+)`")
#: Objects whose keys are data (names, platforms, paths), and documents of other formats.
_MAPS = {
    "annotations", "bases", "by_cause", "by_layer", "changes", "config", "forms", "images",
    "labels", "made", "manifest", "metadata", "op", "packages", "parts", "platforms", "response",
    "settings", "versions", "where",
}  # fmt: skip
#: Below these everything is data.
_OPAQUE = (".manifest", ".config", ".op", ".locked.packages")


def index() -> dict[str, str]:
    """Schema to page, of the documents that commands print; both from the index."""
    text = (FORMATS / "README.md").read_text().partition("\n## Files\n")[0]
    found: dict[str, str] = {}
    for line in text.splitlines():
        row = re.match(r"\| `(homeport-[a-z-]+/v\d+)` \|.*\]\(([a-z-]+\.md)\) \|$", line)
        if row:
            assert row[1] not in found, f"{row[1]} names two documents"
            found[row[1]] = row[2]
    return found


def section(schema: str) -> str:
    """What specifies ``schema``: the page's introduction and its own section, or the whole page."""
    text = (FORMATS / index()[schema]).read_text()
    preamble, *sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    own = [each for each in sections if f"`{schema}`" in each.partition("\n")[0]]
    return "\n".join([preamble, *own]) if own else text


def fields(schema: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """Every name of a field that the specification mentions, or that of another it refers to."""
    names = {"schema"}
    text = section(schema)
    for code in re.findall(r"`([^`\n]+)`", text):
        names.update(re.findall(r"[a-z][a-z0-9_]*", code))
    seen |= {schema}
    for other in set(_SCHEMA.findall(text)) & set(index()) - seen:
        names |= fields(other, seen)
    return names


def unspecified(document: dict[str, Any]) -> list[str]:
    """Paths of the fields that ``document`` has and its page does not name."""
    known = fields(document["schema"])
    found: list[str] = []

    def walk(value: Any, path: str, is_map: bool) -> None:
        if isinstance(value, list):
            for each in value:
                walk(each, path, is_map=False)
        elif isinstance(value, dict):
            for key, child in value.items():
                if not is_map and key not in known:
                    found.append(f"{path}.{key}".lstrip("."))
                opaque = is_map and path.endswith(
                    (".manifest", ".config", ".op", ".locked.packages")
                )
                if not opaque:
                    walk(child, f"{path}.{key}", is_map=key in _MAPS and not is_map)

    walk(document, "", is_map=False)
    return sorted(set(found))
