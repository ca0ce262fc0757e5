"""A stranger's tree of docker-pkg: its templates are programs, its files may be pipes or links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dockerpkg.trees import add_image, tree_at
from homeport.cli.main import run
from homeport.dockerpkg import rendering
from homeport.dockerpkg.configuration import read_configuration
from homeport.dockerpkg.planning import render_all
from homeport.dockerpkg.tree import read_tree
from homeport.errors import Faults, HomeportError

LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}FROM x"


def fault(tmp_path: Path, template: str) -> HomeportError:
    add_image(tmp_path / "images", "app", template)
    with pytest.raises(Faults) as raised:
        render_all(tree_at(tmp_path / "images"))
    (found,) = raised.value.faults
    assert str(found.where["file"]).endswith("app/Dockerfile.template")
    return found


@pytest.mark.parametrize(
    "template",
    [
        '{% set x = "a" * 10**11 %}FROM x',
        '{{ "%099999999999d" % 1 }}',
        '{{ "x".center(10**11) }}',
        '{{ "{:>99999999999}".format(1) }}',
        '{{ "x" | center(10**11) }}',
        '{{ "x\n" | indent(10**11, first=true) }}',
        "{{ [0] * 10**11 }}",
        "{% set l = ['aaaaaaaa'] %}"
        "{% for i in range(60) %}{% do l.append(l[-1] ~ l[-1]) %}{% endfor %}",
    ],
)
def test_a_template_that_asks_for_memory_without_end_is_a_fault(
    tmp_path: Path, template: str
) -> None:
    found = fault(tmp_path, template)
    assert "of memory" in found.what or "too long" in found.what or "large" in found.what


def test_a_template_without_end_is_stopped_and_the_next_run_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "SECONDS", 1)
    found = fault(tmp_path, LOOP)
    assert found.what.startswith("rendering takes more than 1 s of processor time")
    (tmp_path / "images" / "app" / "Dockerfile.template").write_text("FROM x")
    assert render_all(tree_at(tmp_path / "images"))["app"].text == "FROM x"


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ("{% for a in [1] %}" * 30 + "FROM x" + "{% endfor %}" * 30, "too many"),
        ("{{" + "(" * 3000 + "1" + ")" * 3000 + "}}", ""),
        ('{% include "Dockerfile.template" %}', "include each other"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", ""),
        ("{{ lipsum.__globals__ }}", "unsafe"),
        ("{{ cycler.__init__.__globals__.os }}", "unsafe"),
        ('{{ "{0.__class__}".format(1) }}', "unsafe"),
        ("{{ self.__init__ }}", "unsafe"),
        ('{{ ""|attr("__class__") }}', "unsafe"),
        ('{% include "/etc/passwd" %}', "cannot include"),
        ('{% import "../../x" as x %}', "outside the tree"),
    ],
)
def test_a_template_neither_crashes_nor_leaves_the_sandbox(
    tmp_path: Path, template: str, what: str
) -> None:
    assert what in fault(tmp_path, template).what


def test_a_link_out_of_the_tree_is_not_included(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("RUN private\n")
    folder = add_image(tmp_path / "images", "app", "FROM x\n{% include 'part' %}")
    (folder / "part").symlink_to("../../secret")
    with pytest.raises(Faults) as raised:
        render_all(tree_at(tmp_path / "images"))
    assert "outside the tree" in raised.value.faults[0].what


@pytest.mark.parametrize("name", ["username", "password"])
def test_a_template_does_not_get_the_users_login(tmp_path: Path, name: str) -> None:
    user = tmp_path / "docker-pkg.yaml"
    user.write_text("username: me\npassword: hunter2-of-mine\n")
    root = tmp_path / "images"
    add_image(root, "app", "FROM x\nRUN {{ " + name + " }}")
    file = tmp_path / "config.yaml"
    file.write_text("registry: r.example\n")
    with pytest.raises(Faults) as raised:
        render_all(read_tree(root, read_configuration(file, user)))
    assert raised.value.faults[0].what == f"'{name}' is undefined"


@pytest.mark.parametrize("name", ["changelog", "control", "Dockerfile.template", "config.yaml"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_device_in_the_tree_is_not_waited_for(
    tmp_path: Path, name: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = add_image(tmp_path / "images", "app", "FROM x\n")
    configuration = tmp_path / "config.yaml"
    configuration.write_text("registry: r.example\n")
    place = configuration if name == "config.yaml" else folder / name
    place.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero")
    arguments = ["docker-pkg", "graph", str(tmp_path / "images"), "-c", str(configuration)]
    assert run(arguments) in (1, 2)
    told = capsys.readouterr().err
    assert "not a regular file" in told or "cannot include Dockerfile.template" in told
