"""The ``homeport`` program: its commands as data, and the only code that prints errors.

A command's module is imported when that command runs, so that ``--version`` and
``--help`` stay quick. Exit codes are those of docs/exit-codes.md; nothing else calls
``sys.exit``.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import importlib
import io
import os
import re
import sys
import threading
from typing import Any, NoReturn

import click

from homeport import __version__
from homeport.cli.arrangement import arranged
from homeport.cli.subcommand import CommandGroup
from homeport.errors import Faults, HomeportError, Interrupted, OfflineError, UsageError
from homeport.printable import json_text, output_text, printable


class CommandEntry:
    """Where a command is and what it does, in a line; ``module`` has it as ``command``."""

    __slots__ = ("group", "module", "summary")

    def __init__(self, module: str, summary: str, group: str) -> None:
        self.module = module
        self.summary = summary
        self.group = group


COMMANDS: dict[str, CommandEntry] = {
    "init": CommandEntry("init", "Start a recipe", "Build"),
    "add": CommandEntry("add", "Add packages or slices to a recipe", "Build"),
    "search": CommandEntry("search", "Search packages and recipes", "Build"),
    "show": CommandEntry("show_package", "Show a package, its slices and files", "Build"),
    "slice": CommandEntry("slice_", "Propose and check slices of packages", "Build"),
    "build": CommandEntry("build", "Build an image for every platform", "Build"),
    "test": CommandEntry("test", "Test an image on every platform, without a daemon", "Build"),
    "lock": CommandEntry("lock", "Resolve a recipe's packages and write its lockfile", "Build"),
    "recipe": CommandEntry("recipe", "Check or explain a recipe, or print its schema", "Build"),
    "catalog": CommandEntry("catalog", "List, show and push recipes and slices", "Build"),
    "copy": CommandEntry("copy", "Copy local files by the rules of COPY and ADD", "Build"),
    "inspect": CommandEntry("inspect", "Show what is in an image without running it", "Look"),
    "extract": CommandEntry("extract", "Write files of an image to a directory", "Look"),
    "diff": CommandEntry("diff", "Compare two images or two platforms", "Look"),
    "push": CommandEntry("push", "Push an image to a registry", "Move"),
    "pull": CommandEntry("pull", "Pull an image to a layout or archive", "Move"),
    "mirror": CommandEntry("mirror", "Copy images between registries", "Move"),
    "import": CommandEntry("import_", "Import an upstream image, pinned by digest", "Move"),
    "gc": CommandEntry("gc", "Remove unused blobs of an OCI layout", "Move"),
    "tags": CommandEntry("tags", "List the tags of a repository", "Registry"),
    "repos": CommandEntry("repos", "List the repositories of a registry", "Registry"),
    "digest": CommandEntry("digest", "Print the digest of an image", "Registry"),
    "manifest": CommandEntry("manifest", "Print a manifest or index", "Registry"),
    "config": CommandEntry("config", "Print the config of an image", "Registry"),
    "blob": CommandEntry("blob", "Fetch a blob by its digest", "Registry"),
    "validate": CommandEntry("validate", "Check that an image is whole", "Registry"),
    "retag": CommandEntry("retag", "Add tags to an image", "Registry"),
    "delete": CommandEntry("delete", "Delete a tag or a manifest", "Registry"),
    "ping": CommandEntry("ping", "Check access to a registry", "Registry"),
    "login": CommandEntry("login", "Save a registry's credentials", "Registry"),
    "logout": CommandEntry("logout", "Remove a registry's credentials", "Registry"),
    "sbom": CommandEntry("sbom", "Print the bill of materials of an image", "Prove"),
    "vex": CommandEntry("vex", "Print what Debian's security tracker says of an image", "Prove"),
    "sign": CommandEntry("sign", "Sign an image", "Prove"),
    "attest": CommandEntry("attest", "Attest a statement about an image", "Prove"),
    "verify": CommandEntry("verify", "Verify who signed an image", "Prove"),
    "key": CommandEntry("key", "Make a key pair for signing", "Prove"),
    "policy": CommandEntry("policy", "Write signature policies for other tools", "Prove"),
    "bundle": CommandEntry(
        "bundle", "Write images and all they need to a file, or load it", "Prove"
    ),
    "outdated": CommandEntry(
        "outdated", "Show what is newer than lockfiles and images", "Keep fresh"
    ),
    "update": CommandEntry("update", "Lock recipes anew, also as a merge request", "Keep fresh"),
    "graph": CommandEntry("graph", "Show which recipe needs which", "Keep fresh"),
    "publish": CommandEntry("publish", "Build, push, test and name images", "Keep fresh"),
    "rollback": CommandEntry("rollback", "Let moving tags lead to an earlier image", "Keep fresh"),
    "pipelines": CommandEntry("pipelines", "Write CI jobs that do all this", "Keep fresh"),
    "prune-tags": CommandEntry("prune_tags", "Remove old dated tags", "Keep fresh"),
    "audit": CommandEntry("audit", "Find every public image your files depend on", "Audit"),
    "home": CommandEntry(
        "home", "Copy public images to your registry and edit the files that use them", "Audit"
    ),
    "solve": CommandEntry("solve", "Build a Dockerfile or LLB on a BuildKit engine", "Engine"),
    "blubber": CommandEntry("blubber", "Check Blubber configurations", "Engine"),
    "docker-pkg": CommandEntry("docker_pkg", "Build trees of docker-pkg", "Engine"),
    "llb": CommandEntry("llb", "Print BuildKit's low-level build definitions", "Engine"),
    "verify-helper": CommandEntry(
        "verify_helper", "Test a helper image inside a BuildKit engine", "Engine"
    ),
    "binfmt": CommandEntry(
        "binfmt", "Show and register emulators of other architectures", "Engine"
    ),
    "doctor": CommandEntry(
        "doctor", "Check cache, clock, mirrors, registries and engines", "Housekeeping"
    ),
    "cache": CommandEntry("cache", "Show, prune and verify the cache", "Housekeeping"),
    "docs": CommandEntry("docs", "Print the documentation, or write man pages", "Housekeeping"),
    "completion": CommandEntry(
        "completion", "Print or install a completion script", "Housekeeping"
    ),
}


class Commands(CommandGroup):
    """Commands by name; help is printed from the table, without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(f"homeport.cli.{entry.module}").command
        _name_variables(command, f"HOMEPORT_{cmd_name}")
        if _COMPLETING in os.environ:
            from homeport.cli.completing import attach  # 40 ms that all other runs save

            return attach(cmd_name, command)
        _use_project(ctx, cmd_name, command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for group in dict.fromkeys(entry.group for entry in COMMANDS.values()):
            with formatter.section(group):
                formatter.write_dl(
                    [(name, e.summary) for name, e in COMMANDS.items() if e.group == group]
                )


def _use_project(context: click.Context, name: str, command: click.Command) -> None:
    """Let the project file give the command's options their defaults."""
    arguments = context.obj if isinstance(context.obj, tuple) else ()
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    off = os.environ.get("HOMEPORT_NO_PROJECT", "").lower() not in ("", "0", "false", "no")
    if off or "--no-project" in words or name in _WITHOUT_PROJECT:
        return
    from homeport.cli.project_defaults import use_project  # 5 ms that --version saves

    use_project(context, name, command, _given(list(words), "project"))


#: They must work where a project file is faulty, and use nothing of it.
_WITHOUT_PROJECT = ("completion", "docs", "login", "logout")


def _name_variables(command: click.Command, prefix: str) -> None:
    """Every option can be set by ``HOMEPORT_COMMAND_OPTION``, as it is written on the line.

    Not left to click: it would take the names of our functions' parameters.
    """
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar is None and not option.is_eager:
            long = next((name for name in option.opts if name.startswith("--")), "")
            if long:
                option.envvar = f"{prefix}_{long[2:]}".upper().replace("-", "_")
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            _name_variables(child, f"{prefix}_{name}")


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  homeport build dockerfile-copy
  homeport help build
  homeport -v --color never inspect docker.io/library/debian:13-slim

Options of every command (-q, -v, --format, --color …) may stand before it, too.
""",
)
@click.version_option(__version__, "-V", "--version", message="homeport %(version)s")
def homeport() -> None:
    """Build, inspect, move and audit container images.

    Homeport builds multi-platform OCI images from signed Debian packages and your own
    files, byte for byte reproducible, without Docker, root or an emulator. It finds the public
    images that your builds depend on and brings them home.
    """


def main() -> NoReturn:
    """Run the program and exit with its code. Not for programs that go on: ``run`` is."""
    code = _delivered(run(sys.argv[1:]))
    if _may_end_at_once():
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):  # what those have written
            with contextlib.suppress(OSError, AttributeError):
                stream.flush()
        # 11 ms of --version, 30 ms of an audit (benchmarks/start.py).
        os._exit(code)
    sys.exit(code)


def _may_end_at_once() -> bool:
    """Whether the process may end without Python's own shutdown, which takes 2 to 20 ms.

    Not with threads that Python waits for, with profilers or debuggers, or with ``python -i``.
    """
    here = threading.current_thread()
    return here is threading.main_thread() and not (
        any(one is not here and not one.daemon for one in threading.enumerate())
        or sys.gettrace()
        or sys.getprofile()
        or sys.flags.interactive
        or os.environ.get("PYTHONINSPECT")
    )


def _delivered(code: int) -> int:
    """The exit code, once standard output has taken what was written to it."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _abandon_output()  # the reader closed the pipe
    except OSError as error:
        failed = _report(_output_error(error), as_json=False)
        return code or failed
    return code


def run(arguments: list[str]) -> int:
    """Run the program; return its exit code. All errors are printed here."""
    found: HomeportError
    arguments = arranged(arguments)
    try:
        _fill_closed_streams()
        if _COMPLETING in os.environ:
            from homeport.cli.completing import register  # 40 ms that all other runs save

            register()
        elif not arguments:
            return _show_overview()
        # A command's own exit code, such as that of a program that it ran, is returned.
        code = homeport.main(
            arguments, prog_name="homeport", standalone_mode=False, obj=tuple(arguments)
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except BrokenPipeError:
        _abandon_output()  # the reader closed the pipe
        return 0
    except click.ClickException as error:
        if isinstance(error, click.exceptions.NoArgsIsHelpError):  # a group without a command
            click.echo(error.format_message())
            return 0
        found = _usage_error(error, arguments)
    except (KeyboardInterrupt, click.Abort):
        found = Interrupted()
    except HomeportError as error:
        found = _with_folder(error, arguments)
    except OSError as error:
        found = _output_error(error)
    as_json = _given(arguments, "format") == "json"
    return _report(found, as_json, _given(arguments, "color"))


#: Options behind which no value stands.
_WITHOUT_VALUE = ("--offline", "-q", "--quiet", "-v", "--verbose", "--full", "--no-progress")


def _with_folder(error: HomeportError, arguments: list[str]) -> HomeportError:
    """The error of a registry, with a word on a directory here that has the image's name.

    ``homeport inspect app`` means an image beside a directory ``app`` (docs/formats/addresses.md).
    """
    repository = str(error.where.get("repository", ""))
    word = next((w for w in arguments if w and repository in (w, f"library/{w}")), "")
    if isinstance(error, OfflineError) and not word:  # before any repository was known
        before = ["", *arguments]
        words = [w for n, w in enumerate(arguments[1:], 1) if before[n] in _WITHOUT_VALUE
                 or not before[n].startswith("-")]  # fmt: skip
        word = next((w for w in words if not w.startswith("-") and os.path.isdir(w)), "")
    if word and os.path.isdir(word):
        from pathlib import Path  # 10 ms that --version saves

        from homeport.images.address import folder_hint  # 20 ms that --version saves

        hint = folder_hint(Path(word))
        error.hint = f"{error.hint}; {hint}" if error.hint else hint
    return error


#: Set by the scripts of ``homeport completion``: a shell asks for the words that may come.
_COMPLETING = "_HOMEPORT_COMPLETE"


def _show_overview() -> int:
    from homeport.cli.overview import overview  # 12 ms that --version saves
    from homeport.cli.screen import screen_of  # 10 ms that --version saves

    click.echo(overview(screen_of(sys.stdout, os.environ.get("HOMEPORT_COLOR", "auto"))))
    return 0


class OutputFailed(HomeportError):
    """The result could not be written to standard output."""

    id = "output"


def _fill_closed_streams() -> None:
    """Standard input and error that are closed become ``/dev/null``.

    Otherwise the next file that is opened takes their number, and messages go into it.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115  open as long as we run
    if sys.stdout is None:
        raise OutputFailed(
            "standard output is closed", hint="redirect it to /dev/null to discard the result"
        )
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  the same
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another encoding (latin-1, ASCII) gets an escape for what it lacks.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _output_error(error: OSError) -> HomeportError:
    """Errors of files were explained where they occurred; what remains is our own output."""
    if error.filename is not None:
        return HomeportError(f"{error.filename}: {error.strerror}")
    if error.errno == errno.ENOENT:  # of no file: what only getcwd raises
        return HomeportError(
            "the current directory was removed", hint="change to a directory that is there"
        )
    return OutputFailed(f"cannot write standard output: {error.strerror}")


def _abandon_output() -> None:
    """Discard what Python still buffers; otherwise it reports the same error when it ends."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_PLATFORMS = "a lockfile is for all platforms of the recipe; its field platforms says which"
#: By command and option what somebody may have meant who types an option that it does not have.
_MEANT = {
    ("lock", "--platform"): f"{_PLATFORMS}, and homeport build --platform takes some of them",
    ("update", "--platform"): _PLATFORMS,
}


def _usage_error(error: click.ClickException, arguments: list[str]) -> UsageError:
    context = getattr(error, "ctx", None) or _context_of(arguments)
    hint = f"{context.command_path} --help"
    if isinstance(error, click.BadOptionUsage):  # no value, or one too many
        for option in context.command.get_params(context):
            if error.option_name in option.opts and isinstance(option, click.Option):
                value = option.make_metavar(context) if not option.is_flag else ""
                hint = f"write {error.option_name} {value}".rstrip() + f"; {hint}"
    if isinstance(error, click.NoSuchOption):
        name = error.option_name
        if meant := _MEANT.get((str(context.info_name), name)):
            return UsageError(f"No such option {name!r}", hint=meant)
    if context.default_map:
        file = context.find_root().meta["homeport.project"].file
        hint = f"{hint}; defaults are from {file} (--no-project)"
    # click lists choices on lines of their own.
    return UsageError(re.sub(r"\s+", " ", error.format_message()).rstrip("."), hint=hint)


def _context_of(arguments: list[str]) -> click.Context:
    """The command that was typed; errors of click's parser know none."""
    root = context = click.Context(homeport, info_name="homeport")
    for word in arguments:
        command = context.command
        if isinstance(command, click.Group):
            if child := command.get_command(context, word):
                context = click.Context(child, info_name=word, parent=context)
                continue
        elif child := getattr(command, "subcommands", {}).get(word):
            return click.Context(child, info_name=f"{context.info_name} {word}", parent=root)
        if not word.startswith("-"):
            break
    return context


def _given(arguments: list[str], option: str) -> str:
    """The value of an option of every command; asked where the options may not be parsed."""
    for number, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument.startswith(f"--{option}="):
            return argument.partition("=")[2]
        if argument == f"--{option}":
            return "".join(arguments[number + 1 : number + 2])
    return os.environ.get(f"HOMEPORT_{option.upper()}", "")


def _report(error: HomeportError, as_json: bool, color: str = "auto") -> int:
    if isinstance(error, OutputFailed):
        _abandon_output()
        as_json = False
    as_json = as_json and not error.after_result
    if as_json and sys.stdout is not None:
        import msgspec  # 10 ms that --version and --help save

        document: dict[str, Any] = {"schema": "homeport-error/v1", "error": error.to_json()}
        try:
            sys.stdout.write(
                json_text(msgspec.json.encode(document).decode(), sys.stdout.encoding) + "\n"
            )
            sys.stdout.flush()
        except OSError:
            _abandon_output()
            as_json = False
    if not as_json:
        with contextlib.suppress(OSError):  # standard error is closed
            text = output_text(describe(error))
            sys.stderr.write(_coloured(text, color) + "\n")
            sys.stderr.flush()
    return error.exit_code


def _coloured(text: str, color: str) -> str:
    """A message as the terminal behind standard error shows it."""
    if not (color == "always" or sys.stderr.isatty()):
        return text
    from homeport.cli.screen import marked, wants_colour  # 10 ms that --version saves

    return marked(text) if wants_colour(sys.stderr, color) else text


def describe(error: HomeportError) -> str:
    """An error as people read it: what, where, and what to do next."""
    if isinstance(error, Faults):
        lines = []
        for fault in error.faults:
            lines.append(_one_line(fault))
            if fault.hint:
                lines.append(f"  hint: {printable(fault.hint)}")
        lines.append(f"error: {printable(error.what)}")
    else:
        lines = [f"error: {_one_line(error)}"]
    if error.hint:
        lines.append(f"  hint: {printable(error.hint)}")
    return "\n".join(lines)


def _one_line(error: HomeportError) -> str:
    """``file:line:column: what (field, digest…)``, on one line whatever the values are."""
    where = dict(error.where)
    place = str(where.pop("file", ""))
    if place and place in error.what:
        place = ""
    for key in ("line", "column"):
        found = where.pop(key, None)
        if place and found is not None:
            place += f":{found}"
    rest = [f"{key} {value}" for key, value in where.items() if str(value) not in error.what]
    text = (f"{place}: " if place else "") + error.what + (f" ({', '.join(rest)})" if rest else "")
    return printable(text)
