"""Images in the environment of operators, which start containers of them later.

``RELATED_IMAGE_X``, ``X_IMAGE`` and the like name one image; ``X_IMAGES`` names many, a line or
a comma each, often behind a version (``4.2.0=quay.io/a/b:1``).
"""

from __future__ import annotations

import re

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.collector import read as parse
from homeport.audit.source import Written

_ITEM = re.compile(r"[^\s,;|\"']+")


def read_value(value: Written, found: Collector, key: str) -> None:
    """Report the image, or the images, that such a variable holds."""
    text = value.text.strip()
    if not text or text[0] in "{[" or "://" in text:
        return
    if _ITEM.fullmatch(text) and "=" not in text:
        _image(value.stripped(), found, key)
        return
    for item in found.each(_ITEM.finditer(value.text)):
        name, equals, _ = item.group().partition("=")
        start = item.start() + (len(name) + 1 if equals else 0)
        _image(value.part(start, item.end()), found, key)


def _image(value: Written, found: Collector, key: str) -> None:
    if (":" in value.text or "/" in value.text) and "$" not in value.text:
        reference, _ = parse(value.text)
        # A path or an address with a port has these marks too.
        if reference is not None and not re.match(r"[/.]|[\w.-]+:\d+$|\d[\d.:]*$", value.text):
            found.image(value, key, confidence="medium")
