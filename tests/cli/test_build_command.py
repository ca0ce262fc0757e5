"""``homeport build`` as a user runs it: what it prints, and what stays when something breaks."""

from __future__ import annotations

import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from builders.archive import Server, serve
from builders.building import BuildWorld
from builders.deb import deb, file

RECIPE = """
packages: [tool]
steps: {os_release: false}
config: {entrypoint: [/usr/bin/tool]}
"""


@dataclass(slots=True)
class Setting:
    """A locked recipe, its archive behind HTTP, and a place to run the command in."""

    work: Path
    home: Path
    server: Server
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *options: str, **more: Any) -> subprocess.Popen[str]:
        command = [
            sys.executable, "-m", "homeport", "build", str(self.home), "--cache-dir", "cache",
            "--mirror", f"test={self.server.url}", *options,
        ]  # fmt: skip
        child = subprocess.Popen(
            command,
            cwd=self.work,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **{"text": True, **more},
        )
        self.running.append(child)
        return child

    def run(self, *options: str, **more: Any) -> tuple[int, str, str]:
        child = self.start(*options, **more)
        out, err = child.communicate(timeout=60)
        return child.returncode, out, err

    def digest(self, *options: str) -> str:
        code, out, err = self.run("-q", *options)
        assert code == 0, err
        return out.strip()


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    noise = random.Random(1).randbytes(3_000_000)
    package = deb("tool", files={"usr/bin/tool": file(noise, mode=0o755)}, compression="")
    here = BuildWorld(tmp_path, [package])
    here.ensure_lock(here.recipe(RECIPE))
    work = tmp_path / "work"
    work.mkdir()
    with serve(here.archive.root) as server:
        found = Setting(work, here.home, server)
        yield found
        for child in found.running:
            if child.poll() is None:
                child.kill()
            child.communicate()


def blobs(layout: Path) -> set[str]:
    return {path.name for path in (layout / "blobs/sha256").iterdir()}


def assert_whole(layout: Path, digest: str) -> None:
    """The layout's index leads to ``digest``, and nothing unfinished lies about."""
    index = json.loads((layout / "index.json").read_text())
    assert [entry["digest"] for entry in index["manifests"]] == [digest]
    assert {path.name for path in layout.iterdir()} <= {"blobs", "index.json", "oci-layout"}


def test_the_table_says_what_was_built(setting: Setting) -> None:
    code, out, _ = setting.run("-o", "oci:out")
    lines = out.splitlines()

    assert code == 0
    assert lines[0].split() == [
        "PLATFORM", "DIGEST", "LAYERS", "COMPRESSED", "RAW", "PACKAGES", "TIME",
    ]  # fmt: skip
    assert lines[1].startswith("linux/amd64  sha256:")
    assert lines[-1].startswith("oci:out:latest  sha256:")


def test_json_has_the_same_and_nothing_else_on_standard_output(setting: Setting) -> None:
    code, out, _ = setting.run("-o", "oci:out:1.0", "--format", "json")
    document = json.loads(out)

    assert code == 0
    assert document["schema"] == "homeport-build/v1"
    assert document["outputs"][0]["address"] == "oci:out:1.0"
    assert document["outputs"][0]["digest"] == document["digest"]
    (platform,) = document["platforms"]
    assert platform["packages"] == ["tool"]
    assert not platform["cached"]


@pytest.mark.parametrize(
    ("options", "compared", "fresh", "said"),
    [
        ([], False, False, ""),
        (["--check"], True, False, "all digests agree"),
        (["--no-cache"], False, True, "built without cached results; --check compares"),
        (["--check", "--no-cache"], True, True, "all digests agree"),
    ],
)
def test_it_says_whether_two_builds_were_compared(
    setting: Setting, options: list[str], compared: bool, fresh: bool, said: str
) -> None:
    code, out, _ = setting.run("-o", "oci:out", *options)
    assert code == 0
    assert said in out
    assert ("compare" in out or "agree" in out) == bool(said)
    _, out, _ = setting.run("-o", "oci:out", "--format", "json", *options)
    document = json.loads(out)
    assert (document["compared"], document["fresh"]) == (compared, fresh)


def test_without_an_output_a_layout_of_the_recipes_name_is_written(setting: Setting) -> None:
    digest = setting.digest()
    assert_whole(setting.work / "test.oci", digest)


def test_a_second_build_only_adds_its_tag(setting: Setting) -> None:
    first = setting.digest("-o", "oci:out:a")
    second = setting.digest("-o", "oci:out:b", "--label", "x=y")
    index = json.loads((setting.work / "out/index.json").read_text())

    found = {
        entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"]
        for entry in index["manifests"]
    }
    assert found == {"a": first, "b": second}


def test_offline_after_a_first_build_needs_no_mirror(setting: Setting) -> None:
    first = setting.digest("-o", "oci:out")
    setting.server.fault("*", status=500)
    assert setting.digest("-o", "oci:again", "--offline", "--no-cache") == first


def test_offline_without_a_cache_says_what_is_missing(setting: Setting) -> None:
    code, _, err = setting.run("--offline")
    assert code == 1
    assert "the cache does not have tool 1.0-1 all" in err
    assert "hint: run the command once without --offline" in err


def test_a_locked_build_with_another_recipe_is_out_of_date(setting: Setting) -> None:
    recipe = setting.home / "homeport.yaml"
    recipe.write_text(recipe.read_text().replace("[tool]", "[tool, other]"))
    code, _, err = setting.run("--locked")
    assert code == 4
    assert "does not match the recipe" in err
    assert not (setting.work / "test.oci").exists()


@pytest.mark.parametrize("delay", [0.15, 0.3, 0.45, 0.6, 0.8])
def test_a_killed_build_leaves_nothing_half_written_and_can_run_again(
    delay: float, setting: Setting
) -> None:
    child = setting.start("-o", "oci:out")
    time.sleep(delay)
    child.kill()
    child.communicate()
    layout = setting.work / "out"
    if (layout / "index.json").exists():  # it is written last, so all that it names is there
        (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
        assert entry["digest"].removeprefix("sha256:") in blobs(layout)

    digest = setting.digest("-o", "oci:out")
    assert_whole(layout, digest)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_download_ends_at_once_and_is_continued(
    number: signal.Signals, setting: Setting
) -> None:
    fault = setting.server.fault("*.deb", stall=1_000_000)
    child = setting.start("-o", "oci:out")
    while not fault.used:
        time.sleep(0.01)
    time.sleep(0.3)
    began = time.monotonic()
    child.send_signal(number)
    _, err = child.communicate(timeout=20)

    assert child.returncode == 130
    assert time.monotonic() - began < 10
    assert "interrupted" in err
    assert "Traceback" not in err
    assert not (setting.work / "out").exists()

    setting.server.faults.clear()
    setting.server.requests.clear()
    assert_whole(setting.work / "out", setting.digest("-o", "oci:out"))
    ranges = [header for path, header in setting.server.requests if path.endswith(".deb")]
    assert ranges
    assert ranges[0].startswith("bytes=")  # what had come was not fetched again


def test_two_builds_at_once_share_a_cache_and_a_layout(setting: Setting) -> None:
    children = [setting.start("-q", "-o", "oci:out") for _ in range(3)]
    results = [child.communicate(timeout=60) for child in children]

    assert [child.returncode for child in children] == [0, 0, 0], results
    assert len({out for out, _ in results}) == 1
    assert_whole(setting.work / "out", results[0][0].strip())


def test_a_disk_that_takes_no_more_is_named_and_leaves_nothing(setting: Setting) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    code, _, err = setting.run("-o", "oci:out", preexec_fn=limit)
    assert code == 1
    assert "File too large" in err
    assert "Traceback" not in err
    assert not (setting.work / "out").exists()

    assert_whole(setting.work / "out", setting.digest("-o", "oci:out"))


@pytest.mark.parametrize("output", ["oci:file/out", "oci-archive:file/out.tar"])
def test_an_output_that_cannot_be_written_is_named(output: str, setting: Setting) -> None:
    (setting.work / "file").write_text("")
    code, _, err = setting.run("-o", output)
    assert code == 1
    assert "file/out" in err
    assert "Traceback" not in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named_with_its_reason(setting: Setting) -> None:
    (setting.work / "closed").mkdir(mode=0o500)
    code, _, err = setting.run("-o", "oci:closed/out")
    assert code == 1
    assert "Permission denied" in err
    assert "hint: choose a path that you may write to" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--platform", "linux/none/x/y"], "invalid platform 'linux/none/x/y'"),
        (["--platform", "arm64"], "the recipe test has no platform linux/arm64"),
        (["--platform", "amd64,"], "empty platform in 'amd64,'"),
        (["--platform", ""], "empty platform in ''"),
        (["--tag", "a b"], "invalid tag 'a b'"),
        (["-o", "oci:out:1", "--tag", "2"], "--tag 2: no output takes it"),
        (["--tag", "r.example/a:1"], "layouts and archives of OCI keep a tag, not a name"),
        (["--label", "nothing"], "label 'nothing': KEY=VALUE is expected"),
        (["-o", "team/copy"], "names no registry"),
        (["-o", "./out"], "no transport"),
        (["--as-of", "yesterday"], "invalid date 'yesterday'"),
        (["--compression-level", "3"], "unsupported gzip level 3"),
    ],
)
def test_wrong_options_are_usage_errors(options: list[str], said: str, setting: Setting) -> None:
    code, out, err = setting.run(*options)
    assert code == 2
    assert out == ""
    assert said in err
    assert "Traceback" not in err


def test_an_image_on_standard_output_has_it_for_itself(setting: Setting) -> None:
    """Neither the table nor warnings get between the bytes of the archive."""
    code, out, err = setting.run("-o", "oci-archive:-", "-o", "oci:out", text=False)
    assert code == 0, err
    assert isinstance(out, bytes)
    with tarfile.open(fileobj=io.BytesIO(out)) as archive:
        assert "index.json" in archive.getnames()
    assert out.endswith(b"\0" * 1024)


def test_a_wrong_source_date_epoch_is_a_usage_error(setting: Setting) -> None:
    env = {**os.environ, "SOURCE_DATE_EPOCH": "soon"}
    code, _, err = setting.run(env=env)
    assert code == 2
    assert "invalid SOURCE_DATE_EPOCH 'soon'" in err
