"""Comments for Renovate: ``# renovate: datasource=docker depName=X`` above a version.

They say that the value in the next line is a tag (or a whole reference) of that image, in files
of any kind: https://docs.renovatebot.com/modules/manager/regex/.
"""

from __future__ import annotations

import re

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context
from homeport.audit.source import Source, Written

_COMMENT = re.compile(r"renovate:(?P<fields>[^\n]{0,400}datasource=docker[^\n]{0,400})")
_FIELD = re.compile(r"\b(depName|packageName|registryUrl)=([^\s,;*]{1,300})")
_VALUE = re.compile(
    r"[\w.\"'-]{1,120}[ \t]{0,20}(?::=|\?=|=>|[:=])[ \t]{0,20}(?:[\w.:/-]{1,300}:)?[\"']?"
    r"(?P<value>[A-Za-z0-9_][\w.:/@-]{0,300})"
)


def read(source: Source, found: Collector, context: Context) -> None:
    """Report the image that each comment names."""
    whole = source.whole()
    for match in found.each(_COMMENT.finditer(source.text)):
        fields = dict(_FIELD.findall(match.group("fields")))
        name = fields.get("packageName") or fields.get("depName") or ""
        line_end = source.text.find("\n", match.end())
        next_end = source.text.find("\n", line_end + 1) if line_end >= 0 else -1
        if not name or line_end < 0:
            continue
        line = whole.part(line_end + 1, next_end if next_end >= 0 else len(source.text))
        value = _VALUE.search(line.text)
        if value is not None:
            _report(line.part(*value.span("value")), name, fields.get("registryUrl", ""), found)


def _report(value: Written, name: str, registry: str, found: Collector) -> None:
    host = registry.partition("://")[2].rstrip("/")
    if host and host not in ("index.docker.io", "docker.io"):
        name = f"{host}/{name}"
    text, at, digest = value.text.partition("@")
    whole = text if "/" in text or ":" in text else f"{name}:{text}"
    found.image(
        value, f"renovate: {name}", confidence="low", value=f"{whole}{at}{digest}",
        note="a comment for Renovate names the image",
    )  # fmt: skip
