"""The home plan as a file: ``homeport-plan/v1`` (docs/formats/plan.md).

Reading and writing only. What goes into a plan is ``audit.plan.planning``, what it does to
files is ``audit.plan.applying``, what it copies is ``homeport mirror --file``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from homeport.audit.own_files import check_schema, read_own
from homeport.content.files import read_input, write_file
from homeport.errors import UsageError
from homeport.oci.reference import Reference, names_registry, parse_reference
from homeport.yamlfile.typed import TypedFile

SCHEMA = "homeport-plan/v1"
_LIMIT = 16 << 20

PlanAction = Literal["import", "build", "delete", "upgrade", "leave"]


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bytes ``start`` to ``end`` of a file are ``old`` and become ``new``."""

    start: int
    end: int
    old: str
    new: str


class PlanPlace(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One use of an image and what is done about it."""

    file: str
    line: int
    key: str = ""
    rule: str = ""
    edit: Edit | None = None
    edits: tuple[Edit, ...] = ()
    setting: str = ""
    note: str = ""

    @property
    def every_edit(self) -> tuple[Edit, ...]:
        """``edit`` and ``edits`` alike."""
        return (self.edit, *self.edits) if self.edit else self.edits


class ConfigFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way home that edits nothing of what was audited."""

    engine: str
    file: str
    text: str


class PlanImage(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One image and what to do with it."""

    image: str
    action: PlanAction
    why: str
    home: str = ""
    recipe: str = ""
    config_files: tuple[ConfigFile, ...] = ()
    places: tuple[PlanPlace, ...] = ()


class Pair(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One image to copy: the pairs file of ``homeport mirror --file``."""

    source: str
    destination: str
    platforms: Literal["all"] | tuple[str, ...] = "all"
    referrers: bool = False
    note: str = ""


class Audited(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What was audited, so that ``--apply`` audits the same."""

    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    assume: tuple[str, ...] = ()


class PlanFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that is edited, as it was when the plan was made."""

    path: str
    sha256: str


class Plan(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A whole plan."""

    schema: str
    home: str = ""
    audited: Audited = msgspec.field(default_factory=Audited)
    mirror: tuple[Pair, ...] = ()
    config_files: tuple[ConfigFile, ...] = ()
    images: tuple[PlanImage, ...] = ()
    files: tuple[PlanFile, ...] = ()


def pair_for(source: Reference, home: Reference, known: Mapping[str, Pair]) -> Pair:
    """The pair that copies an image home. ``known``: the other pairs, by destination."""
    tag = home.tag or (f"by-digest-{home.digest.hex[:12]}" if home.digest else "")
    destination = f"{home.name}:{tag}"
    other = known.get(destination)
    if other is not None and other.source != str(source) and source.digest is not None:
        destination = f"{destination}-{source.digest.hex[:12]}"
    return Pair(source=str(source), destination=destination)


def pairs_of(plan: Plan) -> tuple[Pair, ...]:
    """What is copied: every image with action ``import``, and the pairs that are listed."""
    found: dict[str, Pair] = {}
    for image in plan.images:
        if image.action != "import" or not image.home:
            continue
        source, home = parse_reference(image.image), parse_reference(image.home)
        if home.digest is not None and source.digest is None:
            source = msgspec.structs.replace(source, digest=home.digest)
        pair = pair_for(source, home, found)
        found.setdefault(pair.destination, pair)
    listed = {pair.destination: pair for pair in plan.mirror}
    return tuple(sorted({**found, **listed}.values(), key=lambda pair: pair.destination))


def read_plan(data: bytes, file: str) -> Plan:
    """Read a plan. Raises ``BadFile``, or ``Faults`` of several."""
    read = read_own(data, file, Plan)
    check_schema(read, read.value.schema, SCHEMA)
    _check_mirror(read)
    _check_files(read)
    _check_images(read)
    return read.check()


def read_plan_file(path: Path) -> Plan:
    """Read a plan of this machine. Raises ``BadFile``, or ``Faults`` of several."""
    return read_plan(read_input(path, _LIMIT), str(path))


def write_plan_file(path: Path, plan: Plan) -> None:
    """Write the plan to a file."""
    write_file(path, write_plan(plan))


def write_plan(plan: Plan) -> bytes:
    """The plan as YAML: the decisions. Edits and pairs follow from them."""
    images = tuple(
        msgspec.structs.replace(
            image,
            places=tuple(
                msgspec.structs.replace(place, edit=None, edits=()) for place in image.places
            ),
        )
        for image in plan.images
    )
    follow = pairs_of(msgspec.structs.replace(plan, mirror=()))
    mirror = tuple(pair for pair in plan.mirror if pair not in follow)
    written = msgspec.structs.replace(plan, images=images, mirror=mirror)
    document: dict[str, Any] = msgspec.to_builtins(written)
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 30
    )
    return text.encode()


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and not text.startswith((" ", "\n")) and "\r" not in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _check_mirror(read: TypedFile[Plan]) -> None:
    seen: dict[str, int] = {}
    for number, pair in enumerate(read.value.mirror):
        field = ("mirror", number, "destination")
        text = pair.destination.removeprefix("docker://")
        try:
            reference = parse_reference(text)
        except UsageError as error:
            read.fault(field, error.what, error.hint)
            continue
        if not names_registry(text):
            read.fault(field, f"missing registry in the destination {text!r}")
        if reference.digest is not None:
            read.fault(field, "a destination has a tag, not a digest")
        first = seen.setdefault(str(reference), number)
        if first != number:
            read.fault(field, f"duplicate destination {reference}, first in mirror[{first}]")


def _check_images(read: TypedFile[Plan]) -> None:
    for at, image in enumerate(read.value.images):
        field = ("images", at, "home")
        if image.action in ("import", "build") and not image.home:
            read.fault(field, f"{image.image}: action {image.action} needs a home")
        elif image.home:
            try:
                parse_reference(image.home)
            except UsageError as error:
                read.fault(field, error.what, error.hint)
        if image.action == "import":
            try:
                parse_reference(image.image)
            except UsageError as error:
                read.fault(("images", at, "image"), error.what, "use the action leave")
        for number, place in enumerate(image.places):
            if place.every_edit:
                read.fault(("images", at, "places", number), "a plan holds no edits",
                           "change the image's action or home")  # fmt: skip


def _check_files(read: TypedFile[Plan]) -> None:
    for number, entry in enumerate(read.value.files):
        outside = entry.path.startswith("/") or posixpath.normpath(entry.path).startswith("..")
        if outside or "\0" in entry.path:
            what = f"{entry.path!r} is not below the working directory"
            read.fault(["files", number, "path"], what)
