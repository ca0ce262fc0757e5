"""What XML files of packages say about MIME types (Shared MIME-info Database specification).

Read as ``update-mime-database`` reads them: what comes later adds to what was there; a type
with a fault has what stood before the fault. The files it writes: ``mime_database``.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping
from xml.etree.ElementTree import Element

import msgspec

from homeport.assemble.system.xml_documents import read_xml

NAMESPACE = "http://www.freedesktop.org/standards/shared-mime-info"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
NO_GLOBS, _NO_MAGIC = "__NOGLOBS__", b"__NOMAGIC__"
_LAST = "Override.xml"
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"b": b"\b", b"t": b"\t", b"f": b"\f", b"v": b"\v"}
_SIZES = {"byte": 1, "big16": 2, "little16": 2, "host16": 2, "big32": 4, "little32": 4, "host32": 4}
_KINDS = ("file", "directory", "link")
_DEEPEST = 50


class Glob(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern of names. ``weight``: of two that fit, the higher one counts."""

    pattern: str
    type: str
    weight: int = 0
    case_sensitive: bool = False


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes at a place of a file, and of what lies further inside, any."""

    start: int = 0
    length: int = 1
    word: int = 1
    data: bytes
    mask: bytes = b""
    inner: tuple[Match, ...] = ()


class TreeMatch(msgspec.Struct, frozen=True, kw_only=True):
    """A path on a medium. ``conditions``: what must be true of it."""

    path: str
    conditions: tuple[str, ...]
    inner: tuple[TreeMatch, ...] = ()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Contents or trees that a type is known by."""

    priority: int
    type: str
    matches: tuple[Match, ...] = ()
    trees: tuple[TreeMatch, ...] = ()
    clears: bool = False

    def order(self) -> tuple[bool, int, list[str]]:
        return not self.clears, -self.priority, self.type.split("/")


class MimeTypes:
    """All that was read."""

    def __init__(self) -> None:
        self.fields: dict[str, list[Element]] = {}
        self.globs: dict[str, list[Glob]] = {}
        self.magic: list[Rule] = []
        self.trees: list[Rule] = []
        self.aliases: dict[str, str] = {}
        self.parents: dict[str, list[str]] = {}
        self.namespaces: dict[tuple[str, str], str] = {}
        self.icons: dict[str, str] = {}
        self.generic_icons: dict[str, str] = {}


def read_mime_types(files: Mapping[str, bytes], fault: Callable[[str, str], None]) -> MimeTypes:
    """Read ``files`` in the order of names; ``fault`` is called with a file and what is wrong."""
    found = MimeTypes()
    for name in sorted(files, key=lambda each: (each == _LAST, each.encode())):
        try:
            root = read_xml(files[name])
            if root.tag != f"{{{NAMESPACE}}}mime-info":
                raise ValueError(f"expected <mime-info> of {NAMESPACE}, found <{root.tag}>")
        except ValueError as error:
            fault(name, str(error))
            continue
        for element in root:
            try:
                _Type(found, element).read(element)
            except ValueError as error:
                fault(name, f"{element.get('type', '')}: {error}")
    found.magic.sort(key=Rule.order)
    found.trees.sort(key=Rule.order)
    return found


class _Type:
    """One ``<mime-type>`` being read."""

    def __init__(self, types: MimeTypes, element: Element) -> None:
        self._types = types
        self._name = element.get("type", "")
        if element.tag != f"{{{NAMESPACE}}}mime-type" or self._name.count("/") != 1:
            raise ValueError("not a <mime-type> with a valid type")
        # It names a file of the image.
        if ".." in self._name or self._name[0] == "/" or self._name[-1] == "/":
            raise ValueError("invalid type")
        self._fields = types.fields.setdefault(self._name, [])

    def read(self, element: Element) -> None:
        for field in element:
            kind = field.tag.removeprefix(f"{{{NAMESPACE}}}")
            copied = kind == field.tag or self._read_field(kind, field)
            if not copied:
                continue
            if kind == "comment":
                language = field.get(LANGUAGE)
                same = (
                    each for each in self._fields
                    if each.tag == field.tag and each.get(LANGUAGE) == language
                )  # fmt: skip
                old = next(same, None)
                if old is not None:
                    self._fields.remove(old)
            self._fields.append(field)

    def _read_field(self, kind: str, field: Element) -> bool:  # noqa: PLR0912  one branch a field
        """Whether the field belongs into the type's own file."""
        types, name = self._types, self._name
        match kind:
            case "glob":
                self._glob(field)
            case "glob-deleteall":
                self._add_glob(Glob(pattern=NO_GLOBS, type=name))
            case "magic":
                matches = tuple(_matches(field, 0))
                if not matches:
                    raise ValueError("incomplete <magic>")
                types.magic.append(Rule(priority=_number(field), type=name, matches=matches))
            case "magic-deleteall":
                nothing = (Match(data=_NO_MAGIC),)
                types.magic.append(Rule(priority=0, type=name, matches=nothing, clears=True))
            case "treemagic":
                trees = tuple(_tree_matches(field, 0))
                types.trees.append(Rule(priority=_number(field), type=name, trees=trees))
            case "alias" | "sub-class-of":
                other = field.get("type", "")
                if "/" not in other:
                    raise ValueError(f"invalid type in <{kind}>")
                if kind == "alias":
                    types.aliases[other] = name
                else:
                    types.parents.setdefault(name, []).append(other)
            case "root-XML":
                self._root(field)
            case "icon" | "generic-icon":
                icon = field.get("name")
                if icon is not None:
                    (types.icons if kind == "icon" else types.generic_icons)[name] = icon
                return icon is not None
            case "comment" | "acronym" | "expanded-acronym":
                pass
            case _:
                return False
        return kind not in ("magic", "magic-deleteall", "treemagic", "root-XML")

    def _glob(self, field: Element) -> None:
        pattern = field.get("pattern", "")
        if not pattern or "\n" in pattern:
            raise ValueError("<glob> without a valid pattern")
        case_sensitive = field.get("case-sensitive") == "true"
        self._add_glob(
            Glob(
                pattern=pattern if case_sensitive else pattern.translate(_LOWER),
                type=self._name, weight=_number(field, "weight"), case_sensitive=case_sensitive,
            )
        )  # fmt: skip

    def _add_glob(self, glob: Glob) -> None:
        self._types.globs.setdefault(glob.pattern, []).append(glob)

    def _root(self, field: Element) -> None:
        uri, local = field.get("namespaceURI"), field.get("localName")
        if uri is None or local is None or not uri + local or re.search("[ \n]", uri + local):
            raise ValueError("invalid <root-XML>")
        self._types.namespaces[(uri, local)] = self._name


def _number(field: Element, name: str = "priority") -> int:
    text = field.get(name, "50").strip()
    if not re.fullmatch(r"\+?[0-9]{1,3}", text) or int(text) > 100:
        raise ValueError(f"invalid {name} {text!r}")
    return int(text)


def _children(parent: Element, kind: str, depth: int) -> Iterator[Element]:
    for each in parent:
        if each.tag != f"{{{NAMESPACE}}}{kind}" or depth > _DEEPEST:
            raise ValueError(f"expected <{kind}>")
        yield each


def _matches(parent: Element, depth: int) -> Iterator[Match]:
    for each in _children(parent, "match", depth):
        offset = re.fullmatch(r"([0-9]{1,9})(?::([0-9]{1,9}))?", each.get("offset", ""))
        if offset is None or int(offset[2] or offset[1]) < int(offset[1]):
            raise ValueError("invalid offset of <match>")
        kind = each.get("type", "")
        data, mask = _value(kind, each.get("value", ""), each.get("mask"))
        yield Match(
            start=int(offset[1]), length=int(offset[2] or offset[1]) - int(offset[1]) + 1,
            word=_SIZES[kind] if kind.startswith("host") else 1, data=data, mask=mask,
            inner=tuple(_matches(each, depth + 1)),
        )  # fmt: skip


def _value(kind: str, value: str, mask: str | None) -> tuple[bytes, bytes]:
    size = _SIZES.get(kind)
    if not value or (size is None and kind != "string"):
        raise ValueError(f"<match> of type {kind!r} without a value")
    if size is not None:
        return _integer(kind, size, value), b"" if mask is None else _integer(kind, size, mask)
    data = _ESCAPE.sub(_unescaped, value.encode())
    if len(data) > 0xFFFF:
        raise ValueError("the value of a <match> is too long")
    if mask is None:
        return data, b""
    digits = mask.removeprefix("0x")
    if digits == mask or len(digits) > 2 * len(data):
        raise ValueError("a mask must be hexadecimal and not longer than its value")
    return data, bytes.fromhex(digits + "0" * (len(digits) % 2)).ljust(len(data), b"\0")


def _integer(kind: str, size: int, text: str) -> bytes:
    octal = re.fullmatch("0[0-7]+", text)
    number = int(text, 8) if octal else int(text, 0)
    if not 0 <= number < 1 << 8 * size:
        raise ValueError(f"{text} needs more than {8 * size} bits")
    return number.to_bytes(size, "little" if kind.startswith("l") else "big")


def _unescaped(found: re.Match[bytes]) -> bytes:
    escape = found[1]
    if escape[:1] == b"x" and len(escape) > 1:
        return bytes((int(escape[1:], 16),))
    if escape.isdigit() and escape[0] < ord("8"):
        return bytes((int(escape, 8) & 0xFF,))
    return _CONTROLS.get(escape, escape)


def _tree_matches(parent: Element, depth: int) -> Iterator[TreeMatch]:
    for each in _children(parent, "treematch", depth):
        path, kind = each.get("path"), each.get("type")
        if path is None or (kind is not None and kind not in _KINDS):
            raise ValueError("<treematch> has no path or an invalid type")
        flags = ("match-case", "executable", "non-empty")
        conditions = [kind or "any", *(flag for flag in flags if each.get(flag) == "true")]
        conditions += [mime] if (mime := each.get("mimetype")) is not None else []
        yield TreeMatch(
            path=path, conditions=tuple(conditions), inner=tuple(_tree_matches(each, depth + 1))
        )
