"""What becomes of an image, and where it lives at home."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from homeport.audit.assessment import Image, Report
from homeport.audit.model import Use
from homeport.audit.plan.catalog_images import recipe_for
from homeport.audit.plan.planfile import PlanAction
from homeport.audit.rules import Rule
from homeport.errors import UsageError
from homeport.oci.reference import BadReference, Reference, names_registry, parse_reference

#: File, first byte and end.
Range = tuple[str, int, int]


class Knowledge(msgspec.Struct, frozen=True):
    """What decides about images.

    dead:    obsolete images, and the rules that mark them
    raised:  places whose image is replaced by a newer one, because of what the old one pulls
    """

    rules: Mapping[str, Rule]
    dead: Mapping[str, Rule]
    raised: Mapping[Range, Reference]


def knowledge_of(report: Report, rules: Mapping[str, Rule], dead: Mapping[str, Rule]) -> Knowledge:
    """What is known about the images of a report."""
    return Knowledge(rules, dead, _raised(report, rules))


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
    """Where a newer image is named instead."""
    return {
        range_of(use): parse_reference(rules[use.rule].upgrade_to)
        for image in report.images
        for use in image.uses
        if use.rule in rules and rules[use.rule].upgrade_to and use.cause and use.cause.text
    }


def range_of(use: Use) -> Range:
    """The bytes that a use is read from."""
    return (use.place.file, use.place.start, use.place.end)


def action_for(image: Image, known: Knowledge) -> tuple[PlanAction, str]:
    """What to do with an image, and why."""
    if reason := _reason_to_leave(image):
        return "leave", reason
    assert image.reference is not None
    if (rule := known.dead.get(image.name)) is not None:
        return rule.action, rule.why
    if all(range_of(use) in known.raised and not use.rule for use in image.uses):
        return "upgrade", f"{known.raised[range_of(image.uses[0])].familiar} pulls no other image"
    rules = [known.rules[use.rule] for use in image.uses if use.rule in known.rules]
    wanted = {rule.action for rule in rules}
    if len(rules) == len(image.uses) and len(wanted) == 1 and wanted != {"import"}:
        return rules[0].action, rules[0].why
    if recipe_for(image.reference):
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
