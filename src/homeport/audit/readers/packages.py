"""Dependency lists of languages: packages that pull images by a rule, with versions."""

from __future__ import annotations

import re

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context
from homeport.audit.source import Source

#: Ecosystem by file name, and how a dependency with its version is written there.
_FORMS: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("maven", r"pom\.xml$", re.compile(
        r"<groupId>\s{0,99}+(org\.testcontainers|org\.springframework\.boot|io\.quarkus(?:\.platform)?"
        r"|com\.google\.cloud\.tools)\s{0,99}+</groupId>\s{0,999}+<artifactId>"
        r"\s{0,99}+([\w.-]{1,200}+)\s{0,99}+</artifactId>"
        r"(?:\s{0,999}+<version>\s{0,99}+([^<\s]{1,200}+)\s{0,99}+</version>)?")),
    ("maven", r"\.gradle(?:\.kts)?$|\.toml$", re.compile(
        r"[\"'](org\.testcontainers|org\.springframework\.boot|io\.quarkus(?:\.platform)?)"
        r":([\w.-]{1,200}+)(?::([^\"']{1,200}+))?[\"']")),
    ("gradle", r"\.gradle(?:\.kts)?$", re.compile(
        r"\bid[ \t(]{1,9}+[\"'](org\.springframework\.boot|io\.quarkus"
        r"|com\.google\.cloud\.tools\.jib)"
        r"[\"']()[ \t)]{0,9}+(?:version[ \t(]{1,9}+[\"']([^\"']{1,60}+)[\"'])?")),
    ("nuget", r"\.(?:cs|fs|vb)proj$|\.props$", re.compile(
        r"<Package(?:Reference|Version)[ \t]{1,9}+Include=\"(Aspire\.Hosting[\w.]{0,80}+"
        r"|Testcontainers[\w.]{0,80}+)\"()(?:[ \t]{1,9}+Version=\"([^\"]{1,60}+)\")?")),
    ("go", r"go\.mod$", re.compile(
        r"(github\.com/testcontainers/testcontainers-go[^\s,]{0,100}+|sigs\.k8s\.io/kind"
        r"|dagger\.io/dagger)()[ \t]{1,99}+v(\S{1,100}+)(?![ \t]{0,9}+//[ \t]{0,9}+indirect)")),
    ("npm", r"package\.json$", re.compile(
        r"\"((?:@testcontainers/)?[\w-]{0,60}testcontainers[\w-]{0,60}|@testcontainers/[\w-]{1,100}"
        r"|@aws-cdk/aws-lambda-python-alpha)\"()\s{0,99}+:"
        r"\s{0,99}+\"[\^~]?([^\"]{0,200}+)\"")),
    ("pypi", r"(?:requirements[^/]*\.txt|pyproject\.toml|setup\.cfg)$", re.compile(
        r"(?:^|[\"'\s])(testcontainers|aws-cdk[.-]aws-lambda-python-alpha)()"
        r"(?:\[[^\[\]]{0,200}+\])?[ \t]{0,99}+(?:[=~><!]=?=?[ \t]{0,99}+([\d.]{1,60}+))?", re.M)),
    ("cargo", r"Cargo\.toml$", re.compile(
        r"^(testcontainers[\w-]{0,60}+)()[ \t]{0,99}+=[ \t]{0,99}+"
        r"(?:\{[^{}\n]{0,400}?version[ \t]{0,9}+=[ \t]{0,9}+)?\"([^\"]{0,60}+)\"", re.M)),
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
