"""The program: help without imports, one place for errors, stable exit codes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from builders.inspection import file, layer, made
from builders.runtime import runtime
from homeport import errors
from homeport.cli import main as program
from homeport.cli.arrangement import ANYWHERE, arranged
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout

HEAVY = ("rich", "yaml", "ssl", "msgspec", "pysequoia", "elftools", "zstandard", "asyncio")

#: What a command loads only where it needs it, and the ms that this saves (least of nine runs).
LATE = {"asyncio": 23, "email.utils": 12, "homeport.net.client": 55, "rich": 30, "ssl": 9}


def homeport(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "homeport", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_version_and_help_import_no_command_and_no_heavy_library(argument: str) -> None:
    code = (
        "import sys; from homeport.cli.main import run; run([sys.argv[1]])\n"
        "print([m for m in sys.modules if m.startswith('homeport') or '.' not in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, argument], capture_output=True, text=True, check=True
    )
    modules = set(json.loads(done.stdout.splitlines()[-1].replace("'", '"')))

    assert {m for m in modules if m.startswith("homeport")} == {
        "homeport",
        "homeport.cli",
        "homeport.cli.arrangement",
        "homeport.cli.main",
        "homeport.cli.subcommand",
        "homeport.errors",
        "homeport.known_secrets",
        "homeport.printable",
    }
    assert modules.isdisjoint(HEAVY)


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["inspect", "oci:/nonexistent:1"], {"yaml"}),
        (["build", "./nonexistent"], set()),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_command_imports_nothing_that_only_rare_cases_need(
    arguments: list[str], more: set[str]
) -> None:
    """Each of these takes more than 5 ms of every start; yaml 12 ms (docs/decisions/start.md)."""
    code = (
        "import sys; from homeport.cli.main import run; run(sys.argv[1:])\n"
        "print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines())
    assert "homeport.cli.options" in loaded
    assert loaded & (LATE.keys() | more) == set()


def test_an_interrupt_while_the_program_loads_ends_it_without_a_word(tmp_path: Path) -> None:
    loads_slowly = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(1)"
    (tmp_path / "click.py").write_text(loads_slowly)
    done = subprocess.run(
        [sys.executable, "-m", "homeport", "--version"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("name", program.COMMANDS)
def test_every_command_has_help_with_a_summary(name: str) -> None:
    command = program.homeport.get_command(click.Context(program.homeport), name)
    assert command is not None
    assert command.name == name
    assert command.help


def test_a_mistyped_command_names_the_near_one() -> None:
    done = homeport("buidl")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "error: unknown command 'buidl'; did you mean build or bundle?",
        "  hint: homeport --help",
    ]


@pytest.mark.parametrize(
    "group",
    ["blubber", "cache", "catalog", "docker-pkg", "key", "llb", "policy", "recipe", "slice"],
)
def test_an_unknown_command_of_a_group_is_reported_in_the_same_words(group: str) -> None:
    done = homeport(group, "qqq")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: unknown command 'qqq'",
        f"  hint: homeport {group} --help",
    ]


def test_a_mistyped_command_of_a_group_names_the_near_one() -> None:
    done = homeport("catalog", "shw")
    assert done.stderr.splitlines()[0] == "error: unknown command 'shw'; did you mean show?"


def test_with_format_json_an_error_is_json_on_standard_output() -> None:
    done = homeport("cache", "prune", "--bound", "much", "--format", "json")
    assert done.returncode == 2
    assert json.loads(done.stdout) == {
        "schema": "homeport-error/v1",
        "error": {
            "id": "usage",
            "what": "invalid size 'much'",
            "exit_code": 2,
            "hint": "write it like 5GiB or 500MB",
        },
    }


def test_a_result_that_says_no_is_the_only_document(tmp_path: Path) -> None:
    blob = tmp_path / "blobs/sha256" / ("0" * 64)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"damaged")
    done = homeport("cache", "verify", "--cache-dir", str(tmp_path), "--format", "json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["damaged"] == [f"sha256:{'0' * 64}"]
    assert done.stderr == "error: removed 1 damaged file; it will be rebuilt when needed\n"


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (lambda: errors.HomeportError("x"), 1),
        (lambda: errors.IntegrityError("x"), 1),
        (lambda: errors.TooLarge("x"), 1),
        (lambda: errors.UsageError("x"), 2),
        (lambda: errors.Faults([errors.UsageError("x")]), 2),
        (lambda: click.UsageError("x"), 2),
        (lambda: errors.AnswerNo("x"), 3),
        (lambda: errors.OutOfDate("x"), 4),
        (errors.Interrupted, 130),
        (KeyboardInterrupt, 130),
        (BrokenPipeError, 0),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(
    raised: Callable[[], BaseException],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail(*args: Any, **more: Any) -> None:
        raise raised()

    monkeypatch.setattr(program.homeport, "main", fail)
    monkeypatch.setattr(program.os, "dup2", lambda *args: None)
    assert program.run(["tags"]) == code
    assert "Traceback" not in capfd.readouterr().err


def test_an_error_says_where_what_and_what_next() -> None:
    error = errors.UsageError("unknown key 'usr'", hint="did you mean user?").at(
        file="homeport.yaml", line=3, column=5, field="config.usr"
    )
    assert program.describe(error) == (
        "error: homeport.yaml:3:5: unknown key 'usr' (field config.usr)\n  hint: did you mean user?"
    )


def test_all_faults_of_a_document_are_printed() -> None:
    faults = errors.Faults(
        [errors.UsageError("one", where={"line": 1}), errors.UsageError("two", hint="look")],
        what="the recipe is not usable",
    ).at(file="r.yaml")
    assert program.describe(faults).splitlines() == [
        "r.yaml:1: one",
        "r.yaml: two",
        "  hint: look",
        "error: the recipe is not usable",
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_another_encoding_gets_escapes(tmp_path: Path, encoding: str) -> None:

    image = made(layer(file("umlä\u6f22")))
    OciLayout(LayoutAddress(path=tmp_path / "image", tag="1")).write(image, runtime())
    environment = {
        **os.environ, "PYTHONIOENCODING": encoding, "HOMEPORT_CACHE_DIR": str(tmp_path / "cache")
    }  # fmt: skip
    for options in ([], ["--format", "json"]):
        done = subprocess.run(
            [sys.executable, "-m", "homeport", "inspect", f"oci:{tmp_path / 'image'}:1", "--files",
             *options],
            capture_output=True, env=environment, check=True,
        )  # fmt: skip
        text = done.stdout.decode(encoding)
        if options:
            assert json.loads(text)["files"][0]["path"] == "/umlä\u6f22"
        else:
            shown = {"ascii": "/uml\\xe4\\u6f22\n", "latin-1": "/umlä\\u6f22\n"}
            assert text.endswith(shown[encoding])


def test_names_from_outside_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in program.describe(errors.HomeportError("bad name \x1b[2J\u202e"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: str) -> None:
    done = homeport("completion", shell)
    assert done.returncode == 0
    assert "_HOMEPORT_COMPLETE" in done.stdout


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line with ``homeport`` in it, as a shell runs it."""
    program = f'homeport() {{ "{sys.executable}" -m homeport "$@"; }}\n'
    return subprocess.run(
        ["bash", "-c", program + command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments", ["--version", "--help", "catalog list", "catalog list --format json"]
)
def test_a_full_disk_behind_standard_output_is_one_message(arguments: str, buffered: str) -> None:
    done = shell(f"homeport {arguments} > /dev/full", PYTHONUNBUFFERED=buffered)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: cannot write standard output: No space left on device"
    ]


def test_a_closed_standard_output_is_one_message() -> None:
    done = shell("homeport catalog list >&-")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "error: standard output is closed"


def test_an_error_in_json_that_cannot_be_written_is_told_as_text() -> None:
    done = shell("homeport cache prune --bound much --format json > /dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: invalid size 'much'"


def test_without_a_standard_error_the_exit_code_still_tells() -> None:
    assert shell("homeport cache prune --bound much 2>&-").returncode == 2
    assert shell("homeport cache prune --bound much 2> /dev/full").returncode == 2


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    done = shell("homeport recipe schema | head -1; echo ${PIPESTATUS[0]}")
    assert done.stdout == "{\n0\n"
    assert done.stderr == ""


def ending(work: str, more: str = "") -> str:
    """The command line of a program that does ``work`` (its code in ``code``) and then ends."""
    return shlex.join(
        [sys.executable, "-c", f"""
import atexit, sys, threading, time
from homeport.cli import main
def run(arguments):
    {work}
    return code
main.run = run
{more}
main.main()
"""]
    )  # fmt: skip


def test_at_the_end_all_output_is_in_the_pipe_and_the_code_is_right() -> None:
    much = ending("sys.stdout.write('x' * 1_000_000); sys.stderr.write('why'); code = 3")
    done = shell(f"{much} | (sleep 0.2; wc -c); echo ${{PIPESTATUS[0]}}")
    assert done.stdout.split() == ["1000000", "3"]
    assert done.stderr == "why"


def test_output_that_is_written_at_the_very_end_may_fail_too() -> None:
    late = ending("sys.stdout.write('the result'); code = 0")
    done = shell(f"{late} > /dev/full", PYTHONUNBUFFERED="")
    assert done.returncode == 1
    assert done.stderr == "error: cannot write standard output: No space left on device\n"
    done = shell(f"(sleep 0.3; {late}) | true; exit ${{PIPESTATUS[0]}}", PYTHONUNBUFFERED="")
    assert (done.returncode, done.stderr) == (0, "")
    assert shell(f"{ending('code = 3')} >&-").returncode == 3


def test_an_answer_of_no_stands_although_its_output_failed() -> None:
    done = shell(
        f"{ending('sys.stdout.write(chr(120)); code = 3')} > /dev/full", PYTHONUNBUFFERED=""
    )
    assert done.returncode == 3
    assert "cannot write standard output" in done.stderr


@pytest.mark.parametrize(
    "more",
    [
        "atexit.register(print, 'at the end')",
        "threading.Thread(target=lambda: (time.sleep(0.1), print('at the end'))).start()",
        "sys.setprofile(lambda *_: None); atexit.register(print, 'at the end')",
    ],
)
def test_what_python_does_at_its_end_is_done(more: str) -> None:
    done = shell(ending("print('result'); code = 4", more))
    assert (done.returncode, done.stderr) == (4, "")
    assert sorted(done.stdout.splitlines()) == ["at the end", "result"]


def test_an_interrupted_command_ends_with_its_code() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "homeport", "ping", "--plain-http", address]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
            server.settimeout(60)
            connection, _ = server.accept()
            connection.recv(1)  # the request has begun, and gets no answer
            child.send_signal(signal.SIGINT)
            _, said = child.communicate(timeout=60)
        connection.close()
    assert child.returncode == 130
    assert said.strip() == "error: interrupted"


def test_every_option_can_be_set_by_a_variable_named_as_it_is_written() -> None:
    done = shell("homeport cache prune", HOMEPORT_CACHE_PRUNE_BOUND="much")
    assert done.stderr.splitlines()[0] == "error: invalid size 'much'"


def test_the_program_alone_prints_an_overview_and_a_group_its_help() -> None:
    alone = shell("homeport")
    assert (alone.returncode, alone.stderr) == (0, "")
    assert "homeport audit ." in alone.stdout
    assert len(alone.stdout.splitlines()) <= 24
    for group in ("cache", "recipe", "catalog"):
        done = shell(f"homeport {group}")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == shell(f"homeport {group} --help").stdout


def test_help_and_version_are_words_too() -> None:
    assert shell("homeport version").stdout == shell("homeport --version").stdout
    assert shell("homeport help").stdout == shell("homeport --help").stdout
    assert shell("homeport help cache info").stdout == shell("homeport cache info --help").stdout


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("-v inspect x", "inspect x -v"),
        ("--format json --color=never -qv tags x", "tags x --format json --color=never -qv"),
        ("--offline copy a -- -b", "copy a --offline -- -b"),
        ("help lock", "lock --help"),
        ("-v help", "--help"),
        ("--help", "--help"),
        ("-x inspect", "-x inspect"),
        ("-v", ""),
    ],
)
def test_options_of_every_command_may_stand_before_it(typed: str, meant: str) -> None:
    assert arranged(typed.split()) == meant.split()


def test_these_are_the_options_of_every_command() -> None:
    from homeport.cli import cache

    declared = [each for each in cache.command.commands["info"].params if each.name != "help"]
    names = [
        {name for each in declared for name in each.opts if _takes_value(each) is takes}
        for takes in (False, True)
    ]
    assert tuple(names) == ANYWHERE


def _takes_value(option: click.Parameter) -> bool:
    return isinstance(option, click.Option) and not option.is_flag and not option.count


def test_an_image_that_is_not_found_beside_a_directory_of_its_name_says_what_that_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").mkdir()
    error = errors.HomeportError(
        "unknown host", where={"registry": "docker.io", "repository": "library/app"},
        hint="check the name",
    )  # fmt: skip
    hint = program._with_folder(error, ["inspect", "app"]).hint
    assert hint is not None
    assert hint.endswith("audit its files: homeport audit ./app")
    other = errors.HomeportError(
        "no such image", where={"repository": "library/redis"}, hint="none"
    )
    assert program._with_folder(other, ["inspect", "redis"]).hint == "none"


@pytest.mark.parametrize(
    "arguments",
    [
        ["digest", "app"], ["inspect", "app"], ["--offline", "manifest", "app"], ["config", "app"],
        ["pull", "app", "oci:x"], ["validate", "app"], ["diff", "app", "app"], ["sbom", "app"],
        ["retag", "app", "other"], ["inspect", "--offline", "app"],
    ],
)  # fmt: skip
def test_every_command_says_offline_what_a_directory_of_that_name_is(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOMEPORT_OFFLINE", "1")
    (tmp_path / "app").mkdir()
    (tmp_path / "elsewhere").mkdir()
    assert program.run(arguments) == 2
    assert "audit its files: homeport audit ./app" in capsys.readouterr().err
    assert program.run(["inspect", "--cache-dir", "elsewhere", "none"]) == 2
    assert "elsewhere" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["audit", "."], ["build", "x"], ["init", "tzdata"], ["lock"]]
)
def test_a_current_directory_that_was_removed_is_said_so(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert program.run(arguments) == 1
    assert "the current directory was removed" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("limit", ["bytes", "bytes=", "bytes=0", "bytes=x", "depth=-1"])
def test_a_limit_without_a_number_is_named_as_it_was_written(
    limit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.run(["catalog", "list", f"--limit={limit}"]) == 2
    found = capsys.readouterr().err
    assert f"--limit {limit.partition('=')[0]}" in found
    assert "HOMEPORT_LIMIT" not in found


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["inspect", "x", "--html"], "write --html FILE; homeport inspect --help"),
        (["audit", "explain", "--config"], "write --config FILE; homeport audit explain --help"),
        (["slice", "propose", "jq", "-o"], "write -o FILE; homeport slice propose --help"),
        (["build", "--quiet=1"], "write --quiet; homeport build --help"),
    ],
)
def test_an_option_without_its_value_says_how_it_is_written(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.run(words) == 2
    assert f"\n  hint: {hint}\n" in capsys.readouterr().err


def test_tags_of_a_name_that_is_a_folder_here_says_what_that_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").mkdir()
    assert program.run(["tags", "app", "--offline"]) != 0
    assert "audit its files: homeport audit ./app" in capsys.readouterr().err


def test_an_option_that_a_command_cannot_have_says_what_has_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert program.run(["lock", "--platform", "linux/amd64"]) == 2
    told = capsys.readouterr().err
    assert "No such option '--platform'\n" in told
    assert "homeport build --platform" in told


def test_doctor_asks_nothing_if_a_registry_is_misspelt(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(["doctor", "extra"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "hint: write it like registry.example:5000" in told.err


@pytest.mark.parametrize("group", ["recipe", "slice", "catalog", "docker-pkg", "cache", "binfmt"])
def test_summaries_of_a_group_are_whole(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run([group]) == 0
    listed = capsys.readouterr().out.partition("Commands:\n")[2]
    assert listed
    assert "..." not in listed


def test_an_error_of_an_argument_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.run(["pipelines"]) == 2
    told = capsys.readouterr().err.splitlines()
    choices = "gitlab, github, forgejo, woodpecker, jenkins, cron, systemd"
    assert told[0].endswith(f"Choose from: {choices}")
    assert told[1:] == ["  hint: homeport pipelines --help"]
