"""A file of ours read as a type: positions, all faults at once, none of YAML 1.1's surprises."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from homeport.errors import Faults
from homeport.yamlfile.parse import BadYaml
from homeport.yamlfile.typed import TypedFile, read_typed


class Bad(BadYaml):
    id = "bad"


class Item(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    name: str
    from_: str = ""
    count: int = 0
    on: bool = False


class File(msgspec.Struct, frozen=True, kw_only=True):
    schema: str
    items: tuple[Item, ...] = ()
    words: dict[str, str] = {}
    some: Literal["all"] | tuple[str, ...] = "all"
    first: Item | None = None


def read(text: str) -> TypedFile[File]:
    return read_typed(text.encode(), "f.yaml", File, Bad)


def faults(text: str) -> list[str]:
    try:
        read(text).check()
    except Faults as found:
        every = found.faults
    except Bad as found:
        every = (found,)
    else:
        return []
    return [f"{e.where['line']}:{e.where['column']} {e.where['field']}: {e.what}" for e in every]


def test_the_field_decides_what_a_scalar_means() -> None:
    text = """
        schema: 1.10
        items:
          - {name: no, from: 0644, count: -7, on: true}
          - {name: "null", count: 12}
        words: {a: 2026-01-01, b: 1_000, c: ~x}
        some: [yes, 'off']
        first: null
    """
    assert read(text).value == File(
        schema="1.10",
        items=(
            Item(name="no", from_="0644", count=-7, on=True),
            Item(name="null", count=12),
        ),
        words={"a": "2026-01-01", "b": "1_000", "c": "~x"},
        some=("yes", "off"),
    )
    assert read("schema: x\nsome: all\nfirst: {name: a}").value.first == Item(name="a")


def test_all_faults_come_at_once_with_line_column_and_field() -> None:
    text = """\
items:
  - {name: [a], count: 1e3}
  - {nam: a}
  - {name: a, on: yes}
  - a
words: {a: [], b: x, b: y}
some: none
schema: ~
"""
    assert faults(text) == [
        "2:12 items[0].name: expected text, found a list",
        "2:24 items[0].count: expected a whole number, found the string '1e3'",
        "3:6 items[1].nam: unknown field 'nam'",
        "3:5 items[1]: missing field 'name'",
        "4:19 items[2].on: expected true or false, found the string 'yes'",
        "5:5 items[3]: expected a mapping, found the string 'a'",
        "6:22 words.b: duplicate key 'b', first in line 6",
        "6:12 words.a: expected text, found a list",
        "7:7 some: expected one of all, found the string 'none'",
        "8:9 schema: expected text, found nothing",
    ]


def test_faults_of_checks_that_follow_have_their_position() -> None:
    found = read("schema: x\nitems:\n  - {name: a}\n  - name: b\n")
    found.fault(["items", 1, "name"], "b is wrong", "use c")
    with pytest.raises(Bad, match="b is wrong") as raised:
        found.check()
    assert raised.value.where == {
        "file": "f.yaml", "line": 4, "column": 11, "field": "items[1].name",
    }  # fmt: skip
    found.fault(["first"], "first is wrong")
    with pytest.raises(Faults) as several:
        found.check()
    assert several.value.faults[1].where["line"] == 1


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the file is empty"),
        ("schema: !!str x", "unexpected tag"),
        ("schema: x\n---\nschema: y", "unexpected second document"),
        ("schema: x\n<<: {some: all}", "merge keys (<<) are not supported"),
        ("schema: *a", "no earlier value has the anchor &a"),
        ("[a]: b", "a key must be text"),
        ("schema: [", "invalid YAML"),
        ("schema: " + "[" * 40 + "]" * 40, "nested more than 32 deep"),
    ],
)
def test_text_that_is_not_plain_yaml_is_an_error_of_the_format(text: str, what: str) -> None:
    with pytest.raises(Bad) as raised:
        read(text)
    assert what in raised.value.what
    assert raised.value.where["file"] == "f.yaml"


def test_an_alias_stands_for_the_value_that_it_names() -> None:
    found = read("schema: &a x\nitems: [&i {name: *a}, *i]").value
    assert found.items == (Item(name="x"), Item(name="x"))
