"""Blubber configurations: every fault with its place, what variants inherit, policies, helpers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from homeport.blubber.check import Checked, check
from homeport.blubber.schema import BadBlubber
from homeport.errors import Faults, UsageError

FRONTEND = "registry.example/repos/releng/blubber/buildkit"


def checked(folder: Path, text: str, *, head: str = "", policy: str = "") -> Checked:
    """``text`` without its first line, which is ``version: v4``."""
    file = folder / "blubber.yaml"
    file.write_text(f"{head}version: v4\n{text}")
    rules = None
    if policy:
        rules = folder / "policy.yaml"
        rules.write_text(policy)
    return check(file, rules)


def configs(folder: Path, text: str) -> dict[str, dict[str, Any]]:
    return {variant.name: variant.config for variant in checked(folder, text).variants}


FAULTS = {
    "aptt: {}\nvariants: {hello: {}}": ("unknown field 'aptt'", "did you mean apt?"),
    "variants: {a: {}}": ("invalid value 'a'", None),
    "variants: {hello: {base: UPPER}}": ("UPPER", None),
    "variants: {hello: {apt: {packages: x}}}": ("expected a list or a mapping", None),
    "variants: {hello: {apt: {sources: [{url: x}]}}}": ("needs the field 'distribution'", None),
    "variants: {hello: {lives: {in: /}}}": ("absolute path other than /", None),
    "variants: {hello: {runs: {as: root}}}": ("root is not allowed", None),
    "variants: {hello: {runs: {uid: -1}}}": ("expected a user or group number", None),
    "variants: {hello: {runs: {insecurely: yes}}}": ("expected true or false", None),
    "variants: {hello: {runs: {environment: {A: b}}}}": ("at least two characters", None),
    "variants: {hello: {includes: [absent]}}": ("unknown variant 'absent'", None),
    "variants: {abc: {includes: [bcd]}, bcd: {includes: [abc]}}": ("abc → bcd → abc", None),
    "variants: {hello: {builders: [{custom: {script: x}}], python: {version: python3}}}": (
        "builders and python cannot be combined", None,
    ),
    "python: {version: python3}\nvariants: {hello: {builders: [{node: {}}]}}": (
        "builders and python cannot be combined, also through includes", None,
    ),
    "variants: {hello: {builders: [{node: {}}, {node: {env: test}}]}}": (
        "more than one node", None,
    ),
    "variants: {hello: {builder: {command: make, script: make}}}": (
        "either command or script", None,
    ),
    "variants: {hello: {builder: {requirements: [x]}}}": ("either command or script", None),
    "variants: {hello: {copies: [{from: local, source: /etc}]}}": ("inside of the context", None),
    "variants: {hello: {copies: [{from: local, source: ../x}]}}": ("inside of the context", None),
    "variants: {hello: {builder: {command: x, requirements: [../x]}}}": (
        "inside of the context", None,
    ),
    "variants: {hello: {copies: [NOT]}}": ("neither a variant nor an image", None),
    'variants: {hello: {python: {poetry: {version: "2.0"}}}}': ("begins with no comparison", None),
    "variants: {hello: {builder: {command: x, caches: [{id: a}]}}}": (
        "needs the field 'destination'", None,
    ),
    "variants: {hello: {builder: {command: x, caches: [{destination: a, access: x}]}}}": (
        "expected shared, locked or private", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), FAULTS.items(), ids=list(FAULTS))
def test_a_fault_is_named_with_its_place(
    tmp_path: Path, text: str, says: tuple[str, str | None]
) -> None:
    with pytest.raises(Faults) as caught:
        checked(tmp_path, text)
    (fault,) = caught.value.faults
    assert says[0] in fault.what
    assert fault.where["line"] in (2, 3)
    if says[1]:
        assert fault.hint == says[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("variants: {hello: {}}\n", "needs the field 'version'"),
        ("version: v3\nvariants: {hello: {}}\n", "unsupported version 'v3'"),
        ("version: v4\n", "needs the field 'variants'"),
    ],
)
def test_only_v4_is_read(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "b.yaml").write_text(text)
    with pytest.raises(Faults) as caught:
        check(tmp_path / "b.yaml")
    assert [says in fault.what for fault in caught.value.faults] == [True]


def test_all_faults_are_found_at_once(tmp_path: Path) -> None:
    with pytest.raises(Faults) as caught:
        checked(tmp_path, "variants: {hello: {aptt: 1, includes: [no]}, other: {base: UP}}")
    assert len(caught.value.faults) == 3


def test_what_is_no_file_or_no_yaml_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        check(tmp_path / "absent")
    (tmp_path / "b.yaml").write_text("version: [")
    with pytest.raises(BadBlubber, match="invalid YAML"):
        check(tmp_path / "b.yaml")


def test_what_variants_inherit_is_merged_as_blubber_merges(tmp_path: Path) -> None:
    found = configs(
        tmp_path,
        """\
base: registry.example/debian
apt: {packages: [a, b], proxies: [http://p:8]}
runs: {environment: {ONE: "1", TWO: "2"}, uid: 900}
entrypoint: [a]
variants:
  first:
    apt: {packages: {trixie-backports: [x], default: [c]}}
    runs: {environment: {TWO: two}, insecurely: true}
    copies: [local, {from: first-thing, source: /x}]
  second:
    includes: [first]
    base:
    runs: {insecurely: false, uid: 0}
    entrypoint: []
    copies: [{from: other, source: y}, local]
  third: {includes: [second, first]}
""",
    )
    assert found["second"] == {
        "base": "registry.example/debian",
        "apt": {
            "packages": {"default": ["a", "b", "c"], "trixie-backports": ["x"]},
            "proxies": [{"url": "http://p:8"}],
        },
        "runs": {"environment": {"ONE": "1", "TWO": "two"}, "uid": 900, "insecurely": False},
        "entrypoint": [],
        "copies": [
            {"from": "first-thing", "source": "/x"}, {"from": "other", "source": "y"},
            {"from": "local"},
        ],
    }  # fmt: skip
    assert found["third"] == found["second"]  # first counts once, before second


MERGED = """\
variants:
  one: &one {base: "debian:1", runs: {insecurely: true, environment: {AA: a}}}
  two: &two {base: "debian:2", entrypoint: [two]}
  all:
    entrypoint: [own]
    <<: [*one, *two]
"""


def test_merge_keys_give_what_the_mapping_itself_has_not(tmp_path: Path) -> None:
    """The first mapping that has a key counts (yaml.org/type/merge.html)."""
    assert configs(tmp_path, MERGED)["all"] == {
        "entrypoint": ["own"],
        "base": "debian:1",
        "runs": {"insecurely": True, "environment": {"AA": "a"}},
    }


def test_what_a_merge_key_cannot_take_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(BadBlubber, match="takes a mapping or a list of mappings"):
        checked(tmp_path, "variants: {all: {<<: text}}")


def test_merge_keys_count_among_the_values_of_a_file(tmp_path: Path) -> None:
    keys = ", ".join(f"k{n}: 1" for n in range(1000))
    uses = "".join(f"v{n}: {{<<: *a}}\n" for n in range(100))
    with pytest.raises(BadBlubber, match="more than 50000 values"):
        checked(tmp_path, f"a: &a {{{keys}}}\n{uses}")


def test_builders_of_one_kind_are_one_at_the_later_place(tmp_path: Path) -> None:
    found = configs(
        tmp_path,
        """\
builders:
  - node: {requirements: [package.json], env: production}
  - custom: {command: one}
variants:
  hello:
    builders: [{custom: {command: two}}, {node: {env: test}}]
""",
    )
    requirements = [{"source": "package.json"}]
    assert found["hello"]["builders"] == [
        {"custom": {"command": "one"}},
        {"custom": {"command": "two"}},
        {"node": {"requirements": requirements, "env": "test"}},
    ]


def test_stages_and_images_of_a_variant_are_listed(tmp_path: Path) -> None:
    found = checked(
        tmp_path,
        """\
variants:
  deps: {base: registry.example/golang:1, builder: {command: make, mounts: [tools]}}
  tools: {base: registry.example/tools}
  scratch: {}
  app:
    base: registry.example/debian
    copies: [local, deps, {from: registry.example/assets, source: /a, destination: /b}]
""",
    )
    app = found.variants[3]
    assert app.stages == ("deps", "tools")
    assert set(app.images) == {
        "registry.example/debian", "registry.example/assets", "registry.example/golang:1",
        "registry.example/tools",
    }  # fmt: skip
    assert (found.variants[2].stages, found.variants[2].images) == ((), ())


NOTES = {
    "base: registry.example/x\nvariants: {hello: {base: null}}": "does not undo the inherited",
    "variants: {hello: {builder: {command: x, mounts: [local]}}}": "docker.io/library/local",
    "variants: {hello: {python: {version: python3}}}": "both version and requirements",
    'variants: {hello: {builder: {command: "date +%s"}}}': "takes % in a command",
    'variants: {hello: {builder: {command: ["printf %d", "%"]}}}': "takes % in a command",
    "variants: {hello: {builder: {command: 'echo ${X:-y}'}}}": "expands '${X:-y}'",
    "variants: {hello: {builder: {command: 'exit $?'}}}": "expands '$?'",
}


@pytest.mark.parametrize(("text", "says"), NOTES.items())
def test_what_blubber_does_otherwise_than_the_file_says_is_noted(
    tmp_path: Path, text: str, says: str
) -> None:
    (note,) = checked(tmp_path, text).notes
    assert says in note.what
    assert note.line in (2, 3)
    assert note.fix


@pytest.mark.parametrize(
    "command", ['"make $X ${Y}"', "{script: 'date +%s; exit $?'}", '["make", "%s"]']
)
def test_what_blubber_does_as_written_is_not_noted(tmp_path: Path, command: str) -> None:
    builder = command if command.startswith("{") else f"{{command: {command}}}"
    assert checked(tmp_path, f"variants: {{hello: {{builder: {builder}}}}}").notes == ()


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("", "no # syntax= line"),
        (f"# syntax={FRONTEND}:v0.9.0\n", "Blubber 0.9 makes a Dockerfile"),
        (f"# syntax={FRONTEND}:v0.23.0\n", "Blubber 0.23 makes a Dockerfile"),
        (f"# syntax={FRONTEND}:v0.24.0\n", None),
        (f"# syntax={FRONTEND}:v1.8.0@sha256:{'a' * 64}\n", None),
        (f"# syntax={FRONTEND}@sha256:{'a' * 64}\n", None),
        ("# syntax=registry.example/other:v0.1\n", None),
    ],
)
def test_frontends_that_may_run_a_helper_image_are_named(
    tmp_path: Path, head: str, says: str | None
) -> None:
    found = checked(tmp_path, "variants: {hello: {}}", head=head)
    assert found.frontend == head.strip().removeprefix("# syntax=")
    assert [says in note.what for note in found.helpers if says] == ([True] if says else [])
    assert all("v0.24.0" in note.fix for note in found.helpers)


POLICY = """\
enforcements:
  - {{path: variants.hello.runs.insecurely, rule: {}}}
  - {{path: variants.hello.absent.key, rule: istrue}}
"""


@pytest.mark.parametrize(
    ("rule", "violated"), [("isfalse", True), ("istrue", False), ('"omitempty,isfalse"', True)]
)
def test_a_policy_judges_the_expanded_variants(tmp_path: Path, rule: str, violated: bool) -> None:
    text = "runs: {insecurely: true}\nvariants: {hello: {}}"
    found = checked(tmp_path, text, policy=POLICY.format(rule))
    assert bool(found.violations) == violated


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("startswith=registry.example/", True), ("startswith=docker.io/", False),
        ("oneof=registry.example/a registry.example/b", True), ("endswith=b", False),
        ("eq=registry.example/a", True), ("ne=registry.example/a", False),
        ("contains=example", True), ("excludes=example", False), ("required", True),
    ],
)  # fmt: skip
def test_rules_of_policies(tmp_path: Path, rule: str, holds: bool) -> None:
    policy = f"enforcements: [{{path: variants.hello.base, rule: '{rule}'}}]"
    text = "variants: {hello: {base: registry.example/a}}"
    assert (checked(tmp_path, text, policy=policy).violations == ()) == holds


def test_an_unknown_rule_is_a_fault_of_the_policy(tmp_path: Path) -> None:
    with pytest.raises(Faults) as caught:
        checked(tmp_path, "variants: {hello: {}}", policy="enforcements: [{path: a, rule: odd}]")
    assert "unknown rule 'odd'" in caught.value.faults[0].what
