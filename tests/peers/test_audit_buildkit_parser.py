"""Our Dockerfile parser against BuildKit's own, compiled from its module.

Where BuildKit reads a file, we read the same instructions from it; where it expands a word,
we get the same value, and where it refuses one, so do we.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.audit import every_case, read_case
from homeport.dockerfile.expand import CannotExpand, expand
from homeport.dockerfile.lines import parse_dockerfile
from homeport.dockerfile.syntax import find_syntax

HERE = Path(__file__).parent / "audit_buildkit"
ROUNDS = 5000 if os.environ.get("HOMEPORT_FULL") else 1500

pytestmark = pytest.mark.peer("go")


class BuildKit:
    """The program that answers with BuildKit's parser."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def buildkit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuildKit]:
    program = tmp_path_factory.mktemp("buildkit") / "parser"
    environment = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0"}
    environment.setdefault("HOME", str(program.parent))
    subprocess.run(["go", "build", "-o", program, "."], cwd=HERE, check=True, env=environment)
    peer = BuildKit(program)
    yield peer
    peer.close()


def same_file(buildkit: BuildKit, text: str) -> None:
    theirs = buildkit.ask(op="parse", text=text)
    ours = parse_dockerfile(text)
    if "error" in theirs:
        return
    got = [
        (i.keyword, [f.text for f in i.flags], i.lines, len(i.heredocs)) for i in ours.instructions
    ]
    # Theirs keeps a line of nothing but a continuation as an instruction without a name.
    named = [i for i in theirs["instructions"] if i["keyword"]]
    wanted = [
        (i["keyword"], i["flags"] or [], (i["first"], i["last"]), len(i["heredocs"] or []))
        for i in named
    ]
    assert got == wanted, text
    assert ours.escape == theirs["escape"], text
    for mine, their in zip(ours.instructions, named, strict=True):
        if mine.keyword == "from":
            assert [w.text for w in mine.fields()] == (their["words"] or []), text
        for heredoc, content in zip(mine.heredocs, their["heredocs"] or [], strict=True):
            lines = content.splitlines(keepends=True)
            chomped = [line.lstrip("\t") if heredoc.chomp else line for line in lines]
            assert heredoc.content == "".join(chomped), text


@pytest.mark.parametrize(
    "text",
    [body for path in every_case() for name, body in read_case(path).files.items()
     if "ockerfile" in name and not name.endswith((".md", ".go", "ignore"))],
)  # fmt: skip
def test_the_files_of_the_corpus_are_read_alike(buildkit: BuildKit, text: str) -> None:
    same_file(buildkit, text)


PIECES = [
    "FROM a", "from b AS c", "FROM --platform=$X d", "RUN x", "RUN <<E", "RUN <<-'E' <<F",
    "E\n", "F\n", "\tE\n", "COPY --from=a b c", 'COPY --chown="x y" <<E /x', "ONBUILD RUN <<E",
    "CMD <<E", '["a"]', "# c", "# escape=`", "# syntax=x", "\\", "`", "\\\\", " ", "\t", "\n",
    "\n", "\n", "\r\n", "'", '"', "ARG A=b c='d e'", "  # in", "--x", "--", "=", "$y", "\\\n",
    "`\n", "\\ \n",
]  # fmt: skip


def test_random_files_are_read_alike(buildkit: BuildKit) -> None:
    pick = random.Random(1)
    for _ in range(ROUNDS):
        same_file(buildkit, "".join(pick.choices(PIECES, k=pick.randint(1, 14))))


WORDS = [
    "$", "{", "}", "${x", "${e", "${u", ":-", "-", ":+", "+", ":?", "?", "#", "##", "%", "%%",
    "/", "//", "x", "u", "a", "b.", "*", "?", "\\", "\\\\", "'", '"', "1", ".", "${x}", "$x",
    "$e", "_", ":", "`",
]  # fmt: skip


def test_random_words_expand_alike(buildkit: BuildKit) -> None:
    pick = random.Random(2)
    env = {"x": "ab.a.b1", "e": "", "a": "/x/y"}
    for number in range(ROUNDS * 4):
        word = "".join(pick.choices(WORDS, k=pick.randint(1, 9)))
        escape = "`" if number % 5 == 0 else "\\"
        theirs = buildkit.ask(op="expand", text=word, env=env, escape=escape)
        try:
            ours = expand(word, env, escape).value
        except CannotExpand:
            assert "error" in theirs, (word, theirs)
        else:
            assert "error" not in theirs, (word, theirs, ours)
            assert ours == theirs["value"], word


SYNTAX = [
    "# syntax=a/b:1", "#syntax = c d", "// syntax=e", "# escape=`", "#!x", "\n", "\n",
    "# SYNTAX=f", " ", "# check=skip=all", "# other=1", "FROM x", '{"syntax": "g"}', "\ufeff",
    "\r\n", "#", "//",
]  # fmt: skip


def test_random_files_ask_for_the_same_frontend(buildkit: BuildKit) -> None:
    pick = random.Random(3)
    for _ in range(ROUNDS):
        text = "".join(pick.choices(SYNTAX, k=pick.randint(1, 7)))
        found = find_syntax(text)
        assert (found.value if found else "") == buildkit.ask(op="syntax", text=text)["value"], text
