"""What Homeport itself is made of: every dependency is pinned by the hashes of its files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent.parent
CONSTRAINTS = (ROOT / "constraints.txt").read_text()


def pinned() -> dict[str, str]:
    """Versions by the names of packages."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", CONSTRAINTS, re.MULTILINE))


def test_every_dependency_is_pinned_to_a_version_that_suits() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["explorer"]]
    versions = pinned()
    for text in wanted:
        requirement = Requirement(text)
        assert requirement.specifier.contains(versions[requirement.name]), text


def test_every_pinned_package_has_hashes_and_no_place_of_its_own() -> None:
    entries = re.split(r"^(?=[a-z0-9])", CONSTRAINTS, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pinned()) >= 20
    for entry in entries:
        assert re.fullmatch(r"[^\n]+ \\\n(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", entry), entry
    assert "://" not in CONSTRAINTS
