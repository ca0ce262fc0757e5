"""Maintainer scripts of a package that a stranger made: what reading them may cost, and reach.

A script is never run. Steps and memory are counted with a budget of 100,000 steps, not timed.
"""

from __future__ import annotations

import pytest
from tests.builders.growth import lines_run, peak_memory

from homeport.debian.scripts.called import CalledPrograms, called_programs
from homeport.debian.scripts.effects import Effect, MakeDirectory, MakeFile, NotUnderstood
from homeport.debian.scripts.interpreter import TOO_MUCH, World, read_script
from homeport.debian.scripts.machine import Files

NUMBERS = [f"{number}" for number in range(2_000)]
ITSELF = '#!/bin/sh\n"$0" a; /usr/bin/itself a; /usr/bin/itself b\n'
WORLD = World(
    architecture="amd64",
    files=Files(
        type_of=lambda _path: None, target_of=lambda _path: None,
        text_of=lambda path: ITSELF if path == "/usr/bin/itself" else None,
        names_in=lambda _folder: NUMBERS,
    ),
    account=lambda _kind, _name: False,
)  # fmt: skip
WORDS = " ".join(f"/{number}" for number in range(20_000))
FEW = " ".join(NUMBERS)

#: Scripts that would take hours, gigabytes or the parser's stack.
BOMBS = {
    "text that doubles": "a=x\n" + 'a="$a$a"\n' * 60 + "mkdir /$a\n",
    "words that double": "a='x x'\n" + 'a="$a $a"\n' * 60 + "mkdir $a\n",
    "a default that doubles": "a=x\n" + "a=${z:-$a$a}\n" * 60,
    "arguments that double": "set -- a b\n" + 'set -- "$@" "$@"\n' * 60,
    "a function that doubles its arguments": 'f() { f "$@" "$@"; }; f a\n',
    "an answer that grows": "db_set a b\n" + 'db_get a\nx=$RET\ny="$x$x$x"\ndb_set a "$y"\n' * 60,
    "a here-document that grows": f"a={'a' * 50_000}\ncat > /etc/x <<EOF\n{'$a' * 50_000}\nEOF\n",
    "a file that a loop appends to": f"for i in {FEW}; do cat >> /etc/x <<EOF\n{'a' * 90_000}\n"
    "EOF\ndone\n",
    "loops in loops": f"for i in {FEW}; do for j in {FEW}; do cp $i /x/$j; done; done\n",
    "globs in loops": "for i in /etc/*; do for j in /etc/*; do cp $j /x/$j; done; done\n",
    "directories that loops make": f"for i in {FEW}; do install -d {WORDS[:60_000]}; done\n",
    "many directories": f"mkdir {WORDS}\n",
    "many operands": f"sed -i s/x/y/ {WORDS}\n",
    "owners by wildcard": "".join(f"touch /z/{i}\n" for i in range(900))
    + f"chown a {'/z/* ' * 5_000}\n",
    "a skipped body again and again": f"for i in {FEW}; do until false; do {'foo;' * 30_000} done;"
    " done\n",
    "wildcards that look back": f"a={'a' * 50_000}\nb=${{a%{'*a' * 200}b}}\nb=${{a##*a*b}}\n",
    "a loop without end": "while true; do :; done\n",
    "a function that calls itself": "f() { f; f; }; f\n",
    "a script that starts itself": "/usr/bin/itself\n",
    "negations": f"[ {'! ' * 50_000}x ] && mkdir /x\n",
    "alternatives": f"[ {'x -o ' * 20_000}x ] && mkdir /x\n",
    "conditions inside each other": "if true; then " * 5_000 + "mkdir /x;" + " fi;" * 5_000,
    "commands in a row": "true && " * 20_000 + "true",
}
#: Too many brackets or bytes for the parser.
UNREAD = {
    "a pipeline": "a|" * 40_000,
    "open arrays": "x=(" * 40_000,
    "open substitutions": "$(" * 40_000,
    "closed brackets": ")" * 100_000,
    "here-documents": "<<A " * 20_000,
    "substitutions inside each other": "a=" + "$(" * 20_000 + "echo" + ")" * 20_000,
    "a megabyte of a here-document": f"cat > /x <<EOF\n{'a' * (1 << 20)}\nEOF\n",
    "zero bytes": "mkdir /a\0b\n",
}


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_LIMIT_STEPS", "100000")


def read(text: str) -> list[Effect]:
    return read_script("p", "postinst", f"#!/bin/sh\n{text}", WORLD)


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_script_without_end_is_read_up_to_a_bound(text: str) -> None:
    last: list[Effect] = []
    steps = lines_run(lambda: last.extend(read(text)[-1:]))
    assert steps < 1_500_000  # some fifteen lines for a step of the budget
    assert isinstance(last[0], NotUnderstood)
    assert last[0].text == TOO_MUCH


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_script_that_grows_takes_little_memory(text: str) -> None:
    assert peak_memory(lambda: read(text)) < 32 << 20


@pytest.mark.parametrize("text", UNREAD.values(), ids=UNREAD)
def test_a_script_that_the_parser_could_not_bear_is_not_parsed(text: str) -> None:
    assert lines_run(lambda: read(text)) < 2_000
    (only,) = read(text)
    assert isinstance(only, NotUnderstood)
    assert only.text.startswith("a script ")


def test_a_replacement_of_sed_does_not_multiply_without_end() -> None:
    text = "x=$(echo aaaaaaaaaa | sed 's/a/" + "&" * 2_000 + "/g')\n"
    text += "x=$(echo $x | sed 's/a/" + "&" * 2_000 + "/g')\n" * 3
    assert peak_memory(lambda: read(text)) < 32 << 20


def test_programs_of_such_a_script_are_not_looked_for() -> None:
    assert called_programs(b"a|" * 40_000) == CalledPrograms()


@pytest.mark.parametrize(
    "text",
    ["shift {}", "mkdir /a${}", "mkdir /a${{{}}}", "[ {} -gt 1 ] && mkdir /x", "umask {}",
     "update-alternatives --install /a b /c {}", "adduser --system --uid {} x",
     "x=$(echo a:b | cut -d: -f{})", "x=$(echo ab | cut -b -{})", "set -- $(({}))",
     "dpkg --compare-versions {} gt 1 && mkdir /x", "chmod {} /x"],
)  # fmt: skip
@pytest.mark.parametrize("number", ["9" * 5_000, "²", "٣", "--5"], ids=lambda each: each[:3])
def test_numbers_that_are_none_are_no_crash(text: str, number: str) -> None:
    assert len(read(text.format(number))) <= 1


def test_the_machines_own_files_are_not_read() -> None:
    found = read(
        "a=$(cat /etc/hostname)\nmkdir /$a\n. /etc/profile\ncp /etc/shadow /x\n"
        "cat < /etc/passwd > /y\nmkdir /z$(readlink /proc/self/exe)\necho $HOSTNAME > /n\n"
    )
    assert not [each for each in found if isinstance(each, MakeDirectory)]
    assert [each.text for each in found if isinstance(each, MakeFile)] == ["\n"]
