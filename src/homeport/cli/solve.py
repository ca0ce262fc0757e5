"""``homeport solve``: build a Dockerfile or LLB on a BuildKit engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.buildkit.builds import SolveRequest
from homeport.buildkit.outputs import Output, parse_output, with_tags
from homeport.buildkit.progress_display import BarWatcher, JsonWatcher, PlainWatcher
from homeport.buildkit.protocol.errors import BuildFailed
from homeport.buildkit.session.repositories import allowed_name
from homeport.buildkit.status import StatusListener, Unwatched
from homeport.cli.engine_options import engine_option
from homeport.cli.key_values import key_values
from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.errors import UsageError
from homeport.oci.platform import parse_platforms
from homeport.printable import json_text, output_text
from homeport.quantities import counted

if TYPE_CHECKING:
    from homeport.buildkit.solve_request import SolveResult
    from homeport.registry.access import RegistryAccess


@click.command(
    name="solve",
    epilog="""\b
Examples:
  homeport solve . -o tar:rootfs.tar
  homeport solve . -t registry.example/team/app:1 --push
  homeport solve . -f images/Dockerfile --target app --build-arg VERSION=3 -o dir:out
  homeport solve . -f .pipeline/blubber.yaml --target production -o oci:app.oci
  homeport solve . --opt override-copy-image=registry.example/copy:1 \\
      --opt build-arg:BUILDKIT_DISABLE_FILEOP=1 --engine unix:///run/docker.sock
""",
)
@click.argument("context", metavar="CONTEXT|FILE.llb|-", default=".")
@click.option(
    "-f", "--file", "file", type=click.Path(path_type=Path), metavar="FILE",
    help="Dockerfile, or a file for another frontend.  [default: CONTEXT/Dockerfile]",
)  # fmt: skip
@click.option(
    "--syntax", metavar="REF",
    help="Build with this frontend: an image in a registry, oci:DIR, or dockerfile.v0 for the one"
    " in the engine.  [default: the # syntax= line of FILE]",
)  # fmt: skip
@click.option("--target", metavar="STAGE", help="Build this stage.  [default: the last]")
@click.option(
    "--build-arg", "build_args", multiple=True, metavar="K[=V]",
    help="Set an ARG; without =V, from the environment. Repeatable.",
)  # fmt: skip
@click.option(
    "--build-context", "build_contexts", multiple=True, metavar="NAME=SOURCE",
    help="Add a named context: a directory, URL, docker-image://REF or oci:DIR. Repeatable.",
)  # fmt: skip
@click.option(
    "--opt", "frontend_options", multiple=True, metavar="KEY=VALUE",
    help="Set an attribute of the frontend. Repeatable.",
)  # fmt: skip
@click.option("--label", "labels", multiple=True, metavar="K=V", help="Add this label. Repeatable.")
@click.option(
    "--secret", "secrets", multiple=True, metavar="id=ID,src=FILE|env=VAR",
    help="Provide a secret to RUN --mount=type=secret. Repeatable.",
)  # fmt: skip
@click.option(
    "--ssh", "agents", multiple=True, metavar="ID[=SOCKET]",
    help="Provide an ssh agent to RUN --mount=type=ssh. Repeatable.",
)  # fmt: skip
@click.option(
    "--platform", "platforms", multiple=True, metavar="PLATFORM[,…]",
    help="Platforms to build. Repeatable.  [default: the engine's]",
)  # fmt: skip
@click.option("--no-cache", is_flag=True, help="Run every step again.")
@click.option(
    "--cache-from", "cache_from", multiple=True, metavar="type=…,K=V",
    help="Import a build cache, such as type=registry,ref=REF. Repeatable.",
)  # fmt: skip
@click.option(
    "--cache-to", "cache_to", multiple=True, metavar="type=…,K=V",
    help="Export the build cache, such as type=local,dest=DIR. Repeatable.",
)  # fmt: skip
@click.option(
    "--source-policy", type=click.Path(path_type=Path), metavar="FILE",
    help="Apply this policy, in buildctl's format: rules that deny or replace sources.",
)  # fmt: skip
@click.option(
    "--attest", "attests", multiple=True, metavar="sbom|provenance[,K=V]",
    help="Let the engine attach an SBOM or provenance. Repeatable.",
)  # fmt: skip
@click.option(
    "-o", "--output", "outputs", multiple=True, metavar="OUTPUT",
    help="Destination: dir:DIR, tar:FILE, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, docker://REF;"
    " also as buildx writes it, such as type=local,dest=DIR. Repeatable."
    "  [default: none, build only]",
)  # fmt: skip
@click.option(
    "-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]",
    help="Name of outputs that have none, and of --push and --load. Repeatable.",
)  # fmt: skip
@click.option("--push", is_flag=True, help="Push to each --tag; the same as -o docker://NAME.")
@click.option("--load", is_flag=True, help="Load the native image into a running docker or podman.")
@click.option(
    "--progress", "progress_form", type=click.Choice(["auto", "plain", "rawjson", "quiet"]),
    default="auto", show_default=True, help="Form of progress on standard error.",
)  # fmt: skip
@click.option(
    "--push-by", type=click.Choice(["homeport", "engine"]), default="homeport", show_default=True,
    help="Program that pushes docker:// outputs.",
)  # fmt: skip
@click.option(
    "--no-squash", is_flag=True, help="Fail if the engine cannot export an image's layers."
)
@click.option(
    "--engine-credentials", is_flag=True,
    help="Send registry passwords to the engine if a registry does not issue tokens.",
)  # fmt: skip
@click.option(
    "--allow-pull", "allowed_pulls", multiple=True, metavar="REPOSITORY",
    help="Let the engine pull this repository (or HOST/PATH/*) with your credentials, though the"
    " build does not name it. Repeatable.",
)  # fmt: skip
@engine_option
@registry_options
@common
def command(
    session: Session,
    context: str,
    outputs: tuple[str, ...],
    access: RegistryAccess,
    **asked: Any,
) -> None:
    """Build a Dockerfile or an LLB file on a BuildKit engine.

    A file whose first lines name a frontend (# syntax=REF) is built by that frontend.

    CONTEXT is a directory or URL with a Dockerfile [default: .]; "-" is a tar of a context on
    standard input. The command uses BuildKit's own API: no docker, buildx or buildctl program is
    needed. The engine is buildkitd, or dockerd 18.09 or later.
    """
    named = with_tags(
        [parse_output(text) for text in outputs], asked["tags"], push=asked["push"],
        load=asked["load"],
    )  # fmt: skip
    request = _request(context, named, asked)
    form = asked["progress_form"]
    with session.app() as app:
        listener = _listener(session, form, app.runtime.progress)
        try:
            result = app.solve(
                request, access=access, listener=listener,
                listener_for=lambda engine: _listener(session, form, None, f"{engine.name} "),
            )  # fmt: skip
        except BuildFailed as error:
            if session.format != "json":
                _show(error, with_log=session.quiet or form == "quiet")
            raise
        finally:
            if hasattr(listener, "close"):
                listener.close()
    if not any(str(output) == "tar:-" for output in request.outputs):
        session.output.write(_document(result, request), _text(result, request), quiet_text="")


def _request(context: str, outputs: tuple[Output, ...], asked: Mapping[str, Any]) -> SolveRequest:
    return SolveRequest(
        context=context,
        upload=sys.stdin.buffer if context == "-" else None,
        outputs=outputs,
        file=asked["file"],
        syntax=asked["syntax"] or "",
        target=asked["target"] or "",
        build_args=_arguments(asked["build_args"]),
        build_contexts=key_values(asked["build_contexts"], "--build-context"),
        options=key_values(asked["frontend_options"], "--opt"),
        labels=key_values(asked["labels"], "--label"),
        secrets=asked["secrets"],
        agents=asked["agents"],
        platforms=parse_platforms(asked["platforms"]) or (),
        no_cache=asked["no_cache"],
        cache_from=asked["cache_from"],
        cache_to=asked["cache_to"],
        source_policy=asked["source_policy"],
        attests=asked["attests"],
        engines=asked["engines"],
        push_by_engine=asked["push_by"] == "engine",
        squash=not asked["no_squash"],
        engine_credentials=asked["engine_credentials"],
        allowed_pulls=[allowed_name(text) for text in asked["allowed_pulls"]],
    )


def _document(result: SolveResult, request: SolveRequest) -> dict[str, Any]:
    """docs/formats/solve.md."""
    run = result.run
    return {
        "schema": "homeport-solve/v1",
        "engines": list(result.engines),
        "outputs": [str(output) for output in request.outputs],
        "steps": run.steps,
        "cached": run.cached,
        "seconds": round(run.seconds, 3),
        "images": {output: str(digest) for output, digest in run.images.items()},
        "response": dict(run.response),
    }


def _text(result: SolveResult, request: SolveRequest) -> str:
    run = result.run
    lines = [f"{output}  {run.images.get(str(output), '')}".rstrip() for output in request.outputs]
    lines.append(f"built {counted(run.steps, 'step')}, {run.cached} cached, {run.seconds:.1f} s")
    return "\n".join(lines)


def _arguments(texts: Sequence[str]) -> dict[str, str]:
    """``K=V``; ``K`` alone takes the environment's value, and none if that has none."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key:
            raise UsageError(f"invalid --build-arg {text!r}: the name is empty")
        if equals:
            found[key] = value
        elif key in os.environ:
            found[key] = os.environ[key]
    return found


def _show(error: BuildFailed, *, with_log: bool) -> None:
    """What the failed step printed, if it was not shown yet, and the Dockerfile's lines."""
    for line in error.log if with_log else ():
        click.echo(output_text(line), err=True)
    if error.quotation:
        click.echo(output_text(error.quotation), err=True)


def _listener(session: Session, form: str, progress: Any, prefix: str = "") -> StatusListener:
    """How the build is shown; without ``progress``, several builds at once, in lines."""

    def line(text: str) -> None:
        click.echo(output_text(prefix + text), err=True)

    by_itself = session.quiet or (form == "auto" and session.format == "json")
    if form == "quiet" or (by_itself and form != "rawjson"):
        return Unwatched()
    if form == "rawjson":
        return JsonWatcher(lambda text: click.echo(json_text(text), err=True))
    live = progress is not None and sys.stderr.isatty() and not session.no_progress
    if form == "auto" and live:
        return BarWatcher(progress)
    return PlainWatcher(line)
