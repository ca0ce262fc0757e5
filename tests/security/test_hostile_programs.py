"""Programs of a stranger's image that its tests run: nothing of this machine is theirs."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from builders.growth import peak_memory
from builders.programs import calling, endless, flood, program
from homeport.errors import HomeportError
from homeport.imagetests import patterns, running
from homeport.imagetests.checking import text_difference
from homeport.imagetests.results import CheckedImage, ImageTestResult, results_junit
from homeport.imagetests.structure_tests import BadTests, read_structure_tests
from homeport.oci.platform import native_platform
from homeport.recipe.image_tests import ImageTest
from homeport.yamlfile.position import FilePosition

NATIVE = native_platform().architecture
PLACE = FilePosition(file="tests.yaml", line=1)


@pytest.fixture
def root(tmp_path: Path) -> running.Root:
    """The files of an image, with one program to come."""
    if not running._namespaces():
        pytest.skip("this machine allows no user namespaces, and so no program is run")
    folder = tmp_path / "root"
    (folder / "bin").mkdir(parents=True)
    devices = running._places(folder)
    return running.Root(folder=folder, devices=devices, emulator=(), environment={"PATH": "/bin"})


def run(root: running.Root, data: bytes, **variables: str) -> running.Ended:
    path = root.folder / "bin/tool"
    path.write_bytes(data)
    path.chmod(0o755)
    return root.run(["tool"], variables)


@pytest.mark.parametrize(
    ("calls", "path", "numbers", "why"),
    [
        # A chroot inside a chroot, without a change of directory, leads out of both.
        ((161, 51), "/bin", (), errno.EPERM),
        # In namespaces of its own it could mount, and chroot again.
        ((272, 97), "", (), None),
        ((165, 40), "/bin", (), None),
        ((166, 39), "/proc", (), errno.EPERM),
    ],
    ids=["chroot", "unshare", "mount", "umount"],
)  # fmt: skip
def test_a_program_does_not_leave_its_folder(
    calls: tuple[int, int], path: str, numbers: tuple[int, ...], why: int | None, root: running.Root
) -> None:
    ended = run(root, calling(NATIVE, calls, path, *numbers))
    assert ended.code != 0
    assert why is None or ended.code == why


def test_a_program_changes_no_setting_of_the_kernel(root: running.Root) -> None:
    """Those below /proc/sys belong to root of the machine, who may run the test."""
    (root.folder / "etc").mkdir()
    own = root.folder / "etc/own"
    own.write_bytes(b"")
    truncate = (76, 45)
    assert run(root, calling(NATIVE, truncate, "/etc/own", 0)).code == 0
    code = run(root, calling(NATIVE, truncate, "/proc/sys/kernel/core_pattern", 0)).code
    assert code in (errno.EROFS, errno.ENOENT)


def test_a_program_that_does_not_end_is_ended_with_all_that_it_started(
    root: running.Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_PATIENCE", 0.5)
    with pytest.raises(running.NotRun, match="did not end"):
        run(root, endless(NATIVE))
    assert not [
        each for each in Path("/proc").glob("[0-9]*")
        if _link(each / "root") == str(root.folder)
    ]  # fmt: skip


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def test_a_flood_of_output_is_not_kept(root: running.Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_PATIENCE", 0.5)

    def ended() -> None:
        with pytest.raises(running.NotRun):
            run(root, flood(NATIVE))

    assert peak_memory(ended) < 8 << 20


def test_variables_of_the_image_are_for_its_program_alone(root: running.Root) -> None:
    """The loader of this machine would say that it cannot preload the file."""
    root_with = running.Root(
        folder=root.folder, devices=root.devices, emulator=(),
        environment={"PATH": "/bin", "LD_PRELOAD": "./none.so", "PYTHONHOME": "/none"},
    )  # fmt: skip
    ended = run(root_with, program(NATIVE, "hello\n"), LD_AUDIT="./none.so")
    assert ended == running.Ended(code=0, output="hello\n")


def test_an_expression_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(patterns.__file__).read_text().replace("SECONDS = 10", "SECONDS = 1")
    shorter = Path(os.environ["HOME"]) / "patterns.py"
    shorter.write_text(source)
    monkeypatch.setattr(patterns, "__file__", str(shorter))
    test = ImageTest(
        name="t", kind="file", path="/f", contains=("(a+)+$",), patterns=True, place=PLACE
    )
    with pytest.raises(HomeportError, match="takes more than"):
        text_difference(test, "a" * 60 + "!", "the output")


@pytest.mark.parametrize(
    ("pattern", "says"), [("a(", "unterminated"), ("(?P<", "missing"), ("a{9999999999}", "large")]
)
def test_an_expression_that_is_none_says_why(pattern: str, says: str) -> None:
    test = ImageTest(
        name="t", kind="file", path="/f", contains=(pattern,), patterns=True, place=PLACE
    )
    with pytest.raises(HomeportError, match=says):
        text_difference(test, "a", "the output")


def test_expressions_find_what_they_found_before() -> None:
    test = ImageTest(
        name="t", kind="file", path="/f", contains=("^b+$",), excludes=("c",), patterns=True,
        place=PLACE,
    )  # fmt: skip
    assert text_difference(test, "a\nbb\n", "it") == ""
    assert text_difference(test, "a\nbb\nc", "it") == "it has 'c'"


@pytest.mark.parametrize(
    "text",
    ["a0: &a0 [x]\n" + "".join(
        f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(30)
    ) + "fileExistenceTests: [{path: *a30}]\n", "x: " + "[" * 5_000 + "]" * 5_000 + "\n"],
    ids=["aliases", "deep"],
)  # fmt: skip
def test_a_bomb_in_yaml_is_no_file_of_tests(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tests.yaml"
    path.write_text(f"schemaVersion: 2.0.0\n{text}")
    with pytest.raises(BadTests):
        read_structure_tests(path)


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "pipe", "file"])
def test_an_emulator_is_placed_through_nothing_that_the_image_has(
    kind: str, tmp_path: Path
) -> None:
    """A link of this name led to a file of this machine, which became the emulator."""
    folder, outside = tmp_path / "root", tmp_path / "outside"
    folder.mkdir()
    place = folder / running._EMULATOR
    if kind == "link":
        outside.write_text("mine")
        place.symlink_to(outside)
    elif kind == "dangling":
        place.symlink_to(outside)
    elif kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.write_text("theirs")
    emulator = tmp_path / "qemu"
    emulator.write_text("emulator")
    emulator.chmod(0o755)
    running.place_emulator(emulator, folder)
    assert place.is_file()
    assert not place.is_symlink()
    assert place.read_text() == "emulator"
    assert place.stat().st_mode & 0o777 == 0o755
    assert not outside.exists() or outside.read_text() == "mine"


@pytest.mark.parametrize(
    "text",
    [
        "a: 2001-99-99",
        "a: !!timestamp x",
        "a: !!float x",
        "a: !!int x",
        "commandTests: [{name: a, command: b, exitCode: .inf}]",
        "commandTests: [{name: a, command: b, envVars: [{key: a}]}]",
        "commandTests: [{name: a, command: b, args: 5}]",
        "fileExistenceTests: [{name: a, path: /b, uid: .nan}]",
        "fileExistenceTests: 5",
        "fileExistenceTests: [5]",
        "metadataTest: 5",
        "commandTests: 5",
    ],
)
def test_a_file_of_tests_with_such_a_value_is_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tests.yaml"
    path.write_text(f"schemaVersion: 2.0.0\n{text}\n")
    with pytest.raises(BadTests) as found:
        read_structure_tests(path)
    assert len(str(found.value)) < 1000


def test_a_report_is_xml_whatever_an_image_calls_its_platform() -> None:
    tested = CheckedImage(
        image="\x1b[2J\ufffe", digest="", results=(
            ImageTestResult(
                name="\x00]]>", kind="run", platform="linux/\x01\ufffe<a>", state="failed",
                why="\x1b]0;\x07\ud800",
            ),
        ),
    )  # fmt: skip
    case = ElementTree.fromstring(results_junit(tested))[0]
    assert case.get("classname") == "linux/\\x01\\ufffe<a>"
