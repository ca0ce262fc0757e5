"""Rules for CI: what each allows, and dive's own file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from builders.inspection import file, layer, opened, whiteout
from homeport.errors import Faults
from homeport.inspection.model import Age, Anomaly, Attached, Base, ImageReport
from homeport.inspection.report.builder import report_image
from homeport.inspection.report.policy import BadRule, Rule, check_rules, parse_rule, read_rules

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def report(**changes: object) -> ImageReport:
    image = report_image(
        opened(
            layer(
                file("etc/os-release", b"ID=debian\nVERSION_ID=13\nVERSION_CODENAME=trixie\n"),
                file("bin/su", b"x" * 100, mode=0o4755),
            ),
            layer(file("big", b"y" * 1000)),
            layer(whiteout("big"), file("c", b"z" * 1000)),
        )
    )
    return msgspec.structs.replace(image, **changes)


def kept(rule: str, limit: str = "", **changes: object) -> bool:
    parsed = parse_rule(rule, limit)
    assert parsed is not None
    return check_rules(report(**changes), [parsed], NOW)[0].passed


def test_every_rule_has_a_limit_that_is_kept_and_one_that_is_not() -> None:
    sbom = (Attached(kind="SBOM", type="spdx", digest="sha256:0", size=1, found_as="referrer"),)
    made = Age(created="2026-02-01T00:00:00.123456789Z")
    for rule, good, bad in (
        ("min-efficiency", "0.5", "0.9"),
        ("max-wasted-bytes", "1000", "999"),
        ("max-dive-wasted-bytes", "1000", "999"),
        ("max-user-wasted", "50%", "0.4"),
        ("max-size", "1MB", "10"),
        ("base-in", "alpine,debian:13", "debian:12"),
        ("base-in", "debian:trixie", "ubuntu"),
    ):
        assert kept(rule, good), rule
        assert not kept(rule, bad), rule
    assert kept("max-age", "30d", age=made)
    assert not kept("max-age", "2w", age=made)
    assert not kept("max-age", "1y"), "an image whose stamps tell nothing has no age"
    assert not kept("no-setuid")
    assert kept("no-setuid", anomalies=())
    assert not kept("must-have-sbom")
    assert kept("must-have-sbom", attached=sbom)


def test_dives_file_is_understood(tmp_path: Path) -> None:
    path = tmp_path / ".dive-ci"
    path.write_text(
        "rules:\n  lowestEfficiency: 0.95\n  highestWastedBytes: 20MB\n"
        "  highestUserWastedPercent: disabled\n"
    )
    assert [(rule.name, rule.value) for rule in read_rules(path)] == [
        ("min-efficiency", 0.95), ("max-dive-wasted-bytes", 20_000_000),
    ]  # fmt: skip
    path.write_text("rules:\n  lowest-efficiency: '0.9'\n  no-setuid: true\n  base-in: [a, b]\n")
    assert [(rule.name, rule.value) for rule in read_rules(path)] == [
        ("min-efficiency", 0.9), ("no-setuid", True), ("base-in", ("a", "b")),
    ]  # fmt: skip


def test_a_limit_is_the_text_that_was_written_and_a_rule_stands_once(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("rules:\n  base-in: [1.10, no]\n")
    assert [rule.value for rule in read_rules(path)] == [("1.10", "no")]
    path.write_text("rules:\n  no-setuid: true\n  no-setuid: false\n")
    with pytest.raises(Faults) as caught:
        read_rules(path)
    assert [fault.where["line"] for fault in caught.value.faults] == [3]


def test_all_faults_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("rules:\n  max-size: lots\n  none-such: 1\n")
    with pytest.raises(Faults) as caught:
        read_rules(path)
    assert [fault.what for fault in caught.value.faults] == [
        "invalid limit 'lots' for max-size", "unknown rule 'none-such'",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("min-efficiency", "2"), ("max-size", "-1"), ("max-age", "soon"), ("no-setuid", "maybe"),
        ("min-efficiency", "high"), ("base-in", ","),
    ],
)  # fmt: skip
def test_a_limit_that_is_none_is_refused(name: str, limit: str) -> None:
    with pytest.raises(BadRule, match=rf"^invalid limit {limit!r} for {name}$"):
        parse_rule(name, limit)


@pytest.mark.parametrize("limit", ["0", "1", "0%", "100%"])
def test_a_fraction_includes_both_ends(limit: str) -> None:
    assert parse_rule("min-efficiency", limit) is not None


@pytest.mark.parametrize(
    ("rule", "limit", "value"),
    [
        ("max-size", "2KiB", 2048), ("max-size", "1.5kB", 1500),
        ("max-age", "2m", timedelta(days=60)), ("max-age", "2w", timedelta(days=14)),
        ("max-age", "12h", timedelta(hours=12)),
    ],
)  # fmt: skip
def test_units_of_limits(rule: str, limit: str, value: object) -> None:
    parsed = parse_rule(rule, limit)
    assert parsed is not None
    assert parsed.value == value


@pytest.mark.parametrize(
    ("age", "passes"),
    [
        (Age(created="2026-02-28T00:00:00Z"), True),
        (Age(created="2026-02-27T23:59:59Z"), False),
        (Age(created="2026-02-28T00:00:00"), True),
        (Age(created="2026-02-28T00:00:00", created_is_fixed=True), False),
        (Age(created="", newest_history="2026-02-28T00:00:00+00:00"), True),
        (Age(created="2026-02-28T12:00:00", created_is_fixed=True,
             newest_history="2026-01-01T00:00:00Z"), False),
    ],
)  # fmt: skip
def test_the_age_is_that_of_the_first_timestamp_that_is_one(age: Age, passes: bool) -> None:
    assert kept("max-age", "1d", age=age) is passes


def test_setgid_files_break_the_rule_on_setuid() -> None:
    anomalies = (Anomaly(kind="setgid", count=2, examples=("/a: 2755 0:0",)),)
    rule = parse_rule("no-setuid", "")
    assert rule is not None
    result = check_rules(report(anomalies=anomalies), [rule], NOW)[0]
    assert (result.passed, result.found) == (False, "2 files, first /a: 2755 0:0")


def test_a_base_is_known_by_its_digest_and_an_unknown_one_by_nothing() -> None:
    assert kept("base-in", "sha256:1", base=Base(image="x", image_digest="sha256:1"))
    rule = Rule(name="base-in", text="", value=("", ":"))
    assert not check_rules(report(base=Base()), [rule], NOW)[0].passed


def test_the_last_of_two_rules_of_one_name_counts() -> None:
    rules = [rule for limit in ("1", "1GB") if (rule := parse_rule("max-size", limit))]
    assert [one.limit for one in check_rules(report(), rules, NOW)] == ["1GB"]
