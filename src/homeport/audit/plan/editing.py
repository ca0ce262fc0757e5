"""One use of an image → the smallest edit that brings it home, or the setting to write.

Keeps what people wrote: tags beside digests, variables, quotes. Where a safe edit needs
more than the file, the answer is a setting for a person.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from homeport.audit.model import Feed, Field, Rewrite, Use
from homeport.audit.plan.planfile import Edit
from homeport.audit.rules import Rule
from homeport.audit.source import Place
from homeport.oci.reference import Reference


class FileEdit(msgspec.Struct, frozen=True, kw_only=True):
    """An edit, and the file and line that it belongs to."""

    file: str
    line: int
    edit: Edit


class WayHome(msgspec.Struct, frozen=True, kw_only=True):
    """Edits that make the reference point home, or the setting that would."""

    edits: tuple[FileEdit, ...] = ()
    setting: str = ""
    note: str = ""


def way_home(use: Use, home: Reference, prefix: str, siblings: Sequence[Use] = ()) -> WayHome:
    """How ``use`` is changed to name ``home``, which is below ``prefix``.

    ``siblings`` are other uses of the same expression: values of a matrix.
    """
    way = _way_home(use, home, prefix, siblings)
    if use.rewrite is None or not way.edits:
        return way
    return rewritten(use.rewrite, way, home)


def rewritten(rewrite: Rewrite, way: WayHome, home: Reference) -> WayHome:
    """The same edits, with what else has to be written at the place of the reference."""
    place = rewrite.place
    inside = [
        each for each in way.edits
        if each.file == place.file and place.start <= each.edit.start
        and each.edit.end <= place.end
    ]  # fmt: skip
    scalar = rewrite.old.encode()
    for each in sorted(inside, key=lambda each: each.edit.start, reverse=True):
        start, end = each.edit.start - place.start, each.edit.end - place.start
        scalar = scalar[:start] + each.edit.new.encode() + scalar[end:]
    new = rewrite.text.replace("{scalar}", scalar.decode()).replace("{new}", home.name)
    others = tuple(each for each in way.edits if each not in inside)
    edits = (*others, replace_at(place, rewrite.old, new))
    return msgspec.structs.replace(way, edits=edits)


def _way_home(use: Use, home: Reference, prefix: str, siblings: Sequence[Use] = ()) -> WayHome:
    if use.fields:
        return _by_fields(use, home)
    if not use.feeds and use.exact and use.value == use.expression:
        return WayHome(edits=(replace_at(use.place, use.expression, str(home)),))
    if (feed := _whole_feed(use)) is not None and feed.place is not None:
        edit = replace_at(feed.place, feed.value, str(home))
        return WayHome(edits=(edit,), note=feed.note)
    return _around(use, home, prefix, siblings)


def way_of_rule(use: Use, rule: Rule, home: str) -> WayHome:
    """How the cause of an implicit image is made to pull ``home``, or to pull nothing."""
    cause = use.cause
    settings = [override.setting.replace("{home}", home) for override in rule.override]
    setting = settings[0] if settings else ""
    if cause is None:
        return WayHome(setting=setting)
    for override in rule.override:
        if override.input and cause.insertion is not None:
            value = override.value.replace("{home}", home)
            old = cause.insertion.existing.get(override.input, "")
            if old.strip():
                place = cause.insertion.places.get(override.input)
                if override.replace and place is not None:
                    return WayHome(edits=(replace_at(place, old, value),))
                continue
            text = cause.insertion.text.replace("{name}", override.input).replace("{value}", value)
            edit = Edit(start=cause.insertion.at, end=cause.insertion.at, old="", new=text)
            return WayHome(
                edits=(FileEdit(file=cause.place.file, line=cause.place.line, edit=edit),)
            )
        if override.find and cause.text and (match := re.search(override.find, cause.text)):
            start = cause.place.start + len(cause.text[: match.start()].encode())
            new = override.put.replace("{home}", home)
            edit = Edit(
                start=start, end=start + len(match.group().encode()), old=match.group(), new=new
            )
            return WayHome(
                edits=(FileEdit(file=cause.place.file, line=cause.place.line, edit=edit),)
            )
    return WayHome(setting=setting)


class Lead(msgspec.Struct, frozen=True):
    """A value that a reference begins with: a registry in a variable."""

    name: str
    value: str
    place: Place | None


def leading_value(use: Use) -> Lead | None:
    """The value of its own that a reference begins with, if it may be edited."""
    if use.rule or use.reference is None:
        return None
    registry = use.fields.get("registry")
    if registry is not None:
        exact = registry.exact and use.value.startswith(f"{registry.value}/")
        return Lead("the registry", registry.value, registry.place) if exact else None
    for feed in use.feeds:
        rest = use.value[len(feed.value) :]
        begins = bool(feed.value) and use.value.startswith(feed.value)
        if begins and feed.exact and not use.expression.startswith(feed.value):
            return Lead(feed.name, feed.value, feed.place) if rest.startswith("/") else None
    return None


def value_at_home(use: Use, lead: Lead, home: Reference) -> str:
    """What a leading value becomes, ``""`` if no value would do."""
    written = use.value.partition("@")[0]
    slash = written.rfind("/")
    colon = written.find(":", slash + 1)
    rest = (written[:colon] if colon >= 0 else written)[len(lead.value) :]
    return home.name[: -len(rest)] if rest and home.name.endswith(rest) else ""


def replace_at(place: Place, old: str, new: str) -> FileEdit:
    """Replace the text at a place."""
    edit = Edit(start=place.start, end=place.end, old=old, new=new)
    return FileEdit(file=place.file, line=place.line, edit=edit)


def _whole_feed(use: Use) -> Feed | None:
    """The one value that is the whole reference, if it may be edited."""
    whole = [f for f in use.feeds if f.value == use.value]
    if len(whole) != 1 or whole[0].shared or not whole[0].exact or whole[0].place is None:
        return None
    return whole[0]


def _around(use: Use, home: Reference, prefix: str, siblings: Sequence[Use]) -> WayHome:
    """Keep the expression: put what is missing of the new name before it, a digest behind.

    A host that is written out is replaced, since its port may be spelled differently at home.
    """
    setting = f"{use.key}: {home}"
    written = use.value.partition("@")[0]
    slash = written.rfind("/")
    colon = written.find(":", slash + 1)
    written = written[:colon] if colon >= 0 else written
    if not use.exact or use.reference is None or any(_differs(use, o) for o in siblings):
        return WayHome(setting=setting)
    host, _, path = written.partition("/")
    literal = f"{host}/" if path and use.expression.startswith(f"{host}/") else ""
    rest = path if literal and home.name.endswith(f"/{path}") else written
    before = home.name[: -len(rest)]
    if not home.name.endswith(f"/{rest}") or not before.startswith(prefix):
        return WayHome(setting=setting)
    old = literal if rest != written else ""
    start, end = use.place.start, use.place.end
    edits = [Edit(start=start, end=start + len(old.encode()), old=old, new=before)]
    if home.digest is not None and use.reference.digest is None and not siblings:
        edits.append(Edit(start=end, end=end, old="", new=f"@{home.digest}"))
    names = ", ".join(dict.fromkeys(feed.name for feed in use.feeds))
    note = f"{names} keeps its value; another one gets the same prefix" if names else ""
    file, line = use.place.file, use.place.line
    return WayHome(edits=tuple(FileEdit(file=file, line=line, edit=e) for e in edits), note=note)


def _differs(use: Use, other: Use) -> bool:
    """Whether another value of the same expression would need another prefix."""
    if use.reference is None or other.reference is None:
        return True
    mine = use.reference.name.removesuffix(use.value.partition(":")[0])
    return mine != other.reference.name.removesuffix(other.value.partition(":")[0])


def parts_at_home(use: Use, home: Reference) -> list[tuple[Field, str]]:
    """What the parts of a reference become; nothing if that is not known."""
    fields: Mapping[str, Field] = use.fields
    if "reference" in fields:
        return [(fields["reference"], str(home))]
    repository = fields.get("repository")
    if repository is None:
        return []
    host, _, path = home.name.partition("/")
    if "registry" in fields:
        found = [(fields["registry"], host), (repository, path)]
    elif use.value.startswith(repository.value):
        found = [(repository, home.name)]
    else:
        return []
    kustomize = use.kind == "kubernetes" and use.key.startswith("images[")
    tag = fields.get("tag")
    # ``tag: 1.2@sha256:…`` is a tag with its digest already.
    pinned = use.reference is not None and use.reference.digest is not None
    if home.digest is not None and not pinned and tag is not None and not kustomize:
        found.append((tag, f"{tag.value}@{home.digest}"))
    return found


def values_at_home(use: Use, home: Reference) -> list[tuple[str, str, str]]:
    """What values make a chart use ``home``: file of values, path of keys, text."""
    if use.kind != "helm" or use.rule or use.confidence == "low" or "artifacthub" in use.key:
        return []
    if use.fields:
        parts = parts_at_home(use, home)
        return [(field.place.file, field.key, text) for field, text in parts if field.key]
    in_values = "values" in use.place.file.rpartition("/")[2].lower()
    return [(use.place.file, use.key, str(home))] if in_values and not use.feeds else []


def _by_fields(use: Use, home: Reference) -> WayHome:
    parts = parts_at_home(use, home)
    if not parts or not all(field.exact for field, _ in parts):
        values = ",".join(f"{key}={text}" for _, key, text in values_at_home(use, home))
        setting = f"helm upgrade --set {values}" if values else f"{use.key}: {home}"
        return WayHome(setting=setting)
    edits = [replace_at(field.place, field.value, text) for field, text in parts]
    return WayHome(edits=tuple(sorted(edits, key=lambda e: (e.file, e.edit.start))))
