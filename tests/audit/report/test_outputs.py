"""JSON, SARIF, Code Quality, HTML, text: what other programs and people get."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re
from pathlib import Path

import msgspec
import pytest
from make_findings_pages import pages

from builders.audit import TODAY, every_case, lay_out, read_case
from homeport.audit.assessment import Lookup, Report
from homeport.audit.auditing import AuditRequest, AuditResult, audit
from homeport.audit.registry_lookup import with_answers
from homeport.audit.report.codequality import code_quality_document
from homeport.audit.report.html import html_page
from homeport.audit.report.json import clean, report_document
from homeport.audit.report.listing import GROUPINGS, Grouping
from homeport.audit.report.sarif import sarif_document, uri_of
from homeport.audit.report.text import View, report_text
from homeport.audit.results import Result, results

DOCS = Path(__file__).parents[3] / "docs" / "findings"


def audited(root: Path, files: dict[str, str], **more: str) -> AuditResult:
    lay_out(files, root)
    return audit(AuditRequest(paths=["."], root=root, today=TODAY, **more))


def found(root: Path, files: dict[str, str]) -> list[Result]:
    return list(results(audited(root, files).report))


def test_a_result_names_what_is_wrong_first_of_all(tmp_path: Path) -> None:
    files = {
        "Dockerfile": "# syntax=docker/dockerfile:1.0\nFROM debian:11\nCOPY a b\nFROM $X\n",
        "k8s.yaml": "services: {}\n",
    }
    assert [(r.id, r.level, r.use.place.line) for r in found(tmp_path, files)] == [
        ("floating", "medium", 1),
        ("frontend-copy-image", "medium", 1),
        ("end-of-life", "high", 2),
        ("unresolved", "medium", 4),
    ]


def test_a_fingerprint_outlives_moved_lines_and_new_tags(tmp_path: Path) -> None:
    before = found(tmp_path / "a", {"Dockerfile": "FROM debian:13\n"})
    after = found(tmp_path / "b", {"Dockerfile": "# new\n\nFROM debian:14\n"})
    assert [r.fingerprint for r in before] == [r.fingerprint for r in after]


def test_two_uses_of_one_repository_have_two_fingerprints(tmp_path: Path) -> None:
    twice = found(tmp_path, {"Dockerfile": "FROM debian:13\nFROM debian:13\n"})
    assert len({r.fingerprint for r in twice}) == 2


def test_own_and_proxied_images_give_no_result(tmp_path: Path) -> None:
    text = "a: {image: '${CI_DEPENDENCY_PROXY_GROUP_IMAGE_PREFIX}/alpine:3'}\n"
    assert found(tmp_path, {".gitlab-ci.yml": text}) == []


def test_sarif_places_are_lines_and_code_points(tmp_path: Path) -> None:
    one = audited(tmp_path, {"compose.yaml": "services: {é🎉: {image: 'a/b:1'}}\n"})
    log = sarif_document(list(results(one.report)), one.report.unread, one.rules)
    run = log["runs"][0]
    assert run["columnKind"] == "unicodeCodePoints"
    (result,) = run["results"]
    assert result["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 1, "startColumn": 25, "endLine": 1, "endColumn": 30,
    }  # fmt: skip
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_sarif_says_what_could_not_be_read_and_what_is_known(tmp_path: Path) -> None:
    one = audited(tmp_path, {"compose.yaml": "services: {a: {image: 'a/b:1'}}\n---\n[\n"})
    known = [r.fingerprint for r in results(one.report)]
    log = sarif_document(list(results(one.report, known)), one.report.unread, one.rules)
    run = log["runs"][0]
    assert run["invocations"][0]["executionSuccessful"] is False
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == 1
    assert [r["suppressions"][0]["kind"] for r in run["results"]] == ["external"]


def test_uris_are_escaped() -> None:
    assert uri_of("a b/ü%.yml") == "a%20b/%C3%BC%25.yml"


def test_code_quality_has_what_gitlab_asks_for(tmp_path: Path) -> None:
    (entry,) = code_quality_document(found(tmp_path, {"Dockerfile": "FROM debian:13\n"}))
    assert entry["check_name"] == "floating"
    assert entry["severity"] == "minor"
    assert entry["location"] == {"path": "Dockerfile", "lines": {"begin": 1}}
    assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}


class _Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [v or "" for k, v in attrs if k in ("src", "href")]


def test_the_page_needs_nothing_else_and_runs_nothing_from_files(tmp_path: Path) -> None:
    name = "</script><img src=x onerror=alert(1)>"
    one = audited(tmp_path, {"compose.yaml": f'services: {{a: {{image: "${{A:?{name}}}"}}}}\n'})
    page = html_page(one.report)
    tags = _Tags()
    tags.feed(page)
    assert "img" not in tags.tags
    assert tags.tags.count("script") == 1
    assert all(link.startswith(("https://github.com/", "#")) for link in tags.links)
    policy = page.partition('Content-Security-Policy" content="')[2].partition('"')[0]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind in ("style", "script"):
        text = page.partition(f"<{kind}>")[2].partition(f"</{kind}>")[0]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_bytes_that_are_no_utf_8_do_not_stop_any_output(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_bytes(b"FROM a\xff\xfeb\nFROM debian:13\n")
    one = audit(AuditRequest(paths=["."], root=tmp_path, today=TODAY))
    found_ = list(results(one.report))
    json.loads(msgspec.json.encode(report_document(one.report)))
    msgspec.json.encode(clean(sarif_document(found_, one.report.unread, one.rules)))
    assert "a\\udcff\\udcfeb" in json.dumps(report_document(one.report)).replace("\\\\", "\\")
    html_page(one.report).encode("utf-8", "replace")
    report_text(one.report, View())


def test_the_table_names_image_pin_rule_and_place(tmp_path: Path) -> None:
    steps = "steps: [{uses: docker/setup-qemu-action@v3}]"
    files = {".github/workflows/a.yml": f"jobs: {{a: {{container: 'debian:11', {steps}}}}}\n"}
    text = report_text(audited(tmp_path, files).report, View())
    assert text.splitlines() == [
        "  LEVEL   IMAGE                     PLACE                      WHY",
        "Move to a supported release (end-of-life)",
        "  HIGH    debian:11                 .github/workflows/a.yml:1  "
        "since 2026-08-31; tag not pinned",
        "",
        "Name your own image in the settings of the tool that pulls it (implicit)",
        "  MEDIUM  tonistiigi/binfmt:latest  .github/workflows/a.yml:1  "
        "tag not pinned; pulled implicitly (setup-qemu-binfmt)",
        "",
        "docker.io: one run of every pipeline makes 2 anonymous pulls; "
        "the limit of 100 in 6 hours allows 50 runs",
        "",
        "2 foreign images, 1 of them implicit, in 1 of 1 file that may name images",
        "",
        "Next: homeport audit explain debian:11",
    ]  # fmt: skip


@pytest.mark.parametrize("path", every_case()[::7], ids=lambda p: p.stem)
def test_every_output_can_be_made_of_every_case(path: Path, tmp_path: Path) -> None:
    one = audited(tmp_path, read_case(path).files)
    all_results = list(results(one.report))
    msgspec.json.encode(report_document(one.report))
    msgspec.json.encode(sarif_document(all_results, one.report.unread, one.rules))
    assert html_page(one.report).endswith("</html>\n")


def test_every_finding_has_its_page_and_the_pages_are_fresh() -> None:
    wanted = pages()
    assert {path.name for path in DOCS.glob("*.md")} == set(wanted)
    for name, text in wanted.items():
        stale = "stale: run python tools/make_findings_pages.py docs/findings"
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"{name} is {stale}"


def _many(folder: Path) -> Report:
    image = f"quay.io/long/name/of-an/image:1@sha256:{'a' * 64}"
    return audited(
        folder,
        {
            "Dockerfile": "FROM debian:11\nFROM quay.io/a/b:1.2.3\n",
            f"deploy/{'deep/' * 12}compose.yaml": f"services: {{a: {{image: '{image}'}}}}\n",
            "tests/Dockerfile": "FROM alpine:3.10\n",
            "docs/Dockerfile": "FROM busybox\n",
        },
    ).report


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("by", GROUPINGS)
def test_every_line_of_the_list_fits_the_width(tmp_path: Path, width: int, by: Grouping) -> None:
    text = report_text(_many(tmp_path), View(by=by, width=width, everything=True))
    listed = text.partition("\n\ndocker.io: ")[0].splitlines()
    assert max(map(len, listed)) <= width
    # One line for each image, whatever the width.
    assert sum(line.startswith("  ") for line in listed) == 1 + 5
    # A name or a path is cut between its words.
    assert all(word[1] in "/-_.:@" for line in listed for word in line.split() if word[0] == "…")
    assert ("@sha256:aaaaaaaaaaaa " in text) or width == 80


def test_digests_are_whole_where_lines_may_be_long(tmp_path: Path) -> None:
    text = report_text(_many(tmp_path), View(everything=True))
    assert f"quay.io/long/name/of-an/image:1@sha256:{'a' * 64}" in text


def test_groups_are_by_action_registry_file_or_level(tmp_path: Path) -> None:
    headings = {
        by: [
            line for line in report_text(_many(tmp_path), View(by=by)).splitlines()
            if line and not line.startswith(" ")
        ] for by in GROUPINGS
    }  # fmt: skip
    assert headings["action"][0] == "Move to a supported release (end-of-life)"
    assert headings["registry"][:2] == ["docker.io", "quay.io"]
    assert headings["file"][0] == "Dockerfile"
    assert headings["level"][:2] == ["high", "low"]


def test_images_of_tests_and_documentation_are_apart_and_weigh_less(tmp_path: Path) -> None:
    report = _many(tmp_path)
    text = report_text(report, View())
    assert "alpine" not in text
    assert "busybox" not in text
    assert "More foreign images in trees apart: tests 1, docs 1; --include lists them" in text
    text = report_text(report, View(include=frozenset({"tests"})))
    assert re.search("LOW +alpine:3.10", text)
    assert "busybox" not in text
    levels = {image.name: image.level for image in report.images}
    assert levels["docker.io/library/alpine:3.10"] == "low"
    assert levels["docker.io/library/debian:11"] == "high"


def test_what_could_not_be_queried_is_counted_with_the_reason(tmp_path: Path) -> None:
    dockerfile = "FROM alpine:3.22\nFROM quay.io/a/b:1\nFROM quay.io/a/c:1\nFROM ghcr.io/a/d:1\n"
    report = audited(tmp_path, {"Dockerfile": dockerfile}).report
    known = Lookup(
        digest=f"sha256:{'b' * 64}", created="2026-01-02T03:04:05Z", platforms=("a", "b")
    )
    refused = Lookup(problem="lookup failed: connection refused")
    report = with_answers(
        report,
        {
            "docker.io/library/alpine:3.22": known,
            "quay.io/a/b:1": refused,
            "quay.io/a/c:1": refused,
            "ghcr.io/a/d:1": Lookup(problem="ghcr.io has no such image", gone=True),
        },
        TODAY,
    )
    text = report_text(report, View(online=True))
    assert "sha256:bbbbbbbbbbbb; 2026-01-02; 2 platforms" in text
    assert (
        "Registries answered for 2 of 4 images. The others:\n"
        "  quay.io: 2 images: lookup failed: connection refused\n"
    ) in text
    heading = "Use another image, or push the copy that you have: the registry has none (gone)"
    assert text.splitlines()[1] == heading
