"""The table of releases against Debian's own data (package distro-info-data)."""

from __future__ import annotations

import csv
import datetime
import os
from pathlib import Path

import pytest

from homeport.audit.facts import end_of_life
from homeport.oci.reference import parse_reference

DATA = Path("/usr/share/distro-info")


@pytest.mark.parametrize(
    ("name", "fields"),
    [("debian", ("eol-lts", "eol")), ("ubuntu", ("eol",))],
    ids=["debian", "ubuntu"],
)
def test_a_release_ends_on_the_day_that_debian_knows(name: str, fields: tuple[str, ...]) -> None:
    path = DATA / f"{name}.csv"
    if not path.is_file():
        if os.environ.get("CI") == "true" or os.environ.get("HOMEPORT_PEERS") == "1":
            pytest.fail("distro-info-data is not installed; .ci/run installs all peers")
        pytest.skip("distro-info-data is not installed")
    compared = 0
    for row in csv.DictReader(path.read_text().splitlines()):
        version = row["version"].partition(" ")[0]
        day = next((row[field] for field in fields if row.get(field)), "")
        if not version or not day:
            continue
        for tag in (version, row["series"]):
            found = end_of_life(parse_reference(f"{name}:{tag}"))
            if found is not None:
                ends = datetime.date.fromisoformat(day)
                # A release that the table leaves out has the day of the next: all of them are past.
                older = ends < found.ends and ends < datetime.date(2026, 1, 1)
                assert found.ends == ends or older, (name, tag)
                compared += found.ends == ends
    assert compared >= 10
