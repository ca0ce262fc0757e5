"""A report → the plan that brings every image home (docs/formats/plan.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import msgspec

from homeport.audit.assessment import Image, Report
from homeport.audit.model import Use
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
from homeport.audit.plan.planfile import (
    SCHEMA,
    Edit,
    Pair,
    Plan,
    PlanAction,
    PlanFile,
    PlanImage,
    PlanPlace,
    pair_for,
)
from homeport.audit.rules import Rule
from homeport.content.digest import Digest
from homeport.errors import UsageError
from homeport.oci.reference import BadReference, Reference, names_registry, parse_reference

#: Images that a recipe of the catalog builds.
RECIPES: Mapping[str, str] = {
    "docker.io/docker/dockerfile-copy": "dockerfile-copy",
    "docker.io/tonistiigi/copy": "dockerfile-copy",
    "docker.io/docker/buildkit-syft-scanner": "sbom-scanner",
}


_DELETE = "delete what uses it"

Range = tuple[str, int, int]


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
    rules: Mapping[str, Rule]
    dead: Mapping[str, Rule]
    recipes: frozenset[str]
    siblings: Mapping[Range, list[Use]]
    raised: Mapping[Range, Reference]
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
    taken: dict[str, list[tuple[int, int, str]]] = msgspec.field(
        default_factory=lambda: defaultdict(list)
    )


def make_draft(
    report: Report,
    *,
    home: str,
    rules: Mapping[str, Rule],
    dead: Mapping[str, Rule],
    recipes: Iterable[str],
    digest_of: Callable[[str], str],
    decisions: Plan | None = None,
    only_places: bool = False,
    refused: Mapping[Spot, str] | None = None,
) -> Draft:
    """Plan for every image of ``report``.

    dead:       obsolete images, and the rules that mark them
    recipes:    what the catalog can build
    digest_of:  the SHA-256 (hex) of an audited file
    decisions:  an earlier plan, whose actions and references at home are kept
    only_places: edit no place that is not in the earlier plan
    refused:    places that are not edited, and why
    """
    check_home(home)
    siblings: dict[Range, list[Use]] = defaultdict(list)
    for image in report.images:
        for use in image.uses:
            siblings[_spot(use)].append(use)
    every = spots(use for image in report.images for use in image.uses)
    planner = _Planner(
        home, rules, dead, frozenset(recipes), siblings, _raised(report, rules),
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
        config_files=engine_configs(planner.imported, home), images=images,
        files=tuple(PlanFile(path=f, sha256=digest_of(f)) for f in edited),
    )  # fmt: skip
    return Draft(plan, planner.promises, planner.editors, every)


def check_home(home: str) -> None:
    """Raise ``UsageError`` unless images can live below ``home``."""
    if not home:
        raise UsageError("a plan needs the registry of your own images", hint="--home PREFIX")
    try:
        parse_reference(f"{home}/x:1")
    except BadReference as error:
        raise UsageError(f"--home {home}: {error.what}") from error
    if not names_registry(f"{home}/x"):
        raise UsageError(f"--home {home!r}: no registry", hint="for example registry.example")


def home_of(reference: Reference, home: str) -> Reference:
    """Where ``reference`` lives at home."""
    host = reference.registry.replace(":", "_").replace("[", "").replace("]", "").lower()
    return parse_reference(
        f"{home}/{host}/{reference.repository}"
        + (f":{reference.tag}" if reference.tag else "")
        + (f"@{reference.digest}" if reference.digest else "")
    )


def _raised(report: Report, rules: Mapping[str, Rule]) -> dict[Range, Reference]:
    """Places whose image is replaced by a newer one, because of what the old one pulls."""
    return {
        _spot(use): parse_reference(rules[use.rule].upgrade_to)
        for image in report.images
        for use in image.uses
        if use.rule in rules and rules[use.rule].upgrade_to and use.cause and use.cause.text
    }


def _spot(use: Use) -> Range:
    return (use.place.file, use.place.start, use.place.end)


def _image(planner: _Planner, image: Image) -> PlanImage:
    action, why = _action(planner, image)
    decided = planner.decisions.get(image.name)
    if decided is not None and image.reference is not None and decided.action != action:
        action, why = decided.action, decided.why
    if action == "leave" or image.reference is None:
        _promised(planner, image.uses)
        return PlanImage(image=image.name, action="leave", why=why, places=_bare(image.uses))
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
        if action == "import":
            _pair(planner, reference, home)
        return PlanImage(
            image=image.name, action=action, why=why, home=str(home),
            recipe=RECIPES.get(reference.name, "") if action == "build" else "",
            config_files=helm_values(image.uses, home),
            places=_merged(places),
        )  # fmt: skip
    return PlanImage(image=image.name, action=action, why=why, places=_merged(places))


def _action(planner: _Planner, image: Image) -> tuple[PlanAction, str]:
    if reason := _reason_to_leave(image):
        return "leave", reason
    assert image.reference is not None
    if (rule := planner.dead.get(image.name)) is not None:
        return rule.action, rule.why
    if all(_spot(use) in planner.raised and not use.rule for use in image.uses):
        return "upgrade", f"{planner.raised[_spot(image.uses[0])].familiar} pulls no other image"
    rules = [planner.rules[use.rule] for use in image.uses if use.rule in planner.rules]
    wanted = {rule.action for rule in rules}
    if len(rules) == len(image.uses) and len(wanted) == 1 and wanted != {"import"}:
        return rules[0].action, rules[0].why
    if RECIPES.get(image.reference.name) in planner.recipes:
        return "build", "the catalog has a recipe for it"
    count = len(image.uses)
    return "import", f"used in {count} place{'s' if count > 1 else ''}, {image.pin}"


def _reason_to_leave(image: Image) -> str:
    if image.internal:
        return image.internal
    if image.reference is None:
        problems = sorted({use.problem for use in image.uses if use.problem})
        return f"not resolved: {'; '.join(problems)}"
    if image.lookup and image.lookup.gone:
        return f"{image.lookup.problem}: use another image, or push the copy that you have"
    if image.confidence == "low":
        return "only in commands, or optional; check the places by hand"
    if all(use.note == "a build cache" for use in image.uses):
        return "a build cache"
    return ""


def _promised(planner: _Planner, uses: Iterable[Use]) -> None:
    """These places stay as they are."""
    for use in uses:
        planner.promises[planner.spots[id(use)]].append(Promise(image=use.image))


def _place(
    planner: _Planner, image: Image, use: Use, home: Reference, action: PlanAction
) -> tuple[Use, WayHome]:
    """The way home of a use, unless it was refused; what it promises is noted."""
    spot = planner.spots[id(use)]
    target = planner.raised.get(_spot(use))
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
    if (better := planner.raised.get(_spot(use))) is not None:
        if use.rule:
            return WayHome(note=f"{better.familiar} replaces it and does not need it")
        target = home_of(better, planner.home)
        _pair(planner, better, target)
        return _free(planner, way_home(use, target, f"{planner.home}/"))
    if use.rule:
        rule = planner.rules[use.rule]
        return _free(planner, way_of_rule(use, rule, str(home)))
    if action in ("delete", "upgrade"):
        dead = planner.dead.get(image.name)
        return WayHome(setting=dead.override[0].setting if dead and dead.override else _DELETE)
    return _free(planner, _by_edits(planner, image, use, home))


def _by_edits(planner: _Planner, image: Image, use: Use, home: Reference) -> WayHome:
    if use.kind == "kubernetes" and use.key.startswith("images["):
        return _kustomized(planner, use, home)
    if use.kind == "earthfile" and _in_commands(image, use):
        note = "commands of this file name the image, too: edit them together"
        return WayHome(setting=f"{use.key} {home}", note=note)
    siblings = [other for other in planner.siblings[_spot(use)] if other is not use]
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
        action, _ = _action(planner, image)
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
        action, _ = _action(planner, image)
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


def _merged(places: Iterable[tuple[Use, WayHome]]) -> tuple[PlanPlace, ...]:
    """Places for the plan; an edit that several uses share is made once, in its own file."""
    made: set[tuple[str, int, int, str]] = set()
    found: list[PlanPlace] = []
    for use, way in places:
        by_file: dict[str, list[Edit]] = defaultdict(list)
        lines: dict[str, int] = {}
        for file_edit in way.edits:
            edit = file_edit.edit
            identity = (file_edit.file, edit.start, edit.end, edit.new)
            if identity not in made:
                made.add(identity)
                by_file[file_edit.file].append(edit)
                # The line of the use, or of the value elsewhere that it comes from.
                at = file_edit.line if file_edit.file != use.place.file else use.place.line
                lines.setdefault(file_edit.file, at)
        for file, edits in by_file.items() or [(use.place.file, [])]:
            found.append(
                PlanPlace(
                    file=file, line=lines.get(file, use.place.line), key=use.key, rule=use.rule,
                    edit=edits[0] if len(edits) == 1 else None,
                    edits=tuple(edits) if len(edits) > 1 else (),
                    setting=way.setting, note=way.note or _elsewhere(use, file),
                )
            )  # fmt: skip
    return tuple(found)


def _elsewhere(use: Use, file: str) -> str:
    if file == use.place.file:
        return ""
    return f"for {use.key} in {use.place.file}, line {use.place.line}"


def _bare(uses: Iterable[Use]) -> tuple[PlanPlace, ...]:
    return tuple(
        PlanPlace(file=u.place.file, line=u.place.line, key=u.key, rule=u.rule) for u in uses
    )


def _pair(planner: _Planner, reference: Reference, home: Reference) -> None:
    pair = pair_for(reference, home, planner.pairs)
    planner.pairs.setdefault(pair.destination, pair)


def edits_of(plan: Plan) -> dict[str, list[Edit]]:
    """All edits of a plan by file, in order, each once."""
    found: dict[str, list[Edit]] = defaultdict(list)
    for image in plan.images:
        for place in image.places:
            found[place.file].extend(place.every_edit)
    return {
        file: sorted(dict.fromkeys(edits), key=lambda e: (e.start, e.end))
        for file, edits in found.items()
    }
