"""OpenVEX 0.2.0 statements about an image, from Debian's security tracker.

Says no more than the tracker does. ``unimportant`` entries stay ``affected`` with a note: Debian's
reason is free text, and may not hold for an image. Products have every name that trivy and grype
look for (docs/formats/vex.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Sequence
from typing import Any

import msgspec

from homeport.debian.version import BadVersion, parse_version
from homeport.errors import UsageError
from homeport.sbom import purl
from homeport.sbom.model import Bill, BillPackage, Subject, timestamp
from homeport.sbom.tracker import Known, Status, Tracker, known

CONTEXT = "https://openvex.dev/ns/v0.2.0"
PREDICATE_TYPE = "https://openvex.dev/ns"
NAMESPACE = "https://homeport.dev/vex"
AUTHOR = "Homeport, from the Debian security tracker"

Element = dict[str, Any]


class NotDebian(UsageError):
    """The tracker knows Debian's releases alone."""

    id = "not-debian"


class VexStatement(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of a vulnerability (docs/formats/recipe.md, "vex")."""

    vulnerability: str
    packages: tuple[str, ...] = ()
    status: str
    justification: str = ""
    reason: str
    by: str
    date: str


def document(
    bill: Bill,
    subject: Subject,
    tracker: Tracker | None,
    moment: int,
    given: Sequence[VexStatement] = (),
) -> Element:
    """The statements about all packages of an image. Raises ``NotDebian``.

    tracker: ``None``: only what persons say
    moment:  seconds since 1970 at which the tracker's data was taken
    given:   statements of persons; they replace the tracker's on the same package
    """
    own = [
        _of_person(each, packages, bill, subject)
        for each in given
        if (packages := [one for one in bill.packages if one.name in each.packages])
        or not each.packages
    ]
    persons = {(each.vulnerability, name) for each in given for name in each.packages}
    statements = list(own)
    if tracker is not None:
        statements += _of_tracker(bill, subject, tracker, persons)
    digest = hashlib.sha256(msgspec.json.encode(statements)).hexdigest()
    return {
        "@context": CONTEXT,
        "@id": f"{NAMESPACE}/{digest}",
        "author": AUTHOR if tracker is not None else ", ".join(sorted({one.by for one in given})),
        "timestamp": timestamp(moment),
        "version": 1,
        "statements": statements,
    }


def _of_tracker(
    bill: Bill, subject: Subject, tracker: Tracker, persons: Container[tuple[str, str]]
) -> list[Element]:
    codename = bill.distribution.codename if bill.distribution is not None else ""
    if not codename:
        raise NotDebian(
            f"{subject.name}: it is not known of which Debian release the image is",
            hint="the tracker knows Debian's packages only",
        )
    return [
        _statement(package, each, bill, subject)
        for package in bill.packages
        for each in known(tracker, package.source_name, codename)
        if (each.id, package.name) not in persons
    ]


def _of_person(
    given: VexStatement, packages: Sequence[BillPackage], bill: Bill, subject: Subject
) -> Element:
    """A statement with its reason, where OpenVEX has a place for it, and who made it."""
    components = [{"@id": purl.deb(one, bill.distribution)} for one in packages]
    more = {"subcomponents": components} if components else {}
    products = [{"@id": name, **more} for name in _products(bill, subject)]
    reason = {"not_affected": "impact_statement", "affected": "action_statement"}
    statement: Element = {
        "vulnerability": {"name": given.vulnerability},
        "timestamp": f"{given.date}T00:00:00Z",
        "products": [*products, *components],
        "status": given.status,
    }
    if given.justification:
        statement["justification"] = given.justification
    if given.status in reason:
        statement[reason[given.status]] = given.reason
        statement["status_notes"] = f"by {given.by}"
    else:
        statement["status_notes"] = f"{given.reason} (by {given.by})"
    return statement


def _statement(package: BillPackage, found: Known, bill: Bill, subject: Subject) -> Element:
    status, more = _verdict(package, found)
    component = {"@id": purl.deb(package, bill.distribution)}
    products = [{"@id": name, "subcomponents": [component]} for name in _products(bill, subject)]
    return {
        "vulnerability": {"name": found.id},
        "products": [*products, component],
        "status": status,
        **more,
    }


def _products(bill: Bill, subject: Subject) -> Iterator[str]:
    """The image as scanners call it: trivy by its whole repository, grype without the name."""
    architecture = bill.platform.architecture
    whole = subject.name if "/" in subject.name else ""
    parent = whole.rpartition("/")[0]
    for repository in dict.fromkeys((whole, parent)):
        yield purl.oci(
            subject.name, subject.digest, repository=repository, architecture=architecture
        )
    yield subject.digest.partition(":")[2]


def _verdict(package: BillPackage, found: Known) -> tuple[Status, Element]:
    """The tracker's words as OpenVEX has them (docs/formats/vex.md has the table)."""
    release = found.release
    if release.status == "resolved":
        if release.fixed_version == "0":
            return "not_affected", {"justification": "vulnerable_code_not_present"}
        if _is_fixed(package.source_version, release.fixed_version):
            return "fixed", {}
        return _affected(f"update {package.source_name} to {release.fixed_version}")
    if release.status == "open":
        return _open(found)
    return "under_investigation", {}


def _open(found: Known) -> tuple[Status, Element]:
    release = found.release
    if release.urgency == "end-of-life":
        return _affected("none: the package is no longer supported in this release")
    if release.urgency == "unimportant":
        status, more = _affected("none planned: Debian rates it unimportant")
        return status, {**more, "status_notes": "unimportant by the Debian security tracker"}
    match release.nodsa_reason:
        case "ignored":
            return _affected(f"no fix is planned: {release.nodsa or 'ignored by Debian'}")
        case "postponed":
            return _affected("the fix comes with the next update of the package")
        case "" | None if release.nodsa:
            return _affected("minor; the fix comes with a point release")
        case _:
            return _affected("no fix is available yet")


def _affected(action: str) -> tuple[Status, Element]:
    return "affected", {"action_statement": action}


def _is_fixed(installed: str, fixed: str) -> bool:
    try:
        return parse_version(installed) >= parse_version(fixed)
    except BadVersion:
        return False
