"""Parts of recipes on a real engine: dockerd 20.10, whose build root comes as a tar.

The build root is busybox from a small signed archive; ``test_recipe_steps_examples`` has
the examples with Debian's compilers.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.building import BARE, BuildWorld, image_of, listing
from builders.deb import Entry, deb
from builders.http_server import serving
from builders.rebuilding import attach_kit, build_again, kit_contents
from homeport.building.request import BuildResult
from homeport.buildkit.address import Surroundings, parse_engine
from homeport.buildkit.protocol.errors import BuildFailed, EngineUnreachable
from homeport.content.store import Store
from homeport.errors import HomeportError, OutOfDate
from homeport.locking.update_policy import UpdatePolicy
from homeport.recipe.lock.reading import read_lockfile
from peers import buildkit_engines
from peers.buildkit_engines import RunningEngine, running_dockerd, running_in_chroot
from peers.engines import Program, RegistryServer, free_port, running, wait_until

pytestmark = [pytest.mark.peer("dockerd", "busybox"), pytest.mark.root]
dockerd_20 = buildkit_engines.dockerd_20

RUN = """\
parts:
  - name: tool
    packages: [busybox]
    inputs: [{from: ./src, to: /src}]
    env: {GREETING: hello}
    run: |
      busybox mkdir -p /out/share
      echo "$GREETING $TARGETPLATFORM $DEB_HOST_GNU_TYPE $SOURCE_DATE_EPOCH" > /out/tool
      busybox chmod 700 /out/tool
      busybox cp /src/data /out/share/data
      busybox ln -s data /out/share/link
"""
FILES = """\
files:
  - {part: tool, path: /tool, to: /usr/bin/, owner: "7:8"}
  - {part: tool, path: /share, to: /usr/share/tool, mode: "0600"}
"""


class Steps(BuildWorld):
    """A world whose archive has busybox as a build root, and an engine."""

    def __init__(self, root: Path, engine: RunningEngine) -> None:
        program = shutil.which("busybox")
        assert program is not None
        files = {
            "usr/bin/busybox": Entry(data=Path(program).read_bytes(), mode=0o755),
            "usr/bin/sh": Entry(type="symlink", target="busybox", mode=0o777),
        }
        hello = deb("hello", files={"usr/bin/hello": b"x"})
        super().__init__(root, [hello, deb("busybox", architecture="amd64", files=files)])
        self.running = engine
        self.engines = (engine.engine,)
        (self.home / "src").mkdir()
        (self.home / "src/data").write_text("one\n")

    def make(self, parts: str = RUN, files: str = FILES, **options: object) -> BuildResult:
        return self.build(f"{BARE}packages: [hello]\n{parts}{files}", **options)

    def without_engine(self) -> None:
        """Whoever asks for an engine from now on fails."""
        self.engines = ()

    def forget_results(self) -> None:
        """Another machine: the same files, an empty cache."""
        self.store = Store(self.root / "another cache")


@pytest.fixture
def world(tmp_path: Path, dockerd_20: RunningEngine) -> Steps:
    return Steps(tmp_path, dockerd_20)


def locked(world: Steps) -> dict[str, dict[str, str]]:
    (path,) = world.home.glob("*.lock")
    lockfile = read_lockfile(path)
    assert lockfile is not None
    return {
        name: {str(platform): str(tree.digest) for platform, tree in part.outputs.items()}
        for name, part in lockfile.parts.items()
    }


def test_what_commands_leave_in_out_are_files_of_the_image_as_local_files_are(
    world: Steps,
) -> None:
    result = world.make()
    assert listing(result) == {
        "usr/bin/hello": "0644 x",
        "usr/bin/tool": "0755 7:8 hello linux/amd64 x86_64-linux-gnu "
        f"{result.locked.lockfile.epoch}",
        "usr/share/tool/data": "0600 one",
        "usr/share/tool/link": "-> data",
    }
    config = image_of(result).config()
    assert config is not None
    assert config.parsed.config is not None
    labels = config.parsed.config.labels
    assert labels is not None
    assert labels["dev.homeport.parts"] == f"tool@{locked(world)['tool']['linux/amd64']}"
    assert labels["dev.homeport.materials"].startswith("./src@sha256:")


def test_a_second_build_needs_no_engine_and_gives_the_same_image(world: Steps) -> None:
    first = world.make()
    world.without_engine()
    world.offline = True
    again = world.make(locked=True)
    assert again.built.index.digest == first.built.index.digest
    assert world.make(check=True).built.index.digest == first.built.index.digest


def test_each_platform_has_a_result_of_its_own_built_in_one_root(world: Steps) -> None:
    result = world.make(RUN + "platforms: [linux/amd64, linux/arm64, linux/arm/v7]\n")
    said = listing(result, "linux/arm/v7")["usr/bin/tool"]
    assert said.startswith("0755 7:8 hello linux/arm/v7 arm-linux-gnueabihf ")
    assert sorted(locked(world)["tool"]) == ["linux/amd64", "linux/arm/v7", "linux/arm64"]


def test_the_same_inputs_give_the_pinned_result_on_another_machine(world: Steps) -> None:
    first = world.make()
    world.forget_results()
    assert world.make(locked=True).built.index.digest == first.built.index.digest


UNSTEADY = """\
parts:
  - name: tool
    packages: [busybox]
    run: busybox cat /proc/sys/kernel/random/uuid > /out/tool
"""
ONE = "files: [{part: tool, path: /tool, to: /tool}]\n"


def test_a_result_that_differs_from_the_pinned_one_is_an_error_unless_updated(
    world: Steps,
) -> None:
    world.make(UNSTEADY, ONE)
    old = locked(world)["tool"]["linux/amd64"]
    with pytest.raises(HomeportError) as caught:
        world.make(UNSTEADY, ONE, fresh=True)
    assert caught.value.id == "output-changed"
    assert old in caught.value.what
    assert "--update tool" in str(caught.value.hint)
    assert locked(world)["tool"]["linux/amd64"] == old
    world.make(UNSTEADY, ONE, update=UpdatePolicy(names=frozenset({"tool"})))
    new = locked(world)["tool"]["linux/amd64"]
    assert new != old
    assert f"part tool: linux/amd64: {old} → {new}" in world.notes.lines


def test_a_changed_input_is_built_and_pinned_anew_and_said(world: Steps) -> None:
    world.make()
    old = locked(world)["tool"]["linux/amd64"]
    (world.home / "src/data").write_text("two\n")
    with pytest.raises(OutOfDate, match="its inputs differ from the locked ones"):
        world.make(locked=True)
    result = world.make()
    assert listing(result)["usr/share/tool/data"] == "0600 two"
    new = locked(world)["tool"]["linux/amd64"]
    assert f"part tool: linux/amd64: {old} → {new}" in world.notes.lines


def test_a_path_that_was_not_made_is_an_error_that_names_what_was(world: Steps) -> None:
    with pytest.raises(HomeportError) as caught:
        world.make(files="files: [{part: tool, path: /bin/tool, to: /tool}]\n")
    assert caught.value.id == "not-in-result"
    assert caught.value.what == "the part tool did not write /bin/tool"
    assert caught.value.hint == "did you mean /tool?"
    assert caught.value.where["field"] == "files[0]"


def test_a_step_that_fails_shows_what_it_printed(world: Steps) -> None:
    failing = RUN.replace("    run: |\n", "    run: |\n      echo no such compiler; false\n")
    with pytest.raises(BuildFailed) as caught:
        world.make(failing)
    assert caught.value.log == ("no such compiler",)
    assert caught.value.where["part"] == "tool"
    assert caught.value.where["field"] == "parts[0]"


def test_commands_have_no_network_unless_the_recipe_says_so(world: Steps) -> None:
    devices = RUN.replace(
        "    run: |\n", "    run: |\n      busybox ls /sys/class/net > /out/net\n"
    )
    result = world.make(devices, "files: [{part: tool, path: /net, to: /net}]\n")
    assert listing(result)["net"] == "0644 lo"


def test_no_engine_that_answers_is_an_error_that_says_how_to_start_one(world: Steps) -> None:
    nowhere = "unix:///nonexistent/docker.sock"
    world.engines = (parse_engine(nowhere, Surroundings(environment={}, home=world.root)),)
    with pytest.raises(EngineUnreachable) as caught:
        world.make()
    assert nowhere in caught.value.what
    assert "start one" in str(caught.value.hint)


def test_an_engine_that_does_not_answer_is_named_and_the_next_is_asked(world: Steps) -> None:
    nowhere = parse_engine(
        "unix:///nonexistent/docker.sock", Surroundings(environment={}, home=world.root)
    )
    world.engines = (nowhere, *world.engines)
    world.make()
    assert any("/nonexistent/docker.sock" in line for line in world.notes.lines)


def test_an_engine_lost_in_mid_build_is_named_and_the_next_is_asked(world: Steps) -> None:
    waiting = RUN.replace("    run: |\n", "    run: |\n      echo began; busybox sleep 1\n")
    with running_dockerd() as doomed:

        class Killer(type(world.notes)):  # type: ignore[misc]  # whatever the world notes with
            def note(self, id: str, text: str) -> None:
                super().note(id, text)
                if text == "began" and doomed.process.poll() is None:
                    # Results are received on this very thread: none can have come yet.
                    doomed.process.kill()
                    doomed.process.wait()

        world.notes = Killer()
        world.engines = (doomed.engine, *world.engines)
        result = world.make(waiting)
    assert any(f"{doomed.address}: connection lost" in line for line in world.notes.lines)
    assert "usr/bin/tool" in listing(result)


def test_offline_a_part_that_was_never_built_is_refused(world: Steps) -> None:
    world.lock(f"{BARE}packages: [hello, busybox]\n")
    world.make(files="files: [{part: tool, path: /tool, to: /tool}]\n")
    world.offline = True
    (world.home / "src/data").write_text("three\n")
    with pytest.raises(HomeportError, match="the cache has no result of the part tool"):
        world.make(files="files: [{part: tool, path: /tool, to: /tool}]\n")


DOCKERFILE = """\
FROM scratch AS work
COPY busybox /bin/sh
ARG TITLE=none
ARG TARGETARCH
RUN echo "$TITLE for $TARGETARCH" > /page
FROM scratch AS out
COPY --from=work /page /html/index
"""
FROM = """\
parts:
  - name: page
    from: {dockerfile: ./page/Dockerfile, target: out, args: {TITLE: Tools}}
"""
PAGE = "files: [{part: page, path: /html, to: /srv}]\n"


@pytest.fixture
def page(world: Steps) -> Path:
    folder = world.home / "page"
    folder.mkdir()
    shutil.copy(str(shutil.which("busybox")), folder / "busybox")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder


def test_a_dockerfiles_target_gives_files_too(world: Steps, page: Path) -> None:
    first = world.make(FROM, PAGE)
    assert listing(first)["srv/index"] == "0644 Tools for amd64"
    world.without_engine()
    assert world.make(FROM, PAGE, locked=True).built.index.digest == first.built.index.digest
    (page / "new").write_text("in the context")
    with pytest.raises(OutOfDate):
        world.make(FROM, PAGE, locked=True)


@pytest.mark.parametrize("context", ["", ", context: .", ", context: OUTSIDE"])
def test_an_image_with_a_part_from_a_dockerfile_is_built_again_from_its_kit(
    world: Steps, page: Path, tmp_path: Path, context: str
) -> None:
    outside = tmp_path / "outside"
    for folder in (page, world.home, outside):
        folder.mkdir(exist_ok=True)
        shutil.copy(str(shutil.which("busybox")), folder / "busybox")
        (folder / ".dockerignore").write_text("**/secret\n**/Dockerfile\n*.lock*\n.dockerignore\n")
        (folder / "secret").write_text("not for the kit")
        (folder / "link").symlink_to("/etc/hostname")
    text = FROM.replace("page/Dockerfile", f"page/Dockerfile{context}").replace(
        "OUTSIDE", str(outside)
    )
    built = world.make(text, PAGE, allow_outside=(outside,))
    assert built.kit is not None, world.notes.lines
    assert not any("secret" in name for name in kit_contents(built.kit))
    world.home.rename(tmp_path / "lost")
    world.forget_results()
    attach_kit(built, built.kit)
    assert build_again(world, built, trust_kit=True).verdict == "reproduced"


def test_a_dockerfile_that_fails_is_quoted(world: Steps, page: Path) -> None:
    (page / "Dockerfile").write_text(DOCKERFILE.replace("> /page", "> /page; exit 3"))
    with pytest.raises(BuildFailed) as caught:
        world.make(FROM, PAGE)
    assert caught.value.where["line"] == 5
    assert "exit 3" in caught.value.quotation


def test_an_image_without_a_digest_is_refused_with_its_line(world: Steps, page: Path) -> None:
    (page / "Dockerfile").write_text("FROM debian:13\nRUN true\n")
    with pytest.raises(HomeportError, match="the image debian:13 is not pinned by digest") as e:
        world.make(FROM.replace("target: out, ", ""), PAGE)
    assert e.value.where["line"] == 1


INPUT = """\
parts:
  - name: tool
    packages: [busybox]
    inputs: [INPUT]
    run: busybox cp -r /in/. /out
files: [{part: tool, path: /, to: /taken}]
"""


def test_a_file_of_a_web_server_has_the_digest_that_the_recipe_says(world: Steps) -> None:
    import hashlib

    data = b"from afar"
    with serving() as server:
        url = server.file("/x.tar", data)
        right, wrong = hashlib.sha256(data).hexdigest(), "0" * 64
        text = INPUT.replace("INPUT", f'{{url: "{url}", sha256: "{right}", to: /in/}}')
        result = world.make(text, "")
        assert listing(result)["taken/x.tar"] == "0644 from afar"
        with pytest.raises(HomeportError) as caught:
            world.make(text.replace(right, wrong), "")
    assert caught.value.id == "integrity"
    assert caught.value.where["url"] == url


def test_a_commit_of_a_repository_is_an_input(world: Steps) -> None:
    buildkit_engines.need("git")
    repository = world.root / "repository"

    def git(*words: str) -> str:
        settings = ["-c", "user.name=x", "-c", "user.email=x@host.example"]
        command = ["git", *settings, "-C", str(repository), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    repository.mkdir()
    git("init", "--quiet", "--initial-branch=main")
    (repository / "file").write_text("committed\n")
    git("add", "file")
    git("commit", "--quiet", "-m", "One")
    commit = git("rev-parse", "HEAD")
    (repository / "file").write_text("later\n")
    git("commit", "--quiet", "-am", "Two")
    port = free_port()
    server = ["git", "daemon", "--export-all", f"--base-path={world.root}", "--listen=127.0.0.1",
              f"--port={port}", "--reuseaddr"]  # fmt: skip
    with running(server, world.root / "log"):
        wait_until(lambda: _listens(port))
        url = f"git://127.0.0.1:{port}/repository"
        result = world.make(
            INPUT.replace("INPUT", f'{{git: "{url}", commit: {commit}, to: /in}}'), ""
        )
    assert listing(result)["taken/file"] == "0644 committed"
    assert result.locked.lockfile.parts["tool"].materials == (f"git+{url}@{commit}",)


@pytest.mark.peer("skopeo", "docker-registry")
def test_a_path_of_an_image_by_digest_is_an_input(
    world: Steps, registry: RegistryServer, skopeo: Program
) -> None:
    image = world.build(f"{BARE}packages: [hello]\n").built.images[0].image
    name = registry.repository("hello")
    layout = f"oci:{world.root / 'out'}:latest"
    skopeo.run("copy", "--dest-tls-verify=false", layout, f"docker://{name}:1")
    reference = f"{name}@{image.digest}"
    result = world.make(
        INPUT.replace("INPUT", f'{{image: "{reference}", path: /usr/bin, to: /in}}'), ""
    )
    assert listing(result)["taken/hello"] == "0644 x"
    assert result.locked.lockfile.parts["tool"].materials == (reference,)


@pytest.fixture(scope="module")
def dockerd_with_containerd() -> Iterator[RunningEngine]:
    with running_in_chroot("sid", containerd_store=True) as engine:
        yield engine


def test_an_engine_that_takes_layouts_gets_the_build_root_as_an_image(
    tmp_path: Path, dockerd_with_containerd: RunningEngine, dockerd_20: RunningEngine
) -> None:
    as_image = Steps(tmp_path / "image", dockerd_with_containerd)
    as_tar = Steps(tmp_path / "tar", dockerd_20)
    as_image.make()
    as_tar.make()
    assert locked(as_image) == locked(as_tar)


def _listens(port: int) -> bool:
    import socket

    with socket.create_connection(("127.0.0.1", port), 1):
        return True
