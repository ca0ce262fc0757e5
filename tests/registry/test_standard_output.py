"""``pull … -``: standard output is the archive, byte for byte, and nothing else."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from builders.images import image
from builders.runtime import runtime
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout


def pull(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    value = image()
    OciLayout(LayoutAddress(path=folder / "layout", tag="1")).write(value, runtime())
    return subprocess.run(
        [sys.executable, "-m", "homeport", "pull", f"oci:{folder / 'layout'}:1", *arguments],
        capture_output=True, check=True, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip


@pytest.mark.parametrize("target", ["-", "oci-archive:-", "docker-archive:-"])
@pytest.mark.parametrize("options", [(), ("-q",), ("--format", "json"), ("-v",)])
def test_the_archive_stands_alone_and_the_report_beside_it(
    target: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    done = pull(tmp_path, target, *options)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        names = archive.getnames()
    assert "oci-layout" in names
    end = done.stdout.rstrip(b"\0")
    assert len(done.stdout) - len(end) >= 1024, "it ends as a tar does"
    digest = str(image().digest)
    said = done.stderr.decode()
    assert digest in (json.loads(said)["digest"] if "json" in options else said)


def test_into_a_file_the_report_is_the_result(tmp_path: Path) -> None:
    done = pull(tmp_path, f"oci-archive:{tmp_path / 'o.tar'}", "-q")
    assert done.stdout.decode().strip() == str(image().digest)
