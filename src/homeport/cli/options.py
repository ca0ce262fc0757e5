"""Options that many commands share, each declared once, and what they open.

``@common`` gives a command ``--format``, ``-q``, ``-v``, ``--no-progress`` and the cache
and network options, and hands it a ``Session`` as its first argument. The session opens
the application when the command first needs it.
"""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import click

from homeport.app import App, Settings, open_app
from homeport.budget import limits_set
from homeport.cli.interrupt import stop_on_signals
from homeport.cli.project_defaults import counting, ignored_project, project_of
from homeport.cli.recipe_options import catalog_of
from homeport.cli.screen import screen_of
from homeport.cli.show import Output, progress_for, tell
from homeport.errors import HomeportError, UsageError
from homeport.progress import Progress
from homeport.project import HIDING, Project

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Session:
    """Values of the common options; ``app`` and ``output`` are made from it."""

    def __init__(
        self,
        *,
        format: Literal["text", "json"],
        quiet: bool,
        verbose: int,
        no_progress: bool,
        settings: Settings,
        color: str = "auto",
        full: bool = False,
    ) -> None:
        self.format = format
        self.quiet = quiet
        self.verbose = verbose
        self.no_progress = no_progress
        self.settings = settings
        self.color = color
        self.screen = screen_of(sys.stdout, color, full=full)
        self.output = Output(format, quiet=quiet, screen=self.screen)

    def app(self, progress: Progress | None = None) -> App:
        """The application; to be used in a ``with`` block."""
        app = open_app(self.settings, progress or self.progress())
        if self.verbose:
            app.on_read = tell
        stop_on_signals(app.runtime.cancel)
        return app

    def progress(self) -> Progress:
        """How standard error shows what is going on."""
        return progress_for(
            sys.stderr,
            quiet=self.quiet or self.format == "json",
            live=not self.no_progress,
            verbose=self.verbose,
            color=self.color,
        )


_COMMON: tuple[Decorator, ...] = (
    click.option(
        "-q", "--quiet", is_flag=True, envvar="HOMEPORT_QUIET", help="Print only the result."
    ),
    click.option(
        "-v", "--verbose", count=True, envvar="HOMEPORT_VERBOSE",
        help="More output; repeat for more detail.",
    ),
    click.option(
        "--color", type=click.Choice(["auto", "always", "never"]), default="auto",
        envvar="HOMEPORT_COLOR", show_default=True,
        help="Use colours; auto: on terminals, unless NO_COLOR is set.",
    ),
    click.option(
        "--full", is_flag=True, envvar="HOMEPORT_FULL",
        help="Print every column and all of each digest, also on a terminal.",
    ),
    click.option(
        "--no-progress", is_flag=True, envvar="HOMEPORT_NO_PROGRESS",
        help="Print plain lines instead of progress bars.",
    ),
    click.option(
        "--offline", is_flag=True, envvar="HOMEPORT_OFFLINE",
        help="Do not use the network; read from the cache only.",
    ),
    click.option(
        "--cache-dir", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
        envvar="HOMEPORT_CACHE_DIR",
        help="Directory for downloads and build results.  [default: $XDG_CACHE_HOME/homeport]",
    ),
    click.option(
        "--config", type=click.Path(dir_okay=False, exists=True, path_type=Path), metavar="FILE",
        envvar="HOMEPORT_CONFIG",
        help="Configuration file.  [default: $XDG_CONFIG_HOME/homeport/config.toml]",
    ),
    click.option(
        "--project", metavar="FILE", default="", envvar="HOMEPORT_PROJECT",
        help="Use this project file, and trust what it says of signatures.  [default: the nearest"
        " homeport.toml upwards]",
    ),
    click.option(
        "--no-project", is_flag=True, envvar="HOMEPORT_NO_PROJECT",
        help="Do not read a project file.",
    ),
    click.option(
        "--ca", type=click.Path(dir_okay=False, exists=True, path_type=Path), metavar="FILE",
        envvar="HOMEPORT_CA",
        help="Trust the certificate authorities of this PEM file, besides the system's.",
    ),
    click.option(
        "--limit", "limits", multiple=True, metavar="NAME=NUMBER",
        help="Set a limit on what is read, such as entries=5000000. Repeatable.",
    ),
)  # fmt: skip


def common(function: Callable[..., Any], formats: Sequence[str] = ()) -> Callable[..., Any]:
    """Add the common options to a click command; it gets a ``Session`` as first argument.

    formats: of documents that the command can write besides text and JSON; then it gets the
             chosen one as ``chosen``, and errors are text
    """

    @functools.wraps(function)
    def with_session(
        *args: Any,
        format: str,
        quiet: bool,
        verbose: int,
        no_progress: bool,
        color: str,
        full: bool,
        offline: bool,
        cache_dir: Path | None,
        config: Path | None,
        project: str,
        no_project: bool,
        ca: Path | None,
        limits: tuple[str, ...],
        **more: Any,
    ) -> Any:
        if project and no_project:
            raise UsageError("--project and --no-project cannot be combined")
        context = click.get_current_context()
        used = project_of(context)
        catalog = catalog_of(context)
        settings = Settings.load(
            config, cache_dir=cache_dir, offline=offline, ca=ca, project=used,
            catalog=catalog.written, catalog_policy=catalog.policy,
        )  # fmt: skip
        if ignored := ignored_project(context):
            tell(f"warning: {ignored}")
        if used is not None and not quiet:
            for line in _about_project(context, used, verbose):
                tell(line)
        of_errors: Literal["text", "json"] = "json" if format == "json" else "text"
        if formats:
            more["chosen"] = format
        session = Session(
            format=of_errors, quiet=quiet, verbose=verbose, no_progress=no_progress,
            settings=settings, color=color, full=full,
        )  # fmt: skip
        try:
            with limits_set(limits):
                return function(session, *args, **more)
        except HomeportError as error:
            error.after_result = session.output.written
            raise

    decorated: Callable[..., Any] = with_session
    for decorate in reversed((_format_option(formats), *_COMMON)):
        decorated = decorate(decorated)
    return decorated


def _about_project(context: click.Context, project: Project, verbose: int) -> Iterator[str]:
    """What the project file does to this run; always said where it makes an audit report less."""
    settings = counting(context, project)
    hiding = [name for name in settings if name.partition(".")[2] in HIDING]
    if verbose:
        more = f": sets {', '.join(settings)}" if settings else ""
        yield f"project file {project.file}{more}"
    elif hiding:
        yield f"{project.file} sets {', '.join(hiding)} (--no-project leaves it aside)"
    ignored = [name for name in project.ignored if name.startswith(f"{context.command.name}.")]
    if ignored:
        yield (
            f"warning: {project.file}: {', '.join(ignored)} is ignored: whose signatures count is"
            f" for you to say (--project {shlex.quote(str(project.file))} trusts the file)"
        )


def _format_option(formats: Sequence[str]) -> Decorator:
    return click.option(
        "--format", "format", type=click.Choice(["text", "json", *formats]), default="text",
        envvar="HOMEPORT_FORMAT", show_default=True, help="Output format of results and errors.",
    )  # fmt: skip
