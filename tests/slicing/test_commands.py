"""``slice propose`` and ``slice check`` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builders.deb import deb, file, link
from builders.elf import elf
from builders.locking import World
from builders.recipe import recipe_file, slices
from homeport.cli.main import run

LOADER = "/usr/lib/ld.so"
LIBS = "usr/lib/x86_64-linux-gnu/"


def program(*needed: str) -> Any:
    return file(elf(interpreter=LOADER, needed=list(needed)), mode=0o755)


PACKAGES = [
    deb(
        "tool", depends="libone, libtwo, shell, python",
        files={
            "usr/bin/tool": program("libone.so.1", "libtool.so.2"),
            "usr/bin/tool-sh": file(b"#!/usr/bin/shell\n", mode=0o755),
            "usr/bin/tool-py": file(b"#!/usr/bin/python3\nimport parts.deep\n", mode=0o755),
            "usr/bin/alias": link("tool"),
            LIBS + "libtool.so.2.0": elf(),
            LIBS + "libtool.so.2": link("libtool.so.2.0"),
            LIBS + "libtool.so": link("libtool.so.2"),
            "etc/tool.conf": b"x",
            "usr/share/tool/data/one": b"1",
            "usr/share/tool/data/two": b"22",
            "usr/share/doc/tool/README": b"read",
            "usr/share/man/man1/tool.1": b"man",
        },
    ),
    deb("libone", files={
        LIBS + "libone.so.1": elf(needed=["libtwo.so.1"]), "usr/lib/ld.so": elf(),
    }),
    deb("libtwo", files={LIBS + "libtwo.so.1": elf(), LIBS + "libextra.so.1": elf()}),
    deb("shell", files={"usr/bin/shell": program("libone.so.1")}),
    deb("python", files={
        "usr/bin/python3": program(),
        "usr/lib/python3/dist-packages/parts/__init__.py": b"",
        "usr/lib/python3/dist-packages/parts/deep.py": b"def f():\n    from . import other\n",
        "usr/lib/python3/dist-packages/parts/other.py": b"",
        "usr/lib/python3/dist-packages/unused.py": b"",
    }),
]  # fmt: skip
RECIPE = """
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
packages: [tool]
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive, and ``./homeport.yaml`` that uses it, with slices of two packages."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "the-cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    made = World(tmp_path, PACKAGES, valid_for=None)
    (work / "key.asc").write_bytes(made.archive.certificate)
    recipe_file(work, RECIPE.format(url=made.archive.url))
    needs = "needs: [libone_loader, libtwo_libs]"
    slices(work, "libone", f"libs: {{paths: ['/usr/lib/*/libone.so.*'], {needs}}}\n"
                           "loader: {paths: [/usr/lib/ld.so]}")  # fmt: skip
    slices(work, "libtwo", "libs: {paths: ['/usr/lib/*/libtwo.so.*']}\n"
                           "all: {paths: ['/usr/lib/*/*.so.*']}")  # fmt: skip
    return work


def proposal(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert (
        run(["slice", "propose", "tool", *words, "--platform", "linux/amd64", "--format", "json"])
        == 0
    )
    return json.loads(capsys.readouterr().out)


def by_name(found: Any) -> dict[str, tuple[list[str], list[str]]]:
    return {
        each["name"]: (
            [path["path"] for path in each["paths"]], [need["slice"] for need in each["needs"]]
        )
        for each in found["slices"]
    }  # fmt: skip


def test_the_files_of_a_package_are_sorted_into_slices_with_what_they_need(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = proposal(capsys)
    assert by_name(found) == {
        "bins": (["/usr/bin/alias", "/usr/bin/tool"], ["libone_libs", "tool_libs"]),
        "config": (["/etc/tool.conf"], []),
        "data": (["/usr/share/tool/**"], []),
        "dev": (["/usr/lib/*/libtool.so"], ["tool_libs"]),
        "libs": (["/usr/lib/*/libtool.so.*"], []),
        "scripts": (["/usr/bin/tool-py", "/usr/bin/tool-sh"], ["libone_libs"]),
    }
    assert found["unsliced"] == [
        {"package": "python", "paths": [
            "/usr/bin/python3", "/usr/lib/python3/dist-packages/parts/**",
        ]},
        {"package": "shell", "paths": ["/usr/bin/shell"]},
    ]  # fmt: skip
    assert found["left_out"] == 2


def test_one_program_takes_what_it_loads_and_no_more(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert by_name(proposal(capsys, "--for", "alias", "--name", "alias")) == {
        "alias": (
            ["/usr/bin/alias", "/usr/bin/tool", "/usr/lib/*/libtool.so.*"],
            ["libone_libs"],
        )
    }  # fmt: skip


def test_what_a_trace_names_is_taken_and_what_nobody_ships_is_told(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (world / "trace").write_text(
        'openat(AT_FDCWD, "/usr/share/tool/data/one", O_RDONLY) = 3\n'
        'openat(AT_FDCWD, "/usr/share/tool/none", O_RDONLY) = -1 ENOENT (No such file)\n'
        'openat(AT_FDCWD, "/etc/hostname", O_RDONLY) = 3\n'
        f'openat(AT_FDCWD, "/{LIBS}libextra.so.1", O_RDONLY) = 3\n'
    )
    found = proposal(capsys, "--opened-by", "trace")
    assert by_name(found) == {"run": (["/usr/share/tool/data/one"], ["libtwo_all"])}
    assert found["unknown"] == ["/etc/hostname"]


def test_a_written_proposal_passes_its_check_and_is_never_overwritten(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["slice", "propose", "tool", "--for", "tool", "-o", "slices/tool.yaml"]
    assert run([*words, "--platform", "linux/amd64"]) == 0
    assert "next: homeport slice check slices/tool.yaml" in capsys.readouterr().out
    before = (world / "slices/tool.yaml").read_text()
    assert run([*words, "--platform", "linux/amd64"]) == 2
    assert "slices/tool.yaml already exists" in capsys.readouterr().err
    assert (world / "slices/tool.yaml").read_text() == before
    assert run(["slice", "check", "--platform", "linux/amd64", "--format", "json"]) == 0
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    assert {
        f"{each['slice']['package']}_{each['slice']['slice']}": each["fault"] for each in verdicts
    } == dict.fromkeys(
        ("libone_libs", "libone_loader", "libtwo_all", "libtwo_libs", "tool_bins"), ""
    )


@pytest.mark.parametrize(
    ("definition", "fault"),
    [
        ("bins: {paths: [/usr/bin/tool], needs: [libone_libs]}", "libtool.so.2"),
        ("bins: {paths: [/usr/bin/none]}", "/usr/bin/none"),
        ("bins: {paths: [/usr/bin/alias], needs: [nothing_libs]}", "nothing_libs"),
        ("bins: {paths: [/usr/bin/tool-sh]}", "/usr/bin/shell"),
    ],
)
def test_a_slice_that_does_not_work_alone_is_named(
    world: Path, definition: str, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    slices(world, "tool", definition)
    words = ["slice", "check", "slices/tool.yaml", "--platform", "linux/amd64"]
    assert run(words) == 3
    shown = capsys.readouterr()
    assert "tool_bins" in shown.out
    assert fault in shown.out
    assert "0 of 1 slice without faults" in shown.out
    assert "1 fault in slices" in shown.err


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("homeport: 1\npackage: tool\nslices: {}\n", "slices/tool.yaml defines no slices"),
        ("a: 1\n", "slices/tool.yaml"),
        ("homeport: 1\npackage: tool\nslices: {bins: {paths: 7}}\n", "slices/tool.yaml"),
        ("homeport: 1\npackage: other\nslices: {bins: {paths: [/x]}}\n", "other.yaml"),
    ],
)
def test_a_slice_file_without_slices_or_with_faults_is_a_usage_error_that_names_it(
    world: Path, text: str, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for other in (world / "slices").glob("*.yaml"):
        other.unlink()
    (world / "slices/tool.yaml").write_text(text)
    assert run(["slice", "check", "slices", "--platform", "linux/amd64"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert fault in shown.err


def test_what_the_recipe_is_for_says_nothing_about_a_slice(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (world / "homeport.yaml").open("a") as recipe:
        recipe.write("config: {entrypoint: [/usr/bin/tool], user: app}\n")
    words = ["slice", "check", "slices/libtwo.yaml", "--platform", "linux/amd64"]
    assert run(words) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["propose", "none"], "none"),
        (["propose", "tool", "--for", "nothing"], "tool has no program nothing"),
        (["propose", "tool", "--name", "x"], "--name is for --for"),
        (["check", "missing"], "missing: no slice files"),
    ],
)
def test_bad_input_says_what_to_do(
    world: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["slice", *words]) != 0
    shown = capsys.readouterr().err
    assert message in shown
    assert "hint:" in shown or "--name" in shown
