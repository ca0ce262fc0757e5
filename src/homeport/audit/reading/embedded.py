"""Documents inside strings, and templates of documents: read by themselves, shown where they are.

The inner text is a file of its own to its reader; what is found there is moved to the place in
the outer file. Faults of the inner text are not reported: it may be no document at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from homeport.audit.model import Cause, Feed, Field, Use
from homeport.audit.reading.collector import FILLED_IN, Collector
from homeport.audit.source import Place, Source, Written

#: How deep documents may stand inside each other's strings.
DEEPEST = 3
#: Where tags of template languages begin and how each ends; at most so long.
_OPEN = re.compile(r"\{\{|\{%|<%|\[\[")
_CLOSE = {"{{": "}}", "{%": "%}", "<%": "%>", "[[": "]]"}
_LONGEST = 2_000
#: A line that is only tags.
_ONLY_TAGS = re.compile(r"^[ \t-]*\x00[\x00 \t]*$", re.MULTILINE)
#: A line that only directs the template: what is left without it may be no document.
_CONTROL = re.compile(r"^[ \t]*(?:\{\{|\{%|<%|\[\[)", re.MULTILINE)
_IMAGE_LINE = re.compile(
    r"^[ \t]{0,200}(?:-[ \t]{1,20})?[\"']?image[\"']?:[ \t]{1,20}"
    r"[\"']?(?P<value>[^\s\"'#{}]{1,300})",
    re.MULTILINE,
)
#: What becomes of a tag in a key.
_FILLED = re.compile(r"\$\(_+\)")
_FILL = "\0"
#: Names of files that are templates of the file that remains without the last part.
TEMPLATE_SUFFIX = re.compile(r"\.(?:j2|jinja2?|tmpl|gotmpl|tpl|erb|template|in)$", re.IGNORECASE)

Read = Callable[[Source, Collector], None]


def read_embedded(outer: Written, found: Collector, read: Read, key: str) -> None:
    """Read the text of a string as a document. ``key`` goes before the keys found in it."""
    if found.depth >= DEEPEST:
        return
    inner = found.source.inner(outer.text)
    collector = Collector(inner, found.kind, found.programs, depth=found.depth + 1)
    read(inner, collector)
    _Move(outer, inner, key).everything(collector, found)


def has_tags(source: Source) -> bool:
    """Whether a file holds tags of a template language."""
    return any(mark in source.data for mark in (b"{{", b"{%", b"<%", b"[["))


def read_masked(source: Source, found: Collector, read: Read) -> None:
    """Read a template of a document: tags become text of the same length that names nothing."""
    masked = source.inner(mask(source.text))
    if len(masked.data) != len(source.data):
        return
    collector = Collector(masked, found.kind, found.programs, depth=found.depth)
    read(masked, collector)
    if collector.unread:
        for match in _IMAGE_LINE.finditer(masked.text):
            value = masked.whole().part(*match.span("value"))
            collector.image(value, "image", confidence="medium")
    for masked_use in collector.uses:
        use = msgspec.structs.replace(masked_use, key=_FILLED.sub("{{…}}", masked_use.key))
        text = source.data[use.place.start : use.place.end].decode("utf-8", "surrogateescape")
        if use.exact and text != use.expression:
            tag = _OPEN.search(text)
            problem = FILLED_IN.format(repr(tag.group() if tag else text))
            found.add(
                msgspec.structs.replace(
                    use, expression=text, value="", reference=None, problem=problem
                )
            )
        elif FILLER not in use.value:
            found.add(use)
    found.causes += collector.causes
    found.named += collector.named
    found.produced.update(collector.produced)
    if not _CONTROL.search(source.text):
        found.unread += collector.unread


#: What a tag is replaced by: a mark that no reader evaluates.
FILLER = "$("


def mask(text: str) -> str:
    """The text without its tags; lines and offsets (in bytes too) stay where they are."""

    pieces: list[str] = []
    at = 0
    for start, end in tags(text):
        pieces.append(text[at:start])
        # Lines and bytes stay where they are.
        inner = text[start:end].split("\n")
        pieces.append("\n".join(_FILL * len(_bytes(line)) for line in inner))
        at = end
    tagged = "".join([*pieces, text[at:]])
    lines = _ONLY_TAGS.sub(lambda m: " " * len(m.group()), tagged)
    return re.sub(r"\x00+", _filler, lines)


def tags(text: str) -> Iterator[tuple[int, int]]:
    """Where the tags of template languages are."""
    at = 0
    for opening in _OPEN.finditer(text):
        if opening.start() < at:
            continue
        close = _CLOSE[opening.group()]
        end = text.find(close, opening.end(), opening.end() + _LONGEST)
        if end >= 0:
            at = end + len(close)
            yield opening.start(), at


def _filler(match: re.Match[str]) -> str:
    length = len(match.group())
    return FILLER + "_" * (length - 3) + ")" if length > 3 else "_" * length


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class _Move(msgspec.Struct, frozen=True):
    """From places in a string's text to places in the file that holds the string."""

    outer: Written
    inner: Source
    key: str

    def everything(self, inner: Collector, found: Collector) -> None:
        for use in inner.uses:
            found.add(self._use(use))
        for cause in inner.causes:
            found.causes.append(self._cause(cause))
        found.produced.update(inner.produced)

    def _piece(self, place: Place) -> Written:
        if len(self.inner.data) == len(self.inner.text):
            return self.outer.part(place.start, place.end)
        start = len(self.inner.data[: place.start].decode("utf-8", "surrogateescape"))
        length = len(self.inner.data[place.start : place.end].decode("utf-8", "surrogateescape"))
        return self.outer.part(start, start + length)

    def _use(self, use: Use) -> Use:
        piece = self._piece(use.place)
        return msgspec.structs.replace(
            use, place=piece.place, key=self._key(use.key), exact=use.exact and piece.exact,
            quoting=use.quoting if self.outer.quoting == "block" else self.outer.quoting,
            fields=self._fields(use.fields), feeds=tuple(self._feed(feed) for feed in use.feeds),
        )  # fmt: skip

    def _fields(self, fields: Mapping[str, Field]) -> dict[str, Field]:
        moved = {}
        for name, field in fields.items():
            moved[name] = field
            if field.place.file == self.inner.path:
                piece = self._piece(field.place)
                moved[name] = msgspec.structs.replace(
                    field, place=piece.place, exact=field.exact and piece.exact
                )
        return moved

    def _feed(self, feed: Feed) -> Feed:
        if feed.place is None or feed.place.file != self.inner.path:
            return feed
        piece = self._piece(feed.place)
        return msgspec.structs.replace(feed, place=piece.place, exact=feed.exact and piece.exact)

    def _cause(self, cause: Cause) -> Cause:
        return msgspec.structs.replace(
            cause, place=self._piece(cause.place).place, key=self._key(cause.key), insertion=None
        )

    def _key(self, key: str) -> str:
        return f"{self.key}: {key}" if key else self.key
