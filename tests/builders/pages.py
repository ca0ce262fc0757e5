"""What a page of docs tells a reader to do: commands to type and files to write, in their order.

    for step in steps(Path("docs/guide.md")): ...

A block of ``console`` has commands behind ``$ ``, one of ``sh`` has them on every line. A comment
``# exit code N`` behind a command says how it ends. Of other blocks, those whose first line is
``# path/of/a.file`` are files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"# ((?:[\w.-]+/)*[\w.-]+\.(?:yaml|yml|toml))$")
_CODE = re.compile(r"\s+# exit code (\d+)$")
_COMMENT = re.compile(r"\s{2,}# .*$")


@dataclass(frozen=True, kw_only=True)
class Write:
    """A file that the page shows."""

    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Type:
    """A command, and the exit code that the page gives it."""

    line: str
    code: int = 0


def steps(page: Path) -> Iterator[Write | Type]:
    """Files and commands of a page."""
    for block in _BLOCK.finditer(page.read_text()):
        kind, text = block["kind"], block["text"]
        if kind in ("console", "sh"):
            for line in text.splitlines():
                if kind == "sh" or line.startswith("$ "):
                    yield _command(line.removeprefix("$ "))
        elif named := _NAME.fullmatch(text.partition("\n")[0]):
            yield Write(name=named[1], text=text)


def _command(text: str) -> Type:
    code = _CODE.search(text)
    if code:
        return Type(line=text[: code.start()], code=int(code[1]))
    return Type(line=_COMMENT.sub("", text))
