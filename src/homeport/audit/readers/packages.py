"""Dependency lists of languages: packages that pull images by a rule, with versions."""

from __future__ import annotations

import re

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context
from homeport.audit.source import Source

#: Ecosystem by file name, and how a dependency with its version is written there.
_FORMS: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("maven", r"pom\.xml$", re.compile(
        r"<groupId>\s*(org\.testcontainers)\s*</groupId>\s*<artifactId>\s*([\w.-]+)\s*</artifactId>"
        r"(?:\s*<version>\s*([^<\s]+)\s*</version>)?")),
    ("maven", r"\.gradle(?:\.kts)?$|\.toml$", re.compile(
        r"[\"'](org\.testcontainers):([\w.-]+)(?::([^\"']+))?[\"']")),
    ("go", r"go\.mod$", re.compile(
        r"(github\.com/testcontainers/testcontainers-go\S*)()\s+v(\S+)")),
    ("npm", r"package\.json$", re.compile(
        r"\"((?:@testcontainers/)?[\w-]*testcontainers[\w-]*|@testcontainers/[\w-]+"
        r"|@aws-cdk/aws-lambda-python-alpha)\"()\s*:"
        r"\s*\"[\^~]?([^\"]*)\"")),
    ("pypi", r"(?:requirements[^/]*\.txt|pyproject\.toml|setup\.cfg)$", re.compile(
        r"(?:^|[\"'\s])(testcontainers|aws-cdk[.-]aws-lambda-python-alpha)()"
        r"(?:\[[^\]]*\])?\s*(?:[=~><!]=?=?\s*([\d.]+))?", re.M)),
    ("cargo", r"Cargo\.toml$", re.compile(
        r"^(testcontainers[\w-]*)()\s*=\s*(?:\{[^}]*version\s*=\s*)?\"([^\"]*)\"", re.M)),
)  # fmt: skip


def read(source: Source, found: Collector, context: Context) -> None:
    """Hand every known package to the rules."""
    whole = source.whole()
    for ecosystem, names, pattern in _FORMS:
        if not re.search(names, source.name):
            continue
        for match in pattern.finditer(source.text):
            group, artifact, version = match.groups()
            name = f"{ecosystem}:{group}" + (f":{artifact}" if artifact else "")
            found.cause("package", name, whole.part(match.start(1), match.end(1)),
                        version=version or "", key=name)  # fmt: skip
