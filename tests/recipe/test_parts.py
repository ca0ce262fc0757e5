"""What a recipe says about parts that run, and what it cannot say."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from builders.recipe import faults_of, recipe
from homeport.errors import Faults, HomeportError
from homeport.oci.platform import parse_platform
from homeport.recipe.checking import check_loaded
from homeport.recipe.dockerfile_pinning import materials_of, unpinned
from homeport.recipe.entries import LocalFiles, PartFiles
from homeport.recipe.model import build_root_recipe, files_of_part
from homeport.recipe.parts import (
    DockerfilePart,
    GitInput,
    ImageInput,
    RunPart,
    SourceInput,
    UrlInput,
)

DIGEST = "sha256:" + "a" * 64
COMMIT = "b" * 40


def test_commands_with_every_kind_of_input(tmp_path: Path) -> None:
    found = recipe(
        tmp_path,
        f"""
        platforms: [linux/amd64, linux/arm64]
        parts:
          - name: tool
            packages: [golang-go, dash]
            on: [linux/arm64, linux/amd64]
            env: {{A: yes}}
            inputs:
              - {{from: ./src, to: /src, exclude: ["*.o"]}}
              - {{url: "https://host.example/x.tar.gz", sha256: {"c" * 64}, to: /in/}}
              - {{git: "https://host.example/x.git", commit: {COMMIT}, to: /git}}
              - {{source: hello, version: 2.10-3, to: /deb}}
              - {{image: "registry.example/x@{DIGEST}", path: /lib, to: /lib/x}}
            run: |
              make
        files:
          - {{part: tool, path: /x, to: /usr/bin/, platforms: [linux/arm64]}}
        """,
    )
    (part,) = found.parts
    assert isinstance(part, RunPart)
    assert part.script == "make\n"
    assert [str(platform) for platform in part.on] == ["linux/arm64", "linux/amd64"]
    assert (part.env, part.network) == ({"A": "yes"}, False)
    kinds = [LocalFiles, UrlInput, GitInput, SourceInput, ImageInput]
    assert list(map(type, part.inputs)) == kinds
    (files,) = found.files
    assert isinstance(files, PartFiles)
    assert files_of_part(found, part, parse_platform("linux/arm64")) == (files,)
    assert files_of_part(found, part, parse_platform("linux/amd64")) == ()
    root = build_root_recipe(found, part)
    assert [choice.name for choice in root.packages] == ["golang-go", "dash"]
    assert root.archives == found.archives


def test_a_dockerfile_has_its_folder_as_context_unless_it_names_another(tmp_path: Path) -> None:
    found = recipe(
        tmp_path,
        """
        parts:
          - {name: a, from: {dockerfile: sub/Dockerfile}}
          - {name: b, from: {dockerfile: sub/Dockerfile, context: ., target: out, args: {V: 1.10}}}
        files: [{part: a, path: /, to: /a}, {part: b, path: /, to: /b}]
        """,
    )
    one, other = found.parts
    assert isinstance(one, DockerfilePart)
    assert isinstance(other, DockerfilePart)
    assert one.context == tmp_path / "sub"
    assert other.context == tmp_path
    assert (other.target, other.args) == ("out", {"V": "1.10"})


def test_all_faults_of_parts_come_in_one_pass(tmp_path: Path) -> None:
    assert faults_of(
        tmp_path,
        f"""parts:
  - {{name: a, run: "x"}}
  - {{name: b, run: "x", from: {{dockerfile: x}}}}
  - name: c
    packages: [dash]
    run: x
    on: [linux/amd64, linux/vax]
    inputs:
      - {{git: "https://host.example/x", commit: main, to: /x}}
      - {{url: "https://host.example/x", sha256: "12", to: /x}}
      - {{image: "registry.example/x:1", path: /, to: /x}}
      - {{url: "ftp://host.example/x", sha256: {"c" * 64}, to: /x}}
  - {{name: d, from: {{dockerfile: x, contxt: y}}}}
""",
    ) == [
        "2:5 parts[0]: a part that runs commands needs the field 'packages'",
        "3:5 parts[1]: a part needs exactly one of run, from; it has run and from",
        "4:5 parts[2]: unused part c: no entry of files takes from it",
        "7:23 parts[2].on[1]: Debian has no architecture for the platform linux/vax",
        "9:49 parts[2].inputs[0].commit: invalid value 'main': expected the whole hash of a commit",
        "10:49 parts[2].inputs[1].sha256: invalid value '12': expected a SHA-256 in hex",
        "11:17 parts[2].inputs[2].image: no digest in 'registry.example/x:1'",
        "12:15 parts[2].inputs[3].url: invalid value 'ftp://host.example/x': "
        "expected an address of a file",
        "13:37 parts[3].from.contxt: unknown field 'contxt' of from",
    ]


def test_a_list_with_faulty_entries_alone_is_not_told_to_be_empty_too(tmp_path: Path) -> None:
    assert faults_of(
        tmp_path,
        """parts:
  - {name: a, packages: ["B@d"], run: x, on: [linux/vax]}
files: [{part: a, path: /x, to: /x}]
""",
    ) == [
        "2:26 parts[0].packages[0]: invalid value 'B@d': expected a package",
        "2:47 parts[0].on[0]: Debian has no architecture for the platform linux/vax",
    ]


def test_parts_and_files_must_fit_each_other(tmp_path: Path) -> None:
    assert faults_of(
        tmp_path,
        """parts:
  - {name: tool, packages: [dash], run: "x"}
  - {name: tool, packages: [dash], run: "y"}
  - {name: other, packages: [dash], run: "x"}
  - {name: empty, packages: [], run: "x"}
files:
  - {part: tol, path: /x, to: /x}
  - {part: empty, path: /x, to: /y}
""",
    ) == [
        "2:5 parts[0]: unused part tool: no entry of files takes from it",
        "3:5 parts[1]: duplicate part tool, first at homeport.yaml:5",
        "4:5 parts[2]: unused part other: no entry of files takes from it",
        "5:29 parts[3].packages: the build root has no packages, so no command can run in it",
        "7:5 files[0]: the recipe has no part 'tol'",
    ]


def test_a_recipe_that_extends_another_replaces_its_parts_by_name(tmp_path: Path) -> None:
    base = """
        parts: [{name: tool, packages: [dash], run: one}]
        files: [{part: tool, path: /x, to: /x}]
    """
    recipe(tmp_path, base, "base.yaml")
    found = recipe(
        tmp_path,
        "extends: ./base.yaml\nparts: [{name: tool, packages: [dash], run: two}]\n",
        "top.yaml",
    )
    assert [part.script for part in found.parts if isinstance(part, RunPart)] == ["two"]


def test_what_is_not_there_is_found_without_an_engine(tmp_path: Path) -> None:
    found = recipe(
        tmp_path,
        """
        parts:
          - {name: a, packages: [dash], run: x, inputs: [{from: ./none, to: /src}]}
          - {name: b, from: {dockerfile: gone/Dockerfile}}
        files: [{part: a, path: /, to: /a}, {part: b, path: /, to: /b}]
        """,
    )
    with pytest.raises(Faults) as caught:
        check_loaded(found)
    told = [each.what for each in caught.value.faults if "slice" not in each.what]
    assert told == [
        f"missing file {tmp_path}/none",
        f"missing directory {tmp_path}/gone",
        f"cannot read the Dockerfile {tmp_path}/gone/Dockerfile: No such file or directory",
    ]


PINNED = f"""\
# syntax=registry.example/frontend@{DIGEST}
ARG BASE=registry.example/base@{DIGEST}
FROM $BASE AS work
RUN --mount=type=bind,from=registry.example/more@{DIGEST},target=/m true
ADD --checksum={DIGEST} https://host.example/x.tar /x
ADD https://host.example/x.git#{COMMIT} /y
FROM scratch AS out
COPY --from=work /x /x
"""


def dockerfile(tmp_path: Path, text: str, **more: object) -> DockerfilePart:
    (tmp_path / "Dockerfile").write_text(text)
    found = recipe(
        tmp_path,
        """
        parts: [{name: a, from: {dockerfile: Dockerfile}}]
        files: [{part: a, path: /, to: /a}]
        """,
    )
    (part,) = found.parts
    assert isinstance(part, DockerfilePart)
    return replace(part, **more)  # type: ignore[arg-type]  # fields of the part


def test_what_a_pinned_dockerfile_takes_is_its_materials(tmp_path: Path) -> None:
    part = dockerfile(tmp_path, PINNED, target="out")
    assert unpinned(part) == []
    assert materials_of(part) == (
        f"https://host.example/x.git#{COMMIT}",
        f"https://host.example/x.tar@{DIGEST}",
        f"registry.example/base@{DIGEST}",
        f"registry.example/frontend@{DIGEST}",
        f"registry.example/more@{DIGEST}",
    )


@pytest.mark.parametrize(
    ("pinned", "instead", "line"),
    [
        (f"frontend@{DIGEST}", "frontend:1", 1),
        (f"base@{DIGEST}", "base:13", 3),
        (f"more@{DIGEST}", "more", 4),
        (f"--checksum={DIGEST} ", "", 5),
        (f"#{COMMIT}", "#main", 6),
        (f"#{COMMIT}", "", 6),
        ("COPY --from=work /x /x", "COPY --from=registry.example/z /x /x", 8),
    ],
)
def test_each_input_of_a_dockerfile_without_its_content_named_is_refused_with_its_line(
    tmp_path: Path, pinned: str, instead: str, line: int
) -> None:
    part = dockerfile(tmp_path, PINNED.replace(pinned, instead))
    (fault,) = unpinned(part)
    assert (fault.id, fault.where["line"]) == ("unpinned-input", line)
    with pytest.raises(HomeportError):
        materials_of(part)


def test_a_build_argument_may_pin_what_the_dockerfile_leaves_open(tmp_path: Path) -> None:
    text = "ARG BASE\nFROM $BASE\n"
    assert len(unpinned(dockerfile(tmp_path, text))) == 1
    base = f"registry.example/base@{DIGEST}"
    assert materials_of(dockerfile(tmp_path, text, args={"BASE": base})) == (base,)


def test_a_stage_that_is_not_there_is_told_those_that_are(tmp_path: Path) -> None:
    (fault,) = unpinned(dockerfile(tmp_path, PINNED, target="oot"))
    assert fault.what == "Dockerfile has no stage 'oot'"
    assert fault.hint == "it has out, work"
