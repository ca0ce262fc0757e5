"""Adding an entry to a list of a YAML file; every other byte of the file stays.

Files that people edit have comments and an order of their own, which no YAML writer keeps: the
text is cut where the parser says that the list ends. Not for a file that was not read and checked
before (``yamlfile.parse`` has the bounds).
"""

from __future__ import annotations

import re

import yaml

from homeport.yamlfile.parse import BadYaml

_LINE_END = re.compile(r"\r\n|\n|\r")


def append_items(text: str, key: str, items: tuple[str, ...]) -> str:
    """``text`` with ``items`` at the end of the list ``key`` of its mapping.

    The list is made where there is none. ``items`` are plain scalars that need no quotes.
    Raises ``BadYaml`` if no line can be added to the list as it is written.
    """
    if not items:
        return text
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix("\ufeff")
    root = yaml.compose(body, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise BadYaml(
            "the file is not a block mapping: one 'key: value' on each line",
            hint=f"edit {key} by hand: add {', '.join(items)}",
        )
    changed = _changed(body, root, key, items)
    if not _is_the_same_with(body, changed, key, items):  # an alias ends where its anchor does
        raise BadYaml(f"no line can be added to the list {key} as it is written",
                      hint=f"edit {key} by hand: add {', '.join(items)}")  # fmt: skip
    return mark + changed


def _changed(body: str, root: yaml.MappingNode, key: str, items: tuple[str, ...]) -> str:
    found = next((pair for pair in root.value if pair[0].value == key), None)
    newline = found_end[0] if (found_end := _LINE_END.search(body)) else "\n"
    if found is not None:
        return _appended(body, found[0], found[1], items, newline)
    lines = [f"{key}:", *(f"  - {item}" for item in items)]
    return _inserted(body, _after_line(body, _end_of(root)), lines, newline)


def _is_the_same_with(before: str, after: str, key: str, items: tuple[str, ...]) -> bool:
    """Whether a parser reads the same document, with the items at the end of the list."""
    try:
        old, new = (yaml.load(text, Loader=yaml.BaseLoader) for text in (before, after))  # noqa: S506  text alone
    except yaml.YAMLError:
        return False
    return bool(new == {**old, key: [*(old.get(key) or []), *items]})


def _appended(
    body: str, key: yaml.Node, value: yaml.Node, items: tuple[str, ...], newline: str
) -> str:
    if isinstance(value, yaml.SequenceNode) and value.flow_style:
        return _into_brackets(body, value, items)
    if isinstance(value, yaml.SequenceNode):
        indent = " " * _column_of_dash(body, value)
        at = _after_line(body, _end_of(value))
        return _inserted(body, at, [f"{indent}- {item}" for item in items], newline)
    if isinstance(value, yaml.ScalarNode) and value.value == "":
        at = _after_line(body, key.end_mark.index)
        return _inserted(body, at, [f"  - {item}" for item in items], newline)
    raise BadYaml(f"{key.value} is not a list", where={"line": key.start_mark.line + 1})


def _into_brackets(body: str, value: yaml.SequenceNode, items: tuple[str, ...]) -> str:
    """``[a, b]`` becomes ``[a, b, c]``; a comma behind the last entry is used."""
    close = value.end_mark.index - 1
    text = ", ".join(items)
    if not value.value:
        return body[: value.start_mark.index + 1] + text + body[close:]
    end = _end_of(value.value[-1])
    between = body[end:close]
    code = re.sub(r"#[^\r\n]*", lambda found: " " * len(found[0]), between)
    comma = code.find(",")
    if comma < 0:
        return f"{body[:end]}, {text}{body[end:]}"
    at = end + comma + 1
    return f"{body[:at]} {text},{body[at:]}"


def _column_of_dash(body: str, value: yaml.SequenceNode) -> int:
    """The column of the list's dashes: of the last one, as people see it."""
    last = value.value[-1].start_mark
    dash = body.rfind("-", 0, last.index)
    start = max(body.rfind("\n", 0, dash), body.rfind("\r", 0, dash)) + 1
    return dash - start


def _end_of(node: yaml.Node) -> int:
    """Behind the last character of a node's own text; a block ends there, not at the next key."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end_of(last[1] if isinstance(last, tuple) else last)


def _after_line(body: str, index: int) -> int:
    """Behind the end of the line that ``index`` is in; there if it is a line's beginning."""
    if index and body[index - 1] in "\r\n":
        return index
    found = _LINE_END.search(body, index)
    return found.end() if found else len(body)


def _inserted(body: str, at: int, lines: list[str], newline: str) -> str:
    before = body[:at]
    if before and before[-1] not in "\r\n":
        before += newline
    return before + newline.join(lines) + newline + body[at:]
