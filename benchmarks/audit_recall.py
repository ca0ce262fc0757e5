"""Which share of references an audit finds, by kind: ``python -P benchmarks/audit_recall.py``.

The folders in ``HOMEPORT_AUDIT_REPOSITORIES`` (separated as ``PATH`` is) are audited. The second
opinion is as simple as can be: every word of every text file that begins with a well-known
registry and has a tag or digest is a reference, wherever it stands; prose, comments, tests and
code of others (``vendor``) are left out. A kind with a low share shows what no reader looks at.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from pathlib import Path

from homeport.audit.auditing import AuditRequest, audit
from homeport.audit.scan.scanning import scan
from homeport.audit.scan.walk import LEFT_OUT

VARIABLE = "HOMEPORT_AUDIT_REPOSITORIES"
_REFERENCE = re.compile(
    rb"(?<![\w./:@-])(?:docker\.io|ghcr\.io|quay\.io|gcr\.io|registry\.k8s\.io|k8s\.gcr\.io"
    rb"|mcr\.microsoft\.com|public\.ecr\.aws|registry\.gitlab\.com|cgr\.dev|nvcr\.io)"
    rb"/[a-z0-9][a-z0-9._/-]{0,200}(?::\w[\w.-]{0,127}|@sha256:[0-9a-f]{64})"
)
_LARGEST = 2 << 20
_OTHERS = {"vendor", "third_party", "testdata"}
_PROSE = (".md", ".rst", ".txt", ".adoc", ".mdx", ".html", ".svg", ".lock", ".sum")


def second_opinion(root: Path) -> set[tuple[str, int]]:
    """Files and lines with a reference of a well-known registry, prose left out."""
    found = set()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - LEFT_OUT - _OTHERS)
        for name in sorted(names):
            path = Path(folder) / name
            if name.endswith(_PROSE) or path.is_symlink() or path.stat().st_size > _LARGEST:
                continue
            data = path.read_bytes()
            if b"\0" in data[:8192]:
                continue
            for match in _REFERENCE.finditer(data):
                start = data.rfind(b"\n", 0, match.start()) + 1
                if data[start : match.start()].lstrip().startswith((b"#", b"//", b"*")):
                    continue
                line = data.count(b"\n", 0, match.start()) + 1
                found.add((path.relative_to(root).as_posix(), line))
    return found


def by_kind(root: Path) -> tuple[Counter[str], Counter[str]]:
    """How many lines of each kind of file have a reference, and how many of those are found."""
    uses = [
        use for image in audit(AuditRequest(paths=["."], root=root)).report.images
        for use in image.uses if not use.rule
    ]  # fmt: skip
    kinds = {use.place.file: use.kind for use in scan(["."], root=root).uses}
    lines = {
        (place.file, line) for use in uses
        for place in (use.place, *(f.place for f in use.feeds if f.place),
                      *(f.place for f in use.fields.values()))
        for line in range(place.line, place.end_line + 1)
    }  # fmt: skip
    expected, found = Counter[str](), Counter[str]()
    for file, line in second_opinion(root):
        kind = kinds.get(file) or f"none ({Path(file).suffix or Path(file).name})"
        expected[kind] += 1
        found[kind] += (file, line) in lines
    return expected, found


def main() -> None:
    """Print a table for all folders together."""
    folders = [Path(p) for p in os.environ.get(VARIABLE, "").split(os.pathsep) if p]
    if not folders:
        sys.exit(f"{VARIABLE} names no folder")
    expected, found = Counter[str](), Counter[str]()
    for folder in folders:
        more, right = by_kind(folder)
        expected += more
        found.update(right)
    for kind, count in expected.most_common():
        print(f"{kind:<24} {found[kind]:>6} of {count:<6} {100 * found[kind] / count:5.1f} %")
    total = sum(expected.values())
    print(f"{'all':<24} {sum(found.values()):>6} of {total:<6}")


if __name__ == "__main__":
    main()
