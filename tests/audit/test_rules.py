"""Rules as data: strict reading, versions, assumptions."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.audit import TODAY, every_case, lay_out, read_case
from homeport.audit.auditing import AuditRequest, audit, plan
from homeport.audit.facts import end_of_life, pin_of
from homeport.audit.implicit import parse_assumptions
from homeport.audit.own_files import BadFile
from homeport.audit.rules import OLD_AFTER, Rule, check_all, old_rules, read_rules, shipped
from homeport.audit.versions import within
from homeport.errors import UsageError
from homeport.oci.reference import parse_reference

RULE = """tool: x
title: X
rules:
  - id: x-y
    title: t
    why: w
    source: s
    image: a/b:1
    when: [{topic: command, name: x.*}]
"""


def test_the_shipped_rules_are_read_strictly_and_have_one_id_each() -> None:
    tools = shipped()
    assert len(tools) > 20
    assert sum(len(tool.rules) for tool in tools) > 40
    for tool in tools:
        for rule in tool.rules:
            assert rule.dead or rule.override, rule.id


@pytest.mark.parametrize("rule", [r for tool in shipped() for r in tool.rules], ids=lambda r: r.id)
def test_every_rule_says_where_it_was_read_and_has_a_case_in_the_corpus(rule: Rule) -> None:
    # A file of a repository, or a page of documentation by its title.
    assert re.match(r"[\w.-]+/[\w.-]+, |[\w-]+(\.[\w-]+)+(/\S+)?, \"", rule.source), rule.source
    ending = f"({rule.id})" if rule.dead else f" implicit {rule.id} -> "
    assert any(ending in line for case in every_case() for line in read_case(case).expected)


def rule_of_the_docs() -> bytes:
    """The example of docs/audit.md, word for word."""
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
    (example,) = re.findall(r"```yaml\n(tool: mytool\n.*?)```", page, re.DOTALL)
    return str(example).encode()


def test_a_rule_is_added_without_code(tmp_path: Path) -> None:
    lay_out(
        {
            "x.sh": "# no other program\nset -e\nmytool up -d\nmytool down\n",
            ".travis.yml": "script:\n  - mytool start\n  - mytool start --now\n",
            "Jenkinsfile": "pipeline { steps { sh 'mytool up --now' } }\n",
            "Dockerfile": "FROM scratch\nRUN mytool up --agent-image registry.example/agent:1\n",
        },
        tmp_path,
    )
    tool = read_rules(rule_of_the_docs(), "mytool.yaml")
    request = AuditRequest(
        paths=["."], root=tmp_path, tools=(tool,), today=TODAY, assumptions={"mytool": "v2.1"},
        home="registry.example/home",
    )  # fmt: skip
    audited = audit(request)
    (found,) = audited.report.images
    assert found.name == "docker.io/example/agent:v2.1"
    assert [(use.place.file, use.place.line, use.rule) for use in found.uses] == [
        (".travis.yml", 2, "mytool-agent"),
        (".travis.yml", 3, "mytool-agent"),
        ("Jenkinsfile", 1, "mytool-agent"),
        ("x.sh", 3, "mytool-agent"),
    ]
    edits = {
        place.file: place.edit for image in plan(audited, request).images for place in image.places
    }
    assert edits["x.sh"] is not None
    assert edits["x.sh"].new == " --agent-image registry.example/home/docker.io/example/agent:v2.1"
    older = AuditRequest(paths=["."], root=tmp_path, tools=(tool,), assumptions={"mytool": "1.9"})
    assert audit(older).report.images == ()


def test_a_rule_names_programs_that_are_not_called_as_the_tool(tmp_path: Path) -> None:
    lay_out({"x.sh": "myctl up\n"}, tmp_path)
    text = rule_of_the_docs().replace(b"name: mytool (", b"name: myctl (")
    with pytest.raises(BadFile, match="'myctl' is not among the programs of this file"):
        read_rules(text, "mytool.yaml")
    tool = read_rules(text.replace(b"title: My", b"programs: [myctl]\ntitle: My"), "mytool.yaml")
    request = AuditRequest(paths=["."], root=tmp_path, tools=(tool,), today=TODAY)
    assert [image.name.partition(":")[0] for image in audit(request).report.images] == [
        "docker.io/example/agent"
    ]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("why: w", "why: w\n    wy: w", "unknown field 'wy'"),
        ("id: x-y", "id: X", "invalid id"),
        ("image: a/b:1", "image: a//b", "invalid image reference"),
        ("image: a/b:1", "confidence: high", "needs an image"),
        ("name: x.*}", "name: '['}", "invalid regular expression"),
        ("when: [{topic: command, name: x.*}]", "when: []", "needs an entry in when"),
        (
            "why: w",
            "why: w\n    confidence: perhaps",
            "expected one of high, low, medium, found",
        ),
    ],
)
def test_a_wrong_rule_is_named_with_its_file(old: str, new: str, what: str) -> None:
    with pytest.raises(BadFile) as raised:
        read_rules(RULE.replace(old, new).encode(), "x.yaml")
    assert what in raised.value.what
    assert raised.value.where["file"] == "x.yaml"


@pytest.mark.parametrize(
    ("tag", "reported"),
    [("1.9", True), ("2.0", False), ("3", False), ("latest", True), ("main", True)],
)
def test_a_setting_elsewhere_counts_only_if_its_version_is_known_to_fit(
    tag: str, reported: bool, tmp_path: Path
) -> None:
    lay_out({"x.sh": "kind delete\n", "Dockerfile": f"FROM registry.example/c:{tag}\n"}, tmp_path)
    unless = "    unless: [{topic: image, name: registry.example/c, since: '2'}]\n"
    tool = read_rules((RULE.replace("name: x", "name: kind delete") + unless).encode(), "x.yaml")
    report = audit(AuditRequest(paths=["."], root=tmp_path, tools=(tool,), today=TODAY)).report
    assert ("docker.io/a/b:1" in [image.name for image in report.images]) == reported


def test_shipped_rules_say_when_they_were_checked_and_old_ones_are_listed() -> None:
    assert all(tool.checked or rule.checked for tool in shipped() for rule in tool.rules)
    day = datetime.date.fromisoformat(max(tool.checked for tool in shipped()))
    newest = {rule.id for rule, _ in old_rules(shipped(), day + OLD_AFTER)}
    every = {rule.id for tool in shipped() for rule in tool.rules}
    assert "act-runner" in every - newest
    assert {rule.id for rule, _ in old_rules(shipped(), day + OLD_AFTER * 2)} == every


def test_a_rule_without_a_day_is_old_and_a_wrong_day_is_named() -> None:
    tool = read_rules(RULE.encode(), "x.yaml")
    assert [(rule.id, day) for rule, day in old_rules([tool], TODAY)] == [("x-y", "")]
    with pytest.raises(BadFile, match="invalid day '2026-13-01' in checked"):
        read_rules(RULE.replace("title: X", "title: X\nchecked: 2026-13-01").encode(), "x.yaml")


def test_evidence_gives_the_version_and_a_cause_may_give_the_tag(tmp_path: Path) -> None:
    lay_out({"x.sh": "kind delete\n", "go.mod": "require sigs.k8s.io/kind v0.30.0\n"}, tmp_path)
    text = RULE.replace("name: x", "name: kind delete").replace("a/b:1", "'a/b:{version}'")
    text = text.replace(
        "title: X", "title: X\nevidence: [{topic: package, name: 'go:sigs.k8s.io/kind'}]"
    )
    tool = read_rules(text.replace("tool: x", "tool: kind").encode(), "x.yaml")
    report = audit(AuditRequest(paths=["."], root=tmp_path, tools=(tool,), today=TODAY)).report
    assert [image.name for image in report.images] == ["docker.io/a/b:0.30.0"]


def test_one_id_twice_is_refused() -> None:
    tool = read_rules(RULE.encode(), "x.yaml")
    with pytest.raises(BadFile, match="x-y"):
        check_all([tool, tool])


@pytest.mark.parametrize(
    ("version", "since", "until", "answer"),
    [
        ("1.4", "", "1.5", True),
        ("v1.5.0", "", "1.5", False),
        ("1", "", "1.5", None),
        ("1", "2", "", False),
        ("18.09", "18.9", "19.3", True),
        ("28-dind", "", "19.3", False),
        ("0.11.6", "0.11", "", True),
        ("main", "1", "", None),
        ("2", "2.0", "", True),
    ],
)
def test_versions_lie_within_bounds_or_do_not_say(
    version: str, since: str, until: str, answer: bool | None
) -> None:
    assert within(version, since, until) is answer


few_numbers = st.lists(st.integers(0, 3), min_size=1, max_size=4)


def dotted(numbers: list[int]) -> str:
    return ".".join(map(str, numbers))


@given(few_numbers, few_numbers, few_numbers)
def test_a_version_lies_within_bounds_if_all_that_it_may_stand_for_do(
    version: list[int], one: list[int], two: list[int]
) -> None:
    """``1`` may be 1.0, 1.26 and all between: inside, outside, or it does not say."""
    since, until = sorted((one, two), key=lambda numbers: [*numbers, 0, 0, 0, 0][:4])
    low = [*version, 0, 0, 0, 0][:4]
    high = [*version, 9, 9, 9, 9][:4]
    first, end = ([*bound, 0, 0, 0, 0][:4] for bound in (since, until))
    if first <= low and high < end:
        expected: bool | None = True
    else:
        expected = False if high < first or low >= end else None
    assert within(dotted(version), dotted(since), dotted(until)) is expected
    assert within(f"v{dotted(version)}-x", dotted(since), dotted(until)) is expected


@given(st.text(max_size=20), st.text("0123456789.v-", max_size=10))
def test_a_text_that_begins_with_no_number_says_nothing_of_bounds(text: str, bound: str) -> None:
    if not re.match(r"v?\d", text):
        assert within(text, bound, "") is None
        assert within(text, "", bound) is None


def images(root: Path, files: dict[str, str], **assume: str) -> list[str]:
    lay_out(files, root)
    request = AuditRequest(paths=["."], root=root, assumptions=assume, today=TODAY)
    return [i.name for i in audit(request).report.images if not i.explicit]


def test_an_assumed_engine_tells_whether_it_pulls(tmp_path: Path) -> None:
    files = {"Dockerfile": "FROM scratch\nCOPY a b\n"}
    assert images(tmp_path, files) == []
    assert images(tmp_path, files, buildkit="0.10") == []
    (name,) = images(tmp_path, files, buildkit="0.4.0")
    assert name.startswith("docker.io/docker/dockerfile-copy:v0.1.9@")


def test_an_assumed_version_makes_the_tag(tmp_path: Path) -> None:
    files = {"x.sh": "k3d cluster create --no-lb\n"}
    found = images(tmp_path, files, k3d="v5.8.3", k3s="v1.33.1-k3s1")
    assert {"docker.io/rancher/k3s:v1.33.1-k3s1", "ghcr.io/k3d-io/k3d-tools:5.8.3"} <= {*found}


@pytest.mark.parametrize(
    ("version", "tag"),
    [("1.5.13", "3.5"), ("1.6", "3.6"), ("1.7.28", "3.8"), ("2.1.4", "3.10"), ("2.2.0", "3.10.1"),
     ("2.3", "3.10.2"), ("3.0", "3.10.2")],
)  # fmt: skip
def test_an_older_version_has_its_own_image(version: str, tag: str, tmp_path: Path) -> None:
    files = {"p.yaml": "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: a:1}]}\n"}
    (image,) = images(tmp_path, files, containerd=version)
    assert image.endswith(f"/pause:{tag}")


def test_assumptions_are_tool_and_version() -> None:
    assert parse_assumptions(["docker=18.09"]) == {"docker": "18.09"}
    for wrong in ("docker", "docker=", "=1", "docker=new"):
        with pytest.raises(UsageError):
            parse_assumptions([wrong])


@pytest.mark.parametrize(
    ("reference", "pin"),
    [
        ("debian", "floating"),
        ("debian:13-slim", "floating"),
        ("debian:trixie-20261103-slim", "fixed"),
        ("golang:1.25.1", "fixed"),
        ("golang:v1.25.1-alpine", "fixed"),
        ("a:2026-01-31", "fixed"),
        ("a:sha-0123abc", "fixed"),
        ("a@sha256:" + "a" * 64, "digest"),
    ],
)
def test_how_firmly_a_tag_is_nailed_down(reference: str, pin: str) -> None:
    assert pin_of(parse_reference(reference)) == pin


@pytest.mark.parametrize(
    ("reference", "release"),
    [
        ("debian:11", "11"),
        ("debian:11.6-slim", "11"),
        ("debian:bullseye-20230109-slim", "11"),
        ("debian:6", "6"),
        ("alpine:3.1", "3.1"),
        ("alpine:3.12", "3.12"),
        ("alpine:3", None),
        ("node:10-slim", "10"),
        ("postgres:9.6", "9.6"),
        ("ubuntu:23.04", "23.04"),
        ("ubuntu:26.04", None),
        ("debian:20230101", None),
        ("public.ecr.aws/docker/library/debian:10", "10"),
        ("mirror.gcr.io/library/python:3.6", "3.6"),
        ("registry.example/hub/library/alpine:3.10", "3.10"),
        ("arm32v7/node:12", "12"),
        ("python:3.12-buster", "10"),
        ("eclipse-temurin:11-jdk-bionic", "18.04"),
        ("postgres:16-alpine3.12", "3.12"),
        ("nginx:stable", None),
        ("alpine:3.18.4", "3.18"),
        ("python:3.9-bookworm", "3.9"),
        ("python:3.90", None),
        ("quay.io/x/debian:11", None),
    ],
)
def test_which_release_a_tag_names(reference: str, release: str | None) -> None:
    found = end_of_life(parse_reference(reference))
    assert (found.release if found else None) == release
