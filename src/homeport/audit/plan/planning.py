"""A report → the plan that brings every image home (docs/formats/plan.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import msgspec

from homeport.audit.assessment import Image, Report
from homeport.audit.model import Use
from homeport.audit.plan.catalog_images import recipe_for
from homeport.audit.plan.deciding import Knowledge, Range, action_for, check_home, home_of, range_of
from homeport.audit.plan.editing import (
    FileEdit,
    WayHome,
    leading_value,
    replace_at,
    rewritten,
    value_at_home,
    way_home,
    way_of_rule,
)
from homeport.audit.plan.guard import Promise, Spot, spots
from homeport.audit.plan.mirror_config import engine_configs, helm_values
from homeport.audit.plan.places import bare, merged
from homeport.audit.plan.planfile import (
    SCHEMA,
    Pair,
    Plan,
    PlanAction,
    PlanFile,
    PlanImage,
    pair_for,
)
from homeport.content.digest import Digest
from homeport.oci.reference import BadReference, Reference, parse_reference

_DELETE = "delete what uses it"


class Draft(msgspec.Struct, frozen=True):
    """A plan, and what it promises for each place.

    editors:  the places whose edits change a file, by file, start and end
    """

    plan: Plan
    promises: Mapping[Spot, list[Promise]]
    editors: Mapping[Spot, list[FileEdit]]
    uses: Mapping[Spot, list[Use]]

    def editing(self, path: str) -> list[Spot]:
        """Places that edit a file."""
        return [s for s, edits in self.editors.items() if any(e.file == path for e in edits)]

    def blamed(self, wrong: Mapping[Spot, str]) -> dict[Spot, str]:
        """The places whose edits broke those that are wrong: themselves, or their neighbours."""
        found: dict[Spot, str] = {}
        for spot, why in wrong.items():
            if spot in self.editors:
                found[spot] = why
                continue
            ranges = {r for use in self.uses.get(spot, ()) for r in _ranges(use)}
            guilty = [
                other for other, edits in self.editors.items()
                if any(_touches(edit, ranges) for edit in edits)
            ]  # fmt: skip
            found |= dict.fromkeys(guilty or self.editing(spot.file) or self.editors, why)
        return found


def _ranges(use: Use) -> set[Range]:
    """Every range of a file that a use is read from."""
    places = [use.place, *(f.place for f in use.fields.values())]
    places += [feed.place for feed in use.feeds if feed.place is not None]
    return {(place.file, place.start, place.end) for place in places}


def _touches(change: FileEdit, ranges: set[Range]) -> bool:
    edit = change.edit
    return any(
        change.file == file and edit.start <= end and start <= edit.end
        for file, start, end in ranges
    )


class _Planner(msgspec.Struct):
    home: str
    known: Knowledge
    siblings: Mapping[Range, list[Use]]
    decisions: Mapping[str, PlanImage]
    only_places: bool
    refused: Mapping[Spot, str]
    spots: Mapping[int, Spot]
    prefixes: dict[Range, str]
    bases: dict[str, str] = msgspec.field(default_factory=dict)
    promises: dict[Spot, list[Promise]] = msgspec.field(default_factory=lambda: defaultdict(list))
    editors: dict[Spot, list[FileEdit]] = msgspec.field(default_factory=lambda: defaultdict(list))
    pairs: dict[str, Pair] = msgspec.field(default_factory=dict)
    imported: list[Reference] = msgspec.field(default_factory=list)
    frontends: list[Reference] = msgspec.field(default_factory=list)
    taken: dict[str, list[tuple[int, int, str]]] = msgspec.field(
        default_factory=lambda: defaultdict(list)
    )


def make_draft(
    report: Report,
    *,
    home: str,
    known: Knowledge,
    digest_of: Callable[[str], str],
    decisions: Plan | None = None,
    only_places: bool = False,
    refused: Mapping[Spot, str] | None = None,
) -> Draft:
    """Plan for every image of ``report``.

    digest_of:  the SHA-256 (hex) of an audited file
    decisions:  an earlier plan, whose actions and references at home are kept
    only_places: edit no place that is not in the earlier plan
    refused:    places that are not edited, and why
    """
    check_home(home)
    siblings: dict[Range, list[Use]] = defaultdict(list)
    for image in report.images:
        for use in image.uses:
            siblings[range_of(use)].append(use)
    every = spots(use for image in report.images for use in image.uses)
    planner = _Planner(
        home, known, siblings,
        decisions={i.image: i for i in decisions.images} if decisions else {},
        only_places=only_places,
        refused=refused or {}, prefixes={},
        spots={id(use): spot for spot, uses in every.items() for use in uses},
    )  # fmt: skip
    planner.prefixes.update(_prefixes(planner, report))
    planner.bases.update(_bases(planner, report))
    images = tuple(_image(planner, image) for image in report.images if not image.home)
    for image in report.images:
        if image.home:
            for use in image.uses:
                planner.promises[planner.spots[id(use)]].append(Promise(image=use.image))
    edited = sorted({p.file for i in images for p in i.places if p.every_edit})
    plan = Plan(
        schema=SCHEMA, home=home,
        mirror=tuple(sorted(planner.pairs.values(), key=lambda p: p.destination)),
        config_files=engine_configs(planner.imported, home, planner.frontends), images=images,
        files=tuple(PlanFile(path=f, sha256=digest_of(f)) for f in edited),
    )  # fmt: skip
    return Draft(plan, planner.promises, planner.editors, every)


def _image(planner: _Planner, image: Image) -> PlanImage:
    action, why = action_for(image, planner.known)
    decided = planner.decisions.get(image.name)
    if decided is not None and image.reference is not None and decided.action != action:
        action, why = decided.action, decided.why
    if action == "leave" or image.reference is None:
        _promised(planner, image.uses)
        return PlanImage(image=image.name, action="leave", why=why, places=bare(image.uses))
    reference = image.reference
    if image.lookup and image.lookup.digest and reference.digest is None:
        reference = msgspec.structs.replace(reference, digest=Digest.parse(image.lookup.digest))
    try:
        home = home_of(reference, planner.home)
        if decided is not None and decided.home and action in ("import", "build"):
            home = parse_reference(decided.home)
    except BadReference as error:
        _promised(planner, image.uses)
        return PlanImage(image=image.name, action="leave", why=f"no name at home: {error.what}")
    places = [_place(planner, image, use, home, action) for use in image.uses]
    if action in ("import", "build"):
        planner.imported.append(image.reference)
        if any("syntax" in use.key.lower() for use in image.uses):
            planner.frontends.append(image.reference)
        if action == "import":
            _pair(planner, reference, home)
        return PlanImage(
            image=image.name, action=action, why=why, home=str(home),
            recipe=recipe_for(reference) if action == "build" else "",
            config_files=helm_values(image.uses, home),
            places=merged(places),
        )  # fmt: skip
    return PlanImage(image=image.name, action=action, why=why, places=merged(places))


def _promised(planner: _Planner, uses: Iterable[Use]) -> None:
    """These places stay as they are."""
    for use in uses:
        planner.promises[planner.spots[id(use)]].append(Promise(image=use.image))


def _place(
    planner: _Planner, image: Image, use: Use, home: Reference, action: PlanAction
) -> tuple[Use, WayHome]:
    """The way home of a use, unless it was refused; what it promises is noted."""
    spot = planner.spots[id(use)]
    target = planner.known.raised.get(range_of(use))
    expected = str(home_of(target, planner.home) if target is not None else home)
    if planner.only_places and not _is_planned(planner, image, use):
        way = WayHome(note="not in the plan")
    elif (why := planner.refused.get(spot)) is not None:
        way = WayHome(setting=f"{use.key}: {expected}", note=why)
    else:
        way = _way(planner, image, use, home, action)
    planner.promises[spot].append(Promise(image=use.image, home=expected, edited=bool(way.edits)))
    if way.edits:
        planner.editors[spot].extend(way.edits)
    return use, way


def _is_planned(planner: _Planner, image: Image, use: Use) -> bool:
    """Whether the earlier plan has this place, or the one of a value that flows into it."""
    decided = planner.decisions.get(image.name)
    return decided is not None and any(
        place.key == use.key and place.rule == use.rule
        and (place.file != use.place.file or place.line == use.place.line or place.note)
        for place in decided.places
    )  # fmt: skip


def _way(planner: _Planner, image: Image, use: Use, home: Reference, action: PlanAction) -> WayHome:
    if use.internal or use.via or use.confidence == "low":
        return WayHome(note=use.internal or use.via or "an uncertain use, not edited")
    if (better := planner.known.raised.get(range_of(use))) is not None:
        if use.rule:
            return WayHome(note=f"{better.familiar} replaces it and does not need it")
        target = home_of(better, planner.home)
        _pair(planner, better, target)
        return _free(planner, way_home(use, target, f"{planner.home}/"))
    if use.rule:
        rule = planner.known.rules[use.rule]
        return _free(planner, way_of_rule(use, rule, str(home)))
    if action in ("delete", "upgrade"):
        dead = planner.known.dead.get(image.name)
        return WayHome(setting=dead.override[0].setting if dead and dead.override else _DELETE)
    return _free(planner, _by_edits(planner, image, use, home))


def _by_edits(planner: _Planner, image: Image, use: Use, home: Reference) -> WayHome:
    if use.kind == "kubernetes" and use.key.startswith("images["):
        return _kustomized(planner, use, home)
    if use.kind == "earthfile" and _in_commands(image, use):
        note = "commands of this file name the image, too: edit them together"
        return WayHome(setting=f"{use.key} {home}", note=note)
    siblings = [other for other in planner.siblings[range_of(use)] if other is not use]
    return _by_prefix(planner, use, home) or way_home(use, home, f"{planner.home}/", siblings)


def _in_commands(image: Image, use: Use) -> bool:
    """Whether a command beside an Earthfile's ``--pull`` runs the image by the same name."""
    return "--pull" in use.key and any(
        other.confidence == "low" and other.place.file == use.place.file for other in image.uses
    )


def _kustomized(planner: _Planner, use: Use, home: Reference) -> WayHome:
    """An entry of a kustomization: what it looks for follows the manifests that are edited."""
    look = use.fields.get("match") or use.fields.get("repository")
    base = planner.bases.get(look.value) if look is not None else None
    if "match" in use.fields:
        way = way_home(use, home, f"{planner.home}/")
        if base is not None and way.edits and look is not None:
            edits = (*way.edits, replace_at(look.place, look.value, base))
            way = msgspec.structs.replace(way, edits=edits)
        return way
    if base is not None and look is not None:
        return WayHome(edits=(replace_at(look.place, look.value, home.name),))
    if use.rewrite is None:
        return WayHome(setting=f"{use.key}: newName: {home.name}")
    return rewritten(use.rewrite, WayHome(), home)


def _bases(planner: _Planner, report: Report) -> dict[str, str]:
    """Names of images as manifests write them, and what they become in those."""
    found: dict[str, str] = {}
    for image in report.images:
        action, _ = action_for(image, planner.known)
        if image.reference is None or action not in ("import", "build"):
            continue
        home = home_of(image.reference, planner.home)
        for use in image.uses:
            kustomized = use.key.startswith("images[")
            plain = use.exact and not use.fields and not use.feeds and not use.internal
            if use.kind == "kubernetes" and plain and not kustomized and not use.rule:
                written = use.value.partition("@")[0]
                colon = written.find(":", written.rfind("/") + 1)
                found[written[:colon] if colon >= 0 else written] = home.name
    return found


def _prefixes(planner: _Planner, report: Report) -> dict[Range, str]:
    """Values that several references begin with, and the one value that brings all of them home.

    A registry in a variable is edited where it is set: each use that was prefixed would be
    prefixed twice by a person, or a CI system, that sets the variable to a mirror.
    """
    wanted: dict[Range, set[str]] = defaultdict(set)
    users: dict[Range, int] = defaultdict(int)
    for image in report.images:
        action, _ = action_for(image, planner.known)
        for use in image.uses:
            lead = leading_value(use)
            if lead is None or lead.place is None:
                continue
            place = (lead.place.file, lead.place.start, lead.place.end)
            users[place] += 1
            home = None
            if action in ("import", "build") and image.reference is not None and not use.internal:
                home = home_of(image.reference, planner.home)
            wanted[place].add(value_at_home(use, lead, home) if home is not None else "")
    return {
        place: next(iter(values)) for place, values in wanted.items()
        if len(values) == 1 and users[place] > 1 and "" not in values
    }  # fmt: skip


def _by_prefix(planner: _Planner, use: Use, home: Reference) -> WayHome | None:
    lead = leading_value(use)
    if lead is None or lead.place is None:
        return None
    place = (lead.place.file, lead.place.start, lead.place.end)
    text = planner.prefixes.get(place)
    if text is None or value_at_home(use, lead, home) != text:
        return None
    edits = [replace_at(lead.place, lead.value, text)]
    if home.digest is not None and use.reference is not None and use.reference.digest is None:
        return None
    return WayHome(edits=tuple(edits), note=f"{lead.name} is used by several images")


def _free(planner: _Planner, way: WayHome) -> WayHome:
    """The same way, unless another one edits the same bytes differently."""
    for file_edit in way.edits:
        edit = file_edit.edit
        for start, end, new in planner.taken[file_edit.file]:
            same = (start, end, new) == (edit.start, edit.end, edit.new)
            overlaps = edit.start < end and start < edit.end
            at_once = edit.start == start and (edit.start == edit.end or start == end)
            if not same and (overlaps or at_once):
                return WayHome(setting=edit.new, note="another edit changes the same bytes")
    for file_edit in way.edits:
        edit = file_edit.edit
        planner.taken[file_edit.file].append((edit.start, edit.end, edit.new))
    return way


def _pair(planner: _Planner, reference: Reference, home: Reference) -> None:
    pair = pair_for(reference, home, planner.pairs)
    planner.pairs.setdefault(pair.destination, pair)
