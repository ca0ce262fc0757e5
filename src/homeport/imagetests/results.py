"""Results of tests, as data, text and JUnit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal
from xml.etree import ElementTree

import msgspec

from homeport.printable import printable
from homeport.quantities import counted

#: not-run is never passed: it says why
State = Literal["passed", "failed", "not-run"]


class ImageTestResult(msgspec.Struct, frozen=True, kw_only=True):
    """One test on one platform; ``why``: what is different, or why it was not run."""

    name: str
    kind: str
    platform: str
    state: State
    why: str = ""


class CheckedImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image with the results of all its tests."""

    image: str
    digest: str
    results: tuple[ImageTestResult, ...]

    @property
    def failed(self) -> tuple[ImageTestResult, ...]:
        return tuple(result for result in self.results if result.state == "failed")

    @property
    def not_run(self) -> tuple[ImageTestResult, ...]:
        return tuple(result for result in self.results if result.state == "not-run")


def results_text(tested: CheckedImage) -> str:
    """What failed, what was not run, and the counts."""
    lines = list(_lines(tested))
    passed = len(tested.results) - len(tested.failed) - len(tested.not_run)
    summary = f"{tested.image}: {counted(passed, 'test')} passed"
    summary += f", {len(tested.failed)} failed" if tested.failed else ""
    summary += f", {len(tested.not_run)} not run" if tested.not_run else ""
    return "\n".join(map(printable, [*lines, summary]))


def _lines(tested: CheckedImage) -> Iterator[str]:
    for result in tested.results:
        if result.state != "passed":
            word = result.state.replace("-", " ")
            yield f"{word:7}  {result.platform}  {result.name}: {result.why}"


def results_document(tested: CheckedImage) -> dict[str, Any]:
    """``homeport-test/v1`` (docs/formats/test.md)."""
    return {"schema": "homeport-test/v1", **msgspec.to_builtins(tested)}


def results_junit(tested: CheckedImage) -> bytes:
    """A test case for each test and platform; what was not run is skipped."""
    suite = ElementTree.Element(
        "testsuite",
        name=printable(tested.image),
        tests=str(len(tested.results)),
        failures=str(len(tested.failed)),
        skipped=str(len(tested.not_run)),
    )
    for result in tested.results:
        case = ElementTree.SubElement(
            suite, "testcase", classname=printable(result.platform), name=printable(result.name)
        )
        if result.state != "passed":
            word = "failure" if result.state == "failed" else "skipped"
            ElementTree.SubElement(case, word, message=printable(result.why))
    encoded: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return encoded + b"\n"
