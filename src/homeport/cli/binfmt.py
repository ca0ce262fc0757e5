"""``homeport binfmt``: programs of other architectures on this machine."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.screen import Column, Screen
from homeport.cli.subcommand import CommandGroup
from homeport.errors import AnswerNo, UsageError
from homeport.oci.platform import parse_platforms
from homeport.printable import printable

if TYPE_CHECKING:
    from homeport.binfmt.rootless import Registered
    from homeport.binfmt.status import Emulation, EmulationStatus

_COLUMNS = (
    Column(name="platform"),
    Column(name="state"),
    Column(name="containers"),
    Column(name="emulator", least=20),
    Column(name="flags", drop=1),
    Column(name="entry", drop=2),
)
_STYLES = {"native": "good", "emulated": "good", "broken": "bad", "disabled": "medium",
           "missing": "low"}  # fmt: skip


@click.group(cls=CommandGroup, name="binfmt")
def command() -> None:
    """Show and register emulators of other architectures."""


@command.command(
    name="status",
    epilog="""\b
Examples:
  homeport binfmt status
  homeport binfmt status linux/arm64 linux/s390x
  homeport binfmt status --root /mnt/proc/sys/fs/binfmt_misc --format json
""",
)
@click.argument("platforms", nargs=-1, metavar="[PLATFORM]...")
@click.option(
    "--root", type=click.Path(path_type=Path), metavar="DIR",
    help="Read entries of binfmt_misc from DIR, and run nothing."
    "  [default: /proc/sys/fs/binfmt_misc]",
)  # fmt: skip
@common
def status(session: Session, *, platforms: tuple[str, ...], root: Path | None) -> None:
    """Show which architectures' programs this machine runs, and by what.

    Runs the smallest program of each architecture, reads what is registered with the kernel
    (binfmt_misc), and says what to do next. CONTAINERS: whether programs run in a container that
    does not have the emulator. Exits with 3 if a PLATFORM that is named does not run.
    """
    wanted = {*_architectures(platforms)}
    with session.app() as app:
        found = app.binfmt_status(root)
    shown = [each for each in found.platforms if not wanted or each.architecture in wanted]
    if unknown := wanted - {each.architecture for each in shown}:
        raise UsageError(
            f"no emulator is known for {', '.join(sorted(unknown))}",
            hint="known: " + ", ".join(each.platform for each in found.platforms),
        )
    failed = [each for each in shown if wanted and not each.runs]
    session.output.write(
        {
            "schema": "homeport-binfmt-status/v1",
            "directory": found.directory,
            "mounted": found.mounted,
            "enabled": found.enabled,
            "platforms": [_document(each) for each in shown],
            "others": list(found.others),
            "advice": list(found.advice),
        },
        _text(found, shown, session.screen),
        quiet_text="\n".join(each.platform for each in shown if each.runs),
    )
    if failed:
        raise AnswerNo("this machine does not run " + ", ".join(each.platform for each in failed))


def _architectures(platforms: Sequence[str]) -> list[str]:
    """What is named, each once; empty: all."""
    found = (parse_platforms(platforms) or []) if platforms else []
    return list(dict.fromkeys(each.architecture for each in found))


def _document(each: Emulation) -> dict[str, object]:
    """docs/formats/binfmt.md."""
    fields: dict[str, object] = msgspec.to_builtins(each)
    del fields["architecture"]
    return {"platform": each.platform, "runs": each.runs, **fields}


def _text(found: EmulationStatus, shown: list[Emulation], screen: Screen) -> str:
    rows = [
        (
            each.platform,
            (each.state, _STYLES[each.state]),
            "yes" if each.state == "native" or each.in_containers else "no",
            printable(each.emulator),
            printable(each.flags),
            printable(each.entry),
        )
        for each in shown
    ]
    lines = [screen.table(_COLUMNS, rows)]
    if found.others:
        names = ", ".join(printable(name) for name in found.others)
        lines += ["", f"other entries: {names}"]
    if found.advice:
        lines += ["", "to do:", *(f"  {printable(each)}" for each in found.advice)]
    return "\n".join(lines)


@command.command(
    name="install",
    epilog="""\b
Examples:
  homeport binfmt install --rootless oci:binfmt.oci
  homeport binfmt install --rootless oci:binfmt.oci -- buildah bud --platform linux/arm64 .
  homeport binfmt install --rootless oci:binfmt.oci --platform linux/arm64 --pid 4711
""",
)
@click.argument("image")
@click.argument("run", nargs=-1, metavar="[-- COMMAND...]")
@click.option(
    "--rootless", is_flag=True,
    help="Register in a user namespace; always needed, as nothing else is done.",
)  # fmt: skip
@click.option(
    "--platform", "platforms", multiple=True, metavar="PLATFORM[,…]",
    help="Register the emulators of these. Repeatable.  [default: all that the machine does not"
    " run]",
)  # fmt: skip
@click.option(
    "--pid", type=click.IntRange(min=1), metavar="N",
    help="Register in the user namespace of this process, such as rootless docker's.",
)  # fmt: skip
@click.option(
    "--credentials", is_flag=True,
    help="Let set-uid programs of other architectures have their owner's rights (flag C).",
)  # fmt: skip
@common
@click.pass_context
def install(
    context: click.Context, session: Session, *, image: str, run: tuple[str, ...], rootless: bool,
    platforms: tuple[str, ...], pid: int | None, credentials: bool,
) -> None:  # fmt: skip
    """Register the emulators of IMAGE in a user namespace, without root.

    IMAGE is built by the recipe binfmt; its own program registers them. With COMMAND, a new
    namespace is made and COMMAND runs in it; the exit code is COMMAND's. Otherwise the namespace
    is that of --pid, or that of podman without root. What is registered lasts as long as that
    namespace. Needs Linux 6.7.

    For the whole machine, as root: docker run --privileged --rm IMAGE --install all
    """
    if not rootless:
        raise UsageError(
            "homeport registers emulators only in a user namespace: --rootless is missing",
            hint=f"homeport binfmt install --rootless {shlex.quote(image)}; for the whole machine,"
            " as root: docker run --privileged --rm IMAGE --install all",
        )
    with session.app() as app:
        found = app.binfmt_install(
            image,
            architectures=_architectures(platforms),
            process=pid,
            command=run,
            credentials=credentials,
        )  # fmt: skip
    if run:
        context.exit(found.code)
    session.output.write(
        {
            "schema": "homeport-binfmt-install/v1",
            "namespace": found.namespace,
            "supported": list(found.supported),
            "emulators": list(found.emulators),
        },
        _installed(found),
        quiet_text="\n".join(printable(each) for each in found.supported),
    )


def _installed(found: Registered) -> str:
    runs = ", ".join(printable(each) for each in found.supported)
    return f"{found.namespace} runs: {runs}"
