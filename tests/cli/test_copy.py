"""``homeport copy`` as a user meets it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from homeport.cli import options
from homeport.cli.main import run
from homeport.progress import Silent


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("work", "work/d", "root", "root/etc"):
        (tmp_path / name).mkdir()
    (tmp_path / "work" / "a.txt").write_text("a")
    (tmp_path / "work" / "d" / "f").write_text("f")
    (tmp_path / "root" / "etc" / "passwd").write_text("app:x:1000:1000::/:/bin/sh\n")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "the-cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def listed(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


@pytest.mark.root
def test_a_copy_with_an_owner_of_the_root_and_a_mode(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(
        ["copy", "--root", "../root", "--chown=app", "--chmod=u=rwX,go=rX", "a.txt", "d", "/opt/"]
    )
    assert code == 0
    assert capsys.readouterr().out == "wrote 1 directory, 2 files (2 B)\n"
    status = (world / "root" / "opt" / "f").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1000, 1000, 0o644)


def test_a_dry_run_lists_what_would_happen_and_changes_nothing(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (world / "root" / "f").write_text("old")
    before = listed(world / "root")
    assert run(["copy", "--dry-run", "--root", "../root", "a.txt", "d", "/"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "file       a.txt",
        "replaced   f",
        "file       f",
        "would write 2 files, 1 replaced (2 B)",
    ]
    assert listed(world / "root") == before
    assert (world / "root" / "f").read_text() == "old"


def test_a_dry_run_finds_the_same_faults(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (world / "root" / "a.txt").mkdir()
    for extra in ([], ["--dry-run"]):
        assert run(["copy", *extra, "--root", "../root", "a.txt", "/a.txt/../"]) == 1
        assert "cannot overwrite a directory with a file" in capsys.readouterr().err


def test_the_result_as_json(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["copy", "--format", "json", "-v", "--root", "../root", "d", "/x"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document == {
        "schema": "homeport-copy/v1",
        "dry_run": False,
        "bytes": 1,
        "made": {"directory": 1, "file": 1},
        "entries": [{"path": "x", "kind": "directory"}, {"path": "x/f", "kind": "file"}],
    }


def test_patterns_exclusions_and_parents(world: Path) -> None:
    (world / "work" / "d" / "g.md").write_text("g")
    command = ["copy", "--root", "../root", "--parents", "--exclude=**/*.md", "**/*", "/x"]
    assert run(command) == 0
    assert listed(world / "root" / "x") == ["a.txt", "d", "d/f"]


def test_what_an_ignore_file_costs_has_a_bound(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (world / "work/.ignore").write_text("".join(f"!x{number}\n" for number in range(4_000)))
    words = ["copy", "--root", "../root", "--ignore-file", ".ignore", "--limit", "steps=3000"]
    assert run([*words, ".", "/x"]) == 1
    assert ".ignore: more than 3,000 steps of work" in capsys.readouterr().err
    assert run([*words[:-1], "steps=100000", ".", "/x"]) == 0


def test_an_ignore_file_hides_what_it_names(world: Path) -> None:
    (world / "work" / "d" / "secret").write_text("s")
    (world / "work" / ".ignore").write_text("# these\n*.txt\nd\n!d/f\n")
    assert run(["copy", "--root", "../root", "--ignore-file", ".ignore", ".", "/x"]) == 0
    assert listed(world / "root" / "x") == [".ignore", "d", "d/f"]


def test_archives_are_unpacked_when_asked(world: Path) -> None:
    for option, suffix in (("-z", "gz"), ("--zstd", "zst")):
        os.system(f"tar {option} -cf t.tar.{suffix} d")
        assert run(["copy", "--root", "../root", "--add", f"t.tar.{suffix}", f"/{suffix}"]) == 0
        assert listed(world / "root" / suffix) == ["d", "d/f"]
        assert run(["copy", "--root", "../root", f"t.tar.{suffix}", f"/plain-{suffix}"]) == 0
        assert (world / "root" / f"plain-{suffix}").is_file()


def test_an_archive_of_zstd_may_begin_with_a_frame_to_be_skipped(world: Path) -> None:
    os.system("tar --zstd -cf plain.tar.zst d")
    frame = b"\x50\x2a\x4d\x18\x04\0\0\0none"
    (world / "work" / "t").write_bytes(frame + (world / "work" / "plain.tar.zst").read_bytes())
    assert run(["copy", "--root", "../root", "--add", "t", "/x"]) == 0
    assert listed(world / "root" / "x") == ["d", "d/f"]


def test_what_zstd_cannot_unfold_leaves_no_part_of_a_file(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (world / "work" / "d" / "f").write_bytes(os.urandom(300_000))
    os.system("tar --zstd -cf whole.tar.zst d; head -c 200000 whole.tar.zst > cut.tar.zst")
    assert run(["copy", "--root", "../root", "--add", "cut.tar.zst", "/x"]) == 1
    assert "is truncated (member d/f, position 512, archive cut.tar.zst" in capsys.readouterr().err
    assert listed(world / "root" / "x") == ["d"]


def test_a_directory_is_not_copied_into_itself(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for extra in ([], ["--dry-run"]):
        assert run(["copy", *extra, "--root", ".", ".", "/d/sub/"]) == 1
        assert "cannot copy a directory into itself" in capsys.readouterr().err
    assert listed(world / "work" / "d") == ["f"]


def test_each_name_is_progress(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    class Recorded(Silent):
        def advance(self, id: str, n: int) -> None:
            seen.append((id, n))

    monkeypatch.setattr(options, "progress_for", lambda *_, **__: Recorded())
    assert run(["copy", "--root", "../root", "d", "/x"]) == 0
    assert seen == [("copy", 1), ("copy", 1)]


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["none", "/x"], 1, "error: no such file or directory"),
        (["a.txt"], 2, "error: copy requires at least one SRC and a DEST"),
        (["--chmod=u+q", "a.txt", "/x"], 2, "error: invalid mode 'u+q'"),
        (
            ["--chown=nobody-known", "a.txt", "/x"],
            1,
            "error: /etc/passwd: unknown user nobody-known",
        ),
        (
            ["--exclude=[", "d", "/x"],
            2,
            "error: syntax error in pattern (pattern [, option --exc",
        ),
        (["--exclude=!", "d", "/x"], 2, 'error: illegal exclusion pattern: "!"'),
        (["loop", "/x"], 1, "error: too many links (path loop)"),
        (["[", "/x"], 1, "error: syntax error in pattern (pattern [)"),
        (["--max-size=1000", "big", "/x"], 1, "error: more than 1000 bytes would be written"),
    ],
)
def test_faults_have_one_line_and_the_documented_code(
    world: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, line: str
) -> None:
    (world / "work" / "big").write_bytes(bytes(5000))
    (world / "work" / "loop").symlink_to("loop")
    assert run(["copy", "--root", "../root", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    first, *hints = captured.err.splitlines()
    assert first.startswith(line)
    assert all(hint.startswith("  hint: ") for hint in hints)


def test_links_of_the_root_stay_in_it(world: Path) -> None:
    (world / "outside").mkdir()
    (world / "root" / "l").symlink_to("/outside")
    assert run(["copy", "--root", "../root", "a.txt", "/l/"]) == 0
    assert listed(world / "outside") == []
    assert (world / "root" / "outside" / "a.txt").read_text() == "a"
