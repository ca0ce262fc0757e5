"""An entry added to a list of a person's YAML file; all other bytes stay."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from homeport.yamlfile.appending import append_items
from homeport.yamlfile.parse import BadYaml

CASES = {
    "a list by lines": ("p:\n  - a  # why\n  # more\nq: 1\n",
                        "p:\n  - a  # why\n  - z\n  # more\nq: 1\n"),
    "no indentation": ("p:\n- a\nq: 1\n", "p:\n- a\n- z\nq: 1\n"),
    "no line end": ("q: 1\np:\n  - a", "q: 1\np:\n  - a\n  - z\n"),
    "mappings": ("p:\n  - name: a\n    platforms:\n      - x\n\nq: 1\n",
                 "p:\n  - name: a\n    platforms:\n      - x\n  - z\n\nq: 1\n"),
    "brackets": ("p: [a, b]  # why\n", "p: [a, b, z]  # why\n"),
    "brackets over lines": ("p: [\n  a,  # one, of two\n  b,  # two\n]\n",
                            "p: [\n  a,  # one, of two\n  b, z,  # two\n]\n"),
    "empty brackets": ("p: []\nq: 1\n", "p: [z]\nq: 1\n"),
    "nothing": ("p:  # none yet\nq: 1\n", "p:  # none yet\n  - z\nq: 1\n"),
    "no list": ("q:\n  r: 1\n# the end\n", "q:\n  r: 1\np:\n  - z\n# the end\n"),
    "a text in lines": ("q: |\n  x\n  y\n", "q: |\n  x\n  y\np:\n  - z\n"),
    "line ends of Windows": ("p:\r\n  - a\r\nq: 1\r\n", "p:\r\n  - a\r\n  - z\r\nq: 1\r\n"),
    "a mark at the beginning": ("\ufeffp: [a]\n", "\ufeffp: [a, z]\n"),
    "letters of two units": ("# 🐟 ä\np:\n  - a # 🐟\nq: 1\n",
                             "# 🐟 ä\np:\n  - a # 🐟\n  - z\nq: 1\n"),
    "dashes in comments": ("p:\n    - a  # - not - this\nq: 1\n",
                           "p:\n    - a  # - not - this\n    - z\nq: 1\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_entry_is_added_and_nothing_else_changes(name: str) -> None:
    before, after = CASES[name]
    assert append_items(before, "p", ("z",)) == after


@pytest.mark.parametrize(
    "text", ["{p: [a]}\n", "p: a\n", "p: {a: 1}\n", "- a\n", "q: &q [a]\np:\n  - a\n  - *q\n"]
)
def test_a_file_without_room_for_a_line_is_refused(text: str) -> None:
    with pytest.raises(BadYaml):
        append_items(text, "p", ("z",))


_VALUES: Any = st.recursive(
    st.sampled_from(["a", "b-c", "x y", "1", "#", "- ", "é", "it's", "a: b", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)


@given(
    before=st.dictionaries(st.sampled_from(["q", "r"]), _VALUES),
    items=st.lists(_VALUES, max_size=4),
    after=st.dictionaries(st.sampled_from(["s", "t"]), _VALUES),
    flow=st.booleans() | st.none(),
)
def test_what_a_parser_reads_is_the_list_with_the_entry(
    before: dict[str, Any], items: list[Any], after: dict[str, Any], flow: bool | None
) -> None:
    document = {**before, "p": items, **after}
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=flow, allow_unicode=True)
    if text.startswith("{"):
        return
    changed = append_items(text, "p", ("z", "y"))
    assert yaml.safe_load(changed) == {**document, "p": [*items, "z", "y"]}
