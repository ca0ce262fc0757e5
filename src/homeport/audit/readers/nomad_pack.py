"""Nomad packs: templates with ``[[ ]]``, whose variables are declared in ``variables.hcl``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from homeport.audit.formats import hcl
from homeport.audit.formats.yaml import entries, get, is_map, text_of, written
from homeport.audit.model import Feed
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context
from homeport.audit.reading.variables import Cut, Variable, among, cut_by, feed, outcomes
from homeport.audit.source import Source, Written

_IMAGE = re.compile(
    r"^[ \t]{0,200}(?:\"?image\"?)[ \t]{0,20}[=:][ \t]{0,20}(?:\"(?P<quoted>[^\"\n\[]{0,300}(?:\[\["
    r"[^\]\n]{1,"
    r"200}\]\][^\"\n\[]{0,200}){0,6}"
    r"|[^\"\n]{1,300})\"|(?P<bare>\[\[[^\]\n]{1,200}\]\]))[ \t]{0,20},?[ \t]{0,20}$",
    re.MULTILINE,
)
#: ``[[ var "x" . ]]`` of today's packs, ``[[ .pack.x ]]`` and ``[[ .my.x ]]`` of older ones.
_TAG = re.compile(
    r"\[\[-?[ \t]{0,9}(?:var[ \t]{1,9}\"([\w.]{1,80})\"[ \t]{1,9}\.|\.(?:my\.|\w{1,60}\.)?([\w.]"
    r"{1,80}))"
    r"(?:[ \t]{0,9}\|[ \t]{0,9}(?:quote|toString|trim)){0,3}[ \t]{0,9}-?\]\]|\[\[[^\]]{0,400}\]\]"
)
#: ``[[ printf "\\"a/b:%s\\"" (var "x" .) ]]``: a format, and a variable for each ``%s``.
_PRINTF = re.compile(
    r'\[\[-?[ \t]{0,9}printf[ \t]{1,9}"(?:\\")?(?P<format>[^"\\\n]{1,200})(?:\\")?"'
    r"(?P<rest>[^\]\n]{1,200})\]\]"
)
_VAR = re.compile(r'var[ \t]{1,9}"([\w.]{1,80})"')


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image of a job's template."""
    variables = dict(_variables(source, context))
    whole = source.whole()
    for match in _IMAGE.finditer(source.text):
        value = whole.part(*match.span("quoted" if match.group("quoted") else "bare"))
        cut = cut_by(_TAG)
        if printed := _PRINTF.fullmatch(value.text):
            value = value.part(*printed.span("format"))
            cut = _cut_printf(_VAR.findall(printed["rest"]))
        for outcome in outcomes(value, cut, among(variables)):
            found.image(value, "config.image", outcome=outcome)


def _cut_printf(names: list[str]) -> Cut:
    """Pieces of a format: each ``%s`` is the next of the variables."""

    def cut(value: Written) -> list[str | Variable]:
        first, *others = value.text.split("%s")
        pieces: list[str | Variable] = [first]
        for number, text in enumerate(others):
            name = names[number] if number < len(names) else "%s"
            pieces += [Variable(name=name), text]
        return [piece for piece in pieces if piece != ""]

    return cut


def _variables(source: Source, context: Context) -> Iterator[tuple[str, list[Feed]]]:
    """Defaults of the pack: the template may stand in a folder of its own."""
    for up in ("../variables.hcl", "../../variables.hcl", "variables.hcl"):
        declared = context.neighbour(source, up)
        if declared is None:
            continue
        root = hcl.document(declared, Collector(declared, "nomad"))
        blocks = [entries(node) for key, node in entries(root) if key == "variable"]
        for name, block in itertools.chain(*blocks):
            default = get(block, "default")
            if default is None:
                continue
            if text_of(default):
                value = written(declared, default)
                whole = "/" in value.text or ":" in value.text  # an image, not a part of many
                yield name, [feed(name, value, shared=not whole)]
            for key, node in entries(default) if is_map(default) else ():
                if text_of(node):
                    yield f"{name}.{key}", [feed(key, written(declared, node), shared=True)]
        return
