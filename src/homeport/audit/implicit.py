"""Causes and rules → the images that tools pull implicitly, and dead ones.

Everything that a tool's version decides needs a version: from the file, from an image
that the tree names, or from ``--assume``. Without one the use is marked as conditional.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec

from homeport.audit.model import Cause, Confidence, Use
from homeport.audit.reading.collector import read
from homeport.audit.rules import Rule, Tool, When
from homeport.audit.versions import within
from homeport.errors import UsageError

#: A version, and no commit.
_NUMBERED = re.compile(r"v?\d{1,9}(?:\.\d{1,9}){0,8}(?:[-+][\w.+-]{0,100})?$")
_ASSUMPTION = re.compile(r"([a-z0-9][a-z0-9_.-]*)=(v?\d[\w.+-]*)")
#: Images whose tag is the version of a tool.
_EVIDENCE = {
    "docker.io/library/docker": "docker",
    "docker.io/moby/buildkit": "buildkit",
    "docker.io/earthly/earthly": "earthly",
}
#: Docker's version from which on its BuildKit is at least this one (vendored in moby/moby).
_BUILDKIT_OF_DOCKER = (
    ("24", "0.11"), ("23", "0.10"), ("20.10", "0.8"), ("19.3", "0.6"), ("18.9", "0.3")
)  # fmt: skip


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A rule about an image that files do name."""

    image: str
    rule: Rule


class Implicit(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules made of the causes."""

    uses: tuple[Use, ...]
    verdicts: tuple[Verdict, ...]


def parse_assumptions(texts: Iterable[str]) -> dict[str, str]:
    """``TOOL=VERSION`` texts as a table. Raises ``UsageError``."""
    found: dict[str, str] = {}
    for text in texts:
        match = _ASSUMPTION.fullmatch(text)
        if match is None:
            raise UsageError(
                f"{text!r} must be TOOL=VERSION", hint="for example --assume docker=18.09"
            )
        found[match.group(1)] = match.group(2)
    return found


def apply_rules(
    causes: Iterable[Cause],
    uses: Sequence[Use],
    tools: Iterable[Tool],
    assumptions: Mapping[str, str] | None = None,
) -> Implicit:
    """Find what is pulled implicitly. ``assumptions``: tool → version."""
    given = _with_buildkit(assumptions or {})
    every = [*causes, *(_named(use) for use in uses if use.reference and not use.internal)]
    by_topic: dict[str, list[Cause]] = {}
    for cause in every:
        by_topic.setdefault(cause.topic, []).append(cause)
    evidence = _evidence(uses)
    found: list[Use] = []
    verdicts: dict[str, Verdict] = {}
    for tool in tools:
        for rule in tool.rules:
            if any(name in given for name in rule.other_tools):
                continue
            name = rule.tool or tool.tool
            version = given.get(name) or evidence.get(name) or _version(tool, by_topic)
            for use_or_image in _apply(rule, by_topic, name, version):
                if isinstance(use_or_image, Use):
                    found.append(use_or_image)
                else:
                    verdicts.setdefault(use_or_image, Verdict(image=use_or_image, rule=rule))
    return Implicit(uses=tuple(found), verdicts=tuple(verdicts.values()))


def _with_buildkit(assumptions: Mapping[str, str]) -> dict[str, str]:
    """A known Docker is a known BuildKit."""
    given = dict(assumptions)
    for docker, buildkit in _BUILDKIT_OF_DOCKER if "docker" in given else ():
        if within(given["docker"], docker, ""):
            given.setdefault("buildkit", buildkit)
    return given


def _named(use: Use) -> Cause:
    assert use.reference is not None
    return Cause(
        topic="image", name=use.reference.name, place=use.place, kind=use.kind, key=use.key,
        version=use.reference.tag, text=use.expression if use.exact else "",
        attributes={"image": use.image},
    )  # fmt: skip


def _evidence(uses: Sequence[Use]) -> dict[str, str]:
    found: dict[str, str] = {}
    for use in uses:
        tool = _EVIDENCE.get(use.reference.name) if use.reference else None
        if tool and use.reference and re.match(r"v?\d", use.reference.tag):
            found.setdefault(tool, use.reference.tag)
    return found


def _version(tool: Tool, by_topic: Mapping[str, list[Cause]]) -> str:
    """The version of a tool that one of its kinds of evidence gives."""
    for when in tool.evidence:
        for cause in by_topic.get(when.topic, ()):
            if _matches(when, cause) and _NUMBERED.match(cause.version):
                return cause.version
    return ""


def _apply(
    rule: Rule, by_topic: Mapping[str, list[Cause]], tool: str, version: str
) -> Iterable[Use | str]:
    seen: set[str] = set()
    bounded = bool(rule.since or rule.until)
    fits = within(version, rule.since, rule.until) if bounded and version else None
    if fits is False or (rule.needs == "assume" and not fits):
        return
    if any(_matches(w, c) for w in rule.unless for c in by_topic.get(w.topic, ())):
        return
    for when in rule.when:
        for cause in by_topic.get(when.topic, ()):
            answer = _matches(when, cause)
            if answer is False:
                continue
            if rule.dead:
                yield cause.attributes["image"]
                continue
            scope = {"place": f"{cause.place.file}:{cause.place.start}",
                     "file": cause.place.file, "tree": ""}[rule.once]  # fmt: skip
            if scope in seen:
                continue
            seen.add(scope)
            conditional = (bounded and fits is None) or answer is None
            yield _use(rule, when, cause, (tool, version), conditional=conditional)


@lru_cache(maxsize=4096)
def _fits(pattern: str, name: str) -> bool:
    """Whether a rule is for a name; a script has few names, and many causes of each."""
    return re.fullmatch(pattern, name) is not None


def _matches(when: When, cause: Cause) -> bool | None:
    """Whether a cause is meant; ``None`` if its version leaves that open."""
    if not _fits(when.name, cause.name):
        return False
    if not all(re.search(p, cause.attributes.get(n, "")) for n, p in when.attributes.items()):
        return False
    if any(re.search(p, cause.attributes.get(n, "")) for n, p in when.without.items()):
        return False
    if when.since or when.until:
        return within(cause.version, when.since, when.until)
    return True


def _filled_in(rule: Rule, tool: str, version: str, ref: str) -> tuple[str, str]:
    """The image with its tag, or a stand-in and why the tag is not known."""
    image = _image(rule, version)
    if "{ref}" in image:
        if not _NUMBERED.match(ref):
            return image.replace("{ref}", "VERSION"), f"the tag is the version of {tool}"
        return image.replace("{ref}", ref), ""
    if "{tag}" in image:
        return image.replace("{tag}", "TAG"), "the tool chooses the tag"
    if "{" in image and not version:
        image = image.replace("{version}", "VERSION").replace("{number}", "VERSION")
        return image, f"the tag is the version of {tool}; set it with --assume {tool}=VERSION"
    return image.replace("{version}", version).replace("{number}", version.removeprefix("v")), ""


def _image(rule: Rule, version: str) -> str:
    """The image of a version; that of the newest when none is known."""
    found = rule.image
    for older in rule.older:
        if version and within(version, "", older.until):
            found = older.image
    return found


def _use(rule: Rule, when: When, cause: Cause, known: tuple[str, str], *, conditional: bool) -> Use:
    if not known[1] and cause.topic == "package" and _NUMBERED.match(cause.version):
        known = (known[0], cause.version)
    image, problem = _filled_in(rule, *known, cause.version)
    reference, problem = (None, problem) if problem else read(image)
    note = rule.title
    confidence: Confidence = rule.confidence
    if conditional:
        since, until = rule.since or when.since, rule.until or when.until
        bounds = [f"{since} or later" if since else "", f"older than {until}" if until else ""]
        note += f", if {rule.tool or 'its version'} is {' and '.join(b for b in bounds if b)}"
        confidence = "low" if confidence == "low" else "medium"
    return Use(
        kind=cause.kind, key=cause.key or cause.name, place=cause.place,
        expression=cause.text or cause.name, value=image, reference=reference,
        confidence=confidence, problem=problem, rule=rule.id, exact=False, note=note, cause=cause,
    )  # fmt: skip
