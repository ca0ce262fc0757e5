"""Shell scripts, Makefiles and the like: commands of container tools, and variables with images."""

from __future__ import annotations

import re

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.commands import read_commands
from homeport.audit.reading.context import Context
from homeport.audit.reading.image_names import names_image
from homeport.audit.source import Source

#: ``X_IMAGE=REF``, ``export IMAGE="REF"``, ``IMAGE ?= REF``, ``IMAGE=${IMAGE:-REF}``.
_ASSIGNED = re.compile(
    r"^[ \t]{0,80}(?:(?:export|readonly|local|declare|env|ENV|set)[ \t]{1,9}(?:-\w{1,4}[ \t]{1,9"
    r"})?)?"
    r"(?P<name>[A-Za-z_]\w{0,80})[ \t]{0,20}[:?]{0,2}=[ \t]{0,20}[\"']?(?:\$\{\w{1,80}:?[-=])?"
    r"(?P<ref>[a-z0-9][\w./-]{0,200}(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?)"
    r"\}?[\"']?[ \t\r]{0,20}(?:#[^\n]{0,400})?$",
    re.MULTILINE,
)


def read(source: Source, found: Collector, context: Context) -> None:
    """Report images that commands name, as weak finds, and commands as causes."""
    read_commands(source.whole(), found, "")
    whole = source.whole()
    for match in found.each(_ASSIGNED.finditer(source.text)):
        if names_image(match.group("name")) and _is_image(match.group("ref")):
            found.image(whole.part(*match.span("ref")), match.group("name"), confidence="low")


def _is_image(text: str) -> bool:
    """Whether a value looks like an image: a tag or digest, or a registry before the name."""
    first, slash, rest = text.partition("/")
    return ":" in text or bool(slash and "." in first and rest)
