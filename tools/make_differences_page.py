"""docs/differences-from-apt.md from tests/data/differences-from-apt.yaml.

python tools/make_differences_page.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests/data/differences-from-apt.yaml"
PAGE = ROOT / "docs/differences-from-apt.md"
_HEAD = """\
# Where an image differs from the same packages installed by apt

Packages expect that their maintainer scripts run. Homeport reads them instead
([how](decisions/maintainer-scripts.md)). `tests/peers/test_apt_difference.py` installs sets of
packages with apt in a chroot, builds the same by Homeport, and compares type, content, mode,
owner and capabilities of every path, and every account. It fails on any difference but these:

| where | what | why |
|---|---|---|
"""
_WHAT = {
    "missing": "not in the image",
    "extra": "only in the image",
    "content": "other content",
    "mode": "another mode",
    "owner": "another owner",
    "type": "another type",
    "capability": "other capabilities",
}


def page(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        paths = ", ".join(f"`{path}`" for path in row["paths"])
        what = ", ".join(_WHAT[word] for word in row["what"])
        lines.append(f"| {paths} | {what} | {row['why']} |\n")
    return _HEAD + "".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(yaml.safe_load(TABLE.read_text())))
