"""The home plan as a file: ``homeport-plan/v1`` (docs/formats/plan.md).

Reading and writing only. What goes into a plan is ``audit.planning``, what it does to
files is ``audit.applying``, what it copies is ``homeport mirror --file``.
"""

from __future__ import annotations

import posixpath
from typing import Any, Literal

import msgspec
import yaml

from homeport.audit.formats.strictyaml import BadFile, read_yaml
from homeport.errors import UsageError
from homeport.oci.reference import names_registry, parse_reference

SCHEMA = "homeport-plan/v1"

PlanAction = Literal["import", "build", "delete", "raise", "leave"]


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


class Instead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
    instead: tuple[Instead, ...] = ()
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
    mirror: tuple[Pair, ...] = ()
    instead: tuple[Instead, ...] = ()
    images: tuple[PlanImage, ...] = ()
    files: tuple[PlanFile, ...] = ()


def read_plan(data: bytes, file: str) -> Plan:
    """Read a plan. Raises ``BadFile``."""
    plan = read_yaml(data, file, Plan)
    if plan.schema != SCHEMA:
        raise BadFile(
            f"the schema is {plan.schema!r}, not {SCHEMA!r}",
            where={"file": file, "field": "schema"},
        )
    _check_mirror(plan, file)
    _check_files(plan, file)
    return plan


def write_plan(plan: Plan) -> bytes:
    """The plan as YAML; reading it gives the same plan."""
    document: dict[str, Any] = msgspec.to_builtins(plan)
    document.setdefault("mirror", [])
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


def _check_mirror(plan: Plan, file: str) -> None:
    seen: dict[str, int] = {}
    for number, pair in enumerate(plan.mirror):
        where: dict[str, str | int] = {"file": file, "field": f"mirror[{number}].destination"}
        text = pair.destination.removeprefix("docker://")
        try:
            reference = parse_reference(text)
        except UsageError as error:
            raise BadFile(error.what, where=where) from error
        if not names_registry(text):
            raise BadFile(f"the destination {text!r} names no registry", where=where)
        if reference.digest is not None:
            raise BadFile("a destination is named by a tag, not by a digest", where=where)
        if str(reference) in seen:
            raise BadFile(f"mirror[{seen[str(reference)]}] goes to {reference} too", where=where)
        seen[str(reference)] = number


def _check_files(plan: Plan, file: str) -> None:
    known = {entry.path for entry in plan.files}
    for entry in plan.files:
        if entry.path.startswith("/") or posixpath.normpath(entry.path).startswith(".."):
            where = {"file": file, "field": "files"}
            raise BadFile(f"{entry.path!r} does not lie below the working directory", where=where)
    for image in plan.images:
        for place in image.places:
            if place.every_edit and place.file not in known:
                where = {"file": file, "field": "files"}
                raise BadFile(f"{place.file!r} is edited but has no digest here", where=where)
