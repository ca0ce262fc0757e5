"""A report as the JSON document ``homeport-audit/v1`` (docs/formats/audit.md)."""

from __future__ import annotations

from typing import Any

from homeport.audit.assessment import Image, Lookup, Report
from homeport.audit.model import Feed, Unread, Use

SCHEMA = "homeport-audit/v1"


def clean(value: Any) -> Any:
    """``value`` with bytes that are no UTF-8 made visible, so that it can be JSON."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    return [clean(item) for item in value] if isinstance(value, list) else value


def report_document(report: Report) -> dict[str, Any]:
    """The whole report."""
    document = _document(report)
    cleaned: dict[str, Any] = clean(document)
    return cleaned


def _document(report: Report) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "home": report.home,
        "files": {"seen": report.files, "read": report.read},
        "summary": {
            "images": len(report.images),
            "foreign": len(report.foreign),
            "implicit": sum(1 for image in report.images if not image.explicit),
            "uses": sum(len(image.uses) for image in report.images),
            "unread": len(report.unread),
            "external": len(report.external),
        },
        "pulls": [
            {"registry": p.registry, "pulls": p.pulls, "limit": p.limit, "hours": p.hours,
             "runs": p.runs} for p in report.pulls
        ],
        "mirrors": [
            {"registry": m.registry, "to": m.to, "engine": m.engine, "file": m.place.file,
             "line": m.place.line} for m in report.mirrors
        ],
        "images": [image_document(image) for image in report.images],
        "external": [
            {"file": e.place.file, "line": e.place.line, "column": e.place.column, "key": e.key,
             "what": e.what, "hint": e.hint} for e in report.external
        ],
        "unread": [_unread(unread) for unread in report.unread],
    }  # fmt: skip


def image_document(image: Image) -> dict[str, Any]:
    """One image and every use of it."""
    found: dict[str, Any] = {
        "image": image.name,
        "registry": image.reference.registry if image.reference else "",
        "repository": image.reference.repository if image.reference else "",
        "explicit": image.explicit,
        "confidence": image.confidence,
        "pin": image.pin,
        "foreign": image.foreign,
        "internal": image.internal,
        "level": image.level,
        "tree": image.tree,
        "risks": [{"id": r.id, "level": r.level, "text": r.text} for r in image.risks],
        "uses": [use_document(use) for use in image.uses],
    }
    if image.end_of_life:
        found["end_of_life"] = {
            "title": image.end_of_life.title, "release": image.end_of_life.release,
            "ends": image.end_of_life.ends.isoformat(), "source": image.end_of_life.source,
        }  # fmt: skip
    if image.lookup:
        found["lookup"] = _lookup(image.lookup)
    return found


def use_document(use: Use) -> dict[str, Any]:
    """One use of an image."""
    found: dict[str, Any] = {
        "file": use.place.file, "line": use.place.line, "column": use.place.column,
        "end_line": use.place.end_line, "end_column": use.place.end_column,
        "start": use.place.start, "end": use.place.end, "kind": use.kind, "key": use.key,
        "expression": use.expression, "value": use.value if use.reference or use.rule else "",
        "confidence": use.confidence,
    }  # fmt: skip
    for name in ("problem", "rule", "note", "internal", "via", "tree"):
        if text := getattr(use, name):
            found[name] = text
    if use.feeds:
        found["feeds"] = [_feed(feed) for feed in use.feeds]
    if use.fields:
        found["fields"] = {
            name: {"value": f.value, "file": f.place.file, "start": f.place.start,
                   "end": f.place.end, "line": f.place.line}
            for name, f in use.fields.items()
        }  # fmt: skip
    return found


def _feed(feed: Feed) -> dict[str, Any]:
    found: dict[str, Any] = {"name": feed.name, "value": feed.value}
    if feed.place:
        found.update(file=feed.place.file, start=feed.place.start, end=feed.place.end,
                     line=feed.place.line)  # fmt: skip
    if feed.note:
        found["note"] = feed.note
    return found


def _lookup(lookup: Lookup) -> dict[str, Any]:
    return {
        "digest": lookup.digest, "created": lookup.created, "platforms": list(lookup.platforms),
        "moved": lookup.moved, "one_platform": lookup.one_platform, "gone": lookup.gone,
        "problem": lookup.problem, "note": lookup.note,
    }  # fmt: skip


def _unread(unread: Unread) -> dict[str, Any]:
    return {"file": unread.file, "line": unread.line, "column": unread.column, "what": unread.what}
