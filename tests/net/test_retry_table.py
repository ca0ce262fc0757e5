"""The documented retry table is the one that the code uses."""

from __future__ import annotations

from pathlib import Path

from homeport.net.retries import TABLE

DOCS = Path(__file__).parents[2] / "docs/registry.md"


def test_the_documented_retry_table_is_the_real_one() -> None:
    table = "| request " + DOCS.read_text().partition("\n| request ")[2].partition("\n\n")[0]
    lines = [line.strip("| ") for line in table.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    documented = {row[0]: row[1:] for row in rows if len(row) == 5 and row[0] != "request"}
    assert documented == {
        rule.name: [
            str(rule.attempts),
            str(rule.connect_attempts),
            "yes" if rule.after_cut else "no",
            " ".join(str(status) for status in sorted(rule.statuses)),
        ]
        for rule in TABLE
    }
