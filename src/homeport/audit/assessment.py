"""Uses → images: one row for each, with what makes it a risk.

Pure computation: it queries no registry (``audit.registry_lookup`` does) and prints nothing.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from homeport.audit.facts import EndOfLife, RegistryFacts, end_of_life, pin_of, registry_facts
from homeport.audit.model import (
    CONFIDENCE,
    LEVELS,
    Cause,
    Confidence,
    ExternalConfig,
    Level,
    Pin,
    Unread,
    Use,
)
from homeport.audit.rules import Rule
from homeport.audit.source import Place
from homeport.audit.trees import TREES, Tree
from homeport.oci.reference import Reference, parse_reference

#: Kinds whose files are read anew by every run of a pipeline.
PIPELINES = frozenset(
    ("gitlab", "github", "circleci", "jenkins", "drone", "tekton", "azure", "bitbucket",
     "cloudbuild", "buildkite", "concourse", "travis")
)  # fmt: skip

_UNPINNED = "tag not pinned"


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """One reason to act; ``id`` has a page in docs/findings. ``brief``: for a line of a table."""

    id: str
    level: Level
    brief: str
    text: str


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry answered (``--online``).

    created:  when the image was built, ``""`` if unknown
    moved:    the tag beside a digest is another image now
    one_platform: the digest is one platform's manifest of the index that the tag names
    gone:     there is no such image; other problems mean that the registry did not answer
    """

    digest: str = ""
    created: str = ""
    platforms: tuple[str, ...] = ()
    moved: bool = False
    one_platform: bool = False
    gone: bool = False
    problem: str = ""
    note: str = ""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """One image and everything that uses it."""

    name: str
    reference: Reference | None
    pin: Pin
    confidence: Confidence
    uses: tuple[Use, ...]
    home: bool
    registry: RegistryFacts | None
    end_of_life: EndOfLife | None
    risks: tuple[Risk, ...]
    lookup: Lookup | None = None

    @property
    def explicit(self) -> bool:
        """Whether any file names it; otherwise only rules do."""
        return any(not use.rule for use in self.uses)

    @property
    def rules(self) -> list[str]:
        """The rules that pull it."""
        return sorted({use.rule for use in self.uses if use.rule})

    @property
    def internal(self) -> str:
        """Why it is an internal image, if every use gives a reason."""
        reasons = [use.internal or use.via for use in self.uses]
        return reasons[0] if all(reasons) else ""

    @property
    def foreign(self) -> bool:
        """Whether it comes from a registry of others."""
        return not self.home and not self.internal

    @property
    def tree(self) -> Tree:
        """The kind of tree that all files with it are in; ``""`` if it is built or run, too."""
        trees = {use.tree for use in self.uses}
        return "" if "" in trees else min(trees, key=TREES.index)

    @property
    def level(self) -> Level:
        """The worst of its risks; low where all uses are uncertain or in trees apart."""
        if self.tree or self.confidence == "low":
            return "low"
        return min((risk.level for risk in self.risks), key=LEVELS.index, default="low")


class PullCount(msgspec.Struct, frozen=True, kw_only=True):
    """Anonymous pulls that one run of every pipeline makes of a limited registry."""

    registry: str
    pulls: int
    limit: int
    hours: int

    @property
    def runs(self) -> int:
        """How many runs fit into the limit."""
        return self.limit // self.pulls if self.pulls else 0


class Mirror(msgspec.Struct, frozen=True, kw_only=True):
    """A setting, found in the tree, that redirects pulls of a registry."""

    registry: str
    to: str
    engine: str
    place: Place


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of an audit."""

    images: tuple[Image, ...]
    unread: tuple[Unread, ...]
    files: int
    read: int
    pulls: tuple[PullCount, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    external: tuple[ExternalConfig, ...] = ()
    home: str = ""
    baseline: frozenset[str] = msgspec.field(default_factory=frozenset)

    @property
    def foreign(self) -> tuple[Image, ...]:
        """Images that come from registries of others."""
        return tuple(image for image in self.images if image.foreign)


def make_report(
    uses: Iterable[Use],
    *,
    causes: Iterable[Cause] = (),
    unread: Iterable[Unread] = (),
    external: Iterable[ExternalConfig] = (),
    files: int = 0,
    read: int = 0,
    home: str = "",
    dead: Mapping[str, Rule] | None = None,
    today: datetime.date | None = None,
) -> Report:
    """Group uses by image and judge each.

    home:  registry and path of your own images
    dead:  obsolete images, and the rules that mark them
    """
    groups: dict[str, list[Use]] = defaultdict(list)
    for use in uses:
        groups[use.image].append(use)
    today = today or datetime.datetime.now(datetime.UTC).date()
    images = tuple(
        _with_dead(_image(name, tuple(groups[name]), home, today), dead or {})
        for name in sorted(groups)
    )
    return Report(
        images=images, unread=tuple(unread), files=files, read=read, home=home,
        pulls=_pulls(images), mirrors=tuple(_mirrors(causes)),
        external=tuple(external),
    )  # fmt: skip


def _image(name: str, uses: tuple[Use, ...], home: str, today: datetime.date) -> Image:
    reference = uses[0].reference
    pin = pin_of(reference)
    confidence = min((use.confidence for use in uses), key=CONFIDENCE.index)
    ends = end_of_life(reference) if reference else None
    facts = registry_facts(reference.registry) if reference else None
    at_home = is_home(reference, home)
    bare = Image(
        name=name, reference=reference, pin=pin, confidence=confidence, uses=uses, home=at_home,
        registry=facts, end_of_life=ends, risks=(),
    )  # fmt: skip
    return msgspec.structs.replace(bare, risks=tuple(_risks(bare, today)))


def _with_dead(image: Image, dead: Mapping[str, Rule]) -> Image:
    rule = dead.get(image.name)
    if rule is None or image.internal:
        return image
    risk = Risk(
        id=rule.id, level="medium", brief="not needed any more", text=f"{rule.title}: {rule.why}"
    )
    return msgspec.structs.replace(image, risks=(risk, *image.risks))


def is_home(reference: Reference | None, home: str) -> bool:
    """Whether a reference lies under the registry and path of your own images."""
    if reference is None or not home:
        return False
    name = parse_reference(f"{home}/x").name.removesuffix("/x")
    return reference.name == name or reference.name.startswith(f"{name}/")


def _risks(image: Image, today: datetime.date) -> Iterable[Risk]:
    if image.internal:
        return
    problems = {use.problem for use in image.uses if use.problem}
    if image.reference is None:
        yield Risk(
            id="unresolved", level="medium", brief="not resolved",
            text="; ".join(sorted(problems)),
        )  # fmt: skip
        return
    ends = image.end_of_life
    if ends is not None and ends.ends < today:
        brief = f"end of life since {ends.ends}"
        text = f"{ends.title} {ends.release} has had no security support since {ends.ends}"
        yield Risk(id="end-of-life", level="high", brief=brief, text=text)
    if image.home:
        if image.pin == "floating":
            yield Risk(
                id="floating",
                level="low",
                brief=_UNPINNED,
                text="the tag may move to another image",
            )
        return
    if image.pin == "floating":
        level: Level = "medium" if image.confidence == "high" else "low"
        yield Risk(
            id="floating", level=level, brief=_UNPINNED,
            text="the tag is not pinned and moves to new images",
        )  # fmt: skip
    elif image.pin == "fixed":
        yield Risk(
            id="fixed-by-convention", level="low", brief="tag fixed by convention only",
            text="only convention keeps the tag in place",
        )  # fmt: skip
    if not image.explicit:
        yield Risk(
            id="implicit", level="medium", brief=f"pulled implicitly ({', '.join(image.rules)})",
            text="a tool pulls it; no file names it",
        )  # fmt: skip
    if image.registry is not None and image.registry.pulls:
        facts = image.registry
        yield Risk(
            id="rate-limited", level="low", brief="anonymous pulls limited",
            text=f"{facts.title} allows {facts.pulls} anonymous pulls in {facts.hours} hours",
        )  # fmt: skip
    yield Risk(
        id="foreign", level="low", brief="foreign", text=f"{image.reference.registry} is not yours"
    )


def _pulls(images: tuple[Image, ...]) -> tuple[PullCount, ...]:
    counts: dict[str, int] = defaultdict(int)
    pipelines = 0
    for image in images:
        if image.registry is None or not image.registry.pulls or image.internal:
            continue
        jobs = sum(1 for use in image.uses if use.kind in PIPELINES and use.confidence != "low")
        builds = any(use.kind == "dockerfile" and use.confidence != "low" for use in image.uses)
        counts[image.registry.host] += jobs + builds
        pipelines += jobs
    if not pipelines:
        return ()
    return tuple(
        PullCount(registry=host, pulls=pulls, limit=facts.pulls, hours=facts.hours)
        for host, pulls in sorted(counts.items())
        if pulls and (facts := registry_facts(host))
    )


def _mirrors(causes: Iterable[Cause]) -> Iterable[Mirror]:
    for cause in causes:
        if cause.topic == "mirror":
            yield Mirror(
                registry=cause.name, to=cause.attributes.get("to", ""),
                engine=cause.attributes.get("engine", ""), place=cause.place,
            )  # fmt: skip
