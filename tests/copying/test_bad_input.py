"""What goes wrong in the world around a copy: one clear line, and nothing half-written."""

from __future__ import annotations

import errno
import os
import posix
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.copying import helper, rooted
from homeport.copying.command import Flags, copy
from homeport.copying.errors import CopyError
from homeport.copying.rooted import Rooted
from homeport.copying.sources import CopySource

SOURCE = str(Path(__file__).parents[2] / "src")
RUN = f"import sys; sys.path.insert(0, {SOURCE!r})\n" + (
    "from homeport.copying.helper import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    (tmp_path / "src-0").mkdir()
    (tmp_path / "dest").mkdir()
    tmp_path.chmod(0o755)
    return tmp_path


WITHOUT_PRIVILEGES = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def run(
    world: Path, *arguments: str, before: tuple[str, ...] = (), **options: Any
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, sys.executable, "-ISB", "-c", RUN, *arguments],
        cwd=world / "dest",
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def copied(world: Path, word: bytes, destination: bytes, **flags: Any) -> None:
    source, target = Rooted(bytes(world / "src-0")), Rooted(bytes(world / "dest"))
    try:
        copy([CopySource(source, word)], target, destination, Flags(**flags))
    finally:
        source.close()
        target.close()


# -- the helper's one line


def test_a_missing_source_is_one_line_and_exit_2(world: Path) -> None:
    done = run(world, "../src-0/none", "x")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("copy: no such file or directory (source ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["x"], "copy: invalid args: ['x']"),
        ([], "copy: invalid args: []"),
        (["--foo", "a", "b"], "flag provided but not defined: -foo"),
        (["--chown"], "flag needs an argument: -chown"),
        (["--unpack=maybe", "a", "b"], "invalid boolean value 'maybe' for -unpack"),
        (["---x", "a", "b"], "bad flag syntax: ---x"),
        (["--max-size=1k", "a", "b"], "invalid value '1k' for -max-size"),
    ],
)
def test_wrong_arguments_show_the_usage(world: Path, arguments: list[str], line: str) -> None:
    done = run(world, *arguments)
    assert done.returncode == 2
    first, usage, *_ = done.stderr.splitlines()
    assert first == line
    assert usage.startswith("usage: copy [--unpack] [--chown=USER[:GROUP]] SRC... DEST")


def test_help_is_no_failure(world: Path) -> None:
    assert run(world, "-h").returncode == 0


@pytest.mark.root
def test_flags_are_read_as_go_reads_them(world: Path) -> None:
    (world / "src-0" / "a").write_text("x")
    assert run(world, "-chown", "1:1", "../src-0/a", "x").returncode == 0
    assert (world / "dest" / "x").stat().st_uid == 1
    assert run(world, "../src-0/a", "--chown=1:1", "x").returncode == 2
    assert run(world, "--unpack=false", "--", "../src-0/a", "y").returncode == 0
    assert (world / "dest" / "y").read_text() == "x"


# -- permissions and limits


@pytest.mark.root
def test_a_source_that_cannot_be_read_is_named(world: Path) -> None:
    (world / "src-0" / "d").mkdir()
    (world / "src-0" / "d" / "secret").write_text("x")
    (world / "src-0" / "d" / "secret").chmod(0)
    done = run(world, "../src-0/d", "o", before=WITHOUT_PRIVILEGES)
    assert done.returncode == 2
    assert done.stderr.startswith("copy: permission denied (name secret, path ., source ")


@pytest.mark.root
def test_a_destination_that_cannot_be_written_is_named(world: Path) -> None:
    (world / "src-0" / "a").write_text("x")
    (world / "dest").chmod(0o555)
    done = run(world, "../src-0/a", "d/x", before=WITHOUT_PRIVILEGES)
    assert done.returncode == 2
    assert done.stderr.startswith("copy: permission denied (destination d/x")


@pytest.mark.root
def test_a_read_only_destination_is_named(world: Path) -> None:
    (world / "src-0" / "a").write_text("x")
    target = str(world / "dest")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", target], check=True)
    try:
        done = run(world, "../src-0/a", "x")
    finally:
        subprocess.run(["umount", target], check=True)
    assert done.returncode == 2
    assert done.stderr.startswith("copy: read-only file system (name x, source ")
    assert done.stderr.count("\n") == 1


def test_an_unknown_user_or_group_says_which_file_was_read(world: Path) -> None:
    (world / "src-0" / "a").write_text("x")
    for owner, file, what in (
        ("nobody-knows", "/etc/passwd", "user nobody-knows"),
        ("0:nobody-knows", "/etc/group", "group nobody-knows"),
    ):
        done = run(world, f"--chown={owner}", "../src-0/a", "x")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"copy: unknown {what} (file {file}")
        assert done.stderr.count("\n") == 1
        assert os.listdir(world / "dest") == []


def test_a_loop_of_links_ends_on_either_side(world: Path) -> None:
    (world / "src-0" / "a").write_text("x")
    for place in ("src-0", "dest"):
        (world / place / "one").symlink_to("two")
        (world / place / "two").symlink_to("one")
    for words in (["../src-0/one", "x"], ["../src-0/a", "one/"], ["../src-0/a", "one/x"]):
        done = run(world, *words)
        assert done.returncode == 2
        assert done.stderr.startswith("copy: too many links (path ")
        assert done.stderr.count("\n") == 1


@pytest.mark.root
def test_an_owner_that_may_not_be_set_is_an_error(world: Path) -> None:
    (world / "src-0" / "a").write_text("x")
    without_chown = ("setpriv", "--bounding-set=-chown")
    done = run(world, "--chown=7:8", "../src-0/a", "x", before=without_chown)
    assert done.returncode == 2
    assert done.stderr.startswith("copy: operation not permitted (name x")
    assert os.listdir(world / "dest") == []


def test_a_name_that_is_too_long_is_an_error(world: Path) -> None:
    (world / "src-0" / "a").write_text("x")
    with pytest.raises(CopyError, match="name too long"):
        copied(world, b"a", b"/" + b"n" * 300)


def limited(files: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


def test_few_open_files_are_enough_for_a_deep_tree(world: Path) -> None:
    deep = Path(*["d"] * 300)
    (world / "src-0" / deep).mkdir(parents=True)
    (world / "src-0" / deep / "f").write_text("x")
    done = run(world, "../src-0/d", "o", preexec_fn=limited(110))
    assert done.stderr == ""
    assert (world / "dest" / "o" / Path(*["d"] * 299) / "f").read_text() == "x"


def test_too_few_open_files_are_an_error(world: Path) -> None:
    deep = Path(*["d"] * 30)
    (world / "src-0" / deep).mkdir(parents=True)
    done = run(world, "../src-0/d", "o", preexec_fn=limited(20))
    assert done.returncode == 2
    assert "too many open files" in done.stderr


@pytest.fixture
def emptied(world: Path) -> Iterator[Path]:
    """Afterwards nothing is left that is too deep for pytest's own cleaning."""
    yield world
    for top in ("dest", "src-0"):
        home = Rooted(bytes(world / top))
        directory = home.root()
        for name in os.listdir(world / top):
            directory.remove(os.fsencode(name))
        directory.close()
        home.close()


@pytest.mark.parametrize("depth", [1_500, pytest.param(10_000, marks=pytest.mark.full)])
def test_a_tree_deeper_than_any_path_is_copied_and_removed(emptied: Path, depth: int) -> None:
    fd = os.open(emptied / "src-0", os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    copied(emptied, b"d", b"/o")
    home = Rooted(bytes(emptied / "dest"))
    top = home.root()
    here = top.open_directory(b"o")
    for _ in range(depth - 1):
        below_directory = here.open_directory(b"d")
        here.close()
        here = below_directory
    assert here.stat(b"f") is not None
    here.close()
    top.remove(b"o")
    assert os.listdir(emptied / "dest") == []
    top.close()
    home.close()


# -- the disk


class Broken:
    """One call of the system that does part of its work, then fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, then: BaseException | None):
        self._real: Any = getattr(posix, name)
        self._then = then
        self.action: Callable[[], None] = lambda: None
        monkeypatch.setattr(rooted.posix, name, self)
        self.calls = 0

    def __call__(self, source: int, target: int, count: int, *more: Any) -> int:
        self.calls += 1
        if self.calls == 1:
            done: int = self._real(source, target, min(count, 1000), *more)
            self.action()
            return done
        if self._then is not None:
            raise self._then
        result: int = self._real(source, target, count, *more)
        return result


@pytest.fixture
def large(world: Path) -> Path:
    path = world / "src-0" / "large"
    path.write_bytes(os.urandom(200_000))
    return path


def test_a_full_disk_leaves_no_part_of_a_file(
    world: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Broken(monkeypatch, "copy_file_range", OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(CopyError, match="no space left on device") as caught:
        copied(world, b"large", b"/d/x")
    assert caught.value.where["name"] == "x"
    assert os.listdir(world / "dest" / "d") == []


@pytest.mark.root
def test_a_real_full_disk_leaves_no_part_of_a_file(world: Path, large: Path) -> None:
    target = str(world / "dest")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", target], check=True)
    try:
        with pytest.raises(CopyError, match="no space left on device"):
            copied(world, b"large", b"/x")
        assert os.listdir(target) == []
    finally:
        subprocess.run(["umount", target], check=True)


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
def test_what_the_kernel_will_not_copy_is_sent(
    world: Path, large: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    Broken(monkeypatch, "copy_file_range", OSError(number, "not this way"))
    copied(world, b"large", b"/x")
    assert (world / "dest" / "x").read_bytes() == large.read_bytes()


def test_what_cannot_be_sent_either_is_read_and_written(
    world: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Broken(monkeypatch, "copy_file_range", OSError(errno.EXDEV, "not this way"))

    def refuse(*_: object) -> int:
        raise OSError(errno.EINVAL, "not this way")

    monkeypatch.setattr(rooted.posix, "sendfile", refuse)
    copied(world, b"large", b"/x")
    assert (world / "dest" / "x").read_bytes() == large.read_bytes()


def test_a_source_that_shrinks_is_copied_as_far_as_it_goes(
    world: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = large.read_bytes()[:5000]
    broken = Broken(monkeypatch, "copy_file_range", None)
    broken.action = lambda: os.truncate(large, 5000)
    copied(world, b"large", b"/x")
    assert (world / "dest" / "x").read_bytes() == start


def test_a_source_that_grows_is_copied_at_least_as_it_was(
    world: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = large.read_bytes()

    def grow() -> None:
        with large.open("ab") as file:
            file.write(b"more" * 100_000)

    Broken(monkeypatch, "copy_file_range", None).action = grow
    copied(world, b"large", b"/x")
    assert (world / "dest" / "x").read_bytes().startswith(before)


def test_a_pseudo_file_without_size_is_read(world: Path) -> None:
    home, target = Rooted(b"/proc/self"), Rooted(bytes(world / "dest"))
    copy([CopySource(home, b"status")], target, b"/x", Flags())
    assert (world / "dest" / "x").read_text().startswith("Name:")
    home.close()
    target.close()


# -- signals


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_a_file_removes_it_and_ends_with_2(
    world: Path,
    large: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    handlers: None,
    number: int,
) -> None:
    broken = Broken(monkeypatch, "copy_file_range", None)
    broken.action = lambda: os.kill(os.getpid(), number)
    monkeypatch.chdir(world / "dest")
    assert helper.main([str(large), "d/x"]) == 2
    assert capsys.readouterr().err == "copy: interrupted\n"
    assert os.listdir(world / "dest" / "d") == []


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_a_signal_in_the_middle_of_a_member_removes_it(
    world: Path,
    large: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    handlers: None,
    suffix: str,
) -> None:
    subprocess.run(["tar", "-caf", f"t.{suffix}", "large"], cwd=world / "src-0", check=True)
    real, written = posix.write, []

    def write(target: int, data: bytes) -> int:
        if not written:
            written.append(target)
            os.kill(os.getpid(), signal.SIGTERM)
        return real(target, data[:1000])

    monkeypatch.setattr(rooted.posix, "write", write)
    monkeypatch.chdir(world / "dest")
    assert helper.main(["--unpack", str(world / "src-0" / f"t.{suffix}"), "o/"]) == 2
    assert written
    assert capsys.readouterr().err == "copy: interrupted\n"
    assert os.listdir(world / "dest" / "o") == []


# -- special bits


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o1755, 0o6711, 0o7777, 0o2644])
def test_a_special_file_keeps_its_special_bits_although_it_gets_an_owner(
    world: Path, mode: int
) -> None:
    """The kernel takes set-id bits away with a change of the owner, also to the same one."""
    os.mkfifo(world / "src-0" / "p")
    (world / "src-0" / "p").chmod(mode)
    copied(world, b"p", b"/x", chown=b"%d:%d" % (os.getuid(), os.getgid()))
    copied(world, b"p", b"/y")
    copied(world, b".", b"/d/")
    assert [(world / "dest" / name).stat().st_mode & 0o7777 for name in ("x", "y", "d/p")] == [
        mode, mode, mode,
    ]  # fmt: skip


# -- large


def test_a_sparse_file_of_nine_gigabytes_stays_sparse(world: Path) -> None:
    path = world / "src-0" / "sparse"
    with path.open("wb") as file:
        file.seek(5 << 30)
        file.write(b"middle")
        file.truncate(9 << 30)
    copied(world, b"sparse", b"/x")
    found = (world / "dest" / "x").stat()
    assert (found.st_size, found.st_blocks < 1000) == (9 << 30, True)
    with (world / "dest" / "x").open("rb") as file:
        file.seek(5 << 30)
        assert file.read(6) == b"middle"


@pytest.mark.full
def test_a_million_entries_take_bounded_memory(world: Path) -> None:
    directory = os.open(world / "src-0", os.O_RDONLY)
    for number in range(1_000_000):
        os.mknod(f"file-{number}", dir_fd=directory)
    os.close(directory)
    code = RUN.replace("sys.exit(main(sys.argv[1:]))", "main(sys.argv[1:])") + (
        "\nstatus = open('/proc/self/status').read()\nprint(status.split('VmHWM:')[1].split()[0])"
    )
    done = subprocess.run(
        [sys.executable, "-ISB", "-c", code, str(world / "src-0"), "o"],
        cwd=world / "dest", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) < 40_000  # KiB
