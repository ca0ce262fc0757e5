"""``# syntax=REF`` in files that are no Dockerfiles: BuildKit runs that frontend on any file.

Blubber's and other frontends' own files begin with it, and the gateway reads the line before
it knows what the file is.
"""

from __future__ import annotations

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context
from homeport.audit.source import Source
from homeport.dockerfile.syntax import BUILT_IN, find_syntax


def read(source: Source, found: Collector, context: Context) -> None:
    """Report the frontend that the first lines name."""
    syntax = find_syntax(source.text)
    if syntax is None or syntax.value == BUILT_IN:
        return
    place = source.whole().part(syntax.start, syntax.end)
    found.image(place, "# syntax")
    found.cause("syntax", syntax.value.partition("@")[0], place, attributes={"copies": ""})
