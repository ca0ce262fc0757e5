"""``homeport doctor``: what Homeport depends on, and what to do where something is wrong."""

from __future__ import annotations

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.recipe_archives import recipe_option
from homeport.cli.recipe_options import mirrors_option
from homeport.cli.screen import Column, Screen
from homeport.doctor.finding import Finding
from homeport.errors import AnswerNo
from homeport.oci.reference import registry_name
from homeport.quantities import counted

_COLUMNS = (
    Column(name="state"),
    Column(name="what"),
    Column(name="name", least=20),
    Column(name="found", least=28),
)
_STYLES = {"ok": "good", "failed": "bad", "warning": "medium", "note": "low", "skipped": "dim"}


@click.command(
    name="doctor",
    epilog="""\b
Examples:
  homeport doctor
  homeport doctor registry.example --recipe images/tools
  homeport doctor --offline --format json
""",
)
@click.argument("registries", nargs=-1, metavar="[REGISTRY]...")
@recipe_option
@mirrors_option
@common
def command(
    session: Session, *, registries: tuple[str, ...], recipe: str, mirrors: tuple[str, ...]
) -> None:
    """Check cache, clock, mirrors, registries and engines.

    Says what to do about each. Without REGISTRY, asks those with a login in the files of docker
    and podman; each gets its own login, and only if it asks for one. Exits with 3 if something
    failed.
    """
    for name in registries:
        registry_name(name)  # before anything else is asked
    with session.app() as app:
        found = app.doctor(registries, recipe=recipe, mirrors=mirrors)
    failed = sum(each.state == "failed" for each in found)
    session.output.write(
        {"schema": "homeport-doctor/v1", "findings": msgspec.to_builtins(found), "failed": failed},
        _text(found, failed, session.screen),
        quiet_text="\n".join(
            f"{each.state} {each.area} {each.name}: {each.text}"
            for each in found
            if each.state in ("failed", "warning")
        ),
    )
    if failed:
        raise AnswerNo(f"{counted(failed, 'check')} failed")


def _text(found: tuple[Finding, ...], failed: int, screen: Screen) -> str:
    rows = [((each.state, _STYLES[each.state]), each.area, each.name, each.text) for each in found]
    lines = [screen.table(_COLUMNS, rows)]
    advised = [each for each in found if each.advice]
    if advised:
        lines += ["", "to do:"]
        lines += [f"  {each.area} {each.name}: {each.advice}" for each in advised]
    good = sum(each.state == "ok" for each in found)
    return "\n".join([*lines, "", f"{counted(good, 'check')} passed, {failed} failed"])
