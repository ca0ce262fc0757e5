"""A comparison of two images as one HTML page of the common look (``homeport.pages``)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from homeport.content.files import write_file
from homeport.inspection.report.compare_images import Comparison
from homeport.inspection.report.diffing import ImageDiff
from homeport.inspection.report.diffing_sboms import SbomDiff
from homeport.pages.page import render
from homeport.quantities import human_size

#: Files that are listed for each platform; the JSON document has all.
_MOST_FILES = 2000
_TONES = {"added": "good", "removed": "bad"}


def write_diff_page(found: Comparison, path: Path) -> None:
    """Write the page of a comparison to a file."""
    write_file(path, diff_page(found).encode())


def diff_page(found: Comparison) -> str:
    """The whole page."""
    images = found.images
    return render(
        "homeport.inspection.report:page_diff.html",
        {
            "found": found, "most": _MOST_FILES, "tones": _TONES,
            "images": [(f"p{number}", _platform(one), one) for number, one in enumerate(images)],
            "sboms": [
                (f"s{number}", _platform(one), one) for number, one in enumerate(found.sboms)
            ],
            "packages": sum(len(image.packages) for image in images),
            "files": sum(len(image.files) for image in images),
            "config": sum(len(image.config) for image in images),
            "growth": _signed(sum(image.size_after - image.size_before for image in images)),
            "signed": _signed, "counts": _counts,
        },
    )  # fmt: skip


def _platform(image: ImageDiff | SbomDiff) -> str:
    before, after = image.platform_before or "image", image.platform_after
    return before if after in ("", before) else f"{before} and {after}"


def _counts(image: ImageDiff) -> str:
    changes = Counter(one.change for one in image.files)
    return ", ".join(f"{count} {change}" for change, count in changes.most_common())


def _signed(size: int) -> str:
    return f"{'−' if size < 0 else '+'}{human_size(abs(size))}" if size else "0 B"
