"""Hostile files cost as much as they are long: twice the text, about twice the steps.

Steps are counted, not timed: lines of Homeport that run. What a regular expression does inside is
not a step here; those are judged by their form: a repetition without a bound is possessive or last.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import homeport.audit
import homeport.dockerfile
from homeport.audit.auditing import AuditRequest, audit

JOB = "jobs:\n  j:\n    steps:\n"
RUN = f"{JOB}      - run: |\n          "
OPTIONS = (
    f"{JOB}      - uses: docker/setup-buildx-action@v3\n        with:\n          driver-opts: |\n"
)
POD = "apiVersion: v1\nkind: Pod\nspec:\n"


def many(text: str, characters: int) -> str:
    """``text`` again and again, ``{i}`` counting and ``{n}`` one more."""
    count = max(1, characters // (len(text) + 2))
    return "".join(text.replace("{i}", str(i)).replace("{n}", str(i + 1)) for i in range(count))


#: A file, and how its text grows.
HOSTILE: dict[str, tuple[str, Callable[[int], str]]] = {
    "blank lines": ("a.yaml", lambda n: POD + "\n" * n),
    "blank lines of no kind": ("other.yml", lambda n: "x:\n" + " \n" * (n // 2)),
    "maps merged into maps": ("compose.yaml", lambda n: "a0: &a0 {k: v}\n" + many(
        "a{n}: &a{n} {<<: [*a{i}, *a{i}, *a{i}], k{n}: v}\n", n // 10) + "services: *a9\n"),
    "a key again and again": ("compose.yaml",
                              lambda n: "services:\n" + many("  a: {image: x}\n", n)),
    "values of one map": ("a.yaml", lambda n: POD + many("  value: x\n", n)),
    "a long key above many": ("a.yaml",
                              lambda n: f"{POD}  {'k' * n}:\n" + many("    k{i}: x\n", n)),
    "lines of a block": (".github/workflows/w.yml", lambda n: OPTIONS + many(
        "            image=a/b:1\n", n)),
    "open expressions": (".github/workflows/w.yml",
                         lambda n: "jobs: {j: {container: '" + many("${{ ", n) + "'}}\n"),
    "values of a matrix": (".github/workflows/w.yml", lambda n: "jobs: {j: {strategy: {matrix: {v:"
                           " [" + many("{i}, ", n) + "1]}}}}\n"),
    "names of a matrix": (".github/workflows/w.yml", lambda n: "jobs: {j: {strategy: {matrix: {"
                          + many("v{i}: [1], ", n) + "x: [1]}}}}\n"),
    "commands": (".github/workflows/w.yml",
                 lambda n: RUN + many("docker run a/b:1\n          ", n)),
    "open substitutions": (".github/workflows/w.yml", lambda n: RUN + many("$(docker run ", n)),
    "open quotes": ("run.sh", lambda n: many('docker run "x\n', n)),
    "options of sudo": ("run.sh", lambda n: many("sudo -sudo ", n) + "docker run x"),
    "open variables": ("compose.yaml",
                       lambda n: "services: {a: {image: '" + many("${A:-", n) + "'}}"),
    "a chain of jobs": (".gitlab-ci.yml", lambda n: many(".j{i}: {extends: .j{n}}\n", n)
                        + "x: {extends: .j0, image: a}\n"),
    "jobs that extend several": (".gitlab-ci.yml", lambda n: many(
        ".j{i}: {extends: [.j{n}, .j{n}, .j{n}], image: a}\n", n) + "x: {extends: .j0}\n"),
    "stages": ("Dockerfile", lambda n: many("FROM a AS s{i}\n", n)),
    "copies from stages": ("Dockerfile",
                           lambda n: many("FROM a AS s{i}\nCOPY --from=x{i} a b\n", n)),
    "a continued line": ("Dockerfile", lambda n: "FROM a\nRUN a \\\n" + many("b \\\n", n)),
    "arguments of arguments": ("Dockerfile", lambda n: "ARG A0=a\n" + many("ARG A{n}=$A{i}\n", n)
                               + many("FROM $A50\n", n)),
    "open templates": ("Dockerfile", lambda n: "FROM a\nRUN " + many("{{ ", n) + "\n"),
    "blanks of a directive": ("Dockerfile", lambda n: "# syntax=x" + " " * n + "y\nFROM a\n"),
    "open comments": ("Jenkinsfile", lambda n: "image '" + many("/*", n)),
    "strings of Groovy": ("Jenkinsfile", lambda n: "docker.image('''" + many("'\\''", n)),
    "blanks of Groovy": ("Jenkinsfile", lambda n: many("image" + " " * 200 + "'x'\n", n)),
    "targets that inherit": ("docker-bake.hcl", lambda n: many(
        'target "t{i}" { inherits = ["t{n}", "t{n}"] }\n', n)),
    "open blocks": ("main.tf", lambda n: 'image = "' + many("${", n) + '"\n'),
    "open pulls": ("MODULE.bazel", lambda n: many("oci.pull(", n)),
    "a name of a package": ("go.mod", lambda n: "require github.com/testcontainers"
                            "/testcontainers-go" + many("/x", n)),
    "open parameters": (".circleci/config.yml",
                        lambda n: "jobs: {j: {docker: [{image: '" + many("<<", n) + "'}]}}\n"),
    "open definitions": ("c/templates/a.yaml",
                         lambda n: "image: {{ x }}\n" + many('{{ define "', n)),
    "tags of a template": ("a.yaml.j2", lambda n: POD + "  x: " + many("{{ ", n) + "\n"),
    "lines of tags": ("a.yaml", lambda n: POD + many("  {{ x }} {{ y }}\n", n) + "  ]\n"),
    "strings in strings": ("a.yaml", lambda n: "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n"
                           + many("    image: a/b:{i}\n", n)),
    "images of an operator": ("a.yaml", lambda n: "apiVersion: v1\nkind: ConfigMap\ndata:\n"
                              "  X_IMAGES: '" + many("a/b:{i},", n) + "'\n"),
    "quotes of a line": ("run.sh", lambda n: many("docker run \"x' ", n)),
    "variables of a script": ("run.sh", lambda n: many("export X_IMAGE=", n) + "\n"),
    "calls of a library": ("a_test.go", lambda n: "testcontainers\n"
                           + many('x.Run(ctx, "a:{i}")\n', n)),
    "blocks of jib": ("build.gradle", lambda n: "jib\n" + many("from { ", n)),
    "comments for Renovate": ("x.sh", lambda n: many(
        "# renovate: datasource=docker depName=a/b\nX=1\n", n)),
    "values of a pack": ("a.nomad.tpl", lambda n: many('image = "[[ ', n)),
    "containers of Nextflow": ("main.nf", lambda n: many('container "${ ', n)),
    "variables of variables": ("roles/a/defaults/main.yml",
                               lambda n: many("v{i}_image: '{{ v{n}_image }}'\n", n)),
    "expressions of a variable": ("roles/a/defaults/main.yml",
                                  lambda n: "a_image: '" + many("{{ a", n) + "'\n"),
    "keys of a build": ("buildspec.yml", lambda n: "phases: {build: {commands: [" + many(
        "docker pull a:{i}, ", n) + "x]}}\n"),
    "definitions of a chart": ("c/templates/a.tpl", lambda n: "image: {{ include \"x\" . }}\n"
                               + '{{ define "x" }}' + many("{{ if .a }}", n)),
    "definitions of custom resources": ("crd.yaml", lambda n: many(
        "---\napiVersion: a/v1\nkind: CustomResourceDefinition\nspec: {image: x}\n", n)),
}  # fmt: skip

N = 8_000


def steps(folder: Path, name: str, text: str) -> int:
    """Lines of Homeport that run while the file is audited."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    count = 0

    def local(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return local

    def trace(frame: FrameType, _event: str, _argument: Any) -> Any:
        return local if frame.f_globals.get("__name__", "").startswith("homeport") else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        audit(AuditRequest(paths=["."], root=folder))
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", HOSTILE)
def test_twice_the_text_costs_about_twice_the_steps(tmp_path: Path, name: str) -> None:
    file, text = HOSTILE[name]
    steps(tmp_path / "first", file, text(100))  # modules and caches are loaded
    fixed = steps(tmp_path / "none", "none.sh", "")
    once = steps(tmp_path / "once", file, text(N)) - fixed
    twice = steps(tmp_path / "twice", file, text(2 * N)) - fixed
    assert twice <= 2.3 * once + 500, (once, twice)
    assert once <= 70 * N, once


def patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Every regular expression that reads foreign text, and its name."""
    for package in (homeport.audit, homeport.dockerfile):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            for name, value in vars(module).items():
                rows = value if isinstance(value, tuple) else (value,)
                for row in rows:
                    for cell in row if isinstance(row, tuple) else (row,):
                        if isinstance(cell, re.Pattern):
                            yield f"{info.name.removeprefix('homeport.')}.{name}", cell


PARSER: Any = importlib.import_module("re._parser")
CODES: Any = importlib.import_module("re._constants")


def unbounded(pattern: re.Pattern[Any]) -> bool:
    """Whether something is repeated without a bound, can be given back, and more follows."""

    def look(tree: Any, more: bool) -> bool:
        rows = list(tree)
        for index, (code, argument) in enumerate(rows):
            follows = more or index + 1 < len(rows)
            if code in (CODES.MAX_REPEAT, CODES.MIN_REPEAT):
                endless = argument[1] is CODES.MAXREPEAT
                if (endless and follows) or look(argument[2], follows or endless):
                    return True
            elif code is CODES.POSSESSIVE_REPEAT:
                if look(argument[2], True):
                    return True
            elif code is CODES.SUBPATTERN:
                if look(argument[3], follows):
                    return True
            elif code is CODES.BRANCH and any(look(branch, follows) for branch in argument[1]):
                return True
        return False

    return look(PARSER.parse(pattern.pattern, pattern.flags & ~re.UNICODE), False)


AT_ONE_PLACE = "matched at one place of a scanner, which goes on from its end or stops"
OF_A_LINE = "begins at the start of a line and ends before the next"
DISJOINT = "what is repeated holds neither what begins the expression nor what follows"
SHORT = "looks at a tag, a word, a key or a setting of ours, which are short"
#: Expressions with such a repetition, and why they are linear all the same.
JUDGED: dict[str, str] = {
    "audit.facts._FIXED": SHORT,
    "audit.formats.gotemplate.actions._SET": AT_ONE_PLACE,
    "audit.formats.gotemplate.evaluating._TOKEN": AT_ONE_PLACE,
    "audit.formats.hcl._GAP": AT_ONE_PLACE,
    "audit.formats.hcl._HEREDOC": AT_ONE_PLACE,
    "audit.formats.hcl._INLINE_GAP": AT_ONE_PLACE,
    "audit.formats.json._GAP": AT_ONE_PLACE,
    "audit.formats.json._STRING": AT_ONE_PLACE,
    "audit.formats.toml._GAP": AT_ONE_PLACE,
    "audit.formats.toml._KEY": AT_ONE_PLACE,
    "audit.formats.toml._STRING": AT_ONE_PLACE,
    "audit.formats.yaml._PROPERTIES": AT_ONE_PLACE,
    "audit.implicit._ASSUMPTION": SHORT,
    "audit.readers.builders._EARTH": OF_A_LINE,
    "audit.readers.buildkeys._GENERATOR": DISJOINT,
    "audit.readers.buildkeys._REF": DISJOINT,
    "audit.readers.charttemplate._DEFINE": DISJOINT,
    "audit.readers.charttemplate._BEFORE_ARGUMENT": AT_ONE_PLACE,
    "audit.readers.charttemplate._BEFORE_IMAGE": AT_ONE_PLACE,
    "audit.readers.charttemplate._IMAGE": OF_A_LINE,
    "audit.readers.charttemplate._NAME": SHORT,
    "audit.readers.gitlab._VARIABLE": DISJOINT,
    "audit.readers.hashicorp._SURE": SHORT,
    "audit.readers.helm._IMAGE_KEY": SHORT,
    "audit.readers.kubernetes._ARGUMENT": SHORT,
    "audit.readers.kubernetes._DOCUMENT": DISJOINT,
    "audit.readers.kubernetes._IMAGE_KEY": SHORT,
    "audit.readers.pipelines._DOLLAR": AT_ONE_PLACE,
    "audit.readers.pipelines._SCRIPTS": SHORT,
    "audit.readers.quadlet._ENTRY": AT_ONE_PLACE,
    "audit.readers.quadlet._SECTION": AT_ONE_PLACE,
    "audit.reading.collector._TEMPLATE": DISJOINT,
    "audit.reading.command_images._SHORT_SWITCHES": SHORT,
    "audit.reading.commands._STARTS": DISJOINT,
    "audit.reading.embedded._CONTROL": OF_A_LINE,
    "audit.reading.embedded._FILLED": OF_A_LINE,
    "audit.reading.embedded._ONLY_TAGS": OF_A_LINE,
    "audit.reading.variables._COMPOSE": AT_ONE_PLACE,
    "audit.rules._FIRST_WORD": SHORT,
    "audit.rules._ID": SHORT,
    "audit.versions._VERSION": SHORT,
    "dockerfile.lines._DIRECTIVE": AT_ONE_PLACE,
    "dockerfile.syntax._DIRECTIVE": AT_ONE_PLACE,
    "dockerfile.words._HEREDOC": AT_ONE_PLACE,
}


def test_expressions_are_bounded() -> None:
    found = {name for name, pattern in patterns() if unbounded(pattern)}
    assert sorted(found - JUDGED.keys()) == []
    assert sorted(JUDGED.keys() - found) == []
