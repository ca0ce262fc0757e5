"""Files of tests: a recipe's, and those of container-structure-test (schema 2.0.0).

Its words are carried over one by one. What cannot be carried over (setup, teardown, licences)
becomes a test that is not run and says so, so that nothing counts as passed that was not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from homeport.content.files import explained, open_input, read_input
from homeport.recipe.image_tests import ImageTest
from homeport.yamlfile.parse import BadYaml, parse_yaml
from homeport.yamlfile.position import FilePosition

_LONGEST = 4 << 20
#: What values of other types than are expected raise when they are read.
_BAD_VALUES = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)


class BadTests(BadYaml):
    """A file of tests cannot be read."""

    id = "bad-tests"


class LoadedTests(msgspec.Struct, frozen=True, kw_only=True):
    """tests, and (name, why) of those that cannot be carried out."""

    tests: tuple[ImageTest, ...]
    not_run: tuple[tuple[str, str], ...] = ()


def is_structure_test(path: Path) -> bool:
    """Whether a file begins as those of container-structure-test do; a recipe does not."""
    with explained(path, "read"), open_input(path) as stream:
        return b"schemaVersion" in stream.read(_LONGEST)


def read_structure_tests(path: Path) -> LoadedTests:
    """The tests of a container-structure-test file, YAML or JSON. Raises ``BadTests``."""
    # 20 ms that recipes' own tests save
    import yaml

    data = read_input(path, _LONGEST)
    # Our parser first: it bounds the document, aliases and merged keys included.
    parse_yaml(data, str(path), BadTests, merge_keys=True, expanded=True)
    try:
        # Dates that there are none of, and numbers without digits, are errors of many types.
        document = yaml.safe_load(data)
    except (yaml.YAMLError, *_BAD_VALUES, RecursionError) as error:
        raise BadTests(
            f"{path}: invalid YAML: {str(error)[:200]}", where={"file": str(path)}
        ) from error
    if not isinstance(document, dict) or "schemaVersion" not in document:
        raise BadTests(
            f"{path} is neither a recipe nor a file of container-structure-test",
            where={"file": str(path)},
            hint="it begins with schemaVersion: 2.0.0",
        )
    if str(document["schemaVersion"]) != "2.0.0":
        raise BadTests(f"unknown schemaVersion {document['schemaVersion']}; 2.0.0 is read")
    place = FilePosition(file=str(path), line=1)
    try:
        tests = [
            *_existence(document, place),
            *_contents(document, place),
            *_metadata(document, place),
            *_commands(document, place),
        ]
        not_run = tuple(_left(document))
    except _BAD_VALUES as error:
        raise BadTests(f"{path}: {str(error)[:200]}", where={"file": str(path)}) from error
    return LoadedTests(tests=tuple(tests), not_run=not_run)


def _existence(document: Mapping[str, Any], place: FilePosition) -> Iterator[ImageTest]:
    for each in document.get("fileExistenceTests") or ():
        there = each.get("shouldExist", True)
        yield ImageTest(
            name=str(each.get("name") or each["path"]),
            kind="file" if there else "absent",
            path=str(each["path"]),
            permissions=str(each.get("permissions") or "") if there else "",
            uid=_number(each.get("uid")),
            gid=_number(each.get("gid")),
            place=place,
        )


def _contents(document: Mapping[str, Any], place: FilePosition) -> Iterator[ImageTest]:
    for each in document.get("fileContentTests") or ():
        yield ImageTest(
            name=str(each.get("name") or each["path"]),
            kind="file",
            path=str(each["path"]),
            contains=_texts(each.get("expectedContents")),
            excludes=_texts(each.get("excludedContents")),
            patterns=True,
            place=place,
        )


def _metadata(document: Mapping[str, Any], place: FilePosition) -> Iterator[ImageTest]:
    found = document.get("metadataTest") or {}
    fields: dict[str, str] = {}
    for key, field in (("entrypoint", "Entrypoint"), ("cmd", "Cmd")):
        if key in found:
            fields[field] = msgspec.json.encode(list(found[key] or ())).decode()
    for key, field in (("workdir", "WorkingDir"), ("user", "User")):
        if key in found:
            fields[field] = str(found[key])
    if fields:
        yield ImageTest(name="metadata", kind="config", config=fields, place=place)


def _commands(document: Mapping[str, Any], place: FilePosition) -> Iterator[ImageTest]:
    for each in document.get("commandTests") or ():
        if each.get("setup") or each.get("teardown"):
            continue
        yield ImageTest(
            name=str(each.get("name") or each["command"]),
            kind="run",
            command=(str(each["command"]), *_texts(each.get("args"))),
            env={str(one["key"]): str(one["value"]) for one in each.get("envVars") or ()},
            exit=int(each.get("exitCode") or 0),
            contains=(*_texts(each.get("expectedOutput")), *_texts(each.get("expectedError"))),
            excludes=(*_texts(each.get("excludedOutput")), *_texts(each.get("excludedError"))),
            patterns=True,
            place=place,
        )


def _left(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in document.get("commandTests") or ():
        if each.get("setup") or each.get("teardown"):
            yield str(each.get("name") or each.get("command")), "setup and teardown are not read"
    for each in document.get("fileExistenceTests") or ():
        if each.get("isExecutableBy"):
            yield str(each.get("name") or each.get("path")), "isExecutableBy is not read"
    if document.get("licenseTests"):
        yield "licenseTests", "licences are not read"
    known = {"entrypoint", "cmd", "workdir", "user"}
    for key in document.get("metadataTest") or {}:
        if key not in known:
            yield f"metadataTest {key}", "this field is not read"


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value or ()))


def _number(value: Any) -> int | None:
    return int(value) if value is not None else None
