"""``homeport verify-helper``: test a helper image inside a BuildKit engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from homeport.cli.engine_options import engine_option, open_engines
from homeport.cli.options import Session, common
from homeport.cli.show import table
from homeport.errors import AnswerNo, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from homeport.buildkit.helper.proof import Row


@click.command(
    name="verify-helper",
    epilog="""\b
Examples:
  homeport verify-helper oci:dockerfile-copy.oci
  homeport verify-helper docker://registry.example/dockerfile-copy:latest \\
      --engine unix:///run/docker.sock
""",
)
@click.argument("image")
@click.option(
    "--case",
    "wanted",
    multiple=True,
    metavar="TEXT",
    help="Run only cases whose name contains this. Repeatable.",
)
@engine_option
@common
def command(
    session: Session, image: str, wanted: tuple[str, ...], engines: tuple[str, ...]
) -> None:
    """Test a helper image inside a BuildKit engine.

    Each case builds one kind of COPY or ADD with IMAGE as helper and once without. It passes
    if the image ran, by its digest, and the result equals that of the engine's own file
    operations. The engine must still use helper images (BuildKit before 0.11, such as dockerd
    20.10). A local image is served to the engine on 127.0.0.1. Exit code 3 if a case fails.
    """
    from homeport.buildkit.helper.proof import prove

    with session.app() as app:
        engine = open_engines(engines, app.runtime.cancel)[0]
        cases = _cases(wanted)
        with _offered(app, image, engine.name) as (helper, digest):
            rows = list(
                prove(
                    engine, helper, app.runtime.store, cases=cases, progress=app.runtime.progress,
                    cancel=app.runtime.cancel,
                )
            )  # fmt: skip
        session.output.write(_document(engine.name, image, digest, rows), _text(digest, rows))
    failed = sum(row.state == "failed" for row in rows)
    if failed:
        raise AnswerNo(f"{failed} of {len(rows)} cases failed")


def _cases(wanted: Sequence[str]) -> list[Any]:
    from homeport.buildkit.helper.cases import CASES

    cases = [
        case
        for case in CASES
        if not wanted or any(text.lower() in case.name.lower() for text in wanted)
    ]
    if not cases:
        raise UsageError(f"no case name contains {' or '.join(wanted)}")
    return cases


def _offered(app: Any, image: str, engine: str) -> Any:
    """The helper as the engine can reach it, for the length of a ``with`` block."""
    import contextlib

    from homeport.buildkit.helper.cases import REMOTE
    from homeport.buildkit.helper.proof import Helper
    from homeport.buildkit.local_registry import local_registry
    from homeport.images.address import RegistryAddress, parse_source

    address = parse_source(image)
    here = engine.startswith("unix://")

    @contextlib.contextmanager
    def offered() -> Any:
        with contextlib.ExitStack() as stack:
            if isinstance(address, RegistryAddress):
                value = stack.enter_context(app.open_image(image))
                served = stack.enter_context(local_registry(None, {"remote.txt": REMOTE}))
                name = address.reference
                reference = f"{name.registry}/{name.repository}@{value.digest}"
            elif here:
                value = stack.enter_context(app.open_image(image))
                served = stack.enter_context(local_registry(value, {"remote.txt": REMOTE}))
                reference = served.reference(value.digest)
            else:
                raise UsageError(
                    f"{engine} cannot reach local images",
                    hint=f"homeport push {image} docker://REGISTRY/NAME",
                )
            yield Helper(reference=reference, url=served.url if here else ""), value.digest

    return offered()


def _document(engine: str, image: str, digest: Any, rows: Sequence[Row]) -> dict[str, Any]:
    """docs/formats/verify-helper.md."""
    return {
        "schema": "homeport-verify-helper/v1",
        "engine": engine,
        "image": image,
        "digest": str(digest),
        "passed": sum(row.state == "passed" for row in rows),
        "failed": sum(row.state == "failed" for row in rows),
        "not_tried": sum(row.state == "not tried" for row in rows),
        "cases": [
            {
                "name": row.name,
                "state": row.state,
                "why": row.why,
                "helper_seconds": round(row.helper_seconds, 4),
                "engine_seconds": round(row.plain_seconds, 4),
            }
            for row in rows
        ],
    }


def _text(digest: Any, rows: Sequence[Row]) -> str:
    lines = [
        (row.state, row.name, f"{row.helper_seconds:.2f} s" if row.helper_seconds else "",
         f"{row.plain_seconds:.2f} s" if row.plain_seconds else "", row.why)
        for row in rows
    ]  # fmt: skip
    passed = sum(row.state == "passed" for row in rows)
    times = [row for row in rows if row.helper_seconds]
    total = sum(row.helper_seconds for row in times)
    plain = sum(row.plain_seconds for row in times)
    return "\n".join(
        [
            table(("", "CASE", "HELPER", "ENGINE", "NOTE"), lines, right=(2, 3)),
            "",
            f"{passed} of {len(rows)} cases passed through {digest}",
            f"COPY and ADD took {total:.2f} s with the helper, {plain:.2f} s without",
        ]
    )
