"""The kinds of findings that are not rules: their ids, titles and reasons.

With the rules (``audit.rules``) these are all ids that a report can hold. The pages in
docs/findings are made from both; ``python tools/make_findings_pages.py`` writes them.
"""

from __future__ import annotations

import msgspec

from homeport.audit.model import Level

_DOCS = "https://github.com/homeport-project/homeport/blob/main/docs"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of finding.

    fix:   what helps, a sentence or two
    to_do: the same as the heading of a list
    """

    id: str
    title: str
    why: str
    level: Level
    fix: str = ""
    to_do: str = ""


FINDINGS: dict[str, Finding] = {
    finding.id: finding
    for finding in (
        Finding(
            id="foreign", level="low",
            to_do="Import",
            title="An image comes from a registry that is not yours",
            why="Builds and deployments fail when that registry, the network to it or the image "
            "is gone, and they change when its owner changes the image.",
            fix="Import it with `homeport mirror` or `homeport import` and use the copy. "
            "`homeport audit --plan` plans both.",
        ),
        Finding(
            id="floating", level="medium",
            to_do="Add the digest to the tag",
            title="A tag that is not pinned",
            why="Tags such as latest, 1 or stable move to new images without notice; two runs "
            "of one commit may use different images.",
            fix="Add the digest to the tag (`debian:13-slim@sha256:…`) and let a tool update both.",
        ),
        Finding(
            id="fixed-by-convention", level="low",
            to_do="Add the digest to the tag, which only convention keeps in place",
            title="A tag that only convention keeps fixed",
            why="A whole version or a date in a tag usually never moves, but nothing enforces it.",
            fix="Add the digest to the tag.",
        ),
        Finding(
            id="implicit", level="medium",
            to_do="Name your own image in the settings of the tool that pulls it",
            title="An image that a tool pulls implicitly",
            why="No file names the image; a tool pulls it. Mirrors, scanners and reviewers that "
            "read files do not see it.",
            fix="The page of the rule names the setting that selects another image.",
        ),
        Finding(
            id="rate-limited", level="low",
            to_do="Pull through a mirror or from your own registry",
            title="The registry limits anonymous pulls",
            why="All runners behind one address share the limit; a pipeline fails when it is "
            "used up.",
            fix="Pull through a mirror or from your own registry, or authenticate.",
        ),
        Finding(
            id="unresolved", level="medium",
            to_do="Give the variable a default, or check by hand",
            title="A reference that could not be resolved",
            why="Its value comes from outside the files: an argument without a default, a "
            "template, a variable of the CI system. It is listed because it still names an image.",
            fix="Give the variable a default, or check it by hand.",
        ),
        Finding(
            id="end-of-life", level="high",
            to_do="Move to a supported release",
            title="A release without security support",
            why="The tag names a release whose maintainers have stopped fixing it.",
            fix="Move to a supported release.",
        ),
        Finding(
            id="old", level="low",
            to_do="Look for a newer tag",
            title="An image that was built more than a year ago",
            why="According to its registry the image is more than a year old (`--online`), so it "
            "lacks a year of fixes.",
            fix="Look for a newer tag.",
        ),
        Finding(
            id="moved-tag", level="medium",
            to_do="Update the digest: the tag has moved",
            title="A tag that has moved away from its digest",
            why="The file names a tag and a digest; in the registry the tag is another image now "
            "(`--online`). The digest decides, and gets no updates.",
            fix="Update the digest, or remove the tag.",
        ),
        Finding(
            id="one-platform", level="low",
            to_do="Use the digest of the index, which has all platforms",
            title="A digest of one platform only",
            why="The file names a tag and a digest; the tag is an index of several platforms, the "
            "digest the manifest of one of them (`--online`). Machines of other platforms cannot "
            "pull it, or run it by emulation.",
            fix="Use the digest of the index, which `homeport manifest --digest` prints.",
        ),
        Finding(
            id="gone", level="high",
            to_do="Use another image, or push the copy that you have: the registry has none",
            title="An image that the registry does not have",
            why="The registry answered that there is no such image (`--online`): the next pull "
            "fails.",
            fix="Use another image, or import the copy that one of your machines still has.",
        ),
    )
}  # fmt: skip


def page_of(id: str) -> str:
    """Where a finding is explained; without an id, where the command is."""
    return f"{_DOCS}/findings/{id}.md" if id else f"{_DOCS}/audit.md"
