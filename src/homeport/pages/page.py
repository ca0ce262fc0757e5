"""The HTML pages of reports: one look, one file each, no network.

Templates, style and scripts are files: what all pages share is beside this module, and a template
(with a script if it needs one) beside each report. Text from strangers reaches a page in two ways
only: as a value of a template, which Jinja escapes after ``printable`` did, or in the data block,
which is base64 of gzipped JSON. The policy of a page names its one style and its one script by
their hashes, so nothing else of it is ever style or script (CSP level 3).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from homeport.printable import printable
from homeport.quantities import counted, human_size

#: Packages whose templates a page can be made of.
_OURS = "homeport."
_SHORT = len("sha256:") + 12


def render(template: str, values: Mapping[str, Any], *, script: str = "", data: Any = None) -> str:
    """A whole page.

    template, script: ``PACKAGE:FILE``, such as ``homeport.audit.report:page.html``
    data:             what the script draws, as JSON
    """
    style = _text("homeport.pages:look.css")
    code = _text("homeport.pages:page.js") + (_text(script) if script else "")
    packed = ""
    if data is not None:
        packed = base64.b64encode(gzip.compress(msgspec.json.encode(data), 6, mtime=0)).decode()
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(code)}; "
        "base-uri 'none'; form-action 'none'"
    )
    # Our own files, hashes and base64: nothing to escape.
    ours = {"policy": policy, "style": style, "script": code, "data": packed}
    safe = {name: Markup(text) for name, text in ours.items()}  # noqa: S704
    page: str = _environment().get_template(template).render(values, **safe)
    return page


def _hash(text: str) -> str:
    """The source expression that permits exactly this inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_visible, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, loader=FunctionLoader(_text),
    )  # fmt: skip
    environment.filters.update(size=human_size, short=_short)
    environment.globals.update(counted=counted)
    return environment


def _text(name: str) -> str:
    package, _, file = name.partition(":")
    assert package.startswith(_OURS)
    return files(package).joinpath(file).read_text("utf-8")


def _visible(value: Any) -> Any:
    """Every value of a template before it is escaped; markup is ours already."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value)
    return value


def _short(digest: str) -> str:
    """A digest or reference with the first 12 digits of its digest."""
    before, mark, rest = digest.rpartition("sha256:")
    return f"{before}{mark}{rest[:12]}" if mark and len(digest) > _SHORT else digest
