"""The keys of a Blubber configuration, schema v4 (Blubber's api/config.schema.json and validator).

One declaration reads a file and notes every unknown key and wrong value with its place. What
variants inherit is ``blubber.expansion``, what they mean together ``blubber.check``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import UsageError
from homeport.oci.reference import parse_reference
from homeport.yamlfile.parse import BadYaml, Entries, Items, Scalar, YamlNode, parse_yaml
from homeport.yamlfile.scalars import Flag, Number, Reader, Shape, Text, kind
from homeport.yamlfile.shapes import Field, Fields, FieldValues, ListOf, MapOf, Short

VERSION = "v4"
LOCAL = "local"  # the build context, where a variant could be named
_VARIANT = r"[A-Za-z][A-Za-z0-9.\-]+[A-Za-z0-9]"
_NULL = ("", "~", "null", "Null", "NULL")


class BadBlubber(BadYaml):
    """A Blubber configuration is not usable; file, line, column and field are in ``where``."""

    id = "blubber"


def read_configuration(data: bytes, file: str) -> tuple[FieldValues | None, Reader]:
    """The good fields of a file, and the faults of the others. Raises ``BadBlubber``."""
    reader = Reader(file, BadBlubber)
    read = CONFIGURATION.read(parse_yaml(data, file, BadBlubber, merge_keys=True), "", reader)
    return (read if isinstance(read, FieldValues) else None), reader


class _Either(msgspec.Struct, frozen=True, kw_only=True):
    """A list or a mapping in one form, text in another."""

    text: Shape | None = None
    items: Shape | None = None
    entries: Shape | None = None

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        forms = {Scalar: self.text, Items: self.items, Entries: self.entries}
        form = forms[type(node)]
        if form is None:
            known = [name for name, each in zip(_FORMS, forms.values(), strict=True) if each]
            expected = " or ".join(known)
            return reader.fault(node, field, f"expected {expected}, found {kind(node)}")
        return form.read(node, field, reader)

    def schema(self) -> dict[str, Any]:
        forms = (self.text, self.items, self.entries)
        return {"anyOf": [form.schema() for form in forms if form]}


class _OrNull(msgspec.Struct, frozen=True, kw_only=True):
    """A text, or nothing at all."""

    text: Text

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        if isinstance(node, Scalar) and node.plain and node.text in _NULL:
            return None
        return self.text.read(node, field, reader)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.text.schema(), {"type": "null"}]}


_FORMS = ("text", "a list", "a mapping")


def _reference(text: str) -> str:
    parse_reference(text)
    return text


def _inside(text: str) -> str:
    """A directory of the image that is not its root."""
    if not text.startswith("/") or not text.strip("/"):
        raise UsageError("expected an absolute path other than /")
    return text


def _user(text: str) -> str:
    if text == "root":
        raise UsageError("root is not allowed here")
    return text


def _variable(text: str) -> str:
    if len(text) < 2:
        raise UsageError("a name of an environment variable has at least two characters")
    return text


def _compared(text: str) -> str:
    """Blubber's rule for poetry's version; the other versions may be bare numbers."""
    if text[:2] not in ("==", ">=", "<=", "~=", "!=") and text[:1] not in ("<", ">"):
        raise UsageError(f"version {text!r} begins with no comparison", hint='write "==1.8"')
    return text


def _field(shape: Shape, about: str = "", *, required: bool = False) -> Field:
    return Field(shape=shape, about=about, required=required)


_LINE = Text(longest=64 << 10)
_WORDS = ListOf(item=Text(longest=64 << 10, empty=True))
_LINES = ListOf(item=_LINE)
_UID = Number(what="a user or group number")
_NAME = Text(what="a name", pattern=r"[A-Za-z0-9_][A-Za-z0-9_.\-]*", convert=_user)
_VERSION = Text(what="a version")

_ARTIFACT = {
    "from": _field(Text(what="a variant, an image or local"), "local if absent"),
    "source": _field(_LINE),
    "destination": _field(_LINE),
    "exclude": _field(_LINES),
}
_COPY = Short(fields=Fields(what="a copy", fields=_ARTIFACT), text=Text(), field="from")
_REQUIREMENTS = ListOf(
    item=Short(fields=Fields(what="a requirement", fields=_ARTIFACT), text=Text(), field="source")
)
_MOUNT = Short(
    fields=Fields(
        what="a mount",
        fields={key: _ARTIFACT[key] for key in ("from", "source", "destination")},
    ),
    text=Text(),
    field="from",
)
_CACHE = Short(
    fields=Fields(
        what="a cache",
        fields={
            "destination": _field(_LINE, required=True),
            "id": _field(_LINE),
            "access": _field(
                Text(what="shared, locked or private", pattern="shared|locked|private")
            ),
        },
    ),
    text=Text(),
    field="destination",
)
_NODE = Fields(
    what="node",
    fields={
        "requirements": _field(_REQUIREMENTS), "env": _field(_LINE),
        "use-npm-ci": _field(Flag()), "allow-dedupe-failure": _field(Flag()),
    },
)  # fmt: skip
_PHP = Fields(
    what="php", fields={"requirements": _field(_REQUIREMENTS), "production": _field(Flag())}
)
_POETRY = Fields(
    what="poetry",
    fields={
        "version": _field(Text(what="a version with a comparison", convert=_compared)),
        "devel": _field(Flag()), "only": _field(_LINE), "without": _field(_LINE),
    },
)  # fmt: skip
_PYTHON = Fields(
    what="python",
    fields={
        "version": _field(Text(what="a Python program, such as python3")),
        "requirements": _field(_REQUIREMENTS),
        "use-system-site-packages": _field(Flag()),
        "no-deps": _field(Flag()),
        "poetry": _field(_POETRY),
        "venv": _field(_LINE),
        **{f"{tool}-version": _field(_VERSION) for tool in ("pip", "setuptools", "tox", "wheel")},
    },
)
_BUILDER = Fields(
    what="a builder",
    fields={
        "command": _field(_Either(text=_LINE, items=_WORDS)),
        "script": _field(_LINE),
        "requirements": _field(_REQUIREMENTS),
        "mounts": _field(ListOf(item=_MOUNT)),
        "caches": _field(ListOf(item=_CACHE)),
    },
)
KINDS = {"custom": _BUILDER, "node": _NODE, "php": _PHP, "python": _PYTHON}
_BUILDERS = ListOf(
    item=Fields(
        what="an entry of builders", fields={name: _field(each) for name, each in KINDS.items()}
    )
)
_APT = Fields(
    what="apt",
    fields={
        "packages": _field(_Either(items=_LINES, entries=MapOf(key=Text(), value=_LINES))),
        "sources": _field(ListOf(item=Fields(
            what="a source",
            fields={
                "url": _field(_LINE, required=True), "distribution": _field(_LINE, required=True),
                "components": _field(_LINES), "signed-by": _field(_LINE),
            },
        ))),
        "proxies": _field(ListOf(item=Short(
            fields=Fields(
                what="a proxy",
                fields={"url": _field(_LINE, required=True), "source": _field(_LINE)},
            ),
            text=Text(),
            field="url",
        ))),
    },
)  # fmt: skip
_LIVES = {
    "in": _field(Text(what="an absolute path", convert=_inside)),
    "as": _field(_NAME), "uid": _field(_UID), "gid": _field(_UID),
}  # fmt: skip
_RUNS = {
    **_LIVES,
    "environment": _field(MapOf(
        key=Text(what="a variable", convert=_variable), value=Text(empty=True, longest=64 << 10)
    )),
    "insecurely": _field(Flag()),
}  # fmt: skip

_COMMON = {
    "base": _field(_OrNull(text=Text(what="an image", convert=_reference))),
    "arguments": _field(MapOf(key=Text(), value=Text(empty=True))),
    "apt": _field(_APT),
    "lives": _field(Fields(what="lives", fields=_LIVES)),
    "runs": _field(Fields(what="runs", fields=_RUNS)),
    "entrypoint": _field(_WORDS),
    "node": _field(_NODE),
    "php": _field(_PHP),
    "python": _field(_PYTHON),
    "builder": _field(_BUILDER),
    "builders": _field(_BUILDERS),
}
_VARIANTS = MapOf(
    key=Text(what="a name of three or more letters, digits, dots and dashes", pattern=_VARIANT),
    value=Fields(
        what="a variant",
        fields={
            "includes": _field(_LINES),
            **_COMMON,
            "copies": _field(ListOf(item=_COPY)),
        },
        tolerant=True,
    ),
)


def _supported(text: str) -> str:
    if text != VERSION:
        raise UsageError(
            f"unsupported version {text!r}; Blubber reads {VERSION} only",
            hint="v3's artifacts are entries of copies since v4, and nothing is copied by default",
        )
    return text


CONFIGURATION = Fields(
    what="a Blubber configuration",
    fields={
        "version": _field(Text(what="v4", convert=_supported), required=True),
        "variants": _field(_VARIANTS, required=True),
        **_COMMON,
    },
    tolerant=True,
)
