"""What an audit finds, as data: uses of images, causes of pulls, faults of files.

Readers make these; reports, policies and plans only look at them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from homeport.audit.source import Place, Quoting
from homeport.audit.trees import Tree
from homeport.oci.reference import Reference

Confidence = Literal["high", "medium", "low"]
Pin = Literal["digest", "fixed", "floating", "unknown"]

Level = Literal["high", "medium", "low"]

#: Certainty in order, best first.
CONFIDENCE: tuple[Confidence, ...] = ("high", "medium", "low")
#: How much a risk matters, worst first.
LEVELS: tuple[Level, ...] = ("high", "medium", "low")


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """A value that is substituted into a reference: an ARG, a variable, a parameter."""

    name: str
    value: str
    place: Place | None = None
    quoting: Quoting = "text"
    #: The file holds ``value`` literally at ``place``.
    exact: bool = False
    #: Other things that the value flows into, so that editing it changes them too.
    shared: bool = False
    note: str = ""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a reference that is written as several (registry, repository, tag, digest).

    A ``reference`` alone is the whole of one, in another place. ``key``: its path in the
    values of a chart.
    """

    value: str
    place: Place
    quoting: Quoting
    exact: bool
    key: str = ""


class Rewrite(msgspec.Struct, frozen=True, kw_only=True):
    """How a value is written when its reference becomes another one, and the edit needs more.

    place, old: the whole scalar, with its quotes
    text:       what replaces it: ``{scalar}`` after its edits, ``{new}`` the new repository
    """

    place: Place
    old: str
    text: str


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One image at one place.

    kind:        the kind of file (``dockerfile``, ``compose`` …)
    key:         instruction or path of keys
    expression:  as written; ``value``: after substitution, ``""`` when that failed
    problem:     why there is no ``reference``
    rule:        for an implicit image, the id of the rule that pulls it
    exact:       the file holds ``expression`` literally at ``place``
    fields:      the parts, where a reference is written in several values
    internal:    why this is not a foreign image: a build of the tree makes it
    rewrite:     what is written besides another reference, to keep the meaning of this one
    via:         your proxy that it is pulled through, so that no public registry is queried
    tree:        the kind of tree that the file is in, ``""`` for what is built and run
    """

    kind: str
    key: str
    place: Place
    expression: str
    value: str
    reference: Reference | None
    confidence: Confidence
    problem: str = ""
    rule: str = ""
    exact: bool = True
    quoting: Quoting = "text"
    feeds: tuple[Feed, ...] = ()
    fields: Mapping[str, Field] = msgspec.field(default_factory=dict)
    note: str = ""
    internal: str = ""
    via: str = ""
    tree: Tree = ""
    cause: Cause | None = None
    rewrite: Rewrite | None = None

    @property
    def image(self) -> str:
        """The normalised reference, or the expression when there is none."""
        if self.reference is not None:
            return str(self.reference)
        # The whole expression is clearer than a part of a value.
        return self.value if self.rule or not self.problem else self.expression


class Insertion(msgspec.Struct, frozen=True, kw_only=True):
    """Where a setting can be added below a cause: an input of a CI action.

    at:        byte offset for a new line
    text:      what the new line looks like, with ``{name}`` and ``{value}``
    existing:  settings that are there already, and their values
    places:    where the values of those are that can be replaced
    """

    at: int
    text: str
    existing: Mapping[str, str] = msgspec.field(default_factory=dict)
    places: Mapping[str, Place] = msgspec.field(default_factory=dict)


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Something that may make a tool pull an image implicitly.

    topic:       what kind of thing: ``action``, ``command``, ``syntax``, ``file``, ``object`` …
    name:        which one: ``docker/setup-qemu-action``, ``docker buildx create``
    version:     if the file gives one, else ``""``
    attributes:  what else rules may match
    text:        the file's text at ``place``
    """

    topic: str
    name: str
    place: Place
    kind: str
    key: str = ""
    version: str = ""
    attributes: Mapping[str, str] = msgspec.field(default_factory=dict)
    text: str = ""
    insertion: Insertion | None = None


class ExternalConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the configuration outside the tree that was not fetched.

    what:  what is named: a project, an address, a workflow of another repository
    hint:  what to do to have its images found too
    """

    place: Place
    key: str
    what: str
    hint: str


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """A file that could not be read, wholly or from a line on."""

    file: str
    what: str
    line: int = 0
    column: int = 0
