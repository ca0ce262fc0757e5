"""``homeport solve``: build a Dockerfile or LLB on a BuildKit engine."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.engine_options import engine_option, open_engines
from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.cli.show import counted
from homeport.errors import UsageError
from homeport.oci.platform import parse_platforms
from homeport.printable import printable

if TYPE_CHECKING:
    from homeport.app import App
    from homeport.buildkit.address import Engine
    from homeport.buildkit.images import ImageOptions
    from homeport.buildkit.llb.source_policy import Policy
    from homeport.buildkit.protocol.errors import BuildFailed
    from homeport.buildkit.session.cache_folder import LocalCaches
    from homeport.buildkit.solve import Build
    from homeport.buildkit.status import StatusListener
    from homeport.registry.access import RegistryAccess
    from homeport.registry.credentials import Credentials


@click.command(
    name="solve",
    epilog="""\b
Examples:
  homeport solve . -o tar:rootfs.tar
  homeport solve . -f images/Dockerfile --target app --build-arg VERSION=3 -o dir:out
  homeport solve . --opt override-copy-image=registry.example/copy:1 \\
      --opt build-arg:BUILDKIT_DISABLE_FILEOP=1 --engine unix:///run/docker.sock
""",
)
@click.argument("context", metavar="CONTEXT|FILE.llb|-")
@click.option(
    "-f", "--file", "file", type=click.Path(path_type=Path), metavar="FILE",
    help="Dockerfile.  [default: CONTEXT/Dockerfile]",
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
    help="Destination: dir:DIR, tar:FILE, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, docker://REF."
    " Repeatable.  [default: none, build only]",
)  # fmt: skip
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

    CONTEXT is a directory or URL with a Dockerfile; "-" is a tar of a context on standard
    input. The command uses BuildKit's own API: no docker, buildx or buildctl program is needed.
    The engine is buildkitd, or dockerd 18.09 or later.
    """
    from homeport.buildkit.multi_output import run_outputs
    from homeport.buildkit.outputs import ImageOutput, parse_output
    from homeport.buildkit.protocol.errors import BuildFailed

    wanted = [parse_output(text) for text in outputs]
    build = _build(context, asked)
    with session.app() as app, ExitStack() as stack:
        engines = open_engines(asked["engines"], app.runtime.cancel)
        build = _with_registries(build, app, engines, asked["engine_credentials"])
        if context == "-":
            build = _with_upload(build, stack)
        caches = _local_caches(build)
        if contexts := _contexts(asked, images=True):
            _require_layouts(engines, app)
        build = _with_contents(build, app, contexts, caches, stack)
        listener = _listener(session, asked["progress_form"], app.runtime.progress)
        try:
            form = asked["progress_form"]
            run = run_outputs(
                engines, build, wanted, listener=listener, cancel=app.runtime.cancel,
                for_images=lambda: _image_options(app, listener, squash=not asked["no_squash"]),
                platforms=parse_platforms(asked["platforms"]) or (),
                listener_for=lambda engine: _listener(session, form, None, f"{engine.name} "),
                push_by_engine=asked["push_by"] == "engine",
                destination=app.destinations(
                    [each.address for each in wanted if isinstance(each, ImageOutput)], access
                ),
            )  # fmt: skip
        except BuildFailed as error:
            if session.format != "json":
                _show(error, with_log=session.quiet or asked["progress_form"] == "quiet")
            raise
        finally:
            if hasattr(listener, "close"):
                listener.close()
        if caches is not None:
            caches.finish(run.response, app.runtime.cancel)
    document = {
        "schema": "homeport-solve/v1",
        "engines": [engine.name for engine in engines],
        "outputs": [str(output) for output in wanted],
        "steps": run.steps,
        "cached": run.cached,
        "seconds": round(run.seconds, 3),
        "images": {output: str(digest) for output, digest in run.images.items()},
        "response": dict(run.response),
    }
    text = f"built {counted(run.steps, 'step')}, {run.cached} cached, {run.seconds:.1f} s"
    lines = [f"{output}  {run.images.get(str(output), '')}".rstrip() for output in wanted]
    lines.append(text)
    if any(str(output) == "tar:-" for output in wanted):
        return
    session.output.write(document, "\n".join(lines), quiet_text="")


def _build(context: str, asked: dict[str, Any]) -> Build:
    import msgspec

    from homeport.buildkit.caching import parse_cache
    from homeport.buildkit.session.secrets import read_agents, read_secrets
    from homeport.buildkit.session.services import secret_values, ssh_agents

    if context == "-":
        context = f"http://buildkit-session/{_UPLOAD}"  # BuildKit's name for what we send
    build = _from_llb(Path(context)) if context.endswith(".llb") else _from_file(context, asked)
    services = dict(build.services)
    secrets = read_secrets(asked["secrets"], os.environ)
    services |= secret_values(secrets.get)
    if agents := read_agents(asked["agents"], os.environ):
        services |= ssh_agents(agents)
    policy = asked["source_policy"]
    return msgspec.structs.replace(
        build,
        services=services,
        source_policy=_read_policy(policy) if policy is not None else None,
        cache_imports=[parse_cache(text) for text in asked["cache_from"]],
        cache_exports=[parse_cache(text) for text in asked["cache_to"]],
    )


def _read_policy(path: Path) -> Policy:
    from homeport.buildkit.llb.source_policy import read_policy

    return read_policy(path)


def _from_file(context: str, asked: dict[str, Any]) -> Build:
    from homeport.buildkit.dockerfile import DockerfileBuild, prepare, read_context

    return prepare(
        DockerfileBuild(
            context=read_context(context),
            file=asked["file"],
            target=asked["target"] or "",
            build_args=_arguments(asked["build_args"]),
            labels=_pairs(asked["labels"], "--label"),
            build_contexts=_contexts(asked, images=False),
            platforms=parse_platforms(asked["platforms"]) or (),
            no_cache=asked["no_cache"],
            attests=asked["attests"],
            options=_pairs(asked["frontend_options"], "--opt"),
        )
    )


def _with_registries(build: Build, app: App, engines: Sequence[Engine], passwords: bool) -> Build:
    """Let the engine pull and push as we may."""
    import msgspec

    from homeport.buildkit.session.registry_auth import RegistryAuth

    public = [engine.name for engine in engines if not engine.private]
    if passwords and public:
        raise UsageError(
            f"--engine-credentials: {public[0]} is reached without TLS",
            hint="use tcp://HOST:PORT?certs=DIR",
        )

    @functools.cache
    def credentials() -> Credentials:
        from homeport.registry.credentials import Credentials

        return Credentials(environment=os.environ, home=Path.home(), given={})

    auth = RegistryAuth(
        find=lambda host: credentials().find(host), client=lambda: app.client, passwords=passwords
    )
    return msgspec.structs.replace(build, services={**build.services, **auth.services()})


def _image_options(app: App, listener: StatusListener, *, squash: bool) -> ImageOptions:
    from homeport.buildkit.images import ImageOptions

    return ImageOptions(runtime=app.runtime, squash=squash, listener=listener)


_UPLOAD = "context"
_IMAGES = ("oci:", "oci-archive:", "docker-archive:")


def _contexts(asked: dict[str, Any], *, images: bool) -> dict[str, str]:
    """Named contexts: those that are images of this machine, or all others."""
    every = _pairs(asked["build_contexts"], "--build-context")
    return {name: value for name, value in every.items() if value.startswith(_IMAGES) == images}


def _with_upload(build: Build, stack: ExitStack) -> Build:
    """Offer the tar on standard input as the context, as long as ``stack`` is open."""
    import shutil
    import tempfile
    from functools import partial

    import msgspec

    from homeport.buildkit.session.services import uploads

    place = stack.enter_context(tempfile.TemporaryDirectory(prefix="homeport-"))
    spool = Path(place, "context.tar")
    with spool.open("wb") as stream:
        shutil.copyfileobj(sys.stdin.buffer, stream, 1 << 20)
    sent = uploads({_UPLOAD: partial(spool.open, "rb")})
    return msgspec.structs.replace(build, services={**build.services, **sent})


def _local_caches(build: Build) -> LocalCaches | None:
    """Build caches in folders of this machine, if there are any."""
    if all(entry.type != "local" for entry in (*build.cache_imports, *build.cache_exports)):
        return None
    from homeport.buildkit.session.cache_folder import local_caches
    from homeport.cli.show import warn

    caches = local_caches(build.cache_imports, build.cache_exports)
    for place in caches.missing:
        warn(f"--cache-from: no build cache in {place}")
    return caches


def _require_layouts(engines: Sequence[Engine], app: App) -> None:
    """Engines that cannot read images of ours would look for them on Docker Hub."""
    from homeport.buildkit.engine import describe
    from homeport.buildkit.protocol.errors import EngineTooOld

    for engine in engines:
        found = describe(engine, app.runtime.cancel)
        if not (found.has_oci_exporter and found.version):
            raise EngineTooOld(
                f"{engine.name} cannot read local images",
                hint="use BuildKit 0.11 or later (dockerd: with the containerd store), or push"
                " the image",
            )


def _with_contents(
    build: Build, app: App, contexts: dict[str, str], caches: LocalCaches | None, stack: ExitStack
) -> Build:
    """Offer images of this machine as contexts, and caches, as long as ``stack`` is open."""
    import msgspec

    if not contexts and caches is None:
        return build
    from homeport.buildkit.session.content_store import content_services

    opened = {name: stack.enter_context(app.open_image(at)) for name, at in contexts.items()}
    attrs = {
        f"context:{name}": f"oci-layout://{name}@{image.digest}" for name, image in opened.items()
    }
    offered = content_services(opened, caches.stores if caches else None)
    return msgspec.structs.replace(
        build,
        attrs={**build.attrs, **attrs},
        services={**build.services, **offered},
        cache_imports=caches.imports if caches else build.cache_imports,
    )


def _from_llb(path: Path) -> Build:
    from homeport.buildkit.llb.dump import LARGEST, read_definition
    from homeport.buildkit.solve import Build
    from homeport.content.reading import read_bounded

    try:
        with path.open("rb") as stream:
            return Build(definition=read_definition(read_bounded(stream, LARGEST, str(path))))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"invalid {option} {text!r}: KEY=VALUE is expected")
        found[key] = value
    return found


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
    """What the failed step printed, if nobody saw it yet, and the Dockerfile's lines."""
    for line in error.log if with_log else ():
        click.echo(printable(line, lines=True), err=True)
    if error.quotation:
        click.echo(printable(error.quotation, lines=True), err=True)


def _listener(session: Session, form: str, progress: Any, prefix: str = "") -> StatusListener:
    """How the build is shown; without ``progress``, several builds at once, in lines."""
    from homeport.buildkit.status import Unwatched

    def line(text: str) -> None:
        click.echo(printable(prefix + text, lines=True), err=True)

    by_itself = session.quiet or (form == "auto" and session.format == "json")
    if form == "quiet" or (by_itself and form != "rawjson"):
        return Unwatched()
    from homeport.buildkit.progress_display import BarWatcher, JsonWatcher, PlainWatcher

    if form == "rawjson":
        return JsonWatcher(lambda text: click.echo(text, err=True))
    live = progress is not None and sys.stderr.isatty() and not session.no_progress
    if form == "auto" and live:
        return BarWatcher(progress)
    return PlainWatcher(line)
