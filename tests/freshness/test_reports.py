"""The reports of ``outdated``: each form says the same, in the words of its readers."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from builders.freshness import FreshWorld, entry, package
from homeport.freshness.model import Report
from homeport.freshness.report.metrics import badge, metrics_text
from homeport.freshness.report.text import report_text
from homeport.freshness.report.writing import OutdatedFiles, write_reports

CVES = ", ".join(f"CVE-2026-100{n}" for n in range(5))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """lib1 has a security fix on one of two platforms; the other's index is not to be had."""

    def both(version: str, text: str) -> list[bytes]:
        log = [entry("lib1", version, text), entry("lib1", "1-1")]
        return [package("lib1", version, a, log=log) for a in ("amd64", "s390x")]

    world = FreshWorld(tmp_path_factory.mktemp("world"), {"trixie": both("1-1", "* New.")})
    world.lock_recipe("platforms: [linux/amd64, linux/s390x]\npackages: [lib1]")
    world.move("trixie-security", both("1-2", f"* Fix {CVES}."), only={"amd64"})
    return world.outdated(max_age=1)


def test_the_text_has_a_line_for_each_change_and_the_command_to_run(report: Report) -> None:
    lines = report_text(report).splitlines()
    assert lines[0] == (
        "test: 1 of 1 package newer, 5 security fixes, locked 2026-01-10 (2 days ago)"
    )
    assert lines[1] == (
        "  security  lib1  1-1 → 1-2  [CVE-2026-1000, CVE-2026-1001, CVE-2026-1002 and 2 more; "
        "since 2026-01-09; trixie-security; only linux/amd64]"
    )
    assert lines[2].startswith(
        "  unknown   test trixie-security (linux/s390x): the indexes of s390x"
    )
    assert lines[3:] == [
        "  rule      its archive state is 2 days old, more than 1",
        "  run: homeport update recipe/homeport.yaml",
    ]  # fmt: skip
    assert "            1-2 trixie; urgency=medium" in report_text(report, verbose=True)


def test_on_a_terminal_lines_are_broken_at_spaces_and_commands_are_not(report: Report) -> None:
    lines = report_text(report, width=60).splitlines()
    assert [line for line in lines if len(line) > 60] == []
    assert lines[2:5] == [
        "  security  lib1  1-1 → 1-2  [CVE-2026-1000, CVE-2026-1001,",
        "            CVE-2026-1002 and 2 more; since 2026-01-09;",
        "            trixie-security; only linux/amd64]",
    ]
    assert lines[-1] == "  run: homeport update recipe/homeport.yaml"
    assert report_text(report, width=40).splitlines()[-1] == lines[-1]


@pytest.fixture(scope="module")
def files(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    write_reports(
        report,
        OutdatedFiles(
            json=folder / "outdated.json", code_quality=folder / "quality.json",
            sarif=folder / "outdated.sarif", junit=folder / "junit.xml",
            metrics=folder / "outdated.prom", badge=folder / "badge.svg",
        ),
    )  # fmt: skip
    return folder


def read(files: Path, name: str) -> Any:
    return json.loads((files / name).read_text())


def test_json_has_the_schema_and_says_what_is_not_known(files: Path) -> None:
    document = read(files, "outdated.json")
    assert (document["schema"], document["complete"]) == ("homeport-outdated/v1", False)
    (subject,) = document["subjects"]
    assert subject["changes"][0]["ids"] == CVES.split(", ")
    assert subject["unknown"][0]["platforms"] == ["linux/s390x"]
    assert document["archives"][2]["whole"] == ["amd64"]


def test_code_quality_points_at_the_packages_line_of_the_lockfile(files: Path) -> None:
    found = read(files, "quality.json")
    first = found[0]
    lockfile = Path(first["location"]["path"])
    line = lockfile.read_text().splitlines()[first["location"]["lines"]["begin"] - 1]
    assert '"name": "lib1"' in line
    assert (first["check_name"], first["severity"]) == ("outdated-security", "major")
    assert len({each["fingerprint"] for each in found}) == len(found) == 2


def test_sarif_lists_each_rule_once_and_invents_no_severity(files: Path) -> None:
    (run,) = read(files, "outdated.sarif")["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [
        "outdated-rule", "outdated-security",
    ]  # fmt: skip
    assert "security-severity" not in json.dumps(run)
    assert run["invocations"][0]["executionSuccessful"] is False
    assert [r["level"] for r in run["results"]] == ["error", "error"]


def test_junit_fails_what_is_outdated_and_skips_what_is_not_known(
    report: Report, tmp_path: Path
) -> None:
    (subject,) = report.subjects
    quiet = msgspec.structs.replace(subject, broken_rules=())
    file = tmp_path / "junit.xml"
    write_reports(msgspec.structs.replace(report, subjects=(quiet,)), OutdatedFiles(junit=file))
    suite = ElementTree.fromstring(file.read_bytes())  # our own text
    assert {key: suite.get(key) for key in ("tests", "failures", "skipped")} == {
        "tests": "2", "failures": "1", "skipped": "1",
    }  # fmt: skip
    assert [case.get("name") for case in suite if case.find("skipped") is not None] == [
        "linux/s390x"
    ]


def test_metrics_have_help_and_type_and_no_time_stamps_on_samples(
    report: Report, files: Path
) -> None:
    text = (files / "outdated.prom").read_text()
    assert text == metrics_text(report)
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(len(line.rpartition("} ")[2].split()) == 1 for line in samples)
    assert (
        'homeport_outdated_packages{recipe="test",platform="linux/amd64",class="security"} 1'
        in samples
    )
    assert 'homeport_vulnerabilities_fixed_upstream{recipe="test"} 5' in samples
    # Not checked in full, so there is no time of a complete check.
    assert "homeport_check_timestamp_seconds" not in text
    names = {line.partition("{")[0] for line in samples}
    assert all(f"# HELP {name} " in text and f"# TYPE {name} gauge" in text for name in names)
    assert "CVE" not in text


def test_a_check_in_full_has_its_time(report: Report) -> None:
    (subject,) = report.subjects
    whole = msgspec.structs.replace(
        report, subjects=(msgspec.structs.replace(subject, unknown=(), name='a"b\\c'),)
    )
    moment = int(report.checked_at.timestamp())
    assert (
        f'homeport_check_timestamp_seconds{{recipe="a\\"b\\\\c"}} {moment}'
        in metrics_text(whole).splitlines()
    )


def test_the_badge_says_how_many(report: Report) -> None:
    image = badge(report)
    assert ">1 newer<" in image
    assert ElementTree.fromstring(image).tag.endswith("svg")
    fresh = msgspec.structs.replace(report, subjects=())
    assert ">fresh<" in badge(fresh)


def test_reports_are_files_of_the_users_mask(files: Path) -> None:
    assert stat.S_IMODE((files / "outdated.prom").stat().st_mode) & 0o444
