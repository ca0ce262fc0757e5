"""Builds on real engines: dockerd of three Debian releases, with and without containerd's store."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from builders.documents import unspecified
from builders.runtime import runtime
from homeport.app import App, Settings, open_app
from homeport.buildkit.async_bridge import run_async
from homeport.buildkit.dockerfile import DockerfileBuild, prepare
from homeport.buildkit.engine import Connected, connected, describe
from homeport.buildkit.images import ImageOptions, built_image
from homeport.buildkit.llb.files import copy, mkdir, mkfile
from homeport.buildkit.llb.marshal import marshal
from homeport.buildkit.llb.sources import local, scratch
from homeport.buildkit.protocol.control import Vertex
from homeport.buildkit.protocol.errors import BuildFailed, EngineLost, EngineUnreachable
from homeport.buildkit.session import context_folder as folders
from homeport.buildkit.session.context_folder import BadContext, Offer
from homeport.buildkit.session.services import secret_values
from homeport.buildkit.solve import Build, Export, solve, solve_on
from homeport.buildkit.status import Unwatched
from homeport.cli.solve import command as solve_command
from homeport.errors import HomeportError, Interrupted
from homeport.images.image import Image
from homeport.progress import CancelToken
from peers import buildkit_engines
from peers.buildkit_engines import RunningEngine, running_dockerd, running_in_chroot

pytestmark = [pytest.mark.peer("dockerd", "busybox"), pytest.mark.root]
any_engine = buildkit_engines.any_engine
NO_NETWORK = {"force-network-mode": "none"}  # the engines run without a bridge


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """f1, dir/y, a link, and what .dockerignore leaves out."""
    place = tmp_path / "context"
    (place / "dir").mkdir(parents=True)
    (place / "f1").write_text("one\n")
    (place / "dir/y").write_text("y\n")
    (place / "link").symlink_to("f1")
    (place / "left-out").write_text("never sent\n")
    (place / ".dockerignore").write_text("left-out\n.dockerignore\nDockerfile\n")
    return place


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with open_app(Settings.load(None, cache_dir=tmp_path_factory.mktemp("cache"))) as opened:
        yield opened


def dockerfile(context: Path, *lines: str) -> Build:
    (context / "Dockerfile").write_text("\n".join(lines) + "\n")
    return prepare(DockerfileBuild(context=context))


def names(engine: RunningEngine, build: Build) -> list[str]:
    """Build, and list the tar that comes back."""
    received = io.BytesIO()
    solve(engine.engine, replace(build, exports=(Export(type="tar", to=received),)))
    received.seek(0)
    with tarfile.open(fileobj=received) as archive:
        return sorted(member.name for member in archive)


def with_busybox(context: Path) -> Path:
    found = shutil.which("busybox")
    assert found is not None
    shutil.copy(found, context / "busybox")
    return context


def test_a_dockerfile_becomes_a_tar_and_ignored_files_stay_here(
    any_engine: RunningEngine, context: Path
) -> None:
    build = dockerfile(context, "FROM scratch", "COPY . /", "ADD link /linked")
    assert names(any_engine, build) == ["dir", "dir/y", "f1", "link", "linked"]


def test_the_commands_document_is_the_specified_one(
    any_engine: RunningEngine, context: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    dockerfile(context, "FROM scratch", "COPY . /")
    arguments = ["--engine", any_engine.address, "--format", "json", "-o", f"dir:{tmp_path}/out"]
    solve_command.main([str(context), *arguments], standalone_mode=False)
    document = json.loads(capfd.readouterr().out)
    assert document["schema"] == "homeport-solve/v1"
    assert unspecified(document) == []


def test_a_result_is_written_into_a_directory(
    any_engine: RunningEngine, context: Path, tmp_path: Path
) -> None:
    (context / "f1").chmod(0o755)
    os.utime(context / "f1", (1_500_000_000, 1_500_000_000))
    build = dockerfile(context, "FROM scratch", "COPY . /")
    out = tmp_path / "out"
    solve(any_engine.engine, replace(build, exports=(Export(type="local", to=out),)))
    assert (out / "dir/y").read_text() == "y\n"
    assert (out / "f1").stat().st_mode & 0o777 == 0o755
    assert (out / "f1").stat().st_mtime == 1_500_000_000
    assert os.readlink(out / "link") == "f1"


def test_what_has_not_changed_is_not_sent_again(
    any_engine: RunningEngine, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bytes] = []
    real = folders.Folder.open_file
    monkeypatch.setattr(
        folders.Folder, "open_file", lambda self, path: opened.append(path) or real(self, path)
    )
    (context / "large").write_bytes(bytes(3 << 20))
    build = dockerfile(context, "FROM scratch", "COPY . /")
    solve(any_engine.engine, build)
    assert b"large" in opened
    opened.clear()
    (context / "f1").write_text("changed\n")
    solve(any_engine.engine, build)
    assert [path for path in opened if path not in (b"Dockerfile", b".dockerignore")] == [b"f1"]


def test_an_image_has_the_dockerfiles_config_and_files(
    any_engine: RunningEngine, context: Path, app: App
) -> None:
    build = dockerfile(context, "FROM scratch", "COPY f1 /a/b", 'ENTRYPOINT ["/a/b"]', "ENV X=y")
    how = ImageOptions(runtime=runtime(app.runtime.store))
    with built_image(any_engine.engine, build, (), how) as (value, _):
        image = value if isinstance(value, Image) else value.children[0].open()
        assert isinstance(image, Image)
        config = image.config()
        assert config is not None
        assert config.parsed.config.entrypoint == ("/a/b",)
        assert "X=y" in config.parsed.config.env
        assert len(config.parsed.rootfs.diff_ids) == 1
        squashed = "dev.homeport.squashed" in image.document.parsed.annotations
    assert squashed == (not describe(any_engine.engine).has_oci_exporter)


def test_llb_is_solved_without_any_frontend(any_engine: RunningEngine, context: Path) -> None:
    state = scratch().file(
        mkdir("/d"), mkfile("/d/made", b"made"), copy(local("src", follow=["dir"]), "/dir", "/dir")
    )
    build = Build(definition=marshal(state), folders={"src": Offer(context)})
    assert names(any_engine, build) == ["d", "d/made", "dir", "dir/y"]


def test_a_missing_source_is_an_error_with_the_dockerfiles_line(
    any_engine: RunningEngine, context: Path
) -> None:
    build = dockerfile(context, "FROM scratch", "COPY f1 /", "", "COPY \\", "  nope /x")
    with pytest.raises(BuildFailed, match="nope") as error:
        solve(any_engine.engine, build)
    assert error.value.where["line"] == 4
    assert ">   4 | COPY \\" in error.value.quotation


def test_a_syntax_error_is_shown_in_its_line(any_engine: RunningEngine, context: Path) -> None:
    build = dockerfile(context, "FROM scratch", "COPY f1 /", "FOO bar")
    with pytest.raises(BuildFailed, match=r"(?i)unknown instruction: FOO") as error:
        solve(any_engine.engine, build)
    assert error.value.where["line"] == 3
    assert error.value.quotation.endswith(">   3 | FOO bar\n      | ^^^^^^^")


def test_a_failed_step_brings_its_log(any_engine: RunningEngine, context: Path) -> None:
    build = dockerfile(
        with_busybox(context), "FROM scratch", "COPY busybox /",
        'RUN ["/busybox", "sh", "-c", "echo so it is; exit 3"]',
    )  # fmt: skip
    with pytest.raises(BuildFailed, match="exit code: 3") as error:
        solve(any_engine.engine, replace(build, attrs={**build.attrs, **NO_NETWORK}))
    assert error.value.log == ("so it is",)
    assert error.value.where["line"] == 3


def test_a_secret_is_there_while_a_step_runs_and_in_no_layer(
    any_engine: RunningEngine, context: Path
) -> None:
    build = dockerfile(
        with_busybox(context), "FROM scratch", "COPY busybox /",
        'RUN --mount=type=secret,id=word,target=/word ["/busybox", "wc", "-c", "/word"]',
    )  # fmt: skip
    heard = Heard()
    services = secret_values({"word": b"open sesame"}.get)
    attrs = {**build.attrs, **NO_NETWORK, "no-cache": ""}  # the step must run to be heard
    build = replace(build, attrs=attrs, services=services)
    solve(any_engine.engine, build, listener=heard)
    assert heard.lines == ["11 /word"]
    assert "word" not in [name for name in names(any_engine, build) if name == "word"]


def test_cancelling_ends_the_step_that_runs(any_engine: RunningEngine, context: Path) -> None:
    mark = f"54321.{os.getpid()}"
    build = dockerfile(
        with_busybox(context), "FROM scratch", "COPY busybox /",
        f'RUN ["/busybox", "sleep", "{mark}"]',
    )  # fmt: skip
    cancel = CancelToken()
    thread = threading.Thread(target=lambda: (until(lambda: runs(mark)), cancel.cancel()))
    thread.start()
    with pytest.raises(Interrupted):
        solve(any_engine.engine, replace(build, attrs={**build.attrs, **NO_NETWORK}), cancel=cancel)
    thread.join()
    until(lambda: not runs(mark))


def test_ctrl_c_ends_command_and_step(any_engine: RunningEngine, context: Path) -> None:
    mark = f"76543.{os.getpid()}"
    dockerfile(
        with_busybox(context), "FROM scratch", "COPY busybox /",
        f'RUN ["/busybox", "sleep", "{mark}"]',
    )  # fmt: skip
    argv = [
        sys.executable, "-m", "homeport", "solve", str(context), "--engine", any_engine.address,
        "--opt", "force-network-mode=none",
    ]  # fmt: skip
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until(lambda: runs(mark))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.rstrip().endswith(b"error: interrupted")
    until(lambda: not runs(mark))


def test_a_full_disk_of_ours_is_our_error(any_engine: RunningEngine, context: Path) -> None:
    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    build = dockerfile(context, "FROM scratch", "COPY . /")
    with pytest.raises(HomeportError, match="No space left on device"):
        solve(any_engine.engine, replace(build, exports=(Export(type="tar", to=Full()),)))


def test_a_tar_on_standard_input_is_a_context(
    any_engine: RunningEngine, context: Path, tmp_path: Path
) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nCOPY dir /d\n")
    archive = subprocess.run(
        ["tar", "-C", str(context), "-c", "."], capture_output=True, check=True
    ).stdout
    out = tmp_path / "out"
    argv = [
        sys.executable, "-m", "homeport", "solve", "-", "--engine", any_engine.address,
        "-o", f"dir:{out}",
    ]  # fmt: skip
    done = subprocess.run(argv, input=archive, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert (out / "d/y").read_text() == "y\n"


def test_the_session_also_goes_through_the_control_api_as_buildkitd_needs(
    any_engine: RunningEngine, context: Path
) -> None:
    received = io.BytesIO()
    build = dockerfile(context, "FROM scratch", "COPY . /")
    build = replace(build, exports=(Export(type="tar", to=received),))

    async def tunnelled() -> None:
        async with connected(any_engine.engine) as connection:
            await solve_on(Connected(connection.engine, "buildkit", connection.calls), build)

    run_async(tunnelled())
    assert b"dir/y" in received.getvalue()


def test_a_name_that_is_not_utf_8_is_our_error_not_the_engines(
    any_engine: RunningEngine, context: Path
) -> None:
    (context / os.fsdecode(b"bad\xff")).write_text("")
    with pytest.raises(BadContext, match="not UTF-8"):
        solve(any_engine.engine, dockerfile(context, "FROM scratch", "COPY . /"))


def test_names_beyond_ascii_and_more_than_64_kib_of_them_travel(
    any_engine: RunningEngine, context: Path
) -> None:
    # Over the 64 KiB of headers that HTTP/2 libraries take unasked. BuildKit 0.8 gives up on
    # hundreds of sources now and then ("flightcontrol: exceeded retry timeout"), by itself.
    count = 20 if any_engine.version.startswith("20.") else 230
    many = [f"grüße-{number:04}-{'long' * 59}" for number in range(count)]
    for name in many:
        (context / name).write_text(name)
    build = dockerfile(context, "FROM scratch", f"COPY {' '.join(many)} /")
    assert names(any_engine, build) == sorted(many)


@pytest.mark.parametrize("suite", ["trixie", "sid"])
def test_an_image_of_this_machine_is_a_build_context(
    suite: str, context: Path, tmp_path: Path
) -> None:
    """By the content store of the session, which engines with the containerd store read."""
    with running_in_chroot(suite, containerd_store=True) as engine:
        (context / "Dockerfile").write_text("FROM scratch\nCOPY f1 /from-base\n")
        command(str(context), engine, "-o", f"oci:{tmp_path}/base:1")
        (context / "Dockerfile").write_text("FROM base\nCOPY f1 /on-top\n")
        command(
            str(context), engine, "--build-context", f"base=oci:{tmp_path}/base:1",
            "-o", f"dir:{tmp_path}/out",
        )  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["from-base", "on-top"]


def command(context: str, engine: RunningEngine, *more: str) -> None:
    solve_command.main(
        [context, "--engine", engine.address, "--progress", "quiet", *more], standalone_mode=False
    )


def test_an_engine_that_dies_in_mid_build_is_named(context: Path) -> None:
    mark = f"65432.{os.getpid()}"
    build = dockerfile(
        with_busybox(context), "FROM scratch", "COPY busybox /",
        f'RUN ["/busybox", "sleep", "{mark}"]',
    )  # fmt: skip
    with running_dockerd() as engine:
        thread = threading.Thread(target=lambda: (until(lambda: runs(mark)), engine.process.kill()))
        thread.start()
        with pytest.raises(EngineLost, match="lost the engine") as error:
            solve(engine.engine, replace(build, attrs={**build.attrs, **NO_NETWORK}))
        thread.join()
        assert error.value.where["engine"] == engine.address
        with pytest.raises(EngineUnreachable):
            describe(engine.engine)
    end(mark)


class Heard(Unwatched):
    """Keeps what steps printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, number: int, vertex: Vertex) -> None:
        pass

    def log(self, number: int, vertex: str, line: str, stream: int) -> None:
        self.lines.append(line)


def runs(mark: str) -> list[int]:
    """Processes (of containers too) that sleep for ``mark``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[1:3] == [b"sleep", mark.encode()]:
            found.append(int(path.parent.name))
    return found


def end(mark: str) -> None:
    """A killed engine cannot end its containers."""
    for pid in runs(mark):
        os.kill(pid, 9)


def until(holds) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
