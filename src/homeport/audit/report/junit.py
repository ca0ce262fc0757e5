"""Results as JUnit's XML, which CI systems show as tests: a violation is a failed one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from homeport.audit.findings import page_of
from homeport.audit.policy import Violation
from homeport.audit.results import Result

#: What XML 1.0 cannot hold.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_document(results: Sequence[Result], violations: Sequence[Violation]) -> bytes:
    """One suite for each file, one case for each use of an image in it."""
    why = {violation.result.fingerprint: violation.why for violation in violations}
    files: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        files[result.use.place.file].append(result)
    root = ET.Element(
        "testsuites", name="homeport audit", tests=str(len(results)), failures=str(len(why))
    )
    for file, found in files.items():
        failed = [result for result in found if result.fingerprint in why]
        suite = ET.SubElement(
            root, "testsuite", name=_text(file), tests=str(len(found)), failures=str(len(failed))
        )
        for result in found:
            place = result.use.place
            case = ET.SubElement(
                suite, "testcase", classname=_text(file), file=_text(file), line=str(place.line),
                name=_text(f"{result.image.name} (line {place.line}, {result.use.key})"),
            )  # fmt: skip
            if (reason := why.get(result.fingerprint)) is not None:
                failure = ET.SubElement(case, "failure", type=result.id, message=_text(reason))
                failure.text = _text(f"{file}:{place.line}: {result.text}\n{page_of(result.id)}")
    ET.indent(root)
    encoded: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return encoded + b"\n"


def _text(text: str) -> str:
    return _NOT_XML.sub("�", text)
