"""``homeport verify-helper``: test a helper image inside a BuildKit engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from homeport.cli.engine_options import engine_option
from homeport.cli.options import Session, common
from homeport.cli.screen import Column, Screen
from homeport.errors import AnswerNo
from homeport.printable import printable

if TYPE_CHECKING:
    from homeport.buildkit.helper.trial import KindName
    from homeport.buildkit.helper.verification import HelperVerified


@click.command(
    name="verify-helper",
    epilog="""\b
Examples:
  homeport verify-helper oci:dockerfile-copy.oci
  homeport verify-helper docker://registry.example/dockerfile-copy:latest \\
      --engine unix:///run/docker.sock
  homeport verify-helper oci:binfmt.oci --case linux/arm64
  homeport verify-helper oci:homeport.oci --kind recipe-frontend
""",
)
@click.argument("image")
@click.option(
    "--kind",
    type=click.Choice(["copy", "binfmt", "sbom-scanner", "dockerfile", "recipe-frontend"]),
    help="What the image is a helper for.  [default: by its entrypoint and labels]",
)
@click.option(
    "--case",
    "wanted",
    multiple=True,
    metavar="TEXT",
    help="Run only cases whose name contains this. Repeatable.",
)
@click.option(
    "--register",
    is_flag=True,
    help="Register binfmt's emulators with the kernel of the engine's machine too, and remove them"
    " again. The engine must allow security.insecure.",
)
@engine_option
@common
def command(
    session: Session, image: str, *, kind: KindName | None, wanted: tuple[str, ...],
    register: bool, engines: tuple[str, ...],
) -> None:  # fmt: skip
    """Test a helper image inside a BuildKit engine.

    A helper for COPY: each case builds one kind of COPY or ADD with IMAGE as helper and once
    without. It passes if the image ran, by its digest, and the result equals that of the engine's
    own file operations. The engine must still use helper images (BuildKit before 0.11, such as
    dockerd 20.10).

    binfmt: its emulators run programs of other machines. sbom-scanner: builds are scanned by it.
    dockerfile: as a frontend it builds what the engine's own frontend builds.
    recipe-frontend: it builds a recipe (# syntax=REGISTRY/homeport) as the recipe says.

    A local image is served to the engine on 127.0.0.1. Exit code 3 if a case fails.
    """
    with session.app() as app:
        found = app.verify_helper(
            image, kind=kind, cases=wanted, register=register, engines=engines
        )
    session.output.write(_document(found), _text(found, session.screen))
    if failed := found.count("failed"):
        raise AnswerNo(f"{failed} of {len(found.rows)} cases failed")


def _document(found: HelperVerified) -> dict[str, Any]:
    """docs/formats/verify-helper.md."""
    return {
        "schema": "homeport-verify-helper/v1",
        "kind": found.kind,
        "engine": found.engine,
        "image": found.image,
        "digest": str(found.digest),
        "passed": found.count("passed"),
        "failed": found.count("failed"),
        "not_tried": found.count("not tried"),
        "cases": [
            {
                "name": row.name,
                "state": row.state,
                "why": row.why,
                "helper_seconds": round(row.helper_seconds, 4),
                "engine_seconds": round(row.plain_seconds, 4),
            }
            for row in found.rows
        ],
    }


_STATES = {"passed": "good", "failed": "bad"}
_TIMES = (Column(name="helper", right=True), Column(name="engine", right=True, drop=1))


def _text(found: HelperVerified, screen: Screen) -> str:
    rows = found.rows
    timed = [row for row in rows if row.helper_seconds]
    columns = (
        Column(name="result"),
        Column(name="case", least=20),
        *(_TIMES if timed else ()),
        Column(name="note", least=16, drop=2),
    )
    cells = [
        (
            (row.state, _STATES.get(row.state, "")),
            row.name,
            *((_seconds(row.helper_seconds), _seconds(row.plain_seconds)) if timed else ()),
            printable(row.why),
        )
        for row in rows
    ]
    lines = [screen.table(columns, cells), ""]
    lines.append(f"{found.count('passed')} of {len(rows)} cases passed through {found.digest}")
    if timed:
        total = sum(row.helper_seconds for row in timed)
        plain = sum(row.plain_seconds for row in timed)
        lines.append(f"COPY and ADD took {total:.2f} s with the helper, {plain:.2f} s without")
    return "\n".join(lines)


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value else ""
