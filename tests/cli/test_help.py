"""Every ``--help`` reads alike: a verb first, one screen wide, defaults, units and an example."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import click
import pytest

from homeport.cli.main import COMMANDS, homeport
from homeport.cli.subcommand import CommandWithSubcommand
from homeport.recipe.catalog import current_catalog

VERBS = {
    "Accept", "Add", "Append", "Apply", "Assume", "Attest", "Build", "Carry", "Check", "Compare",
    "Connect",
    "Copy", "Count", "Delete", "Do", "Exclude", "Exit", "Explain", "Export", "Fail", "Fetch",
    "Find", "Follow", "Hide", "Import", "Include", "Keep", "Leave", "Let", "List", "Load", "Lock",
    "Make", "Open", "Print",
    "Propose", "Provide", "Prune", "Pull", "Push", "Query", "Read", "Recognise",
    "Record", "Register", "Remove", "Require", "Resolve", "Run", "Save", "Search", "Send", "Set",
    "Show",
    "Sign", "Skip", "Start", "Stop", "Test", "Trust", "Unpack", "Use", "Verify", "Write",
}  # fmt: skip
WIDEST = 70
#: What plain technical English does without (LANGUAGE: no private vocabulary, no archaic turns).
ODD = re.compile(
    r"\b(said|unsaid|leans?|lets? us|somebody|nobody|whoever|see to it|himself|good for|the like"
    r"|hands? out|take along|whatever)\b",
    re.IGNORECASE,
)


def every() -> Iterator[tuple[str, click.Command]]:
    """Each command and subcommand with its full name."""
    context = click.Context(homeport, info_name="homeport")
    for name in COMMANDS:
        command = homeport.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {child}", each) for child, each in command.commands.items())
        if isinstance(command, CommandWithSubcommand):
            yield from ((f"{name} {child}", each) for child, each in command.subcommands.items())


ALL = dict(every())
each_command = pytest.mark.parametrize("name", ALL)


def options(command: click.Command) -> list[click.Option]:
    return [each for each in command.params if isinstance(each, click.Option)]


def test_the_list_of_commands_begins_with_verbs_and_is_grouped_by_task() -> None:
    assert [
        name for name, e in COMMANDS.items() if re.split("[ ,]", e.summary)[0] not in VERBS
    ] == []
    assert [name for name, e in COMMANDS.items() if len(e.summary) > WIDEST] == []
    assert list(dict.fromkeys(e.group for e in COMMANDS.values())) == [
        "Build", "Look", "Move", "Registry", "Prove", "Keep fresh", "Audit", "Engine",
        "Housekeeping",
    ]  # fmt: skip


@each_command
def test_a_summary_is_one_sentence_with_a_verb_first(name: str) -> None:
    summary = (ALL[name].help or "").partition("\n\n")[0]
    assert re.split(r"[ ,]", summary)[0] in VERBS
    assert len(summary) <= WIDEST
    assert summary.endswith(".")
    assert "\n" not in summary


@each_command
def test_every_command_has_an_example_of_itself_that_the_command_line_understands(
    name: str,
) -> None:
    command = ALL[name]
    if isinstance(command, click.Group):
        return  # its subcommands have them
    lines = re.sub(r"\\\n\s*", "", command.epilog or "").splitlines()
    calls = [line for line in lines if f"homeport {name} " in f"{line} "]
    assert calls != []
    for line in calls:
        words = _words(line.partition(f"homeport {name}")[2])
        arguments = [word for word in words if word]
        called = command
        own = command.subcommands if isinstance(command, CommandWithSubcommand) else {}
        if arguments and arguments[0] in own:
            called, arguments = own[arguments[0]], arguments[1:]
        with click.Context(called, info_name=name) as context:
            _parse(called, context, arguments)


@pytest.mark.parametrize("name", ["build", "lock", "test", "sbom", "vex", "publish", "outdated"])
def test_a_bare_name_in_an_example_is_a_recipe_of_the_catalog(name: str) -> None:
    known, command = set(current_catalog().names()), ALL[name]
    arguments = [each.name or "" for each in command.params if isinstance(each, click.Argument)]
    for line in re.sub(r"\\\n\s*", "", command.epilog or "").splitlines():
        words = _words(line.partition(f"homeport {name}")[2])
        with click.Context(command) as context:
            values, _, _ = command.make_parser(context).parse_args([word for word in words if word])
        for argument in arguments:
            value = values.get(argument)
            for word in value if isinstance(value, tuple) else (value,):
                if isinstance(word, str) and re.fullmatch(r"[a-z0-9-]+", word):
                    assert word in known, line


@pytest.mark.parametrize("name", ["init", "add"])
def test_a_slice_in_an_example_is_defined(name: str) -> None:
    slices = Path(str(resources.files("homeport") / "catalog" / "slices"))
    for package, slice in re.findall(r"([a-z0-9.+-]+)_([a-z0-9-]+)", ALL[name].epilog or ""):
        assert f"\n  {slice}:" in (slices / f"{package}.yaml").read_text()


def _words(line: str) -> list[str]:
    """The arguments up to a comment, a pipe or a redirection; examples may explain themselves."""
    plain = re.split(r"\s[#|<>]\s", line)[0]
    return shlex.split(plain)


def _parse(command: click.Command, context: click.Context, arguments: list[str]) -> None:
    """The options and the number of arguments; whether their files exist is another matter."""
    parser = command.make_parser(context)
    values, rest, _ = parser.parse_args(arguments)
    assert rest == [], arguments
    for parameter in command.params:
        if isinstance(parameter, click.Argument) and parameter.required:
            assert values.get(parameter.name or "") not in (None, ()), arguments
        if isinstance(parameter, click.Option) and isinstance(parameter.type, click.Choice):
            given = values.get(parameter.name or "")
            assert given is None or given in parameter.type.choices


@each_command
def test_every_option_says_what_it_does_its_default_and_whether_it_repeats(name: str) -> None:
    for option in options(ALL[name]):
        text = option.help or ""
        assert text, option.opts
        assert text[0].isupper(), text
        record = option.get_help_record(click.Context(ALL[name]))
        assert record is not None
        shown = record[1]
        acts = text.split()[0] in VERBS
        if option.is_flag or option.count:
            assert acts or "[default" in shown or text == "More output; repeat for more detail."
        else:
            assert acts or option.multiple or option.required or "default" in shown, shown
        assert not option.multiple or "Repeatable." in text, text
        assert re.sub(r"  \[default: [^]]+\]$", "", text).endswith("."), text


@each_command
def test_options_with_a_unit_name_it(name: str) -> None:
    for option in options(ALL[name]):
        text = option.help or ""
        if option.metavar == "SIZE":
            assert re.search(r"\d(kB|MB|GB|KiB|MiB|GiB)", text), text
        if isinstance(option.type, click.FloatRange | click.IntRange) and not option.count:
            assert option.metavar in {"SECONDS", "N"}


@each_command
def test_help_has_no_archaic_or_private_words(name: str) -> None:
    command = ALL[name]
    texts = [command.help or "", *(each.help or "" for each in options(command))]
    assert [word for text in texts for word in ODD.findall(text)] == []


@each_command
def test_every_option_has_a_name_for_its_value(name: str) -> None:
    for option in options(ALL[name]):
        if not option.is_flag and not option.count:
            assert option.make_metavar(click.Context(ALL[name])) != "TEXT" or option.metavar, (
                option.opts
            )
