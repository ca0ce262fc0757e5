"""The kinds of findings that are not rules: their ids, titles and reasons.

With the rules (``audit.rules``) these are all ids that a report can hold. The pages in
docs/findings are made from both; ``python tools/make_findings_pages.py`` writes them.
"""

from __future__ import annotations

import msgspec

from homeport.audit.model import Level

_DOCS = "https://github.com/homeport-project/homeport/blob/main/docs"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of finding. ``fix``: what helps, a sentence or two."""

    id: str
    title: str
    why: str
    level: Level
    fix: str = ""


FINDINGS: dict[str, Finding] = {
    finding.id: finding
    for finding in (
        Finding(
            id="foreign", level="low", title="An image comes from somebody else's registry",
            why="Builds and deployments stop when that registry, the network to it or the image "
            "goes away, and change when somebody else changes it.",
            fix="Import it with `homeport mirror` or `homeport import` and name the copy. "
            "`homeport audit --plan` writes both.",
        ),
        Finding(
            id="floating", level="medium", title="A tag that moves",
            why="Tags like latest, 1 or stable are moved to new images without notice; two runs "
            "of one commit may use different images.",
            fix="Name the digest beside the tag (`debian:13-slim@sha256:…`) and let a tool raise "
            "both.",
        ),
        Finding(
            id="fixed-by-custom", level="low", title="A tag that is fixed by custom alone",
            why="A whole version or a date in a tag is usually never moved, but nothing holds "
            "it in place.",
            fix="Name the digest beside the tag.",
        ),
        Finding(
            id="unsaid", level="medium", title="An image is pulled without being written anywhere",
            why="A tool pulls it by itself. Mirrors, scanners and reviewers that read files do "
            "not see it.",
            fix="The page of the rule says which setting names another image.",
        ),
        Finding(
            id="rate-limited", level="medium", title="The registry limits anonymous pulls",
            why="All runners behind one address share the limit; a pipeline fails when it is "
            "used up.",
            fix="Pull through a mirror or from your own registry, or log in.",
        ),
        Finding(
            id="unresolved", level="medium", title="A reference that could not be resolved",
            why="Its value comes from outside the files: an argument without a default, a "
            "template, a variable of the CI system. It is listed, because it is an image all "
            "the same.",
            fix="Give the variable a default, or look at it by hand.",
        ),
        Finding(
            id="end-of-life", level="high", title="A release without security support",
            why="The tag names a release whose maintainers have stopped fixing it.",
            fix="Move to a supported release.",
        ),
        Finding(
            id="old", level="low", title="An image that was built long ago",
            why="Its registry says that it was built more than a year ago (`--online`), so it "
            "lacks a year of fixes.",
            fix="Look for a newer tag.",
        ),
        Finding(
            id="moved-tag", level="medium", title="Tag and digest no longer belong together",
            why="The file names a tag and a digest; the registry's tag is another image now "
            "(`--online`). The digest decides, and gets no updates.",
            fix="Raise the digest, or drop the tag.",
        ),
        Finding(
            id="one-platform", level="low", title="A digest that is one platform's alone",
            why="The file names a tag and a digest; the tag is an index of several platforms, the "
            "digest the manifest of one of them (`--online`). Machines of another kind cannot "
            "pull it, or run it by emulation.",
            fix="Name the digest of the index, which `homeport manifest --digest` prints.",
        ),
        Finding(
            id="gone", level="high", title="The registry does not have the image",
            why="It was asked (`--online`) and answered that there is no such image: the next "
            "pull fails.",
            fix="Name another image, or import the copy that some machine still has.",
        ),
    )
}  # fmt: skip


def page_of(id: str) -> str:
    """Where a finding is explained; without an id, where the command is."""
    return f"{_DOCS}/findings/{id}.md" if id else f"{_DOCS}/audit.md"
