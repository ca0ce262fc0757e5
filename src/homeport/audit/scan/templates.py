"""Images of Jinja templates, put together from the variables of the whole tree.

Ansible's tasks and templates and docker-pkg's Dockerfiles name variables that other files define.
The closest definition counts: of a folder above the file, the deepest first, then any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from homeport.audit.model import Feed, Use
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.collector import read as parse
from homeport.audit.reading.context import Context
from homeport.audit.reading.jinja import NotSimple, Part, evaluate
from homeport.audit.reading.variables import feed
from homeport.audit.source import Written

#: docker-pkg's filter for an image of its own.
_OWN = re.compile(r"\|\s{0,9}image_tag\b")
#: Kinds with templates of other languages.
_OTHERS = frozenset(("helm", "github", "circleci", "nomad"))


def resolve_templates(collectors: Iterable[Collector], context: Context) -> None:
    """Evaluate what readers left unresolved, in place."""
    if not context.scopes:
        return
    for collector in collectors:
        if collector.kind in _OTHERS:
            continue
        scopes = _Scopes(context, collector.source.path)
        collector.uses = [
            resolved for use in collector.uses if (resolved := _resolved(use, scopes)) is not None
        ]


class _Scopes:
    """What names mean in one file."""

    def __init__(self, context: Context, path: str) -> None:
        above = [f for f in context.scopes if not f or path.startswith((f"{f}/", f))]
        above.sort(key=len, reverse=True)
        rest = sorted(set(context.scopes) - set(above))
        self._tables = [context.scopes[folder] for folder in (*above, *rest)]

    def lookup(self, name: str) -> Written | None:
        return next((table[name] for table in self._tables if name in table), None)

    def image_tag(self, name: str, value: str) -> str | None:
        """docker-pkg's filter: the image of that name, which it builds itself."""
        if name != "image_tag":
            return None
        registry = self.lookup("registry")
        return f"{registry.text}/{value}" if registry else value


def _resolved(use: Use, scopes: _Scopes) -> Use | None:
    """The use with its value; ``None`` for a likely image that is none."""
    text = use.value if "{{" in use.value else use.expression
    if use.reference is not None or "{{" not in text:
        return use
    try:
        parts = evaluate(text, scopes.lookup, scopes.image_tag)
    except NotSimple as error:
        return (
            msgspec.structs.replace(use, problem=str(error)) if use.confidence == "high" else None
        )
    value = "".join(part.text for part in parts).strip()
    reference, problem = parse(value)
    if reference is None and use.confidence != "high":
        return None
    internal = "built by docker-pkg" if _OWN.search(text) else use.internal
    return msgspec.structs.replace(
        use, value=value, reference=reference, problem=problem, internal=internal, exact=False,
        feeds=tuple(_feeds(parts)), fields={}, note=use.note or "variables of the tree fill it in",
    )  # fmt: skip


def _feeds(parts: list[Part]) -> Iterable[Feed]:
    for part in parts:
        if part.written is not None:
            yield feed(part.name, part.written, shared=True)
