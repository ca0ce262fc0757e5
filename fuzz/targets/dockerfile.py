"""Dockerfiles of repositories under audit: lines, words, expansion, stages, patterns."""

from __future__ import annotations

from pathlib import Path

from homeport.audit.reading.context import Context
from homeport.audit.scan.scanning import read_as
from homeport.audit.source import Source
from homeport.copying import ignore
from homeport.copying.errors import CopyError
from homeport.dockerfile.expand import expand
from homeport.dockerfile.lines import parse_dockerfile
from homeport.dockerfile.stages import analyse
from homeport.errors import HomeportError

EXPECTED = (HomeportError, CopyError)
MAX_LENGTH = 16 << 10
_VALUES = {"a": "aXbXc", "b": "b" * 100, "": "c"}


def fuzz_one(data: bytes) -> None:
    """Read as a Dockerfile of a build and of an audit, as words, and as a .dockerignore."""
    text = data.decode("utf-8", "surrogateescape")
    dockerfile = parse_dockerfile(text)
    for use in analyse(dockerfile).images:
        assert 0 <= use.span.start <= use.span.end <= len(text)
    read_as(Source("Dockerfile", data), Context(Path("/nonexistent")), "dockerfile")
    for line in text.splitlines()[:50]:
        try:
            expand(line, _VALUES)
        except HomeportError:
            continue
    ignored = ignore.Ignore(ignore.read(data))
    for path in (b"a/b.o", b"x", b"a/c/d" * 20):
        ignored.matches(path)


def seeds() -> list[bytes]:
    """The forms that BuildKit knows."""
    return [
        b"# syntax=docker/dockerfile:1\n# escape=`\nARG V=${T:-3}\nFROM debian:${V#x} AS a\n"
        b"RUN --mount=type=bind,from=b,source=/ <<EOF cat\nx\nEOF\nCOPY --from=a --chown=1 x /y\n",
        b"ARG a=1\nARG b=$a$a\nFROM --platform=$BUILDPLATFORM x:${a/1/2} \\\n# c\n  as y\n"
        b'ONBUILD COPY --from=z . .\nFROM y\nENV A="b c" D=\'e\'\nCOPY ["a", "b"]\n',
        b"${a#*X}\n${a##*X}\n${a%X*}\n${a//X/-}\n${u:?no}\n${u:+x}\n'lit' \"$b\" \\$\n",
        b"**/*.o\n!a/[b-d]?.o\n#c\n/x\n",
    ]
